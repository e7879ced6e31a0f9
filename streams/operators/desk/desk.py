"""The desk: a pure fold of an account's journal into orders, fills, risk decisions and positions."""

from __future__ import annotations

import hashlib
from typing import Final

from schemas.events import ReferenceRecord, Side, Signal, SignalKind
from schemas.executions import (
    Accepted,
    Adopted,
    Canceled,
    Command,
    Execution,
    Expired,
    Filled,
    OrderRequest,
    PartiallyFilled,
    Reconciled,
    Rejected,
    Sending,
)
from schemas.identity import split_operator
from schemas.journal import EntryKind, JournalEntry
from schemas.journal_columns import ClockRows, Entry
from schemas.registry import decode
from schemas.trading import Decided, ExitReason, OrderPurpose
from streams.operators.desk.accounting import as_records, first_minute_after, watched
from streams.operators.desk.clock import advance, forget_columns, next_timer_us, passing, take_clock
from streams.operators.desk.consensus import forget
from streams.operators.desk.entries import enter, own_entries, own_positions
from streams.operators.desk.exits import (
    exit_ended,
    given_back,
    leave,
    manage,
    modification_refused,
    modified,
    tighten,
    withdraw,
)
from streams.operators.desk.journal import bare_time, rows_of
from streams.operators.desk.limits import judge_limits, on_command
from streams.operators.desk.orders import OrderEvent, found, move, reconcile
from streams.operators.desk.plain import dump_state, load_state
from streams.operators.desk.positions import on_adopted, on_deal, say_changed
from streams.operators.desk.reference import take_reference
from streams.operators.desk.state import NEVER_US, DeskState, Order, Position
from streams.operators.desk.turn import Turn
from streams.operators.desk.volatility import observe
from streams.operators.marks import Marks

Input = Signal | Execution | Command | ReferenceRecord
"""What a journal takes in."""

NO_CHANGES: Final = 10025
"""MT5's return code of a modification to the levels that are there already."""
_ORDER_EVENTS: Final = {Canceled: OrderEvent.CANCELED, Expired: OrderEvent.EXPIRED}


class Desk:
    """One object serves any number of accounts; all it knows is in the state, which its methods change in place.

    `terse`: only what moves orders and money is said, and what ends without a deal: no RiskDecision, no
    PositionChanged, and no OrderChanged of an order that lives on or is filled. Numbers and states are the same.
    """

    name: Final = "desk"
    version: Final = 1

    def __init__(self, *, terse: bool = False) -> None:
        self._terse = terse

    def initial(self, account: str) -> DeskState:
        """The state before the account's first entry."""
        return DeskState(account=account)

    def fold(self, state: DeskState, entry: JournalEntry | Entry) -> list[Decided]:
        """What one entry of the journal decides. Raises UnreadableRecord for an input that isn't a record."""
        out: list[Decided | Marks] = []
        if entry.kind in (EntryKind.INPUT, EntryKind.REFERENCE):
            out = self.take(state, entry.taken_us, decode(entry.input))  # type: ignore[arg-type]
        elif entry.kind is EntryKind.CLOCK:
            rows = rows_of(entry)
            if not len(rows.us) or rows.us.item(-1) < entry.taken_us:
                # Nothing changed since, or at all, but time went on.
                out = self._all(state, rows) + self._all(state, bare_time(entry.taken_us))
            else:
                out = self._all(state, rows)
        return self.records(state, out) if out else []

    def take(self, state: DeskState, taken_us: int, record: Input) -> list[Decided | Marks]:
        """What an input decides that was taken at `taken_us`."""
        turn = Turn(state, taken_us, self._terse)
        state.now_us = taken_us
        if taken_us >= state.next_minute_us or taken_us >= passing(state):
            advance(turn, taken_us)
        if isinstance(record, Signal):
            observe(state, record)
            if record.kind is SignalKind.LEVELS and not state.positions and not state.orders:
                return turn.out
            _on_signal(turn, record)
        elif isinstance(record, (Filled, PartiallyFilled)):
            on_deal(turn, record)
            judge_limits(turn)
        elif isinstance(record, Command):
            if record.account == state.account:
                on_command(turn, record)
        elif isinstance(record, _REPORTS):
            _on_report(turn, record)
        else:
            take_reference(turn, record)
        forget_columns(state)
        if not state.positions:
            state.next_minute_us = NEVER_US
        elif state.next_minute_us == NEVER_US:
            state.next_minute_us = first_minute_after(taken_us)
        return turn.out

    def clock(self, state: DeskState, rows: ClockRows) -> tuple[int, list[Decided | Marks]]:
        """Takes rows up to right after the first at which something but marks is decided; (rows taken, outputs)."""
        return take_clock(state, rows, self._terse)

    def watching(self, state: DeskState) -> tuple[str, ...]:
        """Listings each new quote of which has to be clocked: what is held, and what converts it."""
        return watched(state)

    def next_timer_us(self, state: DeskState) -> int:
        """The whole second at which a clock is due whatever quotes come; NEVER_US = none."""
        return next_timer_us(state)

    def records(self, state: DeskState, out: list[Decided | Marks]) -> list[Decided]:
        """Outputs with every mark as a record."""
        return as_records(state, out)

    def dump(self, state: DeskState) -> bytes:
        """The state as bytes: version first, deterministic."""
        return dump_state(state, self.version)

    def load(self, data: bytes) -> DeskState:
        """The state in `data`. Raises BadState."""
        return load_state(data, self.version)

    def digest(self, state: DeskState) -> str:
        """Hex SHA-256 of the state."""
        return hashlib.sha256(self.dump(state)).hexdigest()

    def _all(self, state: DeskState, rows: ClockRows) -> list[Decided | Marks]:
        out: list[Decided | Marks] = []
        start = 0
        while start < len(rows.us):
            taken, found = self.clock(state, rows.part(start, len(rows.us)))
            start += taken
            out += found
        return out


