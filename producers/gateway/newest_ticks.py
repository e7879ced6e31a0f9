"""The newest ticks of one listing, in memory that is there from the start."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

KEPT_TICKS: Final = 8_192
"""So many are kept: deals are asked about within seconds."""
_NEVER: Final = 2**63 - 1


class Prevailing(NamedTuple):
    """A tick: its place among the listing's (n), bid and ask."""

    n: int
    bid: float
    ask: float


class NewestTicks:
    """A listing's newest good ticks, in a ring whose memory is there from the start: times never go back in it."""

    __slots__ = ("_integers", "_next", "_prices")

    def __init__(self) -> None:
        # A place that no tick has taken yet lies after every time.
        self._integers = np.full((2, KEPT_TICKS), _NEVER, np.int64)
        self._prices = np.full((2, KEPT_TICKS), np.nan)
        self._next = 0

    def add(
        self, n: NDArray[np.int64], time_ms: NDArray[np.int64], bid: NDArray[np.float64], ask: NDArray[np.float64]
    ) -> None:
        """Takes the next ticks."""
        kept = slice(-KEPT_TICKS, None)
        count = len(n[kept])
        places = np.arange(self._next, self._next + count) % KEPT_TICKS
        self._integers[:, places] = n[kept], time_ms[kept]
        self._prices[:, places] = bid[kept], ask[kept]
        self._next = (self._next + count) % KEPT_TICKS

    def at(self, time_ms: int) -> Prevailing | None:
        """The newest at or before a time; None if there is none."""
        for start, end in ((0, self._next), (self._next, KEPT_TICKS)):
            place = start + int(np.searchsorted(self._integers[1, start:end], time_ms, side="right")) - 1
            if place >= start:
                bid, ask = self._prices[:, place].tolist()
                return Prevailing(int(self._integers[0, place]), bid, ask)
        return None
