"""The simulated trade server: MetaTrader 5's requests, positions, orders and history over the venue's engine."""

from __future__ import annotations

from typing import Any

from producers.terminal.account import TradeAccount
from producers.terminal.market_view import MarketView
from streams.venue.engine import Engine
from streams.venue.model import VenueModel
from streams.venue.watch import Columns

Row = tuple[Any, ...]


class TradeServer:
    """One account's orders, positions and deals.

    Answers of calls are plain tuples in the order of MetaTrader5's structures; they raise TerminalFailure. Requests
    arrive at the market's time now, ticks come by `on_ticks`. Not thread-safe.
    """

    def __init__(self, market: MarketView, account: TradeAccount, model: VenueModel | None = None) -> None:
        """A fresh account: its first deal, at the market's time now, is the balance."""
        self.market, self.account = market, account
        self.algo_trading = True
        """The terminal's button; without it requests of programs are refused (10027)."""
        self.api_trading = True
        """The terminal's option for Python; without it `order_send` fails (-8)."""
        self.changes = 0
        """Counts whatever changed what `dump` says, so that its caller knows when to keep it."""
        self.engine = Engine(
            {name: symbol.spec for name, symbol in market.symbols.items()},
            account.config(market.symbols.items()),
            model or VenueModel(),
        )

    # -- ticks ---------------------------------------------------------------------------------------------------------

    def on_ticks(self, symbol: str, columns: Columns, start: int, end: int) -> None:
        """Ticks [start, end) of a symbol happen, its next after those told before; times in UTC.

        `columns.time_ms` must not fall; ticks of several symbols come in the order of time, cut as fine as that needs
        where `watches` says that they matter.
        """
        raise NotImplementedError

    def watches(self, symbol: str) -> bool:
        """Whether ticks of the symbol can change anything: something of it is open, or it converts what is."""
        raise NotImplementedError

    # -- the account ---------------------------------------------------------------------------------------------------

    def account_info(self) -> Row:
        raise NotImplementedError

    def positions_total(self) -> int:
        raise NotImplementedError

    def positions_get(
        self, *, ticket: int | None = None, symbol: str | None = None, group: str | None = None
    ) -> tuple[Row, ...]:
        raise NotImplementedError

    def orders_total(self) -> int:
        raise NotImplementedError

    def orders_get(
        self, *, ticket: int | None = None, symbol: str | None = None, group: str | None = None
    ) -> tuple[Row, ...]:
        raise NotImplementedError

    # -- history -------------------------------------------------------------------------------------------------------

    def history_orders_total(self, date_from: int, date_to: int) -> int:
        raise NotImplementedError

    def history_orders_get(
        self,
        date_from: int | None = None,
        date_to: int | None = None,
        *,
        ticket: int | None = None,
        position: int | None = None,
        group: str | None = None,
    ) -> tuple[Row, ...]:
        raise NotImplementedError

    def history_deals_total(self, date_from: int, date_to: int) -> int:
        raise NotImplementedError

    def history_deals_get(
        self,
        date_from: int | None = None,
        date_to: int | None = None,
        *,
        ticket: int | None = None,
        position: int | None = None,
        group: str | None = None,
    ) -> tuple[Row, ...]:
        raise NotImplementedError

    # -- requests ------------------------------------------------------------------------------------------------------

    def order_check(self, request: Row) -> Row:
        raise NotImplementedError

    def order_send(self, request: Row) -> Row:
        raise NotImplementedError

    def order_calc_margin(self, action: int, symbol: str, volume: float, price: float) -> float:
        raise NotImplementedError

    def order_calc_profit(
        self, action: int, symbol: str, volume: float, price_open: float, price_close: float
    ) -> float:
        raise NotImplementedError

    # -- state ---------------------------------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """Account, orders, positions and history as bytes."""
        raise NotImplementedError

    def load(self, data: bytes) -> None:
        """Goes on from a dump. Raises BadState."""
        raise NotImplementedError
