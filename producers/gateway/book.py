"""What an account's chain of executions says: which requests were handled, where orders and positions stand.

The gateway's only memory. It is folded from the chain when the gateway opens it, and goes on with each record that the
gateway writes; so a restarted gateway knows what its predecessor did, and nothing that it only meant to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from producers.gateway.codes import Retcode
from schemas.events import Side
from schemas.executions import (
    Accepted,
    AccountOpen,
    Adopted,
    Canceled,
    DealEntry,
    DealReason,
    Execution,
    Expired,
    Filled,
    OrderRequest,
    OrderState,
    PartiallyFilled,
    Reconciled,
    Rejected,
    Sending,
)
from schemas.trading import OrderPurpose, Submitted

ZERO: Final = Decimal(0)
BY_VENUE: Final = (DealReason.SL, DealReason.TP, DealReason.SO)
"""Reasons of deals that the venue makes by itself."""
OVER: Final = (OrderState.FILLED, OrderState.REJECTED, OrderState.CANCELED, OrderState.EXPIRED)
"""States in which an order does nothing more."""


def lots(volume: float) -> Decimal:
    """The number of lots that the shortest form of a double says."""
    return Decimal(repr(float(volume)))


@dataclass(slots=True)
class Known:
    """An order of ours."""

    order_no: int
    submitted: Submitted | None = None
    """As the desk asked for it, once `orders` was read."""
    state: OrderState = OrderState.SUBMITTED
    ticket: int = 0
    filled: Decimal = ZERO
    asked: OrderRequest | None = None
    """A request that the chain has no answer to."""
    asked_us: int = 0
    begun: dict[OrderRequest, int] = field(default_factory=dict)
    """How many requests of each kind the chain has."""
    refusal: Rejected | None = None
    """The last one, of whatever was asked."""
    unmoved: int = 0
    """Modifications that were refused in a row."""
    unmoved_ms: int = 0
    """When the first of them was, UTC."""

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def remaining(self) -> Decimal:
        """Lots not filled; 0 while it isn't known how many were asked for."""
        return max(ZERO, lots(self.submitted.volume) - self.filled) if self.submitted is not None else ZERO

    @property
    def is_exit(self) -> bool:
        """Whether it only reduces what is held."""
        return self.submitted is not None and self.submitted.purpose is OrderPurpose.EXIT


@dataclass(slots=True)
class Held:
    """An open position by the deals on the chain; `order_no` 0: not opened by an order of ours."""

    position: int
    order_no: int
    listing: str
    side: Side
    volume: Decimal
    levels: tuple[float | None, float | None] | None = None
    """Stop and target as the venue last took them; None: as its order asked."""


