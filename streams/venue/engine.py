"""The matching engine: requests in, events out, in MT5's terms. No clock: every call says when it happens."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from agents import money
from agents.money import ZERO, Quote, exact
from schemas.configuration import AccountConfig, PositionMode, SessionTable, SwapMode
from schemas.events import ListingSpec, Side
from schemas.executions import DealEntry, DealReason, OrderRequest
from schemas.trading import OrderType
from streams.venue import checks
from streams.venue.book import (
    Changed,
    Deal,
    Event,
    Filling,
    Lapsed,
    MarginCall,
    Order,
    Placed,
    Position,
    Refused,
    Removed,
    Request,
    closing_price,
    opposite,
)
from streams.venue.draws import Draw, deal_size, refuse_by_chance, slipped
from streams.venue.ledger import Ledger
from streams.venue.model import VenueModel
from streams.venue.retcodes import Refusal, Retcode
from streams.venue.watch import NEVER_MS, Watch, watch


class Moment(NamedTuple):
    """When and at which quote something happens. `day`: the server's, of the listing."""

    at_us: int
    quote: Quote
    day: int


class Engine:
    """One account at a venue. Requests change it at their arrival, ticks by `streams.venue.path`.

    Quotes of other listings (to convert money, and of other open positions) are those last told by `quote`.
    """

    def __init__(
        self,
        specs: Mapping[str, ListingSpec],
        account: AccountConfig,
        model: VenueModel,
        sessions: Mapping[str, SessionTable] | None = None,
    ) -> None:
        self.account, self.model = account, model
        self.sessions = dict(sessions or {})
        self.ledger = Ledger(specs, account)
        self.orders: dict[int, Order] = {}
        self.tickets = self.deals = 0
        self.called = False
        """The margin call is noted until the account is flat."""
        self.margin_calls: list[MarginCall] = []
        self._watches: dict[str, Watch] = {}
        self._dues: dict[tuple[str, int], int] = {}
        self._open: tuple[str, ...] | None = None

    # -- requests ------------------------------------------------------------------------------------------------------

    def send(self, at_us: int, request: Request, quote: Quote, server_offset_s: int) -> list[Event]:
        """A new order at its arrival; `quote` prevails then. A market order is dealt at once, another one rests."""
        self.quote(request.listing, quote)
        try:
            spec = self._spec(request.listing)
            checks.check_session(self.sessions.get(request.listing), at_us // 1000, server_offset_s)
            moment = Moment(at_us, quote, checks.server_day(at_us // 1000, server_offset_s))
            if request.type is OrderType.MARKET:
                return [*self._send_market(request, spec, moment), *self.drop_orphans()]
            return self._send_pending(request, spec, moment)
        except Refusal as refusal:
            return [Refused(request.order_no, OrderRequest.PLACE, refusal.retcode, refusal.why)]

    def check(self, at_us: int, request: Request, quote: Quote, server_offset_s: int) -> Decimal:
        """The margin that a new order would bind now; a pending one binds none. Changes nothing but the quote.

        Raises Refusal if `send` would refuse it, chance apart.
        """
        self.quote(request.listing, quote)
        spec = self._spec(request.listing)
        checks.check_session(self.sessions.get(request.listing), at_us // 1000, server_offset_s)
        moment = Moment(at_us, quote, checks.server_day(at_us // 1000, server_offset_s))
        if request.type is OrderType.MARKET:
            order = self._checked_market(request, spec, moment)
            return self.affordable(order, quote.ask if order.side is Side.LONG else quote.bid)
        self._checked_pending(request, spec, moment)
        return ZERO

    def modify(
        self,
        at_us: int,
        order_no: int,
        position: int,
        sl: float | None,
        tp: float | None,
        quote: Quote | None,
        server_offset_s: int,
    ) -> list[Event]:
        """Both levels anew, None = none: of a position (0: the one that the order opened), or of a pending order."""
        try:
            thing = self._target(order_no, position)
            if quote is None:
                raise Refusal(Retcode.INVALID, f"no quote of {thing.listing} is known")
            self.quote(thing.listing, quote)
            spec = self._spec(thing.listing)
            checks.check_session(self.sessions.get(thing.listing), at_us // 1000, server_offset_s)
            sl, tp = checks.on_grid(spec, sl), checks.on_grid(spec, tp)
            if (sl, tp) == (thing.sl, thing.tp):
                raise Refusal(Retcode.NO_CHANGES, "stop and target are these already")
            checks.check_frozen(spec, thing, quote)
            if isinstance(thing, Order):
                checks.check_levels(spec, thing.side, sl, tp, thing.price)
            else:
                checks.check_levels(spec, thing.side, sl, tp, closing_price(thing.side, quote))
        except Refusal as refusal:
            return [Refused(order_no, OrderRequest.MODIFY, refusal.retcode, refusal.why)]
        thing.sl, thing.tp = sl, tp
        self._levels_changed()
        if isinstance(thing, Order):
            return [Changed(order_no, thing.ticket, 0, sl, tp)]
        thing.after_us = at_us
        return [Changed(order_no, thing.number, thing.number, sl, tp)]

    def remove(
        self, at_us: int, order_no: int, quote: Quote | None, server_offset_s: int, *, ticket: int = 0
    ) -> list[Event]:
        """Takes an order's rest back; `ticket` tells orders of one number apart."""
        try:
            own = (o for o in self.orders.values() if o.order_no == order_no and ticket in (0, o.ticket))
            order = next(own, None)
            if order is None:
                raise Refusal(Retcode.INVALID_ORDER, f"no order {ticket or order_no} is open at the venue")
            checks.check_session(self.sessions.get(order.listing), at_us // 1000, server_offset_s)
            if quote is not None and not order.working:
                checks.check_frozen(self._spec(order.listing), order, quote)
        except Refusal as refusal:
            return [Refused(order_no, OrderRequest.CANCEL, refusal.retcode, refusal.why)]
        return [self.drop(order, "canceled")]

    def quote(self, listing: str, quote: Quote) -> None:
        """The newest quote of a listing."""
        self.ledger.quotes[listing] = quote

    # -- what the scan looks for ---------------------------------------------------------------------------------------

    @property
    def open_listings(self) -> tuple[str, ...]:
        """Listings whose ticks matter: those with orders or positions, and those that convert their profit."""
        if self._open is None:
            names = {order.listing for order in self.orders.values()}
            self._open = tuple(sorted(names.union(self.ledger.watched())))
        return self._open

    def watch(self, listing: str) -> Watch:
        """The levels of a listing that ticks may reach."""
        found = self._watches.get(listing)
        if found is None:
            band = self.ledger.band(self.guarded_level).get(listing) if self.ledger.positions else None
            found = self._watches[listing] = watch(self.orders_of(listing), self.positions_of(listing), band)
        return found

    def due_ms(self, listing: str, server_offset_s: int) -> int:
        """The next time at which something happens whatever the price: an order expires, or a night is charged."""
        found = self._dues.get((listing, server_offset_s))
        if found is None:
            found = min((o.expires_ms for o in self.orders_of(listing) if o.expires_ms), default=NEVER_MS)
            if self._has_swap(listing):
                for position in self.positions_of(listing):
                    found = min(found, checks.day_start_ms(position.day + 1, server_offset_s))
            self._dues[listing, server_offset_s] = found
        return found

    @property
    def guarded_level(self) -> float:
        """The margin level, percent, below which something happens next."""
        account = self.account
        return account.stop_out_level if self.called else max(account.stop_out_level, account.margin_call_level)

    def orders_of(self, listing: str) -> list[Order]:
        """Open orders of a listing, oldest first."""
        return [order for order in self.orders.values() if order.listing == listing]

    def positions_of(self, listing: str) -> list[Position]:
        """Open positions of a listing, oldest first."""
        return [position for position in self.ledger.positions.values() if position.listing == listing]

    def changed(self) -> None:
        """Something that the scan looks for has changed."""
        self._levels_changed()
        self.ledger.changed()

    @property
    def is_netting(self) -> bool:
        """One position a listing."""
        return self.account.position_mode is PositionMode.NETTING

    def net(self, listing: str) -> Position | None:
        """The listing's one position on a netting account."""
        return next(iter(self.positions_of(listing)), None) if self.is_netting else None

    # -- deals ---------------------------------------------------------------------------------------------------------

    def fill(self, order: Order, price: float, moment: Moment, reason: DealReason = DealReason.EXPERT) -> Deal:
        """The order's next deal, at a price: as much as one deal takes. What is left works on in the ticks after it."""
        spec = self._spec(order.listing)
        volume = deal_size(self.model, spec, order)
        order.volume -= volume
        order.deals += 1
        deal = self._deal(order, volume, price, moment, reason)
        if order.volume:
            order.working, order.after_us = True, moment.at_us
            if not self.is_netting:
                order.position = deal.position
            self.orders[order.ticket] = order
        else:
            self.orders.pop(order.ticket, None)
        self.changed()
        return deal

    def close(self, position: Position, price: float, moment: Moment, reason: DealReason) -> Deal:
        """The venue closes a position whole: a stop, a target, a stop-out, the end."""
        self.tickets += 1
        order = Order(
            ticket=self.tickets, order_no=position.order_no, listing=position.listing, type=OrderType.MARKET,
            side=opposite(position.side), volume=ZERO, position=position.number,
        )  # fmt: skip
        deal = self._deal(order, position.volume, price, moment, reason)
        self.changed()
        return deal

    def slipped(self, listing: str, side: Side, price: float, order_no: int, what: Draw, count: int = 0) -> float:
        """A price with the slippage that the model assumes."""
        return slipped(self.model, self._spec(listing), side, price, order_no, what, count)

    def affordable(self, order: Order, price: float) -> Decimal:
        """The margin that what the order adds binds. Raises Refusal (no money) if it is more than is free."""
        added = order.volume
        if order.position:
            return ZERO
        net = self.net(order.listing)
        if net is not None and net.side is not order.side:
            if added <= net.volume:
                return ZERO
            freed = net.margin
            added -= net.volume
        else:
            freed = ZERO
        needed = self.ledger.margin_of(order.listing, added, price)
        free = self.ledger.equity - self.ledger.margin + freed
        if needed > free:
            raise Refusal(
                Retcode.NO_MONEY,
                f"{added} lots need a margin of {needed} {self.account.currency}, {free} are free",
                needed - freed,
            )
        return needed

    def drop(self, order: Order, why: str) -> Removed:
        """An order's rest is gone."""
        del self.orders[order.ticket]
        self._levels_changed()
        return Removed(order.order_no, order.ticket, float(order.volume), why)

    def is_orphan(self, order: Order) -> bool:
        """Whether the position that the order's deals belong to is closed, or (netting) has been reversed."""
        if not order.position:
            return False
        position = self.ledger.positions.get(order.position)
        return position is None or (self.is_netting and position.side is order.side)

    def drop_orphans(self) -> list[Event]:
        """Takes back the rests of orders whose position is closed."""
        return [self.drop(o, "its position is closed") for o in list(self.orders.values()) if self.is_orphan(o)]

    def lapse(self, order: Order) -> Lapsed:
        """An order's time has run out."""
        del self.orders[order.ticket]
        self._levels_changed()
        return Lapsed(order.order_no, order.ticket, float(order.volume), order.expires_ms)

    def roll(self, listing: str, day: int) -> None:
        """Charges the nights up to a server day to the listing's positions."""
        if not self._has_swap(listing):
            return
        for position in self.positions_of(listing):
            self.ledger.roll(position, day)
        self.changed()

    def note_margin_call(self, at_us: int) -> None:
        """Notes once that the margin level has fallen below the account's margin call level."""
        ledger = self.ledger
        if not self.called and ledger.below(self.account.margin_call_level):
            self.called = True
            self.margin_calls.append(MarginCall(at_us, ledger.equity, ledger.margin))
            self.changed()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _send_market(self, request: Request, spec: ListingSpec, moment: Moment) -> list[Event]:
        order, quote, model = self._checked_market(request, spec, moment), moment.quote, self.model
        refuse_by_chance(model, order.order_no)
        price = quote.ask if order.side is Side.LONG else quote.bid
        price = slipped(model, spec, order.side, price, order.order_no, Draw.SLIPPAGE)
        self.affordable(order, price)
        if request.filling is Filling.FOK and deal_size(model, spec, order) < order.volume:
            raise Refusal(Retcode.REJECT, f"{order.volume} lots can't be filled in one deal")
        self.tickets += 1
        order.ticket = self.tickets
        deal = self.fill(order, price, moment)
        if request.filling is Filling.IOC and order.volume:
            return [deal, self.drop(order, "not filled at once")]
        return [deal]

    def _checked_market(self, request: Request, spec: ListingSpec, moment: Moment) -> Order:
        order, quote = self._order(request, spec), moment.quote
        if order.position:
            position = self.ledger.positions.get(order.position)
            checks.check_closing(order, position, self.orders.values(), spec, quote)
        else:
            checks.check_volume(spec, request.volume)
            checks.check_levels(spec, order.side, order.sl, order.tp, closing_price(order.side, quote))
        return order

    def _send_pending(self, request: Request, spec: ListingSpec, moment: Moment) -> list[Event]:
        order = self._checked_pending(request, spec, moment)
        self.tickets += 1
        order.ticket, order.after_us = self.tickets, moment.at_us
        self.orders[order.ticket] = order
        self._levels_changed()
        return [Placed(order.order_no, order.ticket, order.sl, order.tp)]

    def _checked_pending(self, request: Request, spec: ListingSpec, moment: Moment) -> Order:
        order = self._order(request, spec)
        if order.position or order.type not in (OrderType.LIMIT, OrderType.STOP):
            raise Refusal(Retcode.INVALID, "only a market order closes a position")
        checks.check_volume(spec, request.volume)
        checks.check_pending_price(spec, order.type, order.side, checks.on_grid(spec, request.price), moment.quote)
        checks.check_levels(spec, order.side, order.sl, order.tp, order.price)
        checks.check_expiry(request.expires_ms, moment.at_us)
        return order

    def _order(self, request: Request, spec: ListingSpec) -> Order:
        if request.side not in (Side.LONG, Side.SHORT):
            raise Refusal(Retcode.INVALID, f"an order is LONG or SHORT, not {request.side}")
        price = checks.on_grid(spec, request.price)
        return Order(
            ticket=0, order_no=request.order_no, listing=request.listing, type=request.type, side=request.side,
            volume=exact(request.volume), price=0.0 if price is None else price, sl=checks.on_grid(spec, request.sl),
            tp=checks.on_grid(spec, request.tp), position=request.position, expires_ms=request.expires_ms,
        )  # fmt: skip

    def _target(self, order_no: int, position: int) -> Order | Position:
        held = self.ledger.positions
        if position:
            if position in held:
                return held[position]
        else:
            things: list[Order | Position] = [*held.values(), *self.orders.values()]
            for thing in things:
                if thing.order_no == order_no:
                    return thing
        raise Refusal(Retcode.POSITION_CLOSED, f"position {position or f'of order {order_no}'} is not open")

    def _deal(self, order: Order, volume: Decimal, price: float, moment: Moment, reason: DealReason) -> Deal:
        """Books `volume` lots of an order, whose `volume` is what is left of it."""
        ledger, spec = self.ledger, self._spec(order.listing)
        position = ledger.positions.get(order.position) if order.position else self.net(order.listing)
        commission = ledger.booked(money.commission(spec, float(volume), ledger.rates))
        profit = swap = ledger.booked(ZERO)
        if position is None:
            entry = DealEntry.IN
            position = ledger.open(order.ticket, order, volume, price, moment.at_us, moment.day)
        elif position.side is order.side:
            entry = DealEntry.IN
            ledger.add(position, order, volume, price)
        else:
            entry = DealEntry.OUT
            closed = min(volume, position.volume)
            profit, swap = ledger.reduce(position, closed, price)
            if volume > closed:
                entry = DealEntry.INOUT
                position = ledger.open(position.number, order, volume - closed, price, moment.at_us, moment.day)
        ledger.balance += profit + swap + commission
        if not ledger.positions:
            self.called = False
        self.deals += 1
        return Deal(
            order.order_no, order.ticket, self.deals, position.number, order.listing, order.side, entry, reason,
            float(volume), float(order.volume), price, moment.quote.n, moment.quote.bid, moment.quote.ask, commission,
            swap, profit,
        )  # fmt: skip

    def _levels_changed(self) -> None:
        self._watches.clear()
        self._dues.clear()
        self._open = None

    def _has_swap(self, listing: str) -> bool:
        spec = self._spec(listing)
        return bool(spec.swap_long or spec.swap_short) and spec.swap_mode not in (SwapMode.UNKNOWN, SwapMode.NONE)

    def _spec(self, listing: str) -> ListingSpec:
        spec = self.ledger.specs.get(listing)
        if spec is None:
            raise Refusal(Retcode.INVALID, f"no listing {listing} is known here")
        return spec
