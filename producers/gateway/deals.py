"""Deals at the terminal into records: each once by its number, with the order it belongs to and the quote it met.

A deal waits a moment for the log to have the ticks up to its time, so that the quote is known; then it is written all
the same. Deals that aren't ours are written with the order number 0: they count for the account's money.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, NamedTuple, Protocol

from producers.gateway.alarms import Alarms
from producers.gateway.book import BY_VENUE, OVER, ZERO, Known, lots
from producers.gateway.bookings import Bookings
from producers.gateway.chain import Chain
from producers.gateway.codes import Entry, Reason, Traded
from producers.gateway.newest_ticks import Prevailing
from producers.gateway.records import blank
from producers.gateway.requests import FLATTENED, STOPPED, number_in
from producers.gateway.venue import Venue
from producers.mt5 import TradeDeal
from schemas.configuration import AccountConfig
from schemas.events import Severity, Side
from schemas.executions import DealEntry, DealReason, Filled, OrderState, PartiallyFilled, Reconciled

TICK_WAIT_S: Final = 0.25
"""So long a deal waits for the ticks up to its time, once its listing's are read."""
FIRST_WAIT_S: Final = 2.0
"""So long at most while it isn't known yet from where to read them."""
_MONEY: Final = Decimal("1e-8")
_ENTRIES: Final = {
    Entry.IN: DealEntry.IN,
    Entry.OUT: DealEntry.OUT,
    Entry.INOUT: DealEntry.INOUT,
    Entry.OUT_BY: DealEntry.OUT_BY,
}
_REASONS: Final = {
    Reason.CLIENT: DealReason.CLIENT,
    Reason.MOBILE: DealReason.CLIENT,
    Reason.WEB: DealReason.CLIENT,
    Reason.EXPERT: DealReason.EXPERT,
    Reason.SL: DealReason.SL,
    Reason.TP: DealReason.TP,
    Reason.SO: DealReason.SO,
}


class Prices(Protocol):
    """The ticks on the log, as far as deals need them."""

    def follow(self, listing: str) -> None: ...
    def at(self, listing: str, time_ms: int) -> Prevailing | None: ...
    def knows(self, listing: str, time_ms: int) -> bool: ...
    def since_s(self, listing: str) -> float: ...


class _Waiting(NamedTuple):
    deal: TradeDeal
    listing: str
    time_ms: int
    since: float


