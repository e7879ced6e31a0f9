"""Bars that all sets of a process share: each stretch of ticks is folded once, whatever the parameters."""

from __future__ import annotations

import itertools
from typing import Any, Final, NamedTuple

from schemas.events import ListingSpec
from schemas.timeframes import Timeframe
from streams.operators.bars import Bars, BarState
from streams.operators.base import Outputs, Segment

_MOST: Final = 100_000


class _Folded(NamedTuple):
    """What a segment closed, the state's words behind it, and the name of that state."""

    rows: Outputs
    words: Any
    at: int


class _State(BarState):
    """A state that knows by which segments it came about."""

    __slots__ = ("at",)

    def __init__(self, listing: str, at: int) -> None:
        super().__init__(listing)
        self.at = at


class SharedBars(Bars):
    """The operator `bars`, of one timeframe only, that remembers what it has folded.

    A result is found by the state before and the segment's place in the listing's log; so all runs with one object must
    be over the same logs, each from wherever it starts.
    """

    def __init__(self, timeframe: Timeframe) -> None:
        super().__init__()
        self._timeframe = int(timeframe)
        self._names = itertools.count()
        self._known: dict[tuple[Any, ...], _Folded] = {}
        self._starts: dict[str, int] = {}

    def initial(self, listing: str) -> BarState:
        return _State(listing, self._starts.setdefault(listing, next(self._names)))

    def fold(self, state: BarState, segment: Segment, spec: ListingSpec | None) -> Outputs:
        """The bars of the timeframe that the segment closes. Raises MissingSpec."""
        assert isinstance(state, _State)
        key = (
            state.at, segment.first_n, len(segment.quality), segment.server_offset_s, segment.gap, segment.watermark_ms,
            None if spec is None else spec.digits,
        )  # fmt: skip
        found = self._known.get(key)
        if found is None:
            rows = super().fold(state, segment, spec)
            ours = rows[rows["timeframe"] == self._timeframe] if len(rows) else rows
            if len(self._known) >= _MOST:
                self._known.clear()
            found = self._known[key] = _Folded(ours, state.words.copy(), next(self._names))
        else:
            state.words[:] = found.words
        state.at = found.at
        return found.rows
