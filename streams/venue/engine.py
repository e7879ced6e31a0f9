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
    Lapsed,
    MarginCall,
    Order,
    Placed,
    Position,
    Refused,
    Removed,
    Request,
    opposite,
)
from streams.venue.draws import Draw, draw
from streams.venue.ledger import Ledger
from streams.venue.model import VenueModel
from streams.venue.retcodes import Refusal, Retcode
from streams.venue.watch import NEVER_MS, Watch, watch

_TENTH = Decimal("0.1")


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
                checks.check_levels(spec, thing.side, sl, tp, _closing(thing.side, quote))
        except Refusal as refusal:
            return [Refused(order_no, OrderRequest.MODIFY, refusal.retcode, refusal.why)]
        thing.sl, thing.tp = sl, tp
        self._watches.clear()
        if isinstance(thing, Order):
            return [Changed(order_no, thing.ticket, 0, sl, tp)]
        thing.after_us = at_us
        return [Changed(order_no, thing.number, thing.number, sl, tp)]

    def remove(self, at_us: int, order_no: int, quote: Quote | None, server_offset_s: int) -> list[Event]:
        """Takes an order's rest back."""
        try:
            order = next((order for order in self.orders.values() if order.order_no == order_no), None)
            if order is None:
                raise Refusal(Retcode.INVALID_ORDER, f"no order {order_no} is open at the venue")
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

    def watch(self, listing: str) -> Watch:
        """The levels of a listing that ticks may reach."""
        found = self._watches.get(listing)
        if found is None:
            band = self.ledger.band(self.guarded_level).get(listing) if self.ledger.positions else None
            found = self._watches[listing] = watch(self.orders_of(listing), self.positions_of(listing), band)
        return found

    def due_ms(self, listing: str, server_offset_s: int) -> int:
        """The next time at which something happens whatever the price: an order expires, or a night is charged."""
        due = min((o.expires_ms for o in self.orders_of(listing) if o.expires_ms), default=NEVER_MS)
        if self._has_swap(listing):
            for position in self.positions_of(listing):
                due = min(due, checks.day_start_ms(position.day + 1, server_offset_s))
        return due

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
        self._watches.clear()
        self.ledger.changed()

    @property
    def is_netting(self) -> bool:
        """One position a listing."""
        return self.account.position_mode is PositionMode.NETTING

    # -- deals ---------------------------------------------------------------------------------------------------------

    def fill(self, order: Order, price: float, moment: Moment, reason: DealReason = DealReason.EXPERT) -> Deal:
        """The order's next deal, at a price: as much as one deal takes. What is left works on in the ticks after it."""
        spec = self._spec(order.listing)
        volume = self._deal_size(spec, order)
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

    def worse(self, listing: str, side: Side, price: float, order_no: int, what: Draw, count: int) -> float:
        """A price with the slippage that the model assumes against who buys (LONG) or sells."""
        model = self.model
        points = exact(model.slippage_points)
        if model.slippage_jitter_points:
            jitter = model.slippage_jitter_points * draw(model.seed, order_no, what, count)
            points += exact(jitter).quantize(_TENTH)
        if not points:
            return price
        move = points.scaleb(-self._spec(listing).digits)
        return float(exact(price) + (move if side is Side.LONG else -move))

    def affordable(self, order: Order, price: float) -> None:
        """Raises Refusal (no money) if what the order adds binds more margin than is free."""
        added = order.volume
        if order.position:
            return
        net = self._net(order.listing)
        if net is not None and net.side is not order.side:
            if added <= net.volume:
                return
            freed = net.margin
            added -= net.volume
        else:
            freed = ZERO
        needed = self.ledger.margin_of(order.listing, added, price)
        free = self.ledger.equity - self.ledger.margin + freed
        if needed > free:
            raise Refusal(
                Retcode.NO_MONEY, f"{added} lots need a margin of {needed} {self.account.currency}, {free} are free"
            )

    def drop(self, order: Order, why: str) -> Removed:
        """An order's rest is gone."""
        del self.orders[order.ticket]
        self._watches.clear()
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
        self._watches.clear()
        return Lapsed(order.order_no, order.ticket, float(order.volume), order.expires_ms)

    def roll(self, listing: str, day: int) -> None:
        """Charges the nights up to a server day to the listing's positions."""
        if not self._has_swap(listing):
            return
        spec, ledger = self._spec(listing), self.ledger
        for position in self.positions_of(listing):
            nights = sum(money.nights(spec, night) for night in range(position.day, day))
            position.day = max(position.day, day)
            if nights:
                price = _closing(position.side, ledger.quotes[listing])
                position.swap += ledger.booked(
                    money.swap(spec, position.side, float(position.volume), price, nights, ledger.rates)
                )
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
        order, quote, model = self._order(request, spec), moment.quote, self.model
        if order.position:
            self._check_closing(order, spec, quote)
        else:
            checks.check_volume(spec, request.volume)
            checks.check_levels(spec, order.side, order.sl, order.tp, _closing(order.side, quote))
        for share, what, retcode, words in (
            (model.reject_share, Draw.REJECT, Retcode.REJECT, "rejected"),
            (model.requote_share, Draw.REQUOTE, Retcode.REQUOTE, "requoted"),
        ):
            if share and draw(model.seed, order.order_no, what) < share:
                raise Refusal(retcode, f"{words} by the model's share of {share:g}")
        price = quote.ask if order.side is Side.LONG else quote.bid
        price = self.worse(order.listing, order.side, price, order.order_no, Draw.SLIPPAGE, 0)
        self.affordable(order, price)
        self.tickets += 1
        order.ticket = self.tickets
        return [self.fill(order, price, moment)]

    def _send_pending(self, request: Request, spec: ListingSpec, moment: Moment) -> list[Event]:
        order = self._order(request, spec)
        if order.position or order.type not in (OrderType.LIMIT, OrderType.STOP):
            raise Refusal(Retcode.INVALID, "only a market order closes a position")
        checks.check_volume(spec, request.volume)
        checks.check_pending_price(spec, order.type, order.side, checks.on_grid(spec, request.price), moment.quote)
        checks.check_levels(spec, order.side, order.sl, order.tp, order.price)
        if request.expires_ms and request.expires_ms * 1000 <= moment.at_us:
            raise Refusal(Retcode.INVALID_EXPIRATION, "the order's time had run out before it arrived")
        self.tickets += 1
        order.ticket, order.after_us = self.tickets, moment.at_us
        self.orders[order.ticket] = order
        self._watches.clear()
        return [Placed(order.order_no, order.ticket, order.sl, order.tp)]

    def _order(self, request: Request, spec: ListingSpec) -> Order:
        if request.side not in (Side.LONG, Side.SHORT):
            raise Refusal(Retcode.INVALID, f"an order is LONG or SHORT, not {request.side}")
        price = checks.on_grid(spec, request.price)
        return Order(
            ticket=0, order_no=request.order_no, listing=request.listing, type=request.type, side=request.side,
            volume=exact(request.volume), price=0.0 if price is None else price, sl=checks.on_grid(spec, request.sl),
            tp=checks.on_grid(spec, request.tp), position=request.position, expires_ms=request.expires_ms,
        )  # fmt: skip

    def _check_closing(self, order: Order, spec: ListingSpec, quote: Quote) -> None:
        position = self.ledger.positions.get(order.position)
        if position is None or position.listing != order.listing:
            raise Refusal(Retcode.POSITION_CLOSED, f"position {order.position} is not open")
        if position.side is order.side:
            raise Refusal(Retcode.INVALID, f"a {position.side.lower()} position is closed by the other side")
        if any(other.position == order.position for other in self.orders.values()):
            raise Refusal(Retcode.CLOSE_ORDER_EXIST, f"position {order.position} is being closed already")
        if order.volume > position.volume:
            raise Refusal(Retcode.INVALID_CLOSE_VOLUME, f"only {position.volume} lots of {order.position} are open")
        if order.volume != position.volume:  # Closing all of it is possible whatever is left.
            checks.check_volume(spec, float(order.volume))
        checks.check_frozen(spec, position, quote)

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

    def _deal_size(self, spec: ListingSpec, order: Order) -> Decimal:
        """Lots of the order's next deal."""
        model, volume = self.model, order.volume
        if order.type is OrderType.MARKET and not order.deals and model.partial_share:
            half = checks.floor_lots(spec, volume / 2)
            drawn = draw(model.seed, order.order_no, Draw.PARTIAL) < model.partial_share
            if drawn and half and half >= exact(spec.volume_min):
                volume = half
        if model.max_deal_lots:
            most = checks.floor_lots(spec, exact(model.max_deal_lots))
            volume = min(volume, most or exact(spec.volume_step))
        return volume

    def _deal(self, order: Order, volume: Decimal, price: float, moment: Moment, reason: DealReason) -> Deal:
        """Books `volume` lots of an order, whose `volume` is what is left of it."""
        ledger, spec = self.ledger, self._spec(order.listing)
        position = ledger.positions.get(order.position) if order.position else self._net(order.listing)
        commission = ledger.booked(money.commission(spec, float(volume), ledger.rates))
        profit = swap = ledger.booked(ZERO)
        if position is None:
            entry = DealEntry.IN
            position = self._open(order, volume, price, moment)
        elif position.side is order.side:
            entry = DealEntry.IN
            self._add(position, order, volume, price)
        else:
            closed = min(volume, position.volume)
            profit, swap = self._reduce(position, closed, price)
            entry = DealEntry.OUT
            if volume > closed:
                entry = DealEntry.INOUT
                reversed_ = self._open(order, volume - closed, price, moment)
                del ledger.positions[reversed_.number]
                reversed_.number = position.number
                ledger.positions[position.number] = position = reversed_
        ledger.balance += profit + swap + commission
        if not ledger.positions:
            self.called = False
        self.deals += 1
        return Deal(
            order.order_no, order.ticket, self.deals, position.number, order.listing, order.side, entry, reason,
            float(volume), float(order.volume), price, moment.quote.n, moment.quote.bid, moment.quote.ask, commission,
            swap, profit,
        )  # fmt: skip

    def _open(self, order: Order, volume: Decimal, price: float, moment: Moment) -> Position:
        position = Position(
            number=order.ticket, order_no=order.order_no, listing=order.listing, side=order.side, volume=volume,
            price=price, sl=order.sl, tp=order.tp, after_us=moment.at_us, day=moment.day,
            margin=self.ledger.margin_of(order.listing, volume, price), swap=self.ledger.booked(ZERO),
        )  # fmt: skip
        self.ledger.positions[position.number] = position
        return position

    def _add(self, position: Position, order: Order, volume: Decimal, price: float) -> None:
        total = position.volume + volume
        position.price = float((exact(position.price) * position.volume + exact(price) * volume) / total)
        position.volume = total
        position.margin += self.ledger.margin_of(order.listing, volume, price)
        if not order.working:  # A later order's levels take the place of the earlier one's.
            position.sl = position.sl if order.sl is None else order.sl
            position.tp = position.tp if order.tp is None else order.tp

    def _reduce(self, position: Position, volume: Decimal, price: float) -> tuple[Decimal, Decimal]:
        ledger = self.ledger
        profit = ledger.profit(position, volume, price)
        if volume == position.volume:
            del ledger.positions[position.number]
            return profit, position.swap
        whole = position.volume
        swap, margin = ledger.booked(position.swap * volume / whole), ledger.booked(position.margin * volume / whole)
        position.swap -= swap
        position.margin -= margin
        position.volume -= volume
        return profit, swap

    def _net(self, listing: str) -> Position | None:
        """The listing's one position on a netting account."""
        if not self.is_netting:
            return None
        return next(iter(self.positions_of(listing)), None)

    def _has_swap(self, listing: str) -> bool:
        spec = self._spec(listing)
        return bool(spec.swap_long or spec.swap_short) and spec.swap_mode not in (SwapMode.UNKNOWN, SwapMode.NONE)

    def _spec(self, listing: str) -> ListingSpec:
        spec = self.ledger.specs.get(listing)
        if spec is None:
            raise Refusal(Retcode.INVALID, f"no listing {listing} is known here")
        return spec


def _closing(side: Side, quote: Quote) -> float:
    return quote.bid if side is Side.LONG else quote.ask
