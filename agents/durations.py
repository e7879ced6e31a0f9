"""Durations as a strategy writes them: `"60s"`, `"15m"`, `"4h"`, `"1d"`, `"500ms"`."""

from __future__ import annotations

from typing import Final

from agents.expressions import StrategyError, said

_UNIT_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_MOST_MS: Final = 366 * 86_400_000


def duration_ms(value: object, place: str, *, bar_ms: int = 0) -> int:
    """Milliseconds in a duration, at least one and at most a year; with `bar_ms`, also in a whole number of bars.

    Raises StrategyError.
    """
    found = 0
    if isinstance(value, str):
        number = value.rstrip("smhd")
        unit = _UNIT_MS.get(value[len(number) :], 0)
        if number.isascii() and number.isdecimal() and len(number) <= 12:
            found = int(number) * unit
    elif bar_ms and type(value) is int:
        found = value * bar_ms
    if not 1 <= found <= _MOST_MS:
        bars = " or a number of bars" if bar_ms else ""
        raise StrategyError(f"{place} takes a time such as '60s', '15m' or '4h'{bars}, up to a year, not {said(value)}")
    return found
