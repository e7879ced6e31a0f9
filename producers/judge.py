"""The quality judge: which ticks are broken, by what was on the listing's log before them (protocol, TickBlock).

The judge is pure. Its state is a function of the listing's last 1,024 ticks on the log and the watermark in its last
block's header, so a writer that reads them back goes on as if it had never stopped, and `verify` judges the log again
with the same code.

**Why the cut into blocks doesn't matter.** A header's watermark holds from the next block on. If only headers
counted, a tick below a good tick of its own block would be behind the watermark in one cut and not in another. So each
good tick moves the watermark in the judge at once, as if a block ended there; a header that says no more than the
newest good tick then adds nothing, and where blocks end is free. A header that says more (a heartbeat, a session's end)
or less (a page not read to its end) holds from its place on, and a new cut keeps it there.

A tick whose time is too low gets one of two bits: BACKWARDS if it is below the newest good tick of the last 1,024,
BEHIND_WATERMARK if it is below the watermark only. Good ticks of a listing therefore never go back in time, for ever.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.jit import kernel
from schemas.quality import BROKEN, Quality
from schemas.ticks import TickBlock, TickSource

AHEAD_MS: Final = 5_000
"""How far ahead of the clock a live tick may be."""

_NOT_FINITE: Final = int(Quality.NOT_FINITE)
_NON_POSITIVE: Final = int(Quality.NON_POSITIVE)
_CROSSED: Final = int(Quality.CROSSED)
_BACKWARDS: Final = int(Quality.BACKWARDS)
_REPEATED: Final = int(Quality.REPEATED)
_BEHIND_WATERMARK: Final = int(Quality.BEHIND_WATERMARK)
_FUTURE: Final = int(Quality.FUTURE)
_BROKEN: Final = int(BROKEN)

_LIVE: Final = (TickSource.LIVE, TickSource.BRIDGE)
_NEVER: Final = np.iinfo(np.int64).max
# Places in the state: the row before lies behind its mark, prices as their bits.
_GOOD_MS, _GOOD_AGE, _WATERMARK, _HAS_ROW, _ROW = 0, 1, 2, 3, 4
_STATE_LEN: Final = _ROW + 6


class TickColumns(Protocol):
    """Ticks as columns; a TickBlock is one.

    `time_ms`: int64[n], UTC; `bid`, `ask`: float64[n]; `last`, `volume`: float64[n], or [0] where the symbol has none;
    `flags`: int32[n].
    """

    @property
    def time_ms(self) -> NDArray[np.int64]: ...
    @property
    def bid(self) -> NDArray[np.float64]: ...
    @property
    def ask(self) -> NDArray[np.float64]: ...
    @property
    def last(self) -> NDArray[np.float64]: ...
    @property
    def volume(self) -> NDArray[np.float64]: ...
    @property
    def flags(self) -> NDArray[np.int32]: ...


class JudgedColumns(TickColumns, Protocol):
    """Ticks on the log: with `quality` int32[n]."""

    @property
    def quality(self) -> NDArray[np.int32]: ...


class Judge:
    """Judges one listing's ticks in the order of its log."""

    memory: ClassVar[int] = 1024
    """Ticks that it looks back."""

    def __init__(self) -> None:
        self._state = np.zeros(_STATE_LEN, np.int64)
        self._state[_GOOD_AGE] = _NEVER

    @classmethod
    def from_tail(cls, ticks: JudgedColumns, watermark_ms: int) -> Judge:
        """The judge as it stands after a log that ends in `ticks`.

        `ticks`: the listing's last 1,024 or more, all if it has fewer. `watermark_ms`: of its last block, 0 if none.
        """
        judge = cls()
        judge.follow(ticks, watermark_ms)
        return judge

    @property
    def watermark_ms(self) -> int:
        """The least that the header of a block ending here says: UTC, 0 when nothing is known."""
        return int(self._state[_WATERMARK])

    def judge(self, ticks: TickColumns, source: int, received_us: int) -> NDArray[np.int32]:
        """The broken bits of `ticks` as int32[n]; they count as on the log from here on.

        `source`: a TickSource; only of what came live, `received_us` (UTC) says that it lies in the future.
        """
        quality = np.empty(len(ticks.time_ms), np.int32)
        newest_ms = received_us // 1000 + AHEAD_MS if source in _LIVE else _NEVER
        _judge(*_arrays(ticks), newest_ms, self.memory, self._state, quality)
        return quality

    def end_block(self, watermark_ms: int) -> None:
        """The block ends here, and its header has this watermark."""
        self._state[_WATERMARK] = watermark_ms

    def follow(self, ticks: JudgedColumns, watermark_ms: int) -> None:
        """Take over `ticks` as they lie on the log with their quality, and the watermark of the block they end."""
        state, n = self._state, len(ticks.time_ms)
        good = np.flatnonzero((ticks.quality & _BROKEN) == 0)
        if len(good):
            state[_GOOD_MS] = ticks.time_ms[good[-1]]
            state[_GOOD_AGE] = n - good[-1]
        elif state[_GOOD_AGE] != _NEVER:
            state[_GOOD_AGE] += n
        if n:
            state[_HAS_ROW:] = [1, *_bits_of_last_row(ticks)]
        self.end_block(watermark_ms)

    def recheck(self, block: TickBlock) -> NDArray[np.int32]:
        """What `quality` of the next DATA block on the log must be, int32[n]; then follows the block as it lies there.

        Bits that aren't of the broken class are taken as they are: other parts of the house set them.
        """
        before = self._state.copy()
        broken = self.judge(block, block.source, block.received_us)
        self._state = before
        self.follow(block, block.watermark_ms)
        return broken | (block.quality & ~np.int32(_BROKEN))

    def state(self) -> tuple[int, ...]:
        """What is remembered, to be compared: newest good time and its age, watermark, the row before."""
        known = self._state[_GOOD_AGE] <= self.memory
        row = self._state[_HAS_ROW:]
        good = self._state[: _GOOD_AGE + 1] if known else np.zeros(2, np.int64)
        return (*good.tolist(), self.watermark_ms, *row.tolist())


