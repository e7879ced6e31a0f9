"""What the desk asks, as requests of MetaTrader 5: pure, one function a kind.

A request's prices and volumes are `float`, all other numbers plain `int`: the package takes nothing else. The order's
number is the `magic`; the comment `tl<number>` is second evidence.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from producers.gateway.codes import (
    SPECIFIED_BIT,
    Action,
    Execution,
    Filling,
    FillingBit,
    Kind,
    Lifetime,
    Retcode,
    Traded,
)
from producers.mt5 import SymbolInfo, TradePosition
from schemas.events import Side
from schemas.trading import OrderPurpose, OrderType, Submitted

DEVIATION_POINTS: Final = 10
"""How far a price may have moved where the broker deals at the price asked for (instant execution)."""

MAX_ORDER_NO: Final = 2**31 - 1
"""MT5's magic is written with 32 bits by parts of the package."""

FLATTENED: Final = "tl-flatten"
"""The comment of what a direct flattening closes: of no order of the desk, so its magic is 0."""

STOPPED: Final = "tl-stop"
"""The comment of what the gateway closes in place of a stop that was lost."""

_COMMENT: Final = re.compile(r"tl([1-9][0-9]{0,9})")

_KINDS: Final = {
    (OrderType.MARKET, Side.LONG): Kind.BUY,
    (OrderType.MARKET, Side.SHORT): Kind.SELL,
    (OrderType.LIMIT, Side.LONG): Kind.BUY_LIMIT,
    (OrderType.LIMIT, Side.SHORT): Kind.SELL_LIMIT,
    (OrderType.STOP, Side.LONG): Kind.BUY_STOP,
    (OrderType.STOP, Side.SHORT): Kind.SELL_STOP,
}


class Impossible(Exception):
    """What is asked can't be put to the terminal; as if the broker had refused it with this code."""

    def __init__(self, retcode: Retcode, why: str) -> None:
        super().__init__(why)
        self.retcode, self.why = retcode, why


def comment_of(order_no: int) -> str:
    """The comment of an order of ours."""
    return f"tl{order_no}"


def number_in(magic: int, comment: str) -> int:
    """The order's number that something at the terminal names: by magic, else by its comment; 0 = none."""
    if magic > 0:
        return magic
    found = _COMMENT.fullmatch(comment)
    return int(found[1]) if found else 0


def place_request(
    order: Submitted, symbol: SymbolInfo, quote: tuple[float, float], expires_server_s: int
) -> dict[str, Any]:
    """The request of a new order, at `quote` (bid, ask). `expires_server_s`: on the server's clock, 0 = never.

    What it closes isn't in it yet: the ticket of that position. Raises Impossible.
    """
    kind = _KINDS.get((order.type, order.side))
    if kind is None:
        raise Impossible(Retcode.INVALID, f"a {order.type} order to go {order.side} can't be asked for")
    if not 0 < order.order_no <= MAX_ORDER_NO:
        raise Impossible(Retcode.INVALID, f"the number {order.order_no} doesn't fit into a magic: it ends at 2^31 - 1")
    request: dict[str, Any] = {
        "symbol": symbol.name,
        "volume": float(order.volume),
        "type": int(kind),
        "sl": level(order.sl, symbol),
        "tp": level(order.tp, symbol),
        "magic": order.order_no,
        "comment": comment_of(order.order_no),
    }
    if order.type is OrderType.MARKET:
        request |= {"action": int(Action.DEAL), "type_filling": int(market_filling(symbol)), "type_time": 0}
        if names_price(symbol):
            request |= {"price": quote[kind is Kind.BUY], "deviation": DEVIATION_POINTS}
        return request
    if order.purpose is OrderPurpose.EXIT or order.position:
        raise Impossible(Retcode.INVALID, "only a market order closes a position")
    if order.price is None:
        raise Impossible(Retcode.INVALID, f"a {order.type} order needs a price")
    request |= {
        "action": int(Action.PENDING),
        "price": on_grid(order.price, symbol),
        "type_filling": int(Filling.RETURN),
        "type_time": int(Lifetime.GTC),
    }
    if expires_server_s:
        if not symbol.expiration_mode & SPECIFIED_BIT:
            raise Impossible(
                Retcode.INVALID_EXPIRATION,
                f"the broker takes no order of {symbol.name} that ends at a given time: use orders without one there",
            )
        request |= {"type_time": int(Lifetime.SPECIFIED), "expiration": expires_server_s}
    return request


def levels_request(ticket: int, symbol: SymbolInfo, sl: float | None, tp: float | None) -> dict[str, Any]:
    """The request that gives a position both levels, None = none."""
    return {
        "action": int(Action.SLTP),
        "symbol": symbol.name,
        "position": ticket,
        "sl": level(sl, symbol),
        "tp": level(tp, symbol),
    }


def close_request(
    position: TradePosition, symbol: SymbolInfo, quote: tuple[float, float], comment: str
) -> dict[str, Any]:
    """The request that closes a position at the market, at `quote` (bid, ask); of one that is larger than an order may
    be, as much as one order closes.

    It is of no order of the desk, so its magic is 0. It names the position, so that a second one can't reverse it.
    Raises Impossible.
    """
    kind = Kind.SELL if position.type == Traded.BUY else Kind.BUY
    request: dict[str, Any] = {
        "action": int(Action.DEAL),
        "symbol": symbol.name,
        "volume": float(min(position.volume, symbol.volume_max or position.volume)),
        "type": int(kind),
        "type_filling": int(market_filling(symbol)),
        "position": position.ticket,
        "magic": 0,
        "comment": comment,
    }
    if names_price(symbol):
        request |= {"price": quote[kind is Kind.BUY], "deviation": DEVIATION_POINTS}
    return request


def remove_request(ticket: int) -> dict[str, Any]:
    """The request that takes a pending order back."""
    return {"action": int(Action.REMOVE), "order": ticket}


def names_price(symbol: SymbolInfo) -> bool:
    """Whether a market order in the symbol says at what price: that is how its broker executes."""
    return symbol.trade_exemode in (Execution.REQUEST, Execution.INSTANT)


def market_filling(symbol: SymbolInfo) -> Filling:
    """How a market order is to be filled: as much as there is, where the symbol allows that. Raises Impossible.

    `filling_mode` counts only where the broker executes at the market or on an exchange.
    """
    allowed = FillingBit(symbol.filling_mode & 3)
    if names_price(symbol) or FillingBit.IOC in allowed:
        return Filling.IOC
    if FillingBit.FOK in allowed:
        return Filling.FOK
    if symbol.trade_exemode == Execution.EXCHANGE:
        return Filling.RETURN
    raise Impossible(Retcode.INVALID_FILL, f"{symbol.name} allows no filling mode for market orders")


def level(price: float | None, symbol: SymbolInfo) -> float:
    """A stop or target as a request has it; 0 = none."""
    return 0.0 if price is None else on_grid(price, symbol)


def on_grid(price: float, symbol: SymbolInfo) -> float:
    """The nearest price that the symbol can have."""
    step = Decimal(repr(float(symbol.trade_tick_size or symbol.point or 10.0**-symbol.digits)))
    exact = Decimal(repr(float(price)))
    return float((exact / step).quantize(Decimal(1), ROUND_HALF_UP) * step)
