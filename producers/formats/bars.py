"""Bars as ticks: four of each, in the order in which MT5's tester makes them, marked synthetic.

A rising bar (close at or above open) goes open, low, high, close; a falling one open, high, low, close. They lie at the
bar's start, a third and two thirds of its length, and a second before its end. Between them the path is taken as
continuous; there is none to the open from the bar before, which its own bit says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.quality import Quality

PER_BAR: Final = 4
HOUR_MS: Final = 3_600_000
LONGEST_MS: Final = HOUR_MS
SYNTHETIC: Final = int(Quality.SYNTHETIC)
SYNTHETIC_OPEN: Final = SYNTHETIC | int(Quality.SYNTHETIC_OPEN)

Spread = float | Sequence[float]
"""Points: one number, or 24 by the hour of the server's clock."""


def times_of(start_ms: NDArray[np.int64], length_ms: int) -> NDArray[np.int64]:
    """Times of the ticks of bars that start at `start_ms` (int64[n]): int64[4 n]."""
    steps = np.array([0, length_ms // 3, 2 * length_ms // 3, length_ms - 1000], np.int64)
    return (start_ms[:, None] + steps).reshape(-1)


def bids_of(ohlc: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bids of the ticks of bars (float64[4, n]: open, high, low, close): float64[4 n]."""
    return prices_of(ohlc, ohlc[3] >= ohlc[0])


def prices_of(ohlc: NDArray[np.float64], rising: NDArray[np.bool_]) -> NDArray[np.float64]:
    """One side's prices of the ticks of bars, by whether each bar's bids rise: the low then comes before the high."""
    first, high, low, last = ohlc[:4]
    out = np.empty((len(first), PER_BAR))
    out[:, 0], out[:, 3] = first, last
    out[:, 1], out[:, 2] = np.where(rising, low, high), np.where(rising, high, low)
    return out.reshape(-1)


def asks_of(bid: NDArray[np.float64], points: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    """Asks (float64[n]) that are `points` above bids; on the grid of the points where the bids are."""
    scale = 10.0**digits
    exact = bid * scale
    on_grid = np.rint(exact)
    return np.asarray((np.where(np.abs(exact - on_grid) < 1e-4, on_grid, exact) + points) / scale)


def spreads_of(spread: Spread, server_ms: NDArray[np.int64]) -> NDArray[np.float64]:
    """Points at each time (int64[n], on the server's clock) of an assumed spread: float64[n]."""
    if isinstance(spread, int | float):
        return np.full(len(server_ms), float(spread))
    return np.asarray(spread, np.float64)[server_ms // HOUR_MS % 24]


def qualities_of(start: int, end: int) -> NDArray[np.int32]:
    """The bits of ticks [start, end) of whole bars: int32[end - start]."""
    bits = np.full(end - start, SYNTHETIC, np.int32)
    bits[-start % PER_BAR :: PER_BAR] = SYNTHETIC_OPEN
    return bits