class Deals:
    """The deals of an account on their way to the log."""

    def __init__(
        self, config: AccountConfig, venue: Venue, chain: Chain, prices: Prices, bookings: Bookings, alarms: Alarms
    ) -> None:
        self._config, self._venue, self._chain = config, venue, chain
        self._prices, self._bookings, self._alarms = prices, bookings, alarms
        self._waiting: list[_Waiting] = []
        self._passed: set[int] = set()
        """Deals that trade nothing (deposits, fees and the like), and those from before the chain."""
        self._answers: dict[int, tuple[float, float]] = {}
        """Bid and ask that the answer to an order told, by its ticket."""

    @property
    def waiting(self) -> bool:
        """Whether any deal isn't written yet."""
        return bool(self._waiting)

    def expect(self, listing: str) -> None:
        """Deals of a listing will come: the quotes that they meet are followed from now on."""
        self._prices.follow(listing)

    def answered(self, ticket: int, bid: float, ask: float) -> None:
        """Keeps what the answer to an order said of the quote it met."""
        if 0 < bid <= ask:
            self._answers[ticket] = bid, ask

    def take(self, deals: Iterable[TradeDeal]) -> int:
        """Puts those that are new into the queue, in the order of their time; how many there were."""
        book = self._chain.book
        known = {waiting.deal.ticket for waiting in self._waiting}
        new = 0
        for deal in deals:
            if deal.ticket in book.deals or deal.ticket in known or deal.ticket in self._passed:
                continue
            if deal.type not in (Traded.BUY, Traded.SELL):
                self._passed.add(deal.ticket)
                self._bookings.tell(deal)
                continue
            listing, time_ms = f"{self._config.feed}/{deal.symbol}", self._venue.utc_ms(deal.time_msc)
            if time_ms < book.since_ms and number_in(deal.magic, deal.comment) not in book.orders:
                self._passed.add(deal.ticket)
                continue
            self._prices.follow(listing)
            self._waiting.append(_Waiting(deal, listing, time_ms, time.monotonic()))
            new += 1
        self._waiting.sort(key=lambda waiting: (waiting.deal.time_msc, waiting.deal.ticket))
        return new

    def write(self, *, all_now: bool = False) -> None:
        """Writes those whose quote is known or that have waited long enough, never one before an earlier one."""
        now = time.monotonic()
        while self._waiting:
            first = self._waiting[0]
            read_s = max(first.since, self._prices.since_s(first.listing))
            late = all_now or now - read_s >= TICK_WAIT_S or now - first.since >= FIRST_WAIT_S
            if not late and not self._prices.knows(first.listing, first.time_ms):
                return
            self._write(self._waiting.pop(0))

    def _write(self, waiting: _Waiting) -> None:
        deal, book = waiting.deal, self._chain.book
        entry = _ENTRIES.get(Entry(deal.entry), DealEntry.UNKNOWN) if deal.entry in set(Entry) else DealEntry.UNKNOWN
        reason = (
            _REASONS.get(Reason(deal.reason), DealReason.UNKNOWN) if deal.reason in set(Reason) else DealReason.UNKNOWN
        )
        known = self._order_of(deal, reason)
        held = book.positions.get(deal.position_id)
        order_no = known.order_no if known is not None else 0
        if not order_no and reason in BY_VENUE and held is not None:
            order_no = held.order_no
        remaining = ZERO
        if known is not None and book.is_orders(order_no, deal.position_id, entry, reason):
            asked = lots(known.submitted.volume) if known.submitted is not None else None
            filled = known.filled + lots(deal.volume)
            if asked is not None:
                remaining = max(ZERO, asked - filled)
                if filled > asked:
                    self._alarms.tell(
                        "overfilled", Severity.CRITICAL, str(order_no),
                        f"order {order_no} asked for {asked} lots and has {filled} filled at the terminal (deal "
                        f"{deal.ticket}): it is recorded as it is; look at position {deal.position_id} there",
                    )  # fmt: skip
        else:
            known = None
        if not order_no:
            self._tell_foreign(deal, held is not None and held.order_no != 0)
        before = known.state if known is not None else OrderState.UNKNOWN
        n, bid, ask = self._quote(waiting)
        kind = PartiallyFilled if remaining else Filled
        self._chain.write(
            kind(
                **blank(self._config.account),
                order_no=order_no,
                ticket=deal.order,
                deal=deal.ticket,
                position=deal.position_id,
                listing=waiting.listing,
                side=Side.LONG if deal.type == Traded.BUY else Side.SHORT,
                entry=entry,
                reason=reason,
                volume=deal.volume,
                remaining=float(remaining),
                price=deal.price,
                time_ms=waiting.time_ms,
                n=n,
                bid=bid,
                ask=ask,
                commission=_money(deal.commission) + _money(deal.fee),
                swap=_money(deal.swap),
                profit=_money(deal.profit),
            )
        )
        if not remaining:
            self._answers.pop(deal.order, None)
        if known is not None and before in OVER and before is not OrderState.FILLED:
            self._tell_late(known, deal, waiting.time_ms, before)

    def _order_of(self, deal: TradeDeal, reason: DealReason) -> Known | None:
        """The order of ours that a deal names; of those that the venue makes by itself none."""
        if reason in BY_VENUE:
            return None
        number = number_in(deal.magic, deal.comment)
        book = self._chain.book
        known = book.orders.get(number)
        if known is None:
            known = next((one for one in book.orders.values() if one.ticket and one.ticket == deal.order), None)
        return known

    def _tell_foreign(self, deal: TradeDeal, ours: bool) -> None:
        number = number_in(deal.magic, deal.comment)
        book = self._chain.book
        if deal.position_id in book.adopted or deal.comment in (FLATTENED, STOPPED) or deal.order in book.closings:
            return
        if ours:
            message = (
                f"deal {deal.ticket} of {deal.volume} lots in {deal.symbol} at the terminal changed our position "
                f"{deal.position_id} and isn't of an order of ours: a person or another program trades it; it counts"
            )
        elif number:
            message = (
                f"deal {deal.ticket} at the terminal is of an order {number} that isn't on the log: it counts in the "
                "account's exposure and is never touched; find who placed it"
            )
        else:
            message = (
                f"deal {deal.ticket} of {deal.volume} lots in {deal.symbol} at the terminal isn't ours: it counts in "
                "the account's money and exposure and is never touched"
            )
        severity = Severity.CRITICAL if ours or number else Severity.WARNING
        self._alarms.tell("unknown_deal", severity, str(deal.position_id), message)

    def _tell_late(self, known: Known, deal: TradeDeal, time_ms: int, before: OrderState) -> None:
        """An order was filled after it had been given up: the desk's order is held until this word."""
        state = OrderState.PARTIALLY_FILLED if known.remaining else OrderState.FILLED
        self._alarms.tell(
            "late_execution", Severity.CRITICAL, str(known.order_no),
            f"order {known.order_no} was taken for {before.lower()} and has been filled after all (deal "
            f"{deal.ticket}, position {deal.position_id}): it counts; see trade.settle_s",
        )  # fmt: skip
        self._chain.write(
            Reconciled(
                **blank(self._config.account),
                order_no=known.order_no,
                state=state,
                ticket=deal.order,
                position=deal.position_id,
                filled=float(known.filled),
                time_ms=time_ms,
            )
        )

    def _quote(self, waiting: _Waiting) -> Prevailing:
        """The tick that prevailed at the deal's time; -1 and what the answer told where the log doesn't have it."""
        told = self._answers.get(waiting.deal.order)
        found = self._prices.at(waiting.listing, waiting.time_ms)
        if found is not None and (
            told is None or told == (found.bid, found.ask) or self._prices.knows(waiting.listing, waiting.time_ms)
        ):
            return found
        return Prevailing(-1, *(told or (0.0, 0.0)))


def _money(amount: float) -> Decimal:
    """What the terminal's double means, in the eight digits that a record has."""
    return Decimal(repr(float(amount))).quantize(_MONEY, ROUND_HALF_UP)
