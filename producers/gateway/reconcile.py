"""Log and terminal held against each other, both ways.

What the log has open and the terminal doesn't is looked up there; what the terminal has and the log doesn't is Adopted:
written down, told once, and never touched. A position of ours without its stop gets it back.
"""

from __future__ import annotations

from collections.abc import Sequence

from infra.clock import Clock
from producers.gateway.alarms import Alarms
from producers.gateway.book import ZERO, Held, Known, lots
from producers.gateway.bookings import Bookings
from producers.gateway.chain import Chain
from producers.gateway.codes import Traded
from producers.gateway.deals import Deals
from producers.gateway.doubts import end_of, over, same_levels
from producers.gateway.records import blank
from producers.gateway.requests import number_in
from producers.gateway.stops import Stops
from producers.gateway.venue import Venue
from producers.mt5 import TradeOrder, TradePosition
from schemas.configuration import AccountConfig
from schemas.events import Severity, Side
from schemas.executions import Adopted, OrderState, Reconciled


class Reconciler:
    """Compares what the terminal has with the book. Calls raise NoAnswer."""

    def __init__(
        self,
        config: AccountConfig,
        venue: Venue,
        chain: Chain,
        deals: Deals,
        stops: Stops,
        bookings: Bookings,
        alarms: Alarms,
        clock: Clock,
    ) -> None:
        self._config, self._venue, self._chain, self._deals = config, venue, chain, deals
        self._stops, self._bookings, self._alarms, self._clock = stops, bookings, alarms, clock
        self._suspect: set[int] = set()

    # -- at every look -------------------------------------------------------------------------------------------------

    def positions(self, positions: Sequence[TradePosition], busy: set[int]) -> None:
        """Adopts what isn't ours, and sees that ours have their stops; of all deals before this look none may wait.

        The deals of an adopted position go before what is told of it later, so that this says what they left.

        `busy`: numbers of orders whose positions are being changed just now.
        """
        book = self._chain.book
        seen = set()
        for position in positions:
            seen.add(position.identifier)
            held = book.positions.get(position.identifier)
            if held is not None and held.order_no:
                if held.order_no not in busy:
                    self._see_levels(held, position)
            elif held is None and number_in(position.magic, position.comment) not in book.orders:
                self._adopt(position)
        # What closed it is told first.
        for number in [number for number in book.adopted if number not in seen and not self._deals.waiting]:
            self._gone(book.adopted[number])
        self._stops.forget()

    def orders(self, live: Sequence[TradeOrder], working: Sequence[Known]) -> None:
        """Says how orders of ours ended that were live and aren't any more."""
        tickets = {order.ticket for order in live}
        for known in working:
            if known.ticket in tickets:
                continue
            done = self._venue.done_order(known.ticket)
            if done is None:
                continue
            if lots(done.volume_initial) - lots(done.volume_current) > known.filled:
                self._deals.take(self._venue.deals_of(order=known.ticket))
                if end_of(done, dealt=True) is OrderState.FILLED:
                    continue
                self._deals.write(all_now=True)
            over(self._config.account, self._chain, self._venue, known, done)

    # -- at every reconciliation ---------------------------------------------------------------------------------------

    def all(self, positions: Sequence[TradePosition], live: Sequence[TradeOrder]) -> None:
        """Both ways: vanished positions and orders, changed volumes, orders that the log doesn't know, the balance."""
        self._vanished_positions(positions)
        self._vanished_orders(live)
        self._unknown_orders(live)
        self._bookings.compare()

    def _vanished_positions(self, positions: Sequence[TradePosition]) -> None:
        there = {position.identifier: lots(position.volume) for position in positions}
        book = self._chain.book
        for number, held in list(book.positions.items()):
            if there.get(number, ZERO) == held.volume:
                self._suspect.discard(number)
                continue
            self._deals.take(self._venue.deals_of(position=number))
            self._deals.write(all_now=True)
            left = book.positions.get(number)
            if left is None or left.volume == there.get(number, ZERO):
                self._suspect.discard(number)
            elif number not in self._suspect:
                # It may have changed between the two looks.
                self._suspect.add(number)
            else:
                self._alarms.tell(
                    "position_differs", Severity.CRITICAL, f"{number}/{there.get(number, ZERO)}",
                    f"position {number} in {held.listing} has {left.volume} lots on the log and "
                    f"{there.get(number, ZERO)} at the terminal, and no deal tells why: look at it there",
                )  # fmt: skip

    def _vanished_orders(self, live: Sequence[TradeOrder]) -> None:
        tickets = {order.ticket for order in live}
        for known in self._chain.book.working():
            number = -known.order_no
            if known.ticket in tickets or self._venue.done_order(known.ticket) is not None:
                self._suspect.discard(number)
            elif number not in self._suspect:
                self._suspect.add(number)
            else:
                self._suspect.discard(number)
                self._alarms.tell(
                    "order_vanished", Severity.CRITICAL, str(known.order_no),
                    f"order {known.order_no} (ticket {known.ticket}) is neither live nor in the history of the "
                    "terminal: it counts as canceled",
                )  # fmt: skip
                self._reconciled(known, OrderState.CANCELED, known.ticket)

    def _unknown_orders(self, live: Sequence[TradeOrder]) -> None:
        book = self._chain.book
        for order in live:
            number = number_in(order.magic, order.comment)
            known = book.orders.get(number)
            if known is None:
                self._alarms.tell(
                    "unknown_order", Severity.WARNING, str(order.ticket),
                    f"the terminal has an order {order.ticket} in {order.symbol} that isn't ours: it is never touched; "
                    "what it fills will count",
                )  # fmt: skip
            elif known.over and known.asked is None and not order.position_id:
                self._alarms.tell(
                    "late_execution", Severity.CRITICAL, str(number),
                    f"order {number} was taken for {known.state.lower()} and is live at the terminal (ticket "
                    f"{order.ticket}): it counts; see trade.settle_s",
                )  # fmt: skip
                self._reconciled(known, OrderState.ACCEPTED, order.ticket)

    # -- what is written -----------------------------------------------------------------------------------------------

    def _reconciled(self, known: Known, state: OrderState, ticket: int) -> None:
        self._chain.write(
            Reconciled(
                **blank(self._config.account), order_no=known.order_no, state=state, ticket=ticket, position=0,
                filled=float(known.filled), time_ms=self._clock.now_ms(),
            )
        )  # fmt: skip

    def _adopt(self, position: TradePosition) -> None:
        listing = f"{self._config.feed}/{position.symbol}"
        record = Adopted(
            **blank(self._config.account),
            order_no=0,
            position=position.identifier,
            listing=listing,
            side=Side.LONG if position.type == Traded.BUY else Side.SHORT,
            volume=position.volume,
            price=position.price_open,
            sl=position.sl or None,
            tp=position.tp or None,
            time_ms=self._venue.utc_ms(position.time_msc),
        )
        book = self._chain.book
        before = book.adopted.get(position.identifier)
        opening = before is None and record.time_ms >= book.since_ms
        if self._deals.waiting and not opening:
            return
        if before is None:
            self._alarms.tell(
                "adopted", Severity.WARNING, str(position.identifier),
                f"position {position.identifier} of {position.volume} lots in {position.symbol} at the terminal isn't "
                "ours: it counts in the account's exposure and is never touched",
            )  # fmt: skip
        elif (before.volume, before.price, before.sl, before.tp) == (record.volume, record.price, record.sl, record.tp):
            return
        self._chain.write(record)

    def _gone(self, before: Adopted) -> None:
        self._chain.write(
            Adopted(
                **blank(self._config.account), order_no=0, position=before.position, listing=before.listing,
                side=before.side, volume=0.0, price=before.price, time_ms=self._clock.now_ms(),
            )
        )  # fmt: skip

    def _see_levels(self, held: Held, position: TradePosition) -> None:
        sl, tp = self._chain.book.levels(held)
        about = str(held.position)
        if not self._stops.see(held, position):
            return
        if (sl is not None or position.sl) and not same_levels(position, sl, tp):
            self._alarms.tell(
                "levels_differ", Severity.WARNING, f"{about}/{position.sl:g}/{position.tp:g}",
                f"position {about} has its stop at {position.sl:g} and its target at {position.tp:g} at the "
                f"terminal, on the log {sl} and {tp}: a person or another program moved them",
            )  # fmt: skip
