"""Which live ticks are suspect: real prices that no entry is decided on (protocol, TickBlock).

Three of the four bits are a function of the log alone, so `verify` finds them again: STALE of a block's `received_us`;
SPIKE and SPREAD_SPIKE of the good ticks among the listing's last ticks. A tick's bits depend on ticks before it only,
so where blocks are cut changes nothing; and on no tick further back than 2 * 256 rows, so a writer that reads the last
1,024 ticks of the log goes on as if it had never stopped. OUTSIDE_SESSION needs the listing's SessionTable.

SPREAD_SPIKE: a spread above 6 times the median of those among the last 256 ticks, and by more than 0.5 basis points of
the price. SPIKE: the middle is off the median of the last 15 good ones by more than 25 times the median step among the
last 256 ticks, 3 times their median spread, and 1 basis point. Both begin once 64 good ticks are there to compare
with. A price that stays at a new level is usual again after 8 ticks.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from producers.judge import JudgedColumns
from schemas.configuration import SessionTable
from schemas.jit import kernel
from schemas.quality import BROKEN, Quality
from schemas.ticks import TickBlock, TickSource, open_block

STALE_MS: Final = 5_000
"""How old a live tick may be on arrival."""
LIVE: Final = (TickSource.LIVE, TickSource.BRIDGE)
RECOMPUTED: Final = int(Quality.STALE | Quality.SPIKE | Quality.SPREAD_SPIKE)
"""The suspect bits that the log alone tells."""

_STALE: Final = int(Quality.STALE)
_SPIKE: Final = int(Quality.SPIKE)
_SPREAD_SPIKE: Final = int(Quality.SPREAD_SPIKE)
_OUTSIDE: Final = np.int32(Quality.OUTSIDE_SESSION)
_BROKEN: Final = int(BROKEN)

_WINDOW: Final = 256
_NEAR: Final = 15
_LEAST: Final = 64
_LEAST_STEPS: Final = 32
# Places in the counters.
_ROWS, _SPREADS, _STEPS, _GOOD_AGE = 0, 1, 2, 3
_NEVER: Final = 1 << 40
# Rows of the ring of the last ticks, and of the sorted values in it.
_MID, _SPREAD, _STEP = 0, 1, 2

_WEEK_MINUTES: Final = 7 * 1_440
_SUNDAY_MINUTES: Final = 3 * 1_440
"""1970-01-01 was a Thursday: three days before a Sunday."""


class Suspicion:
    """The suspect bits of one listing's live ticks, in the order of its log."""

    def __init__(self) -> None:
        self._ring = np.full((3, _WINDOW), np.nan)
        self._sorted = np.full((2, _WINDOW), np.inf)
        self._counters = np.array([0, 0, 0, _NEVER], np.int64)

    @classmethod
    def from_tail(cls, ticks: JudgedColumns) -> Suspicion:
        """As it stands after a log that ends in `ticks`: the last 1,024 or more, all if it has fewer."""
        suspicion = cls()
        suspicion.follow(ticks)
        return suspicion

    def suspect(self, ticks: JudgedColumns, received_us: int) -> NDArray[np.int32]:
        """STALE, SPIKE and SPREAD_SPIKE of live `ticks`, int32[n], which count as on the log from here on.

        `ticks.quality` has their broken bits; a broken tick is never suspect too.
        """
        bits = np.empty(len(ticks.time_ms), np.int32)
        oldest_ms = received_us // 1000 - STALE_MS
        _suspect(
            np.require(ticks.time_ms, np.int64, ["C", "A", "W"]),
            np.require(ticks.bid, np.float64, ["C", "A", "W"]),
            np.require(ticks.ask, np.float64, ["C", "A", "W"]),
            np.require(ticks.quality, np.int32, ["C", "A", "W"]),
            oldest_ms,
            self._ring,
            self._sorted,
            self._counters,
            bits,
        )
        return bits

    def follow(self, ticks: JudgedColumns) -> None:
        """Take over `ticks` as they lie on the log."""
        self.suspect(ticks, 0)

    def recheck(self, block: TickBlock) -> NDArray[np.int32]:
        """What `RECOMPUTED` bits the next live block on the log must have, int32[n], given its broken ones."""
        return self.suspect(block, block.received_us)


