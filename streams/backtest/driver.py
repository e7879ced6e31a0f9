"""The backtest's driver: ticks, signals, desk and venue on one time line, in microseconds of market time.

Signals and executions reach the account at the time of the tick that proved them, orders reach the venue a latency
after the desk's decision, and the venue looks only at later ticks for what rests there. Where nothing is open, ticks
pass in columns; where something is, a scan finds the next tick or second at which anything happens.

The journal holds what the account took, in order: `taken_us = max(arrival, the entry before + 1)`. It has a clock at
the last whole second before an input, at each whole second with a new quote while something is held, and where a timer
is due (protocol, Journal).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from schemas.events import Derived, Side, Signal, SignalKind
from schemas.executions import Execution
from schemas.journal_columns import ClockRows
from schemas.ticks import BlockKind, TickBlock
from schemas.trading import CancelRequested, Decided, ModifyRequested, Submitted
from streams.backtest.journal import Journal
from streams.backtest.quotes import Quotes, Rows
from streams.fold import Output
from streams.operators.desk import Desk, DeskState, Input
from streams.operators.desk.accounting import conversion_of
from streams.operators.marks import Marks
from streams.venue.lab import Venue

NEVER_US: Final = 2**63 - 1
_KEPT: Final = (
    "now_us", "taken_us", "ticks", "quotes", "_first", "_arrivals", "_requests", "_numbered", "_watched", "_entering",
)  # fmt: skip
_REQUESTS: Final = (Submitted, ModifyRequested, CancelRequested)
"""What goes to the venue."""
_EXECUTION, _SIGNAL = 1, 2
"""What arrives at the same time is taken in this order."""

Fold = Callable[[TickBlock], Iterable[Output]]
"""The operators of all listings: what a block proves."""


class Arrival(NamedTuple):
    """Something that is to reach the account."""

    at_us: int
    kind: int
    listing: str
    instance: str
    number: int
    record: Any
    value: bytes | None = None
    """Its encoding, where it was made already."""


class Request(NamedTuple):
    """Something that is to reach the venue."""

    at_us: int
    number: int
    record: Any


class Backtest:
    """One run. `outputs` gets what the operators make in columns, `signals` those of `signals` as records, and may give
    their encodings, `decided` what the desk decides, in order."""

    def __init__(
        self,
        feeds: Mapping[str, Iterator[TickBlock]],
        fold: Fold,
        desk: Desk,
        state: DeskState,
        venue: Venue,
        journal: Journal,
        *,
        outputs: Callable[[Output], None] = lambda _: None,
        signals: Callable[[Sequence[Derived]], Sequence[bytes | None]] = lambda records: [None] * len(records),
        decided: Callable[[Decided | Marks], None] = lambda _: None,
        moved: Callable[[Quotes, int], None] = lambda _quotes, _end: None,
        progress: Callable[[int], None] = lambda _: None,
        signals_from_ms: int = -(2**62),
    ) -> None:
        self.now_us = -1
        """Market time: all before it has happened."""
        self.taken_us = 0
        self.ticks = 0
        self.quotes = {listing: Quotes(listing) for listing in feeds}
        self._feeds = dict(feeds)
        self._fold, self._desk, self._state, self._venue, self._journal = fold, desk, state, venue, journal
        self._outputs, self._signals, self._decided = outputs, signals, decided
        self._moved, self._progress = moved, progress
        self._signals_from_ms = signals_from_ms
        self._first: list[Input] = []
        self._stopping = False
        self._arrivals: list[Arrival] = []
        self._requests: list[Request] = []
        self._numbered = 0
        self._watched: list[str] = []
        self._side: int | None = None
        """Which rows tell the desk anything: those of `Quotes.rows` by this side; None = not known yet."""
        self._entering: set[int] = set()
        """Moments at which an entry is on its way."""
        self._names = tuple(feeds)
        self._end_us = NEVER_US
        """When the data ends, once that is known: no clock is made of what lies behind it."""

    def configure(self, records: Sequence[Input]) -> None:
        """The account's reference records, which it takes right before the first tick."""
        self._first = list(records)

    def stop(self) -> None:
        """Makes `run` return once all that is loaded has happened."""
        self._stopping = True

    def run(self) -> bool:
        """Until all feeds have ended; what is then on its way arrives, what is open stays open. False if it was
        stopped before: `dump` then has what another driver goes on from."""
        while self._load():
            self._begin()
            ends = [quotes.last_us for quotes in self.quotes.values() if not quotes.ended]
            if ends:
                # The next block may have another tick of the very same time.
                self._advance(min(ends) - 1)
            self._progress(self.ticks)
            if self._stopping:
                return False
        self._end_us = max((quotes.last_us for quotes in self.quotes.values()), default=0)
        self._advance(NEVER_US)
        return True

    def dump(self) -> dict[str, Any]:
        """Where it stands, less desk, venue, journal and operators, which have dumps of their own."""
        return {name: getattr(self, name) for name in _KEPT}

    def load(self, kept: Mapping[str, Any]) -> None:
        """Goes on from a dump: its feeds are those from each listing's tick `loaded_n` on."""
        for name in _KEPT:
            setattr(self, name, kept[name])

    def _begin(self) -> None:
        starts = [window.passes_ms[0] for own in self.quotes.values() if (window := own.front) is not None]
        if self._first and starts:
            at_us = int(min(starts)) * 1000 - len(self._first)
            for record in self._first:
                self._take(at_us, record)
            self._first = []

    def close(self) -> None:
        """Closes what is still open at the newest quotes."""
        quotes = {name: own.quote for name, own in self.quotes.items() if own.quote is not None}
        self._arrive(self._venue.close_all(max(self.now_us, self.taken_us), quotes), self.now_us)
        self._advance(NEVER_US)

    def _load(self) -> bool:
        """Loads a block of the feeds whose ticks have all passed (or nearly); False once none is left."""
        live = [quotes for quotes in self.quotes.values() if not quotes.ended]
        if not live:
            return False
        behind = min(quotes.last_us for quotes in live)
        for quotes in live:
            if quotes.last_us > behind:
                continue
            block = next(self._feeds[quotes.listing], None)
            if block is None:
                quotes.ended = True
                continue
            if block.kind != BlockKind.DATA:
                continue
            quotes.load(block)
            self.ticks += len(block.quality)
            for output in self._fold(block):
                self._outputs(output)
                if output.topic == "signals":
                    self._await(output)
        return True

    def _await(self, output: Output) -> None:
        """The signals of an output are on their way; `signals` has them first."""
        proofs = output.columns["proof_ms"].tolist()
        records = output.records()
        values = self._signals(records)
        for proof_ms, record, value in zip(proofs, records, values, strict=True):
            assert isinstance(record, Signal)
            if record.time_ms < self._signals_from_ms:
                continue
            at_us = max(proof_ms * 1000, self.now_us)
            if record.kind is SignalKind.ENTER:
                self._entering.add(at_us)
            heapq.heappush(
                self._arrivals, Arrival(at_us, _SIGNAL, record.listing, record.operator, record.out_seq, record, value)
            )

    def _advance(self, until_us: int) -> None:
        """Everything up to `until_us` happens."""
        while True:
            at_us = until_us
            if self._requests and self._requests[0].at_us < at_us:
                at_us = self._requests[0].at_us
            if self._arrivals and self._arrivals[0].at_us < at_us:
                at_us = self._arrivals[0].at_us
            if self._reach(at_us):
                continue
            if self._requests and self._requests[0].at_us <= at_us:
                self._serve(heapq.heappop(self._requests))
            elif self._arrivals and self._arrivals[0].at_us <= at_us:
                arrival = heapq.heappop(self._arrivals)
                self._clock_before(arrival)
                self._take(arrival.at_us, arrival.record, arrival.value)
            else:
                return

    def _reach(self, at_us: int) -> bool:
        """Lets ticks pass up to `at_us`; True if time stands earlier, since something happened or a window ended."""
        if at_us <= self.now_us and not any(own.waits(at_us) for own in self.quotes.values()):
            # Time stands there: what is done at one moment brings about more at the same moment.
            return False
        stop_us = at_us
        for own in self.quotes.values():
            limit_us = own.limit_us if own.front is not None else None
            if limit_us is not None and limit_us < stop_us:
                stop_us = limit_us
        whole = stop_us == at_us
        trigger: Quotes | None = None
        index = 0
        for listing in self._venue.open_listings:
            own = self.quotes[listing]
            window = own.front
            if window is None:
                continue
            end = own.end(stop_us)
            found = self._venue.find(listing, window.block, own.at, end)
            if found < end:
                trigger, index = own, found
                stop_us = int(window.passes_ms[found]) * 1000
        if self._watched:
            # What arrives or fills at a whole second comes before its clock.
            acted_us = self._clocks(min(stop_us, self._end_us + 1_000_001) - 1)
            if acted_us >= 0:
                self._pass(acted_us)
                return True
        if trigger is None:
            self._pass(stop_us)
            return not whole
        window = trigger.front
        assert window is not None
        self._pass(stop_us - 1)
        self._pass_one(trigger, index + 1)
        self.now_us = stop_us
        self._arrive(self._venue.apply(trigger.listing, window.block, index), stop_us)
        return True

    def _pass(self, until_us: int) -> None:
        """Lets the ticks up to `until_us` pass, of each listing those of its front window."""
        for own in self.quotes.values():
            if own.front is not None:
                end = own.end(until_us)
                if end > own.at:
                    self._pass_one(own, end)
        if until_us < NEVER_US:
            self.now_us = max(self.now_us, until_us)

    def _pass_one(self, own: Quotes, end: int) -> None:
        self._moved(own, end)
        own.pass_to(end)
        if own.quote is not None:
            self._venue.quote(own.listing, own.quote)

    def _serve(self, request: Request) -> None:
        """A request reaches the venue."""
        record, at_us = request.record, request.at_us
        own = self.quotes[record.listing]
        if isinstance(record, ModifyRequested):
            done = self._venue.modify(at_us, record, own.quote, own.offset_s)
        elif isinstance(record, CancelRequested):
            done = self._venue.cancel(at_us, record, own.quote, own.offset_s)
        else:
            assert own.quote is not None, "an order is decided on a tick of its listing"
            done = self._venue.place(at_us, record, own.quote, own.offset_s)
        self._arrive(done, at_us)

    def _arrive(self, executions: Iterable[Execution], at_us: int) -> None:
        for record in executions:
            heapq.heappush(self._arrivals, Arrival(at_us, _EXECUTION, "", "", record.seq, record))

    def _take(self, at_us: int, record: Input, value: bytes | None = None) -> None:
        self.taken_us = max(at_us, self.taken_us + 1)
        self._journal.input(self.taken_us, record, value)
        self._act(self._desk.take(self._state, self.taken_us, record))

    def _act(self, decided: Iterable[Decided | Marks]) -> None:
        self._watched = [name for name in self._desk.watching(self._state) if name in self.quotes]
        self._side = None
        for one in decided:
            self._decided(one)
            if isinstance(one, _REQUESTS):
                self._numbered += 1
                at_us = self._venue.arrival_us(one.order_no, one.taken_us)
                heapq.heappush(self._requests, Request(at_us, self._numbered, one))

    def _clock_before(self, arrival: Arrival) -> None:
        """The clock at the last whole second before an input that may need it: none for what changes nothing."""
        if isinstance(arrival.record, Signal):
            # What else is said at this moment comes first, and time has to stand before all of it.
            enters = arrival.at_us in self._entering
            self._entering.discard(arrival.at_us)
            if not enters and not self._watched:
                return
        second_us = (arrival.at_us - 1) // 1_000_000 * 1_000_000
        if second_us <= self.taken_us:
            return
        found = [
            (place, row)
            for place, name in enumerate(self._names)
            if (row := self.quotes[name].row_at(second_us)) is not None
        ]
        if found:
            self._feed(_merged(self._names, found))

    def _clocks(self, until_us: int) -> int:
        """Hands the desk its clocks up to `until_us`; the time at which it acted, -1 if it didn't."""
        while True:
            due_us = max(_next_second(self._desk.next_timer_us(self._state)), _next_second(self.taken_us + 1))
            rows = self._rows(self._watched, min(until_us, due_us))
            if rows is None:
                if due_us > until_us or self._desk.next_timer_us(self._state) > due_us:
                    return -1
                rows = self._timer_row(due_us)
                if rows is None:
                    return -1
            acted_us = self._feed(rows)
            if acted_us >= 0:
                return acted_us
            if due_us > until_us and self._side is not None and self.taken_us == int(rows.us[-1]):
                # All rows up to there were taken, and changed nothing of what is held: nothing more is due.
                return -1

    def _feed(self, rows: ClockRows) -> int:
        configures = bool(self._state.future)
        consumed, decided = self._desk.clock(self._state, rows)
        taken = rows if consumed == len(rows.us) else rows.part(0, consumed)
        self._journal.clock(taken)
        self.taken_us = int(taken.us[-1])
        for place, name in enumerate(rows.names):
            own = taken.n[taken.listing == place] if len(rows.names) > 1 else taken.n
            if len(own):
                self.quotes[name].rowed_n = int(own[-1])
        if configures or not all(isinstance(one, np.ndarray) for one in decided):
            self._act(decided)
            acts = any(isinstance(one, _REQUESTS) for one in decided)
            return self.taken_us if acts else -1
        # Marks alone change nothing of what is held.
        for marks in decided:
            self._decided(marks)
        return -1

    def _rows(self, names: Sequence[str], until_us: int) -> ClockRows | None:
        """The rows of these listings that are due up to `until_us`, in the order of time."""
        found: list[tuple[int, Rows]] = []
        if self._side is None:
            self._side = 0 if self._journal.keep or len(self._watched) != 1 else _side_held(self._state)
        side = self._side
        for name in names:
            own, place = self.quotes[name], self._names.index(name)
            end = own.at if own.front is None else own.end(until_us)
            rows = own.rows(end, until_us, self.taken_us, side)
            if rows is not None:
                found.append((place, rows))
        if not found:
            return None
        return _merged(self._names, found)

    def _timer_row(self, us: int) -> ClockRows | None:
        """A clock without a new quote, at a second at which a timer is due."""
        for place, name in enumerate(self._names):
            quote = self.quotes[name].quote
            if quote is not None and us > self.taken_us:
                return ClockRows(
                    self._names,
                    np.array([us]),
                    np.array([place], np.int32),
                    np.array([quote.n]),
                    np.array([quote.time_ms]),
                    np.array([quote.bid]),
                    np.array([quote.ask]),
                    np.array([self.quotes[name].quality], np.int32),
                    np.array([quote.time_ms]),
                )
        return None


