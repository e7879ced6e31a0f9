"""Trade requests: what they ask, and what the server checks of them before the venue's engine has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from agents.money import ONE, ZERO, MissingRate, Quote, exact
from producers.terminal import constants as mt5
from producers.terminal.account import TradeAccount
from producers.terminal.market_view import MarketView, TradedSymbol
from schemas.events import Side
from schemas.trading import OrderType
from streams.venue.book import Filling, Position
from streams.venue.book import Request as VenueRequest
from streams.venue.engine import Engine
from streams.venue.retcodes import Refusal, Retcode

_DAY_S: Final = 86_400
_INSTANT: Final = (mt5.SYMBOL_TRADE_EXECUTION_REQUEST, mt5.SYMBOL_TRADE_EXECUTION_INSTANT)
_TYPES: Final = {
    mt5.ORDER_TYPE_BUY: (OrderType.MARKET, Side.LONG, mt5.SYMBOL_ORDER_MARKET),
    mt5.ORDER_TYPE_SELL: (OrderType.MARKET, Side.SHORT, mt5.SYMBOL_ORDER_MARKET),
    mt5.ORDER_TYPE_BUY_LIMIT: (OrderType.LIMIT, Side.LONG, mt5.SYMBOL_ORDER_LIMIT),
    mt5.ORDER_TYPE_SELL_LIMIT: (OrderType.LIMIT, Side.SHORT, mt5.SYMBOL_ORDER_LIMIT),
    mt5.ORDER_TYPE_BUY_STOP: (OrderType.STOP, Side.LONG, mt5.SYMBOL_ORDER_STOP),
    mt5.ORDER_TYPE_SELL_STOP: (OrderType.STOP, Side.SHORT, mt5.SYMBOL_ORDER_STOP),
}
"""Stop-limit orders are not offered."""
_FILLINGS: Final = {
    mt5.ORDER_FILLING_FOK: (Filling.FOK, mt5.SYMBOL_FILLING_FOK),
    mt5.ORDER_FILLING_IOC: (Filling.IOC, mt5.SYMBOL_FILLING_IOC),
}
_EXPIRATIONS: Final = {
    mt5.ORDER_TIME_GTC: mt5.SYMBOL_EXPIRATION_GTC,
    mt5.ORDER_TIME_DAY: mt5.SYMBOL_EXPIRATION_DAY,
    mt5.ORDER_TIME_SPECIFIED: mt5.SYMBOL_EXPIRATION_SPECIFIED,
    mt5.ORDER_TIME_SPECIFIED_DAY: mt5.SYMBOL_EXPIRATION_SPECIFIED_DAY,
}

WORDS: Final[Mapping[int, str]] = {
    0: "Done",
    10004: "Requote",
    10006: "Request rejected",
    10009: "Request executed",
    10010: "Request executed partially",
    10013: "Invalid request",
    10014: "Invalid volume",
    10015: "Invalid price",
    10016: "Invalid stops",
    10017: "Trade disabled",
    10018: "Market closed",
    10019: "No money",
    10021: "No prices",
    10022: "Invalid expiration",
    10025: "No changes",
    10026: "AutoTrading disabled by server",
    10027: "AutoTrading disabled by client",
    10029: "Order or position frozen",
    10030: "Unsupported filling mode",
    10033: "Limit of orders reached",
    10034: "Limit of volume reached",
    10035: "Invalid order",
    10036: "Position doesn't exist",
    10038: "Invalid close volume",
    10039: "Close order exists already",
    10042: "Only long positions allowed",
    10043: "Only short positions allowed",
    10044: "Only closing allowed",
    10045: "Close by FIFO only",
}
"""What the server says with a code; brokers' words differ."""


class Asked(NamedTuple):
    """A request as the client module sends it: TradeRequest's fields. Times on the server's clock, 0 = not given."""

    action: int
    magic: int
    order: int
    symbol: str
    volume: float
    price: float
    stoplimit: float
    sl: float
    tp: float
    deviation: int
    type: int
    type_filling: int
    type_time: int
    expiration: int
    comment: str
    position: int
    position_by: int

    @property
    def levels(self) -> tuple[float | None, float | None]:
        """Stop and target; 0 is none."""
        return self.sl or None, self.tp or None


