"""Requests that nobody answered: never sent again; their traces at the terminal say what became of them.

An order is looked for among live orders, positions, orders that are over and deals, by its number, until it is found or
the settle time has passed; what isn't there by then was not executed. The settle time counts from when nobody could
execute it any more: the return of the call, or this process's start. It passes on the account's clock or on the
machine's, whichever is first, but never before a second of the machine's: a simulated market may be faster or stand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from infra.clock import Clock
from producers.gateway.alarms import Alarms
from producers.gateway.book import ZERO, Known, lots
from producers.gateway.chain import Chain
from producers.gateway.codes import Retcode, State
from producers.gateway.deals import Deals
from producers.gateway.records import blank
from producers.gateway.requests import number_in
from producers.gateway.venue import Venue
from producers.mt5 import TradeOrder, TradePosition
from schemas.events import Severity
from schemas.executions import Accepted, Canceled, Expired, OrderRequest, OrderState, Reconciled, Rejected
from schemas.trading import ModifyRequested

LEAST_S: Final = 1.0
"""Of the machine's time: the settle time is never shorter."""
_SAME: Final = 1e-9
"""Of a price: doubles that mean the same one differ less."""
EARLIER_MS: Final = 60_000
"""Traces are looked for from so long before the request: the clocks of terminal and gateway differ a little."""
_UNDER_WAY: Final = (State.STARTED, State.PLACED, State.PARTIAL)


class Trace(NamedTuple):
    """What the terminal has of an order; `state` None: it isn't decided there yet."""

    state: OrderState | None
    ticket: int
    position: int


class _Doubt(NamedTuple):
    since_us: int
    since_s: float
    modification: ModifyRequested | None


