"""The timeframes that bars are built in, with MT5's names."""

from __future__ import annotations

from enum import IntEnum


class Timeframe(IntEnum):
    """A timeframe; its value is the position in the Avro enum `Timeframe` (0 is UNKNOWN)."""

    UNKNOWN = 0
    M1 = 1
    M5 = 2
    M15 = 3
    M30 = 4
    H1 = 5
    H4 = 6
    D1 = 7

    @property
    def ms(self) -> int:
        """Its length in milliseconds."""
        return _LENGTH_MS[self]


_MINUTE_MS = 60_000
_LENGTH_MS = {
    Timeframe.UNKNOWN: 0,
    Timeframe.M1: _MINUTE_MS,
    Timeframe.M5: 5 * _MINUTE_MS,
    Timeframe.M15: 15 * _MINUTE_MS,
    Timeframe.M30: 30 * _MINUTE_MS,
    Timeframe.H1: 60 * _MINUTE_MS,
    Timeframe.H4: 240 * _MINUTE_MS,
    Timeframe.D1: 1440 * _MINUTE_MS,
}

TIMEFRAMES = tuple(t for t in Timeframe if t)
"""All of them, shortest first."""
