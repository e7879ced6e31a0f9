"""A check's result, and how one is made."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """What a check says."""

    PASS = "PASS"
    REDUCE = "REDUCE"
    DENY = "DENY"
    NONE = "NONE"
    """No limit is set."""


class Check(NamedTuple):
    """One check of an entry."""

    name: str
    limit: float
    """NaN = none is set."""
    measured: float
    """With the asked size where a size matters; NaN = not known."""
    unit: str
    verdict: Verdict
    allowed_lots: float
    """The most lots that this check leaves: what was asked if it passes, 0 if it denies."""


def ceiling(name: str, limit: float | None, measured: float, unit: str, lots: float) -> Check:
    """Of a value that may not be above its limit; above, or not known, it denies."""
    if limit is None:
        return Check(name, math.nan, measured, unit, Verdict.NONE, lots)
    if measured <= limit:
        return Check(name, float(limit), measured, unit, Verdict.PASS, lots)
    return Check(name, float(limit), measured, unit, Verdict.DENY, 0.0)


def below(name: str, limit: float | None, measured: float, unit: str, lots: float) -> Check:
    """Of a value that has to stay below its limit: at it, above it, or not known, it denies."""
    if limit is None:
        return Check(name, math.nan, measured, unit, Verdict.NONE, lots)
    if measured < limit:
        return Check(name, float(limit), measured, unit, Verdict.PASS, lots)
    return Check(name, float(limit), measured, unit, Verdict.DENY, 0.0)


def floor(name: str, limit: float | None, measured: float, unit: str, lots: float) -> Check:
    """Of a value that may not be below its limit; below, or not known, it denies."""
    if limit is None:
        return Check(name, math.nan, measured, unit, Verdict.NONE, lots)
    if measured >= limit:
        return Check(name, float(limit), measured, unit, Verdict.PASS, lots)
    return Check(name, float(limit), measured, unit, Verdict.DENY, 0.0)


def shrinking(name: str, limit: float | None, measured: float, unit: str, lots: float, allowed: float) -> Check:
    """Of a value that fewer lots bring to its limit: `allowed` lots at most, before rounding to the step.

    Doubles are cut to a billionth of a lot: 0.3 less 0.2 leaves 0.1.
    """
    if limit is None:
        return Check(name, math.nan, measured, unit, Verdict.NONE, lots)
    allowed = round(allowed, 9)
    if allowed >= lots:
        return Check(name, float(limit), measured, unit, Verdict.PASS, lots)
    if allowed > 0:
        return Check(name, float(limit), measured, unit, Verdict.REDUCE, allowed)
    return Check(name, float(limit), measured, unit, Verdict.DENY, 0.0)
