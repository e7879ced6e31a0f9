"""Lots that a listing takes: multiples of its step, from its smallest to its largest, by decimal arithmetic.

What a ListingSpec doesn't tell (0) is taken as 0.01 lots for step and smallest, and as no largest.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agents.money import ZERO, exact
from schemas.events import ListingSpec

USUAL_LOTS: Final = Decimal("0.01")
"""Step and smallest order of a listing that doesn't tell them."""
MOST_LOTS: Final = Decimal(10**9)
"""More lots than any order has."""


def step_of(spec: ListingSpec) -> Decimal:
    """Lots between two sizes."""
    return exact(spec.volume_step) if spec.volume_step > 0 else USUAL_LOTS


def least_of(spec: ListingSpec) -> Decimal:
    """The smallest order, lots."""
    return exact(spec.volume_min) if spec.volume_min > 0 else USUAL_LOTS


def most_of(spec: ListingSpec) -> Decimal:
    """The largest order, lots; MOST_LOTS if it isn't told."""
    return exact(spec.volume_max) if spec.volume_max > 0 else MOST_LOTS


def stepped(lots: Decimal, spec: ListingSpec) -> Decimal:
    """Finite `lots` rounded down to the step; 0 for none or less."""
    if lots <= ZERO:
        return ZERO
    step = step_of(spec)
    return min(lots, MOST_LOTS) // step * step


def fitted(lots: Decimal, spec: ListingSpec) -> Decimal:
    """The largest size the listing takes that isn't above finite `lots`; 0 if there is none."""
    size = stepped(min(lots, most_of(spec)), spec)
    return size if size >= least_of(spec) else ZERO