class Book:
    """Orders, positions and deals of an account by its chain of executions."""

    def __init__(self) -> None:
        self.orders: dict[int, Known] = {}
        self._active: dict[int, Known] = {}
        """Those that aren't over, or are asked something."""
        self.positions: dict[int, Held] = {}
        self.adopted: dict[int, Adopted] = {}
        """Positions that aren't ours, as last told."""
        self.closings: set[int] = set()
        """Tickets of the gateway's own orders, which close what has passed its lost stop."""
        self.deals: set[int] = set()
        self.money = ZERO
        """What all deals have made: profit, commission and swap."""
        self.newest_deal_ms = 0
        self.since_ms = 0
        """When the chain was opened first, UTC: what was dealt before isn't its concern."""

    def order(self, order_no: int) -> Known:
        """The order of that number, made if the chain hasn't said anything of it yet."""
        found = self.orders.get(order_no)
        if found is None:
            found = self.orders[order_no] = Known(order_no)
        return found

    def placed(self, order_no: int) -> bool:
        """Whether the chain says anything of the order: it is never placed again."""
        known = self.orders.get(order_no)
        return known is not None and (bool(known.begun) or known.state is not OrderState.SUBMITTED)

    def handled(self, order_no: int, request: OrderRequest) -> int:
        """How many requests of a kind about an order the chain has."""
        known = self.orders.get(order_no)
        return known.begun.get(request, 0) if known is not None else 0

    def unanswered(self) -> list[Known]:
        """Orders with a request that the chain has no answer to, oldest number first."""
        return sorted((known for known in self._active.values() if known.asked), key=lambda known: known.order_no)

    def working(self) -> list[Known]:
        """Orders that the venue took and that aren't over."""
        states = (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED)
        return [known for known in self._active.values() if known.state in states and known.asked is None]

    def levels(self, held: Held) -> tuple[float | None, float | None]:
        """Stop and target that a position of ours has to have at the venue."""
        if held.levels is not None:
            return held.levels
        known = self.orders.get(held.order_no)
        if known is None or known.submitted is None:
            return None, None
        return known.submitted.sl, known.submitted.tp

    def fold(self, record: Execution | AccountOpen) -> None:
        """Takes the next record of the chain."""
        if isinstance(record, AccountOpen):
            self.since_ms = self.since_ms or record.written_us // 1000
        elif isinstance(record, Adopted):
            if record.volume:
                self.adopted[record.position] = record
            else:
                self.adopted.pop(record.position, None)
        elif isinstance(record, Filled | PartiallyFilled):
            self._deal(record)
        elif record.order_no:
            self._report(self.order(record.order_no), record)
            self._file(self.order(record.order_no))
        elif isinstance(record, Accepted):
            self._acted(record)

    def _acted(self, record: Accepted) -> None:
        """An act of the gateway's own was taken."""
        if record.request is OrderRequest.PLACE:
            self.closings.add(record.ticket)
        else:
            self._level(record)

    def _level(self, record: Accepted) -> None:
        held = self.positions.get(record.position)
        if held is not None:
            held.levels = record.sl, record.tp

    def _file(self, known: Known) -> None:
        if known.over and known.asked is None:
            self._active.pop(known.order_no, None)
        else:
            self._active[known.order_no] = known

    def _report(self, known: Known, record: Execution) -> None:
        request = getattr(record, "request", OrderRequest.PLACE)
        if isinstance(record, Sending):
            known.asked, known.asked_us = request, record.written_us
            known.begun[request] = known.begun.get(request, 0) + 1
            if request is OrderRequest.PLACE:
                known.state = OrderState.SENDING
            return
        if known.asked is not request and isinstance(record, Accepted | Rejected):
            # Refused before it was sent.
            known.begun[request] = known.begun.get(request, 0) + 1
        unsent = isinstance(record, Expired) and not record.ticket
        if unsent or not isinstance(record, Expired | Canceled) or known.asked is OrderRequest.CANCEL:
            known.asked = None
        if request is OrderRequest.MODIFY:
            self._moved(known, record)
        if isinstance(record, Accepted) and request is OrderRequest.MODIFY:
            self._level(record)
        elif isinstance(record, Accepted):
            known.ticket = record.ticket
            if known.state in (OrderState.SUBMITTED, OrderState.SENDING):
                known.state = OrderState.ACCEPTED
        elif isinstance(record, Rejected):
            known.refusal = record
            if request is OrderRequest.PLACE:
                known.state = OrderState.REJECTED
        elif isinstance(record, Reconciled):
            known.state, known.ticket = record.state, record.ticket or known.ticket
        elif isinstance(record, Canceled):
            known.state, known.ticket = OrderState.CANCELED, record.ticket or known.ticket
        elif isinstance(record, Expired):
            known.state, known.ticket = OrderState.EXPIRED, record.ticket or known.ticket

    def _moved(self, known: Known, record: Execution) -> None:
        """Counts the modifications that are refused; levels that are there already count as taken."""
        if not isinstance(record, Rejected) or record.retcode == Retcode.NO_CHANGES:
            known.unmoved = 0
        else:
            known.unmoved_ms = known.unmoved_ms if known.unmoved else record.time_ms
            known.unmoved += 1

    def _deal(self, deal: Filled | PartiallyFilled) -> None:
        if deal.deal in self.deals:
            return
        self.deals.add(deal.deal)
        self.money += deal.profit + deal.commission + deal.swap
        self.newest_deal_ms = max(self.newest_deal_ms, deal.time_ms)
        if deal.order_no and self.is_orders(deal.order_no, deal.position, deal.entry, deal.reason):
            known = self.order(deal.order_no)
            known.filled += lots(deal.volume)
            known.ticket = deal.ticket
            if not known.over:
                whole = isinstance(deal, Filled)
                known.state = OrderState.FILLED if whole else OrderState.PARTIALLY_FILLED
            self._file(known)
        if deal.position not in self.adopted:
            self._move(deal)

    def is_orders(self, order_no: int, position: int, entry: DealEntry, reason: DealReason) -> bool:
        """Whether a deal is one of the order that it names: what closes a position may name the one that opened it."""
        if reason in BY_VENUE:
            return False
        held = self.positions.get(position)
        return entry in (DealEntry.IN, DealEntry.INOUT) or held is None or held.order_no != order_no

    def _move(self, deal: Filled | PartiallyFilled) -> None:
        """Position and volume after a deal."""
        volume, held = lots(deal.volume), self.positions.get(deal.position)
        if deal.entry is DealEntry.INOUT and held is not None:
            volume -= held.volume
            held = None
            del self.positions[deal.position]
            if volume <= ZERO:
                return
        if deal.entry in (DealEntry.IN, DealEntry.INOUT):
            if held is None:
                self.positions[deal.position] = Held(deal.position, deal.order_no, deal.listing, deal.side, volume)
            else:
                held.volume += volume
        elif held is not None:
            held.volume -= volume
            if held.volume <= ZERO:
                del self.positions[deal.position]
