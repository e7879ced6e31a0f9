"""Strategies over bars of several timeframes or listings as an operator: bars wait until what they are joined with is
certain.

All listings are folded by bar kernels of their own. A bar of the strategy, which ends at E, is decided once each
listing has shown, by a tick or a watermark at or after E, that nothing of it before E is still to come; it is joined
with every bar that ends at or before E. So the order in which the listings' segments come in, and their cut, change no
signal. The proof of a signal is that of its own listing's bar, at the time by which all listings have shown it.

Of one listing that is when the bar closes, but for a bar that a change of the server's clock closes early: that waits
for its end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from agents.bar_signals import BarSignals, BarSignalState, columns_of
from agents.joined import Closed
from agents.signals import SIGNAL_DTYPE
from agents.strategy_program import StrategyProgram
from schemas.events import ListingSpec
from schemas.quality import BROKEN
from schemas.timeframes import Timeframe
from streams.operators.bar_kernel import BAR_DTYPE
from streams.operators.bar_strategy import last_suspect, suspects
from streams.operators.bars import Bars, BarState
from streams.operators.base import NEVER_MS, BadState, Outputs, Segment
from streams.operators.signals import StrategyOperator

Longs = npt.NDArray[np.int64]

_NONE: Final[Outputs] = np.empty(0, SIGNAL_DTYPE)
_NO_BARS: Final[Outputs] = np.empty(0, BAR_DTYPE)
_NO_TIMES: Final[Longs] = np.empty(0, np.int64)
_FORM: Final = b"merged\x01\x00"
_MINUTE_MS: Final = 60_000


class Proven(NamedTuple):
    """Signals that are decided, and the reference number of the segment that closed their bars."""

    ref_no: int
    rows: Outputs


class _Listing:
    """What is kept of one listing: its forming bars, and how far it has come.

    `evidence`: the first time that it has shown in each minute, since the last bar that was decided.
    """

    __slots__ = ("bars", "evidence", "shown_ms")

    def __init__(self, bars: BarState) -> None:
        self.bars = bars
        self.shown_ms = NEVER_MS
        self.evidence: Longs = _NO_TIMES


class MergedState:
    """The listings, the strategy's bars that wait to be decided, other sources' that wait to be joined, the graph."""

    __slots__ = ("closed", "listings", "ref_no", "signals", "suspect", "waiting", "was_suspect")

    def __init__(self, listings: list[_Listing], sources: int, signals: BarSignalState) -> None:
        self.listings = listings
        self.signals = signals
        self.was_suspect = False
        self.waiting: Outputs = _NO_BARS
        self.suspect: Longs = _NO_TIMES
        self.ref_no: Longs = _NO_TIMES
        self.closed: list[Outputs] = [_NO_BARS] * sources


class MergedStrategyOperator:
    """A strategy's program over several sources; one object may not fold in two threads at once.

    Of one listing it is an operator on `signals` like any other. Of several it is fed by `fold_at`: place 0 is the
    strategy's own listing, the others follow in the order of `program.listings`.
    """

    topic: Final = "signals"

    def __init__(self, program: StrategyProgram) -> None:
        self.program = program
        names = ("", *program.listings)
        self._sources = [(names.index(source.listing), int(Timeframe[source.bars])) for source in program.graph.sources]
        self._places = len(names)
        self._timeframe = int(program.timeframe)
        self._bars = Bars()
        self._signals = BarSignals(program)
        self._form = _FORM + bytes.fromhex(program.digest)

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def version(self) -> int:
        return self.program.version

    def initial(self, listing: str) -> MergedState:
        """The state before the first tick; `listing` is the strategy's own."""
        return self.initial_of((listing, *self.program.listings))

    def initial_of(self, listings: Sequence[str]) -> MergedState:
        """The state before the first tick of these listings, the strategy's own first."""
        own = [_Listing(self._bars.initial(listing)) for listing in listings]
        return MergedState(own, len(self._sources), self._signals.initial())

    def fold(self, state: MergedState, segment: Segment, spec: ListingSpec | None) -> Outputs:
        """As `fold_at` the first place, of a program of one listing."""
        found = [proven.rows for proven in self.fold_at(state, 0, segment, spec)]
        return np.concatenate(found) if found else _NONE

    def fold_at(self, state: MergedState, place: int, segment: Segment, spec: ListingSpec | None) -> list[Proven]:
        """The signals, as SIGNAL_DTYPE, that are certain with this segment of the listing at `place`.

        Raises MissingSpec.
        """
        listing = state.listings[place]
        closed = self._bars.fold(listing.bars, segment, spec)
        _show(listing, segment)
        before = state.was_suspect
        if not place:
            state.was_suspect = last_suspect(segment.quality, before)
        if len(closed):
            self._keep(state, place, closed, segment, before)
        return self._decide(state)

    def shown_ms(self, state: MergedState, place: int) -> int:
        """The time up to which the listing at `place` has shown all; NEVER_MS before its first tick or watermark."""
        return state.listings[place].shown_ms

    def waits_below(self, state: MergedState, ref_no: int) -> bool:
        """Whether a bar that a segment of a lower reference number closed is not decided yet."""
        return bool((state.ref_no < ref_no).any())

    def dump(self, state: MergedState) -> bytes:
        parts = [
            self._form,
            np.array([state.signals.seen, state.was_suspect], "<i8").tobytes(),
            self._signals.fold_graph.dump(state.signals.graph),
            *(rows.tobytes() for rows in (state.waiting, state.suspect, state.ref_no, *state.closed)),
        ]
        for listing in state.listings:
            parts += [
                self._bars.dump(listing.bars),
                np.array([listing.shown_ms], "<i8").tobytes(),
                listing.evidence.tobytes(),
            ]
        return b"".join(len(part).to_bytes(8, "little") + part for part in parts)

    def load(self, data: bytes) -> MergedState:
        parts = _parts(data)
        if len(parts) != 6 + len(self._sources) + 3 * self._places or parts[0] != self._form:
            raise BadState(
                f"{len(data)} bytes starting {data[:16]!r} are not a state of {self.name} version {self.version}"
            )
        end = 6 + len(self._sources)
        listings = []
        for at in range(end, len(parts), 3):
            listing = _Listing(self._bars.load(parts[at]))
            listing.shown_ms = int.from_bytes(parts[at + 1], "little", signed=True)
            listing.evidence = np.frombuffer(parts[at + 2], "<i8").astype(np.int64)
            listings.append(listing)
        state = MergedState(listings, 0, BarSignalState(self._signals.fold_graph.load(parts[2])))
        seen, suspect = np.frombuffer(parts[1], "<i8").tolist()
        state.signals.seen, state.was_suspect = seen, bool(suspect)
        state.waiting = np.frombuffer(parts[3], BAR_DTYPE)
        state.suspect, state.ref_no = (np.frombuffer(part, "<i8").astype(np.int64) for part in parts[4:6])
        state.closed = [np.frombuffer(part, BAR_DTYPE) for part in parts[6:end]]
        return state

    def digest(self, state: MergedState) -> str:
        return hashlib.sha256(self.dump(state)).hexdigest()

    records = StrategyOperator.records

    def _keep(self, state: MergedState, place: int, closed: Outputs, segment: Segment, before: bool) -> None:
        """Puts bars of the listing at `place` where they wait; `before` as for `suspects`."""
        for k, (at, timeframe) in enumerate(self._sources):
            if at == place and len(ours := closed[closed["timeframe"] == timeframe]):
                state.closed[k] = np.concatenate([state.closed[k], ours])
        ours = closed[closed["timeframe"] == self._timeframe]
        if place == 0 and len(ours):
            state.waiting = np.concatenate([state.waiting, ours])
            marks = suspects(ours, segment, before).astype(np.int64)
            state.suspect = np.concatenate([state.suspect, marks])
            state.ref_no = np.concatenate([state.ref_no, np.full(len(ours), segment.ref_no, np.int64)])

    def _decide(self, state: MergedState) -> list[Proven]:
        """The signals of the waiting bars that are certain by now."""
        if not len(state.waiting):
            return []
        # The end of a bar that the server's clock closed early may lie after that of the next.
        ends = np.maximum.accumulate(state.waiting["time_ms"] + self.program.timeframe.ms)
        # Bars end at whole minutes, unless the server's clock is odd; then the next one counts.
        due = -(-ends // _MINUTE_MS) * _MINUTE_MS
        certain = min(listing.shown_ms for listing in state.listings)
        count = int(np.searchsorted(due, certain, "right"))
        if not count:
            return []
        bars, ends, due = state.waiting[:count].copy(), ends[:count], due[:count]
        for listing in state.listings:
            shown = np.searchsorted(listing.evidence, due)
            bars["proof_ms"] = np.maximum(bars["proof_ms"], listing.evidence[shown])
            listing.evidence = listing.evidence[shown[-1] :]
        closed = [self._take(state, k, ends) for k in range(len(self._sources))]
        rows = self._signals.fold(state.signals, bars, state.suspect[:count] != 0, closed)
        ref_no = state.ref_no[:count]
        state.waiting, state.suspect, state.ref_no = state.waiting[count:], state.suspect[count:], state.ref_no[count:]
        if not len(rows):
            return []
        # Rows are in the order of their bars, whose last ticks tell them apart.
        by_row = ref_no[np.searchsorted(bars["last_n"], rows["n"])]
        return [Proven(int(one), rows[by_row == one]) for one in np.unique(by_row)]

    def _take(self, state: MergedState, k: int, ends: Longs) -> Closed:
        """The bars of source k that ended by the last of `ends`, and how many by each."""
        rows = state.closed[k]
        own = np.maximum.accumulate(rows["time_ms"] + Timeframe(self._sources[k][1]).ms)
        by_own = np.searchsorted(own, ends, "right")
        taken = int(by_own[-1])
        state.closed[k] = rows[taken:]
        return Closed(columns_of(rows[:taken]), by_own)


def _show(listing: _Listing, segment: Segment) -> None:
    """Takes note of the times that the segment shows: of its ticks that aren't broken, and its watermark."""
    quality, times = segment.quality, segment.time_ms
    last = int(times[-1]) if len(quality) and not int(quality[-1]) & BROKEN else NEVER_MS
    if last != NEVER_MS and max(last, segment.watermark_ms) // _MINUTE_MS == listing.shown_ms // _MINUTE_MS:
        # Nothing new to keep: the usual case of a short segment.
        listing.shown_ms = max(listing.shown_ms, last, segment.watermark_ms)
        return
    times = times[(quality & BROKEN) == 0]
    if segment.watermark_ms > max(listing.shown_ms, int(times[-1]) if len(times) else NEVER_MS):
        times = np.append(times, segment.watermark_ms)
    if not len(times):
        return
    minutes = np.concatenate([[listing.shown_ms // _MINUTE_MS], times // _MINUTE_MS])
    first = times[np.diff(minutes) > 0]
    if len(first):
        listing.evidence = np.concatenate([listing.evidence, first])
    listing.shown_ms = max(listing.shown_ms, int(times[-1]))


def _parts(data: bytes) -> list[bytes]:
    """The parts that `dump` joined, as far as they are whole."""
    parts, at = [], 0
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 8], "little")
        if end > len(data):
            break
        parts.append(data[at + 8 : end])
        at = end
    return parts