class _Arrays(NamedTuple):
    time_ms: NDArray[np.int64]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    last: NDArray[np.float64]
    volume: NDArray[np.float64]
    flags: NDArray[np.int32]


def _arrays(ticks: TickColumns) -> _Arrays:
    """Columns in the form that the kernel is compiled for; an empty `last` or `volume` reads as zeros."""
    n = len(ticks.time_ms)
    return _Arrays(
        _aligned(ticks.time_ms, np.int64),
        _aligned(ticks.bid, np.float64),
        _aligned(ticks.ask, np.float64),
        _aligned(ticks.last, np.float64) if len(ticks.last) else np.zeros(n),
        _aligned(ticks.volume, np.float64) if len(ticks.volume) else np.zeros(n),
        _aligned(ticks.flags, np.int32),
    )


def _bits_of_last_row(ticks: TickColumns) -> list[int]:
    prices = [ticks.bid[-1], ticks.ask[-1], *(c[-1] if len(c) else 0.0 for c in (ticks.last, ticks.volume))]
    return [int(ticks.time_ms[-1]), *np.array(prices, np.float64).view(np.int64).tolist(), int(ticks.flags[-1])]


def _aligned(column: NDArray[Any], dtype: type[Any]) -> NDArray[Any]:
    # Columns of a decoded block are read-only and may be unaligned: numba would compile the kernel anew for each kind.
    return np.require(column, dtype, ["C", "A", "W"])


@kernel
def _judge(
    time_ms: NDArray[np.int64],
    bid: NDArray[np.float64],
    ask: NDArray[np.float64],
    last: NDArray[np.float64],
    volume: NDArray[np.float64],
    flags: NDArray[np.int32],
    newest_ms: int,
    memory: int,
    state: NDArray[np.int64],
    quality: NDArray[np.int32],
) -> None:
    # The row before is compared bit by bit, so that a NaN equals itself.
    bid_bits, ask_bits = bid.view(np.int64), ask.view(np.int64)
    last_bits, volume_bits = last.view(np.int64), volume.view(np.int64)
    good_ms, good_age, watermark = state[0], state[1], state[2]
    has_row, t, b, a, x, v, f = state[3], state[4], state[5], state[6], state[7], state[8], state[9]
    for i in range(len(time_ms)):
        reasons = 0
        if not (np.isfinite(bid[i]) and np.isfinite(ask[i]) and np.isfinite(last[i]) and np.isfinite(volume[i])):
            reasons |= _NOT_FINITE
        if bid[i] <= 0.0 or ask[i] <= 0.0 or last[i] < 0.0 or volume[i] < 0.0:
            reasons |= _NON_POSITIVE
        if ask[i] < bid[i]:
            reasons |= _CROSSED
        if good_age <= memory and time_ms[i] < good_ms:
            reasons |= _BACKWARDS
        elif time_ms[i] < watermark:
            reasons |= _BEHIND_WATERMARK
        if (
            has_row == 1
            and time_ms[i] == t
            and bid_bits[i] == b
            and ask_bits[i] == a
            and last_bits[i] == x
            and volume_bits[i] == v
            and flags[i] == f
        ):
            reasons |= _REPEATED
        if time_ms[i] > newest_ms:
            reasons |= _FUTURE
        quality[i] = reasons
        if reasons == 0:
            good_ms, good_age = time_ms[i], 1
            watermark = max(watermark, good_ms)
        elif good_age <= memory:
            good_age += 1
        has_row = 1
        t, b, a, x, v, f = time_ms[i], bid_bits[i], ask_bits[i], last_bits[i], volume_bits[i], flags[i]
    state[0], state[1], state[2] = good_ms, good_age, watermark
    state[3], state[4], state[5], state[6], state[7], state[8], state[9] = has_row, t, b, a, x, v, f
