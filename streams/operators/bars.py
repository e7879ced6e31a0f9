"""Bars: every listing's closed bid bars from M1 to D1, on MT5's rules.

A bar exists only if it has a tick that isn't broken; suspect ticks are real prices and count. It is cut on the
server's clock (`time_ms + server_offset_s * 1000`), so H4 and D1 start at the server's midnight, as in the terminal. It
is on the topic once it is closed, never while it forms. The volume of a longer bar is the sum of its shorter bars'.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.events import Bar, Derived, ListingSpec
from schemas.quality import BROKEN
from schemas.timeframes import Timeframe
from streams.operators import bar_kernel as layout
from streams.operators.bar_kernel import BAR_DTYPE, BAR_WORDS, LONGEST, fold_bars
from streams.operators.base import NEVER_MS, BadState, MissingSpec, Outputs, Segment

_NO_BARS: Final[Outputs] = np.empty(0, BAR_DTYPE)
_FORM: Final = b"bars\x01\x00"
"""Name and version of the state's form, before its bytes."""
_STATE_BYTES: Final = layout.ROWS * layout.WORDS * 8


class BarState:
    """The forming bars of one listing: words int64[8, 15], laid out in `bar_kernel`."""

    __slots__ = ("listing", "words")

    def __init__(self, listing: str) -> None:
        self.listing = listing
        self.words: npt.NDArray[np.int64] = np.zeros((layout.ROWS, layout.WORDS), np.int64)
        self.words[0, layout.NEWEST_MS] = NEVER_MS
        self.words[0, layout.GAP] = 1  # what came before the log is missing
        self.words.view(np.float64)[0, layout.SCALE] = 1.0


class Bars:
    """The operator `bars`. Its buffer is its own, so one object may not fold in two threads at once."""

    name: Final = "bars"
    version: Final = 1
    topic: Final = "bars"

    def __init__(self) -> None:
        self._grow(1)

    def initial(self, listing: str) -> BarState:
        return BarState(listing)

    def fold(self, state: BarState, segment: Segment, spec: ListingSpec | None) -> Outputs:
        """The bars that the segment closes, as BAR_DTYPE. Raises MissingSpec."""
        first_n, _, offset_s, _, gap, watermark_ms, time_ms, bid, ask, _, volume, _, quality = segment
        if len(quality) > self._ticks:
            self._grow(len(quality))
        digits = -1
        if spec is not None:
            digits = spec.digits
        elif ((quality & BROKEN) == 0).any():
            raise MissingSpec(f"{state.listing} has a good tick but no ListingSpec in force: import writes one first")
        count = fold_bars(
            time_ms, bid, ask, volume, quality, first_n, offset_s, gap, watermark_ms, digits, state.words, self._out
        )
        # From bytes: a copy of structured rows takes ten times as long.
        return np.frombuffer(self._out[:count].tobytes(), BAR_DTYPE) if count else _NO_BARS

    def dump(self, state: BarState) -> bytes:
        return b"".join((_FORM, state.words.astype("<i8").tobytes(), state.listing.encode()))

    def load(self, data: bytes) -> BarState:
        end = len(_FORM) + _STATE_BYTES
        if not data.startswith(_FORM) or len(data) < end:
            raise BadState(f"{len(data)} bytes starting {data[:8]!r} are not a state of bars version {self.version}")
        state = BarState(data[end:].decode())
        state.words[:] = np.frombuffer(data[len(_FORM) : end], "<i8").reshape(state.words.shape)
        return state

    def digest(self, state: BarState) -> str:
        return hashlib.sha256(self.dump(state)).hexdigest()

    def records(self, outputs: Outputs, *, operator: str, listing: str, out_seq: int, ref_no: int) -> Sequence[Derived]:
        rows: list[tuple[Any, ...]] = outputs.tolist()
        return [
            Bar(
                operator=operator,
                listing=listing,
                out_seq=out_seq + k,
                ref_no=ref_no,
                timeframe=Timeframe(timeframe),
                time_ms=time_ms,
                server_offset_s=offset_s,
                open=open_,
                high=high,
                low=low,
                close=close,
                ask_close=ask_close,
                ticks=ticks,
                spread_min=spread_min,
                spread_mean=spread_mean,
                spread_max=spread_max,
                volume=volume,
                first_n=first_n,
                last_n=last_n,
                complete=bool(complete),
            )
            for k, (
                _, _, timeframe, time_ms, offset_s, open_, high, low, close, ask_close, ticks,
                spread_min, spread_mean, spread_max, volume, first_n, last_n, complete,
            ) in enumerate(rows)
        ]  # fmt: skip

    def _grow(self, ticks: int) -> None:
        """Room for all that a segment of `ticks` can close."""
        self._ticks = ticks
        self._out: npt.NDArray[np.int64] = np.empty((LONGEST * (ticks + 1), BAR_WORDS), np.int64)