def warm_suspicion() -> None:
    """Compiles the kernels, at set-up; a recorder does it again before its first ticks."""
    block = open_block("warm/UP", 1, bytes(8), TickSource.LIVE, 0, "")
    Suspicion().follow(block)


def outside_session(
    time_ms: NDArray[np.int64], server_offset_s: int, sessions: SessionTable | None
) -> NDArray[np.int32]:
    """OUTSIDE_SESSION where a listing doesn't trade, int32[n]; nowhere if no table is known. Times in UTC."""
    if sessions is None or not sessions.from_minutes:
        return np.zeros(len(time_ms), np.int32)
    minute = week_minute(time_ms, server_offset_s)
    starts, ends = np.array(sessions.from_minutes), np.array(sessions.to_minutes)
    inside = ((minute[:, None] >= starts) & (minute[:, None] < ends)).any(axis=1)
    return np.where(inside, np.int32(0), _OUTSIDE).astype(np.int32)


def week_minute(time_ms: NDArray[np.int64], server_offset_s: int) -> NDArray[np.int64]:
    """Minutes since Sunday 00:00 on the server's clock."""
    return ((time_ms + server_offset_s * 1000) // 60_000 - _SUNDAY_MINUTES) % _WEEK_MINUTES


@kernel
def _insert(values: NDArray[np.float64], count: int, value: float) -> None:
    at = np.searchsorted(values[:count], value)
    for i in range(count, at, -1):
        values[i] = values[i - 1]
    values[at] = value


@kernel
def _remove(values: NDArray[np.float64], count: int, value: float) -> None:
    at = np.searchsorted(values[:count], value)
    for i in range(at, count - 1):
        values[i] = values[i + 1]


@kernel
def _near_median(mids: NDArray[np.float64], rows: int) -> float:
    """The median of the last 15 good middles of the ring; NaN if it has fewer."""
    near = np.empty(_NEAR)
    count = 0
    for back in range(1, min(rows, _WINDOW) + 1):
        mid = mids[(rows - back) % _WINDOW]
        if not np.isnan(mid):
            _insert(near, count, mid)
            count += 1
            if count == _NEAR:
                return float(near[_NEAR // 2])
    return np.nan


@kernel
def _suspect(
    time_ms: NDArray[np.int64],
    bid: NDArray[np.float64],
    ask: NDArray[np.float64],
    quality: NDArray[np.int32],
    oldest_ms: int,
    ring: NDArray[np.float64],
    ordered: NDArray[np.float64],
    counters: NDArray[np.int64],
    bits: NDArray[np.int32],
) -> None:
    rows, spreads, steps, good_age = counters[0], counters[1], counters[2], counters[3]
    for i in range(len(time_ms)):
        slot = rows % _WINDOW
        bits[i] = 0
        mid, spread, step = np.nan, np.nan, np.nan
        if quality[i] & _BROKEN == 0:
            mid, spread = (bid[i] + ask[i]) / 2.0, ask[i] - bid[i]
            if time_ms[i] < oldest_ms:
                bits[i] |= _STALE
            if good_age <= _WINDOW:
                step = abs(mid - ring[0, (rows - good_age) % _WINDOW])
                if step == 0.0:
                    step = np.nan
            if spreads >= _LEAST:
                usual = ordered[0, spreads // 2]
                if spread > 6.0 * usual and spread - usual > 5e-5 * mid:
                    bits[i] |= _SPREAD_SPIKE
                if steps >= _LEAST_STEPS:
                    off = abs(mid - _near_median(ring[0], rows))
                    if off > 25.0 * ordered[1, steps // 2] and off > 3.0 * usual and off > 1e-4 * mid:
                        bits[i] |= _SPIKE
        # The row that leaves the window.
        if not np.isnan(ring[1, slot]):
            _remove(ordered[0], spreads, ring[1, slot])
            spreads -= 1
        if not np.isnan(ring[2, slot]):
            _remove(ordered[1], steps, ring[2, slot])
            steps -= 1
        ring[0, slot], ring[1, slot], ring[2, slot] = mid, spread, step
        if not np.isnan(spread):
            _insert(ordered[0], spreads, spread)
            spreads += 1
            good_age = 1
        elif good_age <= _WINDOW:
            good_age += 1
        if not np.isnan(step):
            _insert(ordered[1], steps, step)
            steps += 1
        rows += 1
    counters[0], counters[1], counters[2], counters[3] = rows, spreads, steps, good_age