def _side_held(state: DeskState) -> int:
    """1 or -1 where all that the desk may do at a row is decided by how the bid or the ask of the one listing that is
    held compares with those before it; 0 where more may matter.

    Equity then rises and falls with that price: a level of a plan, or a new peak, is first reached at a price beyond
    all before, and a mark is made of a minute's last. A limit on losses is not of that kind.
    """
    limits = state.limits
    if limits is not None and not (limits.max_daily_loss is None and limits.max_drawdown is None):
        return 0
    held = {(position.listing, position.side) for position in state.positions.values()}
    if len(held) != 1:
        return 0
    ((listing, side),) = held
    return 0 if conversion_of(state, listing).listing else 1 if side is Side.LONG else -1


def _next_second(us: int) -> int:
    return us if us >= NEVER_US - 1_000_000 else -(-us // 1_000_000) * 1_000_000


def _merged(names: tuple[str, ...], found: list[tuple[int, Rows]]) -> ClockRows:
    if len(found) == 1:
        place, rows = found[0]
        listing = np.zeros(len(rows.us), np.int32)
        if place:
            listing.fill(place)
        return ClockRows(names, rows.us, listing, rows.n, rows.time_ms, rows.bid, rows.ask, rows.quality, rows.time_ms)
    listing = np.concatenate([np.full(len(rows.us), place, np.int32) for place, rows in found])
    columns = [np.concatenate(parts) for parts in zip(*(rows for _, rows in found), strict=True)]
    order = np.argsort(columns[0], kind="stable")
    us, n, time_ms, bid, ask, quality = (column[order] for column in columns)
    return ClockRows(names, us, listing[order], n, time_ms, bid, ask, quality, time_ms)
