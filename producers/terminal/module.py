"""The module object that stands for MetaTrader5: its functions, constants and structures over a way to a terminal.

`sys.modules["MetaTrader5"] = Mt5Module(transport)` makes any program of that package run against the terminal. It
checks arguments, keeps `last_error` and makes the structures; what they hold comes from the terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final, Protocol

from producers.terminal import arguments as rules
from producers.terminal import structures
from producers.terminal.arguments import BadArgument, Values, positional
from producers.terminal.constants import CONSTANTS
from producers.terminal.failure import TerminalFailure, no_connection
from producers.terminal.structures import STRUCTURES

_SUCCESS: Final = (CONSTANTS["RES_S_OK"], "Success")
_TIMEOUT_MS: Final = 60_000
_TRIES: Final = 10
_DEVIATION: Final = 10
_AGAIN: Final = (CONSTANTS["TRADE_RETCODE_REQUOTE"], CONSTANTS["TRADE_RETCODE_PRICE_OFF"])

Parse = Callable[[tuple[Any, ...], Mapping[str, Any]], Values]


class Transport(Protocol):
    """The way to a terminal."""

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout_s: float | None) -> Any:
        """What the terminal answers: plain values, tuples in the order of the structures, NumPy arrays.

        Arguments come checked and in one form each (`producers.terminal.arguments`): dates are whole seconds of the
        server's clock, a request is a tuple in the order of TradeRequest, a choice of positions is one named argument
        or none. Raises TerminalFailure.
        """
        ...


class Mt5Module(ModuleType):
    """One connection, as the package has one in a process. Calls before `initialize` fail with -10004."""

    __version__: str
    __author__: str

    def __init__(self, transport: Transport) -> None:
        super().__init__("MetaTrader5", "MetaTrader 5, simulated")
        self.__version__, self.__author__ = "5.0.6231", "MetaQuotes Ltd."
        # Without one `importlib.util.find_spec` fails for a module that is there.
        self.__spec__ = ModuleSpec(self.__name__, None)
        self._transport = transport
        self._connected = False
        self._timeout_s = _TIMEOUT_MS / 1000
        self._error: tuple[int, str] = _SUCCESS
        self.__dict__.update(CONSTANTS)
        self.__dict__.update({kind.__name__: kind for kind in STRUCTURES})
        # Where a module has its functions, so that `dir` and `from MetaTrader5 import *` find them.
        self.__dict__.update({name: getattr(self, name) for name in vars(Mt5Module) if not name.startswith("_")})

    # -- connection ----------------------------------------------------------------------------------------------------

    def initialize(self, *args: Any, **kwargs: Any) -> bool:
        """initialize([path], *, login, server, password, timeout, portable): True, or False and `last_error`."""

        def parse(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Values:
            values = rules.connection(args, kwargs)
            self._timeout_s = values[1].get("timeout", _TIMEOUT_MS) / 1000
            # What it doesn't take never reaches the terminal, and leaves the connection that is there.
            self._connected = False
            return values

        done = bool(self._ask("initialize", parse, args, kwargs, failed=False, connected=True))
        self._connected = self._connected or done
        return done

    def login(self, *args: Any, **kwargs: Any) -> bool:
        """login(login[, password[, server]], *, login, password, server, timeout): True, or False and `last_error`."""
        return bool(self._ask("login", rules.credentials, args, kwargs, failed=False))

    def shutdown(self) -> bool:
        """True, whatever was there to close."""
        if self._connected:
            self._ask("shutdown", positional(), (), {})
        self._connected, self._error = False, _SUCCESS
        return True

    def last_error(self) -> tuple[int, str]:
        """Code and text of the last call; (1, "Success")."""
        return self._error

    def version(self) -> Any:
        """(500, build, date), or None."""
        return self._ask("version", positional(), (), {}, tuple)

    def terminal_info(self) -> Any:
        """TerminalInfo or None."""
        return self._ask("terminal_info", positional(), (), {}, structures.TerminalInfo)

    def account_info(self) -> Any:
        """AccountInfo or None."""
        return self._ask("account_info", positional(), (), {}, structures.AccountInfo)

    # -- symbols and prices --------------------------------------------------------------------------------------------

    def symbols_total(self) -> Any:
        """How many symbols there are, or None."""
        return self._ask("symbols_total", positional(), (), {})

    def symbols_get(self, *args: Any, **kwargs: Any) -> Any:
        """symbols_get([group]): SymbolInfo of each, or None."""
        return self._ask("symbols_get", rules.one_group, args, kwargs, _all(structures.SymbolInfo))

    def symbol_info(self, *args: Any) -> Any:
        """symbol_info(symbol): SymbolInfo or None."""
        return self._ask("symbol_info", positional(rules.name), args, {}, structures.SymbolInfo)

    def symbol_info_tick(self, *args: Any) -> Any:
        """symbol_info_tick(symbol): Tick or None."""
        return self._ask("symbol_info_tick", positional(rules.name), args, {}, structures.Tick)

    def symbol_select(self, *args: Any) -> bool:
        """symbol_select(symbol[, enable]): True, or False and `last_error`."""

        def parse(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Values:
            values, _ = positional(rules.name, rules.flag, optional=1)(args, kwargs)
            return (values if len(values) > 1 else (*values, True)), {}

        return bool(self._ask("symbol_select", parse, args, {}, failed=False))

    def copy_ticks_from(self, *args: Any) -> Any:
        """copy_ticks_from(symbol, date_from, count, flags): rows of ticks, oldest first, or None."""
        return self._ask("copy_ticks_from", positional(rules.name, rules.date, rules.integer, rules.integer), args, {})

    def copy_ticks_range(self, *args: Any) -> Any:
        """copy_ticks_range(symbol, date_from, date_to, flags): rows of ticks, oldest first, or None."""
        return self._ask("copy_ticks_range", positional(rules.name, rules.date, rules.date, rules.integer), args, {})

    def copy_rates_from(self, *args: Any) -> Any:
        """copy_rates_from(symbol, timeframe, date_from, count): rows of bars, oldest first, or None."""
        return self._ask("copy_rates_from", positional(rules.name, rules.integer, rules.date, rules.integer), args, {})

    def copy_rates_from_pos(self, *args: Any) -> Any:
        """copy_rates_from_pos(symbol, timeframe, start_pos, count): rows of bars, oldest first, or None."""
        return self._ask(
            "copy_rates_from_pos", positional(rules.name, rules.integer, rules.integer, rules.integer), args, {}
        )

    def copy_rates_range(self, *args: Any) -> Any:
        """copy_rates_range(symbol, timeframe, date_from, date_to): rows of bars, oldest first, or None."""
        return self._ask("copy_rates_range", positional(rules.name, rules.integer, rules.date, rules.date), args, {})

    def market_book_add(self, *args: Any) -> bool:
        """market_book_add(symbol): True, or False and `last_error`."""
        return bool(self._ask("market_book_add", positional(rules.name), args, {}, failed=False))

    def market_book_release(self, *args: Any) -> bool:
        """market_book_release(symbol): True, or False and `last_error`."""
        return bool(self._ask("market_book_release", positional(rules.name), args, {}, failed=False))

    def market_book_get(self, *args: Any) -> Any:
        """market_book_get(symbol): BookInfo of each price, or None."""
        return self._ask("market_book_get", positional(rules.name), args, {}, _all(structures.BookInfo))

    # -- orders --------------------------------------------------------------------------------------------------------

    def positions_total(self) -> Any:
        """How many positions are open, or None."""
        return self._ask("positions_total", positional(), (), {})

    def positions_get(self, *args: Any, **kwargs: Any) -> Any:
        """positions_get(*, ticket | symbol | group): TradePosition of each, or None."""
        return self._ask("positions_get", rules.open_things, args, kwargs, _all(structures.TradePosition))

    def orders_total(self) -> Any:
        """How many orders are open, or None."""
        return self._ask("orders_total", positional(), (), {})

    def orders_get(self, *args: Any, **kwargs: Any) -> Any:
        """orders_get(*, ticket | symbol | group): TradeOrder of each, or None."""
        return self._ask("orders_get", rules.open_things, args, kwargs, _all(structures.TradeOrder))

    def history_orders_total(self, *args: Any) -> Any:
        """history_orders_total(date_from, date_to): how many orders are done, or None."""
        return self._ask("history_orders_total", positional(rules.date, rules.date), args, {})

    def history_orders_get(self, *args: Any, **kwargs: Any) -> Any:
        """history_orders_get(date_from, date_to, *, group), or (*, ticket | position): TradeOrder of each, or None."""
        return self._ask("history_orders_get", rules.past_things, args, kwargs, _all(structures.TradeOrder))

    def history_deals_total(self, *args: Any) -> Any:
        """history_deals_total(date_from, date_to): how many deals there are, or None."""
        return self._ask("history_deals_total", positional(rules.date, rules.date), args, {})

    def history_deals_get(self, *args: Any, **kwargs: Any) -> Any:
        """history_deals_get(date_from, date_to, *, group), or (*, ticket | position): TradeDeal of each, or None."""
        return self._ask("history_deals_get", rules.past_things, args, kwargs, _all(structures.TradeDeal))

    def order_check(self, *args: Any, **kwargs: Any) -> Any:
        """order_check(request): OrderCheckResult, whose retcode 0 is good, or None."""
        return self._ask("order_check", rules.request, args, kwargs, _answer(structures.OrderCheckResult))

    def order_send(self, *args: Any, **kwargs: Any) -> Any:
        """order_send(request): OrderSendResult, or None."""
        return self._ask("order_send", rules.request, args, kwargs, _answer(structures.OrderSendResult))

    def order_calc_margin(self, *args: Any) -> Any:
        """order_calc_margin(action, symbol, volume, price): margin in the account's currency, or None."""
        return self._ask(
            "order_calc_margin", positional(rules.integer, rules.name, rules.number, rules.number), args, {}
        )

    def order_calc_profit(self, *args: Any) -> Any:
        """order_calc_profit(action, symbol, volume, price_open, price_close): profit in its currency, or None."""
        return self._ask(
            "order_calc_profit",
            positional(rules.integer, rules.name, rules.number, rules.number, rules.number),
            args,
            {},
        )

    # -- the package's short forms -------------------------------------------------------------------------------------

    def Buy(
        self,
        symbol: str,
        volume: float,
        price: float | None = None,
        *,
        comment: str | None = None,
        ticket: int | None = None,
    ) -> Any:
        """Buys at the market, or closes the short position `ticket`: OrderSendResult or None."""
        return self._deal(CONSTANTS["ORDER_TYPE_BUY"], symbol, volume, price, comment, ticket)

    def Sell(
        self,
        symbol: str,
        volume: float,
        price: float | None = None,
        *,
        comment: str | None = None,
        ticket: int | None = None,
    ) -> Any:
        """Sells at the market, or closes the long position `ticket`: OrderSendResult or None."""
        return self._deal(CONSTANTS["ORDER_TYPE_SELL"], symbol, volume, price, comment, ticket)

    def Close(self, symbol: str, *, comment: str | None = None, ticket: int | None = None) -> Any:
        """Closes a symbol's positions, or one: True, "Partially" if some stay, False if all do, None on failure."""
        found = self.positions_get(symbol=symbol) if ticket is None else self.positions_get(ticket=ticket)
        if found is None:
            return None
        closed = 0
        for position in found:
            side = 1 - position.type
            result = self._deal(side, symbol, position.volume, None, comment, position.ticket)
            if result is None:
                return None
            closed += result.retcode == CONSTANTS["TRADE_RETCODE_DONE"]
        if not closed:
            return False
        return True if closed == len(found) else "Partially"

    def _deal(
        self, type: int, symbol: str, volume: float, price: float | None, comment: str | None, ticket: int | None
    ) -> Any:
        request: dict[str, Any] = {
            "action": CONSTANTS["TRADE_ACTION_DEAL"], "symbol": symbol, "volume": volume, "type": type,
            "deviation": _DEVIATION,
        }  # fmt: skip
        given = {"comment": comment, "position": ticket}
        request |= {key: value for key, value in given.items() if value is not None}
        if price is not None:
            return self.order_send(request | {"price": price})
        result = None
        for _ in range(_TRIES):
            tick = self.symbol_info_tick(symbol)
            if tick is None:
                return None
            now = tick.ask if type == CONSTANTS["ORDER_TYPE_BUY"] else tick.bid
            result = self.order_send(request | {"price": now})
            if result is None or result.retcode not in _AGAIN:
                break
        return result

    # -- inside --------------------------------------------------------------------------------------------------------

    def _ask(
        self,
        name: str,
        parse: Parse,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        make: Callable[[Any], Any] = lambda answer: answer,
        *,
        failed: bool | None = None,
        connected: bool = False,
    ) -> Any:
        self._error = _SUCCESS
        try:
            values, named = parse(args, kwargs)
            if not (connected or self._connected):
                raise no_connection()
            return make(self._transport.call(name, values, named, self._timeout_s))
        except BadArgument as error:
            self._error = CONSTANTS["RES_E_INVALID_PARAMS"], error.text
        except TerminalFailure as failure:
            self._error = failure.code, failure.text
        return failed


def _all(kind: type[structures.Structure]) -> Callable[[Iterable[Iterable[Any]]], tuple[structures.Structure, ...]]:
    return lambda rows: tuple(map(kind, rows))


def _answer(kind: type[structures.Structure]) -> Callable[[tuple[Any, ...]], structures.Structure]:
    return lambda values: kind((*values[:-1], structures.TradeRequest(values[-1])))
