"""The simulated trade server: MetaTrader 5's calls about an account, over the venue's engine."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final

from agents import money
from agents.money import MissingRate
from infra.errors import BadFile
from producers.terminal import constants as mt5
from producers.terminal.account import TradeAccount
from producers.terminal.book import Book
from producers.terminal.failure import invalid_params, no_api_trading, not_found
from producers.terminal.history import Row
from producers.terminal.market_view import MarketView
from producers.terminal.requests import WORDS, Asked, Rules
from producers.terminal.serving import NO_QUOTE, Done, Requests
from schemas.events import Side
from streams.venue import state
from streams.venue.engine import Engine
from streams.venue.follower import Follower, last_quote
from streams.venue.model import VenueModel
from streams.venue.retcodes import Refusal, Retcode
from streams.venue.watch import Columns

_VERSION: Final = 1
_FIRST_ORDER: Final = 50_000_000
_FIRST_DEAL: Final = 40_000_000
_MARKET_ORDERS: Final = (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL)
_ORDERS: Final = range(mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_CLOSE_BY)


class TradeServer:
    """One account's orders, positions and deals.

    Answers of calls are plain tuples in the order of MetaTrader5's structures; they raise TerminalFailure. Requests
    arrive at the market's time now, ticks come by `on_ticks`. A request's magic is the venue's order number, so that
    what its model draws is drawn as in the laboratory. Not thread-safe.
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
        specs = {name: symbol.spec for name, symbol in market.symbols.items()}
        self.engine = Engine(specs, account.config(market.symbols.items()), model or VenueModel())
        self.engine.tickets, self.engine.deals = _FIRST_ORDER, _FIRST_DEAL
        self._follower = Follower(self.engine)
        self._rules = Rules(market, account, self.engine)
        self._book = Book(market, self.engine)
        self._server = Requests(market, self.engine, self._rules, self._book)
        self._served = 0
        self._book.book_balance(market.now_us() // 1000)

    # -- ticks ---------------------------------------------------------------------------------------------------------

    def on_ticks(self, symbol: str, columns: Columns, start: int, end: int) -> None:
        """Ticks [start, end) of a symbol happen, its next after those told before; times in UTC.

        `columns.time_ms` must not fall. Of symbols that `watches` says matter, ticks come in the order of time, those
        of one symbol together as long as no other one's is between.
        """
        index, follower = start, self._follower
        while index < end and self.watches(symbol):
            index = follower.find(symbol, columns, index, end)
            if index == end:
                break
            self._tell_quotes(symbol)
            events = follower.apply(symbol, columns, index)
            self._book.note(events, int(columns.time_ms[index]))
            # Nights are charged and margin calls noted without an event.
            self.changes += 1
            index += 1
        newest = last_quote(columns, start, end)
        if newest is not None:
            follower.quote(symbol, newest)

    def watches(self, symbol: str) -> bool:
        """Whether ticks of the symbol can change anything: something of it is open, or it converts what is."""
        return symbol in self.engine.open_listings

    # -- the account ---------------------------------------------------------------------------------------------------

    def account_info(self) -> Row:
        """AccountInfo."""
        self._tell_quotes()
        own, ledger = self.account, self.engine.ledger
        balance, equity, margin = ledger.balance, ledger.equity, ledger.margin
        return (
            own.login, own.trade_mode, own.leverage, own.limit_orders, mt5.ACCOUNT_STOPOUT_MODE_PERCENT,
            own.trade_allowed, own.trade_expert, own.margin_mode, own.currency_digits, own.fifo_close,
            float(balance), 0.0, float(equity - balance), float(equity), float(margin), float(equity - margin),
            _level(equity, margin), own.margin_so_call, own.margin_so_so, 0.0, 0.0, 0.0, 0.0, 0.0, own.name,
            own.server, own.currency, own.company,
        )  # fmt: skip

    def positions_total(self) -> int:
        """How many are open."""
        return len(self.engine.ledger.positions)

    def positions_get(
        self, *, ticket: int | None = None, symbol: str | None = None, group: str | None = None
    ) -> tuple[Row, ...]:
        """TradePosition of each, oldest first."""
        self._tell_quotes()
        return self._book.positions(ticket, symbol, group)

    def orders_total(self) -> int:
        """How many are open."""
        return len(self.engine.orders)

    def orders_get(
        self, *, ticket: int | None = None, symbol: str | None = None, group: str | None = None
    ) -> tuple[Row, ...]:
        """TradeOrder of each that is pending or being filled, oldest first."""
        return self._book.orders(ticket, symbol, group)

    def holds(self, symbol: str) -> bool:
        """Whether a position or an order of the symbol is open, so that it stays in the market watch."""
        return bool(self.engine.positions_of(symbol) or self.engine.orders_of(symbol))

    # -- history -------------------------------------------------------------------------------------------------------

    def history_orders_total(self, date_from: int, date_to: int) -> int:
        """How many orders were done then."""
        return sum(1 for _ in self._book.past_orders.between(date_from, date_to))

    def history_orders_get(
        self,
        date_from: int | None = None,
        date_to: int | None = None,
        *,
        ticket: int | None = None,
        position: int | None = None,
        group: str | None = None,
    ) -> tuple[Row, ...]:
        """TradeOrder of each that was done then, that has the ticket, or that is of the position."""
        return self._book.past_orders.get(date_from, date_to, ticket, position, group)

    def history_deals_total(self, date_from: int, date_to: int) -> int:
        """How many deals there were then."""
        return sum(1 for _ in self._book.past_deals.between(date_from, date_to))

    def history_deals_get(
        self,
        date_from: int | None = None,
        date_to: int | None = None,
        *,
        ticket: int | None = None,
        position: int | None = None,
        group: str | None = None,
    ) -> tuple[Row, ...]:
        """TradeDeal of each that was made then, that is of the order with the ticket, or of the position."""
        return self._book.past_deals.get(date_from, date_to, ticket, position, group)

    # -- requests ------------------------------------------------------------------------------------------------------

    def order_send(self, request: Row) -> Row:
        """OrderSendResult; the request arrives now."""
        if not self.api_trading:
            raise no_api_trading()
        asked, number = Asked(*request), 0
        try:
            self._check_permission()
            done = self._server.serve(asked)
            self._served = number = self._served + 1
            self.changes += 1
        except Refusal as refusal:
            quote = self.market.quote(asked.symbol) if refusal.retcode is Retcode.REQUOTE else None
            done = Done(refusal.retcode, quote=quote or NO_QUOTE)
        return (
            int(done.retcode), done.deal, done.order, done.volume, done.price, done.quote.bid, done.quote.ask,
            WORDS[done.retcode], number, 0, request,
        )  # fmt: skip

    def order_check(self, request: Row) -> Row:
        """OrderCheckResult: retcode 0 and the account as it would be, or why it would be refused and zeros; where money
        is short, both the code and the account."""
        code = 0
        try:
            self._check_permission()
            change = self._server.preview(Asked(*request))
        except Refusal as refusal:
            code = int(refusal.retcode)
            if refusal.margin is None:
                return code, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, WORDS[code], request
            change = refusal.margin
        self._tell_quotes()
        ledger = self.engine.ledger
        balance, equity, margin = ledger.balance, ledger.equity, ledger.margin + change
        return (
            code, float(balance), float(equity), float(equity - balance), float(margin), float(equity - margin),
            _level(equity, margin), WORDS[code], request,
        )  # fmt: skip

    def order_calc_margin(self, action: int, symbol: str, volume: float, price: float) -> float:
        """What an order would bind once it is filled, in the account's currency; pending ones as market orders."""
        with self._calculated(action in _ORDERS, symbol, volume, price):
            return float(self.engine.ledger.margin_of(symbol, money.exact(volume), price))

    def order_calc_profit(
        self, action: int, symbol: str, volume: float, price_open: float, price_close: float
    ) -> float:
        """What a market order would bring from one price to the other before costs, in the account's currency."""
        ledger, side = self.engine.ledger, Side.LONG if action == mt5.ORDER_TYPE_BUY else Side.SHORT
        with self._calculated(action in _MARKET_ORDERS, symbol, volume, price_open, price_close):
            spec = ledger.specs[symbol]
            return float(ledger.booked(money.profit(spec, side, volume, price_open, price_close, ledger.rates)))

    # -- state ---------------------------------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """Account, orders, positions and history as bytes; equal states give equal bytes."""
        book = self._book
        kept = json.dumps(
            {
                "version": _VERSION,
                "login": self.account.login,
                "served": self._served,
                "venue": state.dump(self.engine, 0).decode(),
                **book.dump(),
            },
            separators=(",", ":"),
        )
        return f'{kept[:-1]},"past_orders":{book.past_orders.text()},"past_deals":{book.past_deals.text()}}}'.encode()

    def load(self, data: bytes) -> None:
        """Goes on from a dump of the same account and symbols. Raises BadFile."""
        try:
            kept = json.loads(data)
            if (kept["version"], kept["login"]) != (_VERSION, self.account.login):
                raise BadFile(
                    f"the terminal's state is of version {kept['version']} and login {kept['login']}, "
                    f"not {_VERSION} and {self.account.login}"
                )
            state.load(self.engine, kept["venue"].encode())
            self._book.load(kept)
            self._served = int(kept["served"])
        except (state.BadState, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadFile(f"the terminal's state can't be read: {error!r}") from error

    # -- inside --------------------------------------------------------------------------------------------------------

    def _check_permission(self) -> None:
        """Raises Refusal unless the terminal and the account let programs trade."""
        if not self.algo_trading:
            raise Refusal(Retcode.CLIENT_DISABLES_AT, "algorithmic trading is off in the terminal")
        self._rules.check_permission()

    def _tell_quotes(self, but: str = "") -> None:
        """Tells the engine the newest quotes of what moves the account's equity; all listings but one."""
        for listing in self.engine.ledger.watched():
            quote = None if listing == but else self.market.quote(listing)
            if quote is not None:
                self.engine.quote(listing, quote)

    @contextmanager
    def _calculated(self, fits: bool, name: str, *numbers: float) -> Iterator[None]:
        """Around a calculation; what can't be calculated fails as a call. `fits`: it is one of this kind of order."""
        symbol = self.market.symbols.get(name)
        if symbol is None:
            raise not_found()
        if not fits or not all(math.isfinite(number) and number > 0 for number in numbers):
            raise invalid_params()
        self._rules.tell_rates(symbol)
        try:
            yield
        except MissingRate:
            raise not_found() from None


def _level(equity: Decimal, margin: Decimal) -> float:
    """Percent; 0 when nothing binds margin."""
    return round(float(equity / margin * 100), 2) if margin else 0.0