class Doubts:
    """The unanswered requests of an account."""

    def __init__(
        self, account: str, venue: Venue, chain: Chain, deals: Deals, alarms: Alarms, clock: Clock, settle_s: float
    ) -> None:
        self._account, self._venue, self._chain, self._deals = account, venue, chain, deals
        self._alarms, self._clock, self._settle_s = alarms, clock, settle_s
        self._doubts: dict[int, _Doubt] = {}

    @property
    def any(self) -> bool:
        return bool(self._doubts)

    def add(self, order_no: int, why: str, modification: ModifyRequested | None = None) -> None:
        """An order's last request has no answer."""
        self._doubts[order_no] = _Doubt(self._clock.now_us(), time.monotonic(), modification)
        self._alarms.tell(
            "no_answer", Severity.WARNING, f"{order_no}/{self._clock.now_us()}",
            f"the request about order {order_no} has no answer ({why}): it is not sent again; what became of it is "
            f"looked for at the terminal for {self._settle_s:g} s",
        )  # fmt: skip

    def expect(self, order_no: int) -> None:
        """An order's last request was taken; the terminal's history will tell what came of it."""
        self._doubts[order_no] = _Doubt(self._clock.now_us(), time.monotonic(), None)

    def restart(self) -> None:
        """The terminal is back: it has the settle time again to tell what happened meanwhile."""
        now_us, now_s = self._clock.now_us(), time.monotonic()
        self._doubts = {number: _Doubt(now_us, now_s, doubt.modification) for number, doubt in self._doubts.items()}

    def resolve(self) -> None:
        """Writes the outcome of all that is found, or given up. Raises NoAnswer."""
        for order_no in sorted(self._doubts):
            known = self._chain.book.order(order_no)
            doubt = self._doubts[order_no]
            settled = self._settled(doubt)
            if known.asked is OrderRequest.PLACE:
                done = self._placed(known, settled)
            elif known.asked is OrderRequest.MODIFY:
                done = self._modified(known, doubt.modification, settled)
            elif known.asked is OrderRequest.CANCEL:
                done = self._canceled(known, settled)
            else:
                done = True
            if done:
                del self._doubts[order_no]

    def trace(self, known: Known) -> Trace | None:
        """An order's trace, with its deals taken for writing; None if there is none. Raises NoAnswer."""
        number = known.order_no
        for order in self._venue.orders():
            if number_in(order.magic, order.comment) == number:
                part = lots(order.volume_current) < lots(order.volume_initial)
                self._deals.take(self._venue.deals_of(order=order.ticket))
                return Trace(
                    OrderState.PARTIALLY_FILLED if part else OrderState.ACCEPTED, order.ticket, order.position_id
                )
        since_ms = _began_us(known) // 1000 - EARLIER_MS
        done = next(self._openings(known, self._venue.done_orders_since(since_ms)), None)
        deals = [d for d in self._venue.deals_since(since_ms) if self._is_deal_of(known, d.magic, d.comment, d.order)]
        if done is not None:
            deals += self._venue.deals_of(order=done.ticket)
            self._deals.take(deals)
            return Trace(end_of(done, bool(deals)), done.ticket, deals[0].position_id if deals else done.position_id)
        if deals:
            # Its deals are there before the history has the order itself.
            self._deals.take(deals)
            return Trace(None, deals[0].order, deals[0].position_id)
        for position in self._venue.positions():
            if number_in(position.magic, position.comment) == number and position.identifier not in self._held():
                return Trace(None, 0, position.identifier)
        return None

    def _held(self) -> set[int]:
        return set(self._chain.book.positions)

    def _is_deal_of(self, known: Known, magic: int, comment: str, ticket: int) -> bool:
        """Whether a deal is one of the order's own: those that close what it opened name it too."""
        if number_in(magic, comment) != known.order_no:
            return False
        return not known.ticket or known.ticket == ticket

    def _openings(self, known: Known, orders: Sequence[TradeOrder]) -> Iterator[TradeOrder]:
        for order in sorted(orders, key=lambda one: one.ticket):
            if self._is_deal_of(known, order.magic, order.comment, order.ticket):
                yield order

    def _placed(self, known: Known, settled: bool) -> bool:
        trace = self.trace(known)
        if trace is None and not settled:
            return False
        if trace is None:
            self._reconciled(known, OrderState.REJECTED, 0, 0)
            self._alarms.tell(
                "not_executed", Severity.WARNING, str(known.order_no),
                f"order {known.order_no} left no trace at the terminal in {self._settle_s:g} s: it was not executed",
            )  # fmt: skip
            return True
        # The deals come first: their order is over only with them.
        self._deals.write(all_now=True)
        if trace.state is None:
            if not settled:
                return False
            whole = known.filled and not known.remaining
            trace = trace._replace(state=OrderState.FILLED if whole else OrderState.PARTIALLY_FILLED)
        assert trace.state is not None
        self._reconciled(known, trace.state, trace.ticket, trace.position)
        return True

    def _reconciled(self, known: Known, state: OrderState, ticket: int, position: int) -> None:
        self._chain.write(
            Reconciled(
                **blank(self._account),
                order_no=known.order_no,
                state=state,
                ticket=ticket,
                position=position,
                filled=float(known.filled),
                time_ms=self._clock.now_ms(),
            )
        )

    def _modified(self, known: Known, asked: ModifyRequested | None, settled: bool) -> bool:
        position = next(
            (p for p in self._venue.positions() if asked is not None and p.identifier == asked.position), None
        )
        if asked is not None and position is not None and same_levels(position, asked.sl, asked.tp):
            self._chain.write(
                Accepted(
                    **blank(self._account), order_no=known.order_no, request=OrderRequest.MODIFY,
                    ticket=asked.position, position=asked.position, time_ms=self._clock.now_ms(), sl=asked.sl,
                    tp=asked.tp,
                )
            )  # fmt: skip
            return True
        if not settled:
            return False
        gone = asked is not None and position is None
        self._refuse(
            known, OrderRequest.MODIFY,
            Retcode.POSITION_CLOSED if gone else Retcode.TIMEOUT,
            "the position is closed" if gone else "no answer, and the levels aren't there: it was not executed",
        )  # fmt: skip
        return True

    def _canceled(self, known: Known, settled: bool) -> bool:
        done = self._venue.done_order(known.ticket) if known.ticket else None
        if done is not None:
            self._deals.take(self._venue.deals_of(order=done.ticket))
            self._deals.write(all_now=True)
            return over(self._account, self._chain, self._venue, known, done)
        if not settled:
            return False
        self._refuse(known, OrderRequest.CANCEL, Retcode.TIMEOUT, "no answer, and the order is still there")
        return True

    def _refuse(self, known: Known, request: OrderRequest, retcode: Retcode, reason: str) -> None:
        self._chain.write(
            Rejected(
                **blank(self._account), order_no=known.order_no, request=request, retcode=int(retcode), reason=reason,
                time_ms=self._clock.now_ms(),
            )
        )  # fmt: skip

    def _settled(self, doubt: _Doubt) -> bool:
        gone_s = time.monotonic() - doubt.since_s
        if gone_s < min(LEAST_S, self._settle_s):
            return False
        return gone_s >= self._settle_s or self._clock.now_us() - doubt.since_us >= self._settle_s * 1_000_000