_REPORTS = (Sending, Accepted, Rejected, Canceled, Expired, Reconciled, Adopted)


def _on_signal(turn: Turn, signal: Signal) -> None:
    state = turn.state
    instance, _ = split_operator(signal.operator)
    if signal.kind is SignalKind.ENTER:
        enter(turn, instance, signal)
    elif signal.kind is SignalKind.EXIT:
        forget(state, instance, signal.listing, signal.side)
        for position in own_positions(state, instance, signal.listing):
            if signal.side not in (Side.LONG, Side.SHORT) or position.side is signal.side:
                leave(turn, position, ExitReason.FLAT)
        for order in own_entries(state, instance, signal.listing):
            if signal.side not in (Side.LONG, Side.SHORT) or order.side is signal.side:
                withdraw(turn, order, ExitReason.FLAT)
    elif signal.kind is SignalKind.LEVELS:
        for position in own_positions(state, instance, signal.listing):
            if (level := _level(position, signal)) is not None:
                tighten(position, level, ExitReason.TRAIL)
                manage(turn, position, quoted=False)
        for order in own_entries(state, instance, signal.listing):
            if (level := _level(order, signal)) is not None:
                order.trail = level


def _level(held: Position | Order, signal: Signal) -> float | None:
    return signal.trail_long if held.side is Side.LONG else signal.trail_short


def _on_report(turn: Turn, report: Execution) -> None:
    """What the venue says of an order or position of ours; of others it is passed by."""
    if isinstance(report, Adopted):
        on_adopted(turn, report)
        return
    order = found(turn, report.order_no)
    request = getattr(report, "request", OrderRequest.PLACE)
    if request is OrderRequest.MODIFY:
        _on_modification(turn, report)
    elif order is None:
        return
    elif isinstance(report, Sending):
        if request is OrderRequest.PLACE:
            move(turn, order, OrderEvent.SENDING, "on its way")
    elif isinstance(report, Accepted):
        if request is OrderRequest.PLACE:
            move(turn, order, OrderEvent.ACCEPTED, "accepted")
    elif isinstance(report, Rejected):
        event = OrderEvent.CANCEL_REFUSED if request is OrderRequest.CANCEL else OrderEvent.REJECTED
        move(turn, order, event, f"rejected with {report.retcode}: {report.reason}")
    elif isinstance(report, Reconciled):
        reconcile(turn, order, report.state)
    elif isinstance(report, Canceled | Expired):
        event = _ORDER_EVENTS[type(report)]
        move(turn, order, event, event.lower())
    if order is not None and order.purpose is OrderPurpose.EXIT:
        exit_ended(turn, order)


def _on_modification(turn: Turn, report: Execution) -> None:
    state = turn.state
    if not report.order_no:
        _on_given_back(turn, report)
        return
    for number in sorted(state.positions):
        position = state.positions[number]
        if position.order_no == report.order_no:
            if isinstance(report, Accepted):
                before = position.sl, position.tp
                modified(turn, position, report.sl, report.tp)
                if (position.sl, position.tp) != before:
                    say_changed(turn, position, "stop and target moved")
            elif isinstance(report, Rejected) and report.retcode == NO_CHANGES:
                modified(turn, position, None, None)
            elif isinstance(report, Rejected):
                modification_refused(turn, position)


def _on_given_back(turn: Turn, report: Execution) -> None:
    """An act of the gateway's own, which names its position; that one was refused is no answer to the desk."""
    if not isinstance(report, Accepted):
        return
    position = turn.state.positions.get(report.position)
    if position is not None and (report.sl, report.tp) != (position.sl, position.tp):
        given_back(turn, position, report.sl, report.tp)
        say_changed(turn, position, "stop and target moved")
