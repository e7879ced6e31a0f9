"""A market that a test sets by hand, symbols of it, and a client module over its trade server."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from agents.money import Quote
from producers.terminal import constants as mt5
from producers.terminal.account import TradeAccount
from producers.terminal.module import Mt5Module
from producers.terminal.server import TradeServer
from producers.terminal.symbols import ORDER_MODE
from schemas.events import ListingSpec
from streams.venue.model import VenueModel
from streams.venue.watch import Market as Columns
from tests.unit.streams.venue.venues import START_MS, spec

EURUSD, USDJPY, EURGBP = "EURUSD", "USDJPY", "EURGBP"
OFFSET_S = 7200
"""The server's clock before UTC."""


@dataclass
class Symbol:
    """As SymbolDefinition, as far as trading looks at it."""

    spec: ListingSpec
    trade_mode: int = mt5.SYMBOL_TRADE_MODE_FULL
    trade_exemode: int = mt5.SYMBOL_TRADE_EXECUTION_MARKET
    filling_mode: int = mt5.SYMBOL_FILLING_IOC
    order_mode: int = ORDER_MODE
    expiration_mode: int = 15
    volume_limit: float = 0.0


@dataclass
class HandMarket:
    """Time and quotes are what the test says."""

    symbols: dict[str, Symbol]
    now: int = START_MS * 1000
    quotes: dict[str, Quote] = field(default_factory=dict)
    closed: bool = False
    hidden: set[str] = field(default_factory=set)
    offset: int = OFFSET_S

    def now_us(self) -> int:
        return self.now

    def offset_s(self, time_ms: int) -> int:
        return self.offset

    def quote(self, symbol: str) -> Quote | None:
        return self.quotes.get(symbol)

    def is_open(self, symbol: str, time_ms: int) -> bool:
        return not self.closed

    def selected(self, symbol: str) -> bool:
        return symbol not in self.hidden


class Desk:
    """A client of a trade server in the same process, with the market in its hands."""

    def __init__(
        self, *symbols: Symbol, model: VenueModel | None = None, account: TradeAccount | None = None, **terms: Any
    ) -> None:
        listed = symbols or (Symbol(spec(EURUSD)),)
        self.market = HandMarket({symbol.spec.listing: symbol for symbol in listed})
        self.account = account or TradeAccount(**{"balance": Decimal("10000.00"), **terms})
        self.market.quotes[EURUSD] = Quote(1.10000, 1.10010, 0, START_MS)
        self.server = TradeServer(self.market, self.account, model)
        self.asked: list[str] = []
        self.mt5: Any = Mt5Module(self)
        assert self.mt5.initialize()

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout_s: float | None) -> Any:
        """As a transport."""
        self.asked.append(name)
        if name in ("initialize", "shutdown"):
            return True
        if name == "symbol_info_tick":
            quote = self.market.quotes[args[0]]
            return quote.time_ms // 1000, quote.bid, quote.ask, 0.0, 0, quote.time_ms, 6, 0.0
        return getattr(self.server, name)(*args, **kwargs)

    def tick(self, bid: float, ask: float, after_s: float = 1.0, symbol: str = EURUSD, quality: int = 0) -> None:
        """A tick so many seconds after now, which is now then."""
        self.market.now += int(after_s * 1_000_000)
        time_ms = self.market.now // 1000
        newest = self.market.quotes.get(symbol, Quote(0.0, 0.0, -1))
        n = newest.n + 1
        self.market.quotes[symbol] = Quote(bid, ask, n, time_ms)
        columns = Columns(
            n, OFFSET_S, np.array([time_ms], np.int64), np.array([bid]), np.array([ask]), np.array([quality], np.int32)
        )
        self.server.on_ticks(symbol, columns, 0, 1)

    def send(self, **changed: Any) -> Any:
        """A market order of 0.1 lots EURUSD to buy, unless the request says otherwise."""
        return self.mt5.order_send(self.request(**changed))

    def request(self, **changed: Any) -> dict[str, Any]:
        return {
            "action": mt5.TRADE_ACTION_DEAL, "symbol": EURUSD, "volume": 0.1, "type": mt5.ORDER_TYPE_BUY,
            "type_filling": mt5.ORDER_FILLING_IOC, "magic": 7, "comment": "tl7", **changed,
        }  # fmt: skip

    def pend(self, price: float, type: int = mt5.ORDER_TYPE_BUY_LIMIT, **changed: Any) -> Any:
        """A pending order of 0.1 lots EURUSD."""
        return self.send(
            action=mt5.TRADE_ACTION_PENDING, type=type, price=price, type_filling=mt5.ORDER_FILLING_RETURN, **changed
        )

    def deals(self) -> Any:
        """All deals but the balance."""
        return self.mt5.history_deals_get(0, 2**31 - 1)[1:]