def _began_us(known: Known) -> int:
    """Before this an order can't have been at the terminal. A Sending that went by the spool came onto the log late."""
    return known.asked_us if known.submitted is None else min(known.asked_us, known.submitted.taken_us)


def end_of(order: TradeOrder, dealt: bool) -> OrderState | None:
    """How an order of the history ended; None if the terminal still works on it."""
    if order.state == State.FILLED or (dealt and not lots(order.volume_current)):
        return OrderState.FILLED
    if order.state == State.EXPIRED:
        return OrderState.EXPIRED
    if order.state == State.REJECTED:
        return OrderState.REJECTED
    if order.state == State.CANCELED or (order.state == State.PARTIAL and dealt):
        return OrderState.CANCELED
    return None


def over(account: str, chain: Chain, venue: Venue, known: Known, done: TradeOrder) -> bool:
    """Writes how an order of ours ended at the terminal, once the book has all its deals; whether it could be said.

    An order that was filled is told by its deals; a cancellation that came too late for it is refused.
    """
    if lots(done.volume_initial) - lots(done.volume_current) > known.filled:
        return False
    end = end_of(done, known.filled > ZERO)
    common = blank(account) | {"order_no": known.order_no}
    time_ms = venue.utc_ms(done.time_done_msc)
    remaining = float(lots(done.volume_current))
    if end is OrderState.CANCELED:
        reason = done.comment or "canceled at the terminal"
        chain.write(Canceled(**common, ticket=done.ticket, remaining=remaining, reason=reason, time_ms=time_ms))
    elif end is OrderState.EXPIRED:
        chain.write(Expired(**common, ticket=done.ticket, remaining=remaining, time_ms=time_ms))
    elif end is OrderState.REJECTED:
        chain.write(
            Rejected(
                **common, request=OrderRequest.PLACE, retcode=int(Retcode.REJECT),
                reason=done.comment or "rejected by the broker", time_ms=time_ms,
            )
        )  # fmt: skip
    elif end is None:
        return False
    if known.asked is OrderRequest.CANCEL:
        chain.write(
            Rejected(
                **common, request=OrderRequest.CANCEL, retcode=int(Retcode.INVALID_ORDER),
                reason="the order is over already", time_ms=time_ms,
            )
        )  # fmt: skip
    return True


def same_levels(position: TradePosition, sl: float | None, tp: float | None) -> bool:
    """Whether a position has these levels, None = none."""
    return all(
        abs(now - (wanted or 0.0)) <= _SAME * max(1.0, now) for now, wanted in ((position.sl, sl), (position.tp, tp))
    )
