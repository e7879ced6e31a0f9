"""How the trade server serves a request: by its action, at the market's time now."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from agents.money import ZERO, Quote, exact
from producers.terminal import constants as mt5
from producers.terminal.book import Book, OrderNote
from producers.terminal.market_view import MarketView
from producers.terminal.requests import Asked, Rules
from streams.venue import checks
from streams.venue.amend import amend
from streams.venue.book import Changed, Deal, Event, Lapsed, Order, Placed, Position, Refused, Removed, closing_price
from streams.venue.book import Request as VenueRequest
from streams.venue.close_by import check_close_by, close_by
from streams.venue.engine import Engine
from streams.venue.retcodes import Refusal, Retcode

NO_QUOTE: Final = Quote(0.0, 0.0)
_LOT_DIGITS: Final = 8
"""MetaTrader 5 holds lots as whole numbers of a hundred-millionth: 0.1 * 3 is 0.3."""


class Done(NamedTuple):
    """What OrderSendResult says of a request that was taken; 0 where it says nothing."""

    retcode: int = mt5.TRADE_RETCODE_DONE
    deal: int = 0
    order: int = 0
    volume: float = 0.0
    price: float = 0.0
    quote: Quote = NO_QUOTE


class Requests:
    """Serves them on the engine and books what they do. All methods raise Refusal."""

    def __init__(self, market: MarketView, engine: Engine, rules: Rules, book: Book) -> None:
        self._market, self._engine, self._rules, self._book = market, engine, rules, book

    def serve(self, asked: Asked) -> Done:
        """Does what is asked."""
        asked = self._taken(asked)
        match asked.action:
            case mt5.TRADE_ACTION_DEAL:
                return self._deal(asked)
            case mt5.TRADE_ACTION_PENDING:
                return self._place(asked)
            case mt5.TRADE_ACTION_SLTP:
                return self._move(asked)
            case mt5.TRADE_ACTION_MODIFY:
                return self._amend(asked)
            case mt5.TRADE_ACTION_REMOVE:
                return self._remove(asked)
            case mt5.TRADE_ACTION_CLOSE_BY:
                return self._close_by(asked)
        raise Refusal(Retcode.INVALID, f"there is no action {asked.action}")

    def preview(self, asked: Asked) -> Decimal:
        """By how much it would change the account's margin; nothing is done. Looks less closely than `serve`, as a
        terminal does."""
        asked = self._taken(asked)
        match asked.action:
            case mt5.TRADE_ACTION_DEAL | mt5.TRADE_ACTION_PENDING:
                deals = asked.action == mt5.TRADE_ACTION_DEAL
                request, quote = (self._rules.deal if deals else self._rules.pending)(asked)
                bound = self._engine.check(self._market.now_us(), request, quote, self._offset_s())
                return bound - self._freed(request) if deals else bound
            case mt5.TRADE_ACTION_SLTP:
                position, quote = self._position(asked)
                spec = self._engine.ledger.specs[position.listing]
                checks.check_levels(spec, position.side, *asked.levels, closing_price(position.side, quote))
            case mt5.TRADE_ACTION_MODIFY:
                order, quote = self._order(asked)
                spec = self._engine.ledger.specs[order.listing]
                checks.check_pending_price(spec, order.type, order.side, asked.price, quote)
                checks.check_levels(spec, order.side, *asked.levels, asked.price)
            case mt5.TRADE_ACTION_REMOVE:
                self._order(asked)
            case mt5.TRADE_ACTION_CLOSE_BY:
                number, by, _ = self._pair(asked)
                both = self._rules.position(number), self._rules.position(by)
                return -sum((self._bound(one, min(p.volume for p in both)) for one in both), ZERO)
            case _:
                raise Refusal(Retcode.INVALID, f"there is no action {asked.action}")
        return ZERO

    # -- by action -----------------------------------------------------------------------------------------------------

    def _deal(self, asked: Asked) -> Done:
        request, quote = self._rules.deal(asked)
        deal = self._done(self._engine.send(self._market.now_us(), request, quote, self._offset_s()), asked)
        assert isinstance(deal, Deal)
        retcode = mt5.TRADE_RETCODE_DONE_PARTIAL if deal.remaining else mt5.TRADE_RETCODE_DONE
        return Done(retcode, deal.deal, deal.ticket, deal.volume, deal.price, quote)

    def _place(self, asked: Asked) -> Done:
        request, quote = self._rules.pending(asked)
        placed = self._done(self._engine.send(self._market.now_us(), request, quote, self._offset_s()), asked)
        order = self._engine.orders[placed.ticket]
        return Done(order=order.ticket, volume=float(order.volume), price=order.price, quote=quote)

    def _move(self, asked: Asked) -> Done:
        position, quote = self._position(asked)
        now_us, (sl, tp) = self._market.now_us(), asked.levels
        self._done(
            self._engine.modify(now_us, position.order_no, position.number, sl, tp, quote, self._offset_s()), asked
        )
        return Done()

    def _amend(self, asked: Asked) -> Done:
        order, quote = self._order(asked)
        expires_ms = self._rules.expires_ms(asked, self._market.symbols[order.listing])
        now_us, (sl, tp) = self._market.now_us(), asked.levels
        self._done([amend(self._engine, now_us, order, asked.price, sl, tp, expires_ms, quote)], asked)
        self._book.amend(order.ticket, asked.type_time, self._stamp_s(expires_ms))
        return Done(order=order.ticket, price=order.price, quote=quote)

    def _remove(self, asked: Asked) -> Done:
        order, quote = self._order(asked)
        self._done(
            self._engine.remove(self._market.now_us(), order.order_no, quote, self._offset_s(), ticket=order.ticket),
            asked,
        )
        return Done(order=order.ticket, quote=quote)

    def _close_by(self, asked: Asked) -> Done:
        position, by, quote = self._pair(asked)
        deals = close_by(self._engine, asked.magic, position, by, quote)
        note = self._new(asked, mt5.ORDER_TYPE_CLOSE_BY, deals[0].volume, deals[0].listing)
        note.position_by_id = by
        self._book.note_close_by(deals, self._now_ms(), note)
        return Done(
            deal=deals[0].deal, order=deals[0].ticket, volume=deals[0].volume, price=deals[0].price, quote=quote
        )

    # -- inside --------------------------------------------------------------------------------------------------------

    def _taken(self, asked: Asked) -> Asked:
        """With lots as the server holds them, and the engine's number of its position in place of the ticket."""
        position = self._book.number(asked.position) if asked.position else 0
        return asked._replace(volume=round(asked.volume, _LOT_DIGITS), position=position)

    def _position(self, asked: Asked) -> tuple[Position, Quote]:
        """The position whose levels are meant: by its ticket, or on a netting account by its symbol."""
        net = None if asked.position else self._engine.net(asked.symbol)
        position = self._rules.position(asked.position) if net is None else net
        if asked.symbol not in ("", position.listing):
            raise Refusal(Retcode.INVALID, f"position {asked.position} is one of {position.listing}")
        return position, self._rules.priced(position.listing)[1]

    def _order(self, asked: Asked) -> tuple[Order, Quote]:
        order = self._engine.orders.get(asked.order)
        if order is None:
            raise Refusal(Retcode.INVALID_ORDER, f"order {asked.order} is not open")
        return order, self._rules.priced(order.listing)[1]

    def _pair(self, asked: Asked) -> tuple[int, int, Quote]:
        if self._engine.is_netting:
            raise Refusal(Retcode.INVALID_ORDER, "a netting account has no opposite positions")
        position = self._rules.position(asked.position)
        symbol, quote = self._rules.priced(position.listing)
        if not symbol.order_mode & mt5.SYMBOL_ORDER_CLOSEBY:
            raise Refusal(Retcode.INVALID_ORDER, f"positions of {position.listing} don't close each other")
        check_close_by(self._engine, asked.position, asked.position_by, quote)
        return asked.position, asked.position_by, quote

    def _freed(self, request: VenueRequest) -> Decimal:
        """The margin of what a deal closes."""
        held = self._rules.position(request.position) if request.position else self._engine.net(request.listing)
        if held is None or held.side is request.side:
            return ZERO
        return self._bound(held, min(exact(request.volume), held.volume))

    def _bound(self, position: Position, volume: Decimal) -> Decimal:
        """The margin of so many lots of it, as booked."""
        return self._engine.ledger.booked(position.margin * volume / position.volume)

    def _done(self, events: Sequence[Event], asked: Asked) -> Deal | Placed | Changed | Removed | Lapsed:
        """Books them; the first is what the request did."""
        first = events[0]
        if isinstance(first, Refused):
            raise Refusal(Retcode(first.retcode), first.why)
        self._book.note(events, self._now_ms(), self._new(asked, asked.type, asked.volume, asked.symbol, first.ticket))
        return first

    def _new(self, asked: Asked, type: int, volume: float, symbol: str, ticket: int = 0) -> OrderNote:
        order = self._engine.orders.get(ticket)
        sl, tp = asked.levels
        return OrderNote(
            setup_msc=self._book.stamp_msc(self._now_ms()), type=type, magic=asked.magic, symbol=symbol, volume=volume,
            reason=mt5.ORDER_REASON_EXPERT, comment=asked.comment, type_time=asked.type_time,
            type_filling=asked.type_filling, expiration=0 if order is None else self._stamp_s(order.expires_ms),
            sl=sl or 0.0, tp=tp or 0.0,
        )  # fmt: skip

    def _stamp_s(self, time_ms: int) -> int:
        return self._book.stamp_msc(time_ms) // 1000 if time_ms else 0

    def _now_ms(self) -> int:
        return self._market.now_us() // 1000

    def _offset_s(self) -> int:
        return self._market.offset_s(self._now_ms())