class Rules:
    """The server's checks before a request is the engine's; all raise Refusal."""

    def __init__(self, market: MarketView, account: TradeAccount, engine: Engine) -> None:
        self.market, self.account, self.engine = market, account, engine

    def check_permission(self) -> None:
        """Whether the account may trade, and by a program."""
        if not self.account.trade_allowed:
            raise Refusal(Retcode.TRADE_DISABLED, "the account may not trade")
        if not self.account.trade_expert:
            raise Refusal(Retcode.SERVER_DISABLES_AT, "the server takes no orders of programs for the account")

    def priced(self, name: str) -> tuple[TradedSymbol, Quote]:
        """A symbol that can be traded now, and its quote; the engine is told what converts its money."""
        symbol = self.market.symbols.get(name)
        if symbol is None:
            raise Refusal(Retcode.INVALID, f"no symbol {name!r} is known")
        if symbol.trade_mode == mt5.SYMBOL_TRADE_MODE_DISABLED:
            raise Refusal(Retcode.TRADE_DISABLED, f"{name} can't be traded")
        quote = self.market.quote(name) if self.market.selected(name) else None
        if quote is None:
            raise Refusal(Retcode.PRICE_OFF, f"{name} isn't in the market watch or has no quote")
        if not self.market.is_open(name, self.market.now_us() // 1000):
            raise Refusal(Retcode.MARKET_CLOSED, f"the market of {name} is closed")
        self._convert(name, symbol, quote)
        return symbol, quote

    def tell_rates(self, symbol: TradedSymbol) -> None:
        """Tells the engine the quotes of what converts the symbol's money."""
        rates, spec = self.engine.ledger.rates, symbol.spec
        for currency in (spec.currency_profit, spec.currency_base, spec.commission_currency):
            converting = rates.listing_of(currency)
            quote = None if converting is None else self.market.quote(converting)
            if converting is not None and quote is not None:
                self.engine.quote(converting, quote)

    def _convert(self, name: str, symbol: TradedSymbol, quote: Quote) -> None:
        """No trade where its money can't be converted."""
        self.engine.quote(name, quote)
        self.tell_rates(symbol)
        rates, spec = self.engine.ledger.rates, symbol.spec
        try:
            rates.rate(spec.currency_profit, gain=True)
            self.engine.ledger.margin_of(name, ONE, quote.ask)
            if spec.commission_per_lot_side:
                rates.rate(spec.commission_currency, gain=False)
        except MissingRate as error:
            raise Refusal(Retcode.PRICE_OFF, str(error)) from error

    def deal(self, asked: Asked) -> tuple[VenueRequest, Quote]:
        """TRADE_ACTION_DEAL."""
        symbol, quote = self.priced(asked.symbol)
        type, side = self._type(asked, symbol, (OrderType.MARKET,))
        filling = self._filling(asked, symbol)
        position = self.position(asked.position) if asked.position else None
        self._check_direction(asked, symbol, side, position)
        if position is not None and self.account.fifo_close:
            self._check_first(position)
        if symbol.trade_exemode in _INSTANT:
            _check_deviation(asked, symbol, side, quote)
        sl, tp = asked.levels
        number = 0 if position is None else position.number
        request = VenueRequest(
            asked.magic, asked.symbol, type, side, asked.volume, None, sl, tp, number, filling=filling
        )  # fmt: skip
        return request, quote

    def pending(self, asked: Asked) -> tuple[VenueRequest, Quote]:
        """TRADE_ACTION_PENDING."""
        symbol, quote = self.priced(asked.symbol)
        type, side = self._type(asked, symbol, (OrderType.LIMIT, OrderType.STOP))
        self._check_pending_filling(asked, symbol, type)
        if self.account.limit_orders and len(self.engine.orders) >= self.account.limit_orders:
            raise Refusal(Retcode.LIMIT_ORDERS, f"{self.account.limit_orders} orders are open already")
        self._check_direction(asked, symbol, side, None)
        sl, tp = asked.levels
        expires_ms = self.expires_ms(asked, symbol)
        request = VenueRequest(
            asked.magic, asked.symbol, type, side, asked.volume, asked.price, sl, tp, 0, expires_ms
        )  # fmt: skip
        return request, quote

    def position(self, ticket: int) -> Position:
        """An open position by its number."""
        found = self.engine.ledger.positions.get(ticket)
        if found is None:
            raise Refusal(Retcode.POSITION_CLOSED, f"position {ticket} is not open")
        return found

    def expires_ms(self, asked: Asked, symbol: TradedSymbol) -> int:
        """When a pending order's time runs out, UTC; 0 = never. A day ends at midnight of the server's clock."""
        bit = _EXPIRATIONS.get(asked.type_time)
        if bit is None or not symbol.expiration_mode & bit:
            raise Refusal(Retcode.INVALID_EXPIRATION, f"{asked.symbol} has no orders of time {asked.type_time}")
        if asked.type_time == mt5.ORDER_TIME_GTC:
            return 0
        now_ms = self.market.now_us() // 1000
        offset_s = self.market.offset_s(now_ms)
        if asked.type_time == mt5.ORDER_TIME_DAY:
            ends_s = _next_day(now_ms // 1000 + offset_s)
        elif asked.type_time == mt5.ORDER_TIME_SPECIFIED_DAY:
            ends_s = _next_day(asked.expiration)
        else:
            ends_s = asked.expiration
        # The clock may be set before then: what counts is its reading at that time.
        return (ends_s - self.market.offset_s((ends_s - offset_s) * 1000)) * 1000

    def _type(self, asked: Asked, symbol: TradedSymbol, allowed: tuple[OrderType, ...]) -> tuple[OrderType, Side]:
        type, side, bit = _TYPES.get(asked.type, (OrderType.UNKNOWN, Side.UNKNOWN, 0))
        if type not in allowed or not symbol.order_mode & bit:
            raise Refusal(Retcode.INVALID_ORDER, f"{asked.symbol} takes no orders of type {asked.type} here")
        for given, level in ((asked.sl, mt5.SYMBOL_ORDER_SL), (asked.tp, mt5.SYMBOL_ORDER_TP)):
            if given and not symbol.order_mode & level:
                raise Refusal(Retcode.INVALID_STOPS, f"{asked.symbol} takes no stop or no target")
        return type, side

    def _filling(self, asked: Asked, symbol: TradedSymbol) -> Filling:
        """Of a market order, by MetaTrader 5's table of execution and filling modes."""
        filling, bit = _FILLINGS.get(asked.type_filling, (Filling.RETURN, 0))
        if asked.type_filling == mt5.ORDER_FILLING_RETURN:
            fits = symbol.trade_exemode != mt5.SYMBOL_TRADE_EXECUTION_MARKET
        else:
            fits = bool(bit) and (symbol.trade_exemode in _INSTANT or bool(symbol.filling_mode & bit))
        if not fits:
            raise Refusal(Retcode.INVALID_FILL, f"{asked.symbol} has no orders of filling {asked.type_filling}")
        return filling

    def _check_pending_filling(self, asked: Asked, symbol: TradedSymbol, type: OrderType) -> None:
        """RETURN is always right, a book-or-cancel order is a limit; the others as for market orders."""
        if asked.type_filling == mt5.ORDER_FILLING_RETURN:
            return
        if asked.type_filling == mt5.ORDER_FILLING_BOC:
            if type is not OrderType.LIMIT or not symbol.filling_mode & mt5.SYMBOL_FILLING_BOC:
                raise Refusal(Retcode.INVALID_FILL, f"{asked.symbol} has no such book-or-cancel orders")
            return
        self._filling(asked, symbol)

    def _check_direction(self, asked: Asked, symbol: TradedSymbol, side: Side, position: Position | None) -> None:
        """Whether the symbol may be traded that way, and that much of it."""
        if not math.isfinite(asked.volume):
            raise Refusal(Retcode.INVALID_VOLUME, f"{asked.volume} lots are no volume")
        name, volume = asked.symbol, exact(asked.volume)
        net = self.engine.net(name)
        if position is not None or (net is not None and net.side is not side and volume <= net.volume):
            return
        if symbol.trade_mode == mt5.SYMBOL_TRADE_MODE_CLOSEONLY:
            raise Refusal(Retcode.CLOSE_ONLY, f"positions of {name} can only be closed")
        if symbol.trade_mode == mt5.SYMBOL_TRADE_MODE_LONGONLY and side is Side.SHORT:
            raise Refusal(Retcode.LONG_ONLY, f"{name} can only be bought")
        if symbol.trade_mode == mt5.SYMBOL_TRADE_MODE_SHORTONLY and side is Side.LONG:
            raise Refusal(Retcode.SHORT_ONLY, f"{name} can only be sold")
        if symbol.volume_limit:
            held = sum((p.volume for p in self.engine.positions_of(name) if p.side is side), ZERO)
            waiting = sum((o.volume for o in self.engine.orders_of(name) if o.side is side), ZERO)
            if held + waiting + volume > exact(symbol.volume_limit):
                raise Refusal(
                    Retcode.LIMIT_VOLUME, f"more than {symbol.volume_limit:g} lots of {name} in one direction"
                )

    def _check_first(self, position: Position) -> None:
        for other in self.engine.positions_of(position.listing):
            if other.side is position.side:
                if other.number != position.number:
                    raise Refusal(Retcode.FIFO_CLOSE, f"position {other.number} is older and is to be closed first")
                return


def _check_deviation(asked: Asked, symbol: TradedSymbol, side: Side, quote: Quote) -> None:
    """Instant execution is at the price asked for, or not farther from it than the deviation, in points."""
    market = quote.ask if side is Side.LONG else quote.bid
    if not math.isfinite(asked.price) or asked.price <= 0:
        raise Refusal(Retcode.INVALID_PRICE, f"a price is asked for, not {asked.price}")
    if abs(exact(market) - exact(asked.price)) > Decimal(asked.deviation).scaleb(-symbol.spec.digits):
        raise Refusal(Retcode.REQUOTE, f"{asked.price} was asked for, the market is at {market}")


def _next_day(server_s: int) -> int:
    return (server_s // _DAY_S + 1) * _DAY_S
