"""MetaTrader 5 as this house calls it: a typed surface, whoever stands behind it.

`Mt5` has the names, arguments and failure values of the package MetaTrader5 that the recorder and the gateway use; the
simulated terminal's module, the official package (Windows only) and that package on another host (rpyc) all satisfy it.
The values of its constants are in `producers.terminal.constants`.

Three rules of the package that a caller must keep: a failed call returns None or False and `last_error()` says why,
until the next call of anything; prices and volumes of a request are `float`, numbers are plain `int` (NumPy's aren't
taken); times are the server's wall clock as seconds since the epoch, whole seconds as arguments. One thread per
connection.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from infra.errors import MissingPart, SettingsError, TickledgerError
from infra.settings import Settings, TerminalSettings

COPY_TICKS_ALL: Final = -1
"""Flags of `copy_ticks_*`: all ticks."""

TICK_DTYPE: Final = np.dtype(
    [
        ("time", "<i8"),
        ("bid", "<f8"),
        ("ask", "<f8"),
        ("last", "<f8"),
        ("volume", "<u8"),
        ("time_msc", "<i8"),
        ("flags", "<u4"),
        ("volume_real", "<f8"),
    ]
)
"""A row of `copy_ticks_*`: packed, 60 bytes, oldest first; time and time_msc on the server's clock."""

NO_CONNECTION: Final = -10_004
"""`last_error()` code of every call before `initialize()` or after the terminal went away."""

IPC_FAILURES: Final = -10_000
"""`last_error()` codes from here down are the connection's."""

AUTHORIZATION_FAILED: Final = -6
"""`last_error()` code of a wrong login, password or server."""


class AccountInfo(Protocol):
    """`account_info()`; money in the account's currency."""

    login: int
    trade_mode: int
    leverage: int
    margin_mode: int
    margin_so_mode: int
    trade_allowed: bool
    trade_expert: bool
    currency_digits: int
    fifo_close: bool
    balance: float
    credit: float
    profit: float
    equity: float
    margin: float
    margin_free: float
    margin_level: float
    margin_so_call: float
    margin_so_so: float
    name: str
    server: str
    currency: str
    company: str


class TerminalInfo(Protocol):
    """`terminal_info()`; `connected`: to its trade server."""

    connected: bool
    trade_allowed: bool
    tradeapi_disabled: bool
    build: int
    ping_last: int
    company: str
    name: str
    path: str
    data_path: str


class SymbolInfo(Protocol):
    """`symbol_info()`, as far as it is used; levels in points, volumes in lots, `time` on the server's clock."""

    name: str
    path: str
    description: str
    select: bool
    visible: bool
    time: int
    digits: int
    point: float
    bid: float
    ask: float
    trade_calc_mode: int
    trade_mode: int
    trade_exemode: int
    trade_stops_level: int
    trade_freeze_level: int
    filling_mode: int
    expiration_mode: int
    order_mode: int
    trade_tick_value: float
    trade_tick_size: float
    trade_contract_size: float
    volume_min: float
    volume_max: float
    volume_step: float
    volume_limit: float
    swap_mode: int
    swap_long: float
    swap_short: float
    swap_rollover3days: int
    margin_initial: float
    margin_hedged: float
    currency_base: str
    currency_profit: str
    currency_margin: str


class Tick(Protocol):
    """`symbol_info_tick()`; times on the server's clock."""

    time: int
    bid: float
    ask: float
    last: float
    volume: int
    time_msc: int
    flags: int
    volume_real: float


class TradePosition(Protocol):
    """A row of `positions_get()`; `identifier` stays the same for the position's life."""

    ticket: int
    time: int
    time_msc: int
    time_update: int
    time_update_msc: int
    type: int
    magic: int
    identifier: int
    reason: int
    volume: float
    price_open: float
    sl: float
    tp: float
    price_current: float
    swap: float
    profit: float
    symbol: str
    comment: str
    external_id: str


class TradeOrder(Protocol):
    """A row of `orders_get()` (pending) or `history_orders_get()` (done)."""

    ticket: int
    time_setup: int
    time_setup_msc: int
    time_done: int
    time_done_msc: int
    time_expiration: int
    type: int
    type_time: int
    type_filling: int
    state: int
    magic: int
    position_id: int
    position_by_id: int
    reason: int
    volume_initial: float
    volume_current: float
    price_open: float
    sl: float
    tp: float
    price_current: float
    price_stoplimit: float
    symbol: str
    comment: str
    external_id: str


class TradeDeal(Protocol):
    """A row of `history_deals_get()`."""

    ticket: int
    order: int
    time: int
    time_msc: int
    type: int
    entry: int
    magic: int
    position_id: int
    reason: int
    volume: float
    price: float
    commission: float
    swap: float
    profit: float
    fee: float
    symbol: str
    comment: str
    external_id: str


class OrderSendResult(Protocol):
    """`order_send()`; bid and ask may be 0 at some brokers."""

    retcode: int
    deal: int
    order: int
    volume: float
    price: float
    bid: float
    ask: float
    comment: str
    request_id: int
    retcode_external: int
    request: Any


class OrderCheckResult(Protocol):
    """`order_check()`; retcode 0 is good."""

    retcode: int
    balance: float
    equity: float
    profit: float
    margin: float
    margin_free: float
    margin_level: float
    comment: str
    request: Any


class Mt5Quotes(Protocol):
    """The calls that only look at quotes: no order can be sent by them."""

    def initialize(self, *args: Any, **kwargs: Any) -> bool: ...
    def shutdown(self) -> Any: ...
    def last_error(self) -> tuple[int, str]: ...
    def terminal_info(self) -> TerminalInfo | None: ...
    def account_info(self) -> AccountInfo | None: ...
    def symbols_get(self, *args: Any, **kwargs: Any) -> Sequence[SymbolInfo] | None: ...
    def symbol_info(self, symbol: str, /) -> SymbolInfo | None: ...
    def symbol_info_tick(self, symbol: str, /) -> Tick | None: ...
    def symbol_select(self, symbol: str, enable: bool = True, /) -> bool: ...
    def copy_ticks_from(self, symbol: str, date_from: int, count: int, flags: int, /) -> NDArray[np.void] | None: ...
    def copy_ticks_range(self, symbol: str, date_from: int, date_to: int, flags: int, /) -> NDArray[np.void] | None: ...


class Mt5(Mt5Quotes, Protocol):
    """The calls that are used, in the package's own form: positional arguments but where keywords are asked."""

    def login(self, *args: Any, **kwargs: Any) -> bool: ...
    def version(self) -> tuple[int, int, str] | None: ...
    def symbols_total(self) -> int | None: ...
    def order_check(self, request: dict[str, Any], /) -> OrderCheckResult | None: ...
    def order_send(self, request: dict[str, Any], /) -> OrderSendResult | None: ...
    def order_calc_margin(self, action: int, symbol: str, volume: float, price: float, /) -> float | None: ...
    def order_calc_profit(
        self, action: int, symbol: str, volume: float, price_open: float, price_close: float, /
    ) -> float | None: ...
    def positions_total(self) -> int | None: ...
    def positions_get(
        self, *, symbol: str = ..., ticket: int = ..., group: str = ...
    ) -> Sequence[TradePosition] | None: ...
    def orders_total(self) -> int | None: ...
    def orders_get(self, *, symbol: str = ..., ticket: int = ..., group: str = ...) -> Sequence[TradeOrder] | None: ...
    def history_orders_get(self, *dates: int, **kwargs: Any) -> Sequence[TradeOrder] | None: ...
    def history_deals_get(self, *dates: int, **kwargs: Any) -> Sequence[TradeDeal] | None: ...


class TerminalError(TickledgerError):
    """The terminal can't be used as asked: `code` and `text` are its `last_error()`."""

    def __init__(self, message: str, code: int = 0, text: str = "") -> None:
        super().__init__(message)
        self.code, self.text = code, text

    @property
    def final(self) -> bool:
        """Whether trying again can't help, and may lock an account: somebody has to change a setting."""
        return self.code in _FINAL


def connect(settings: Settings) -> Mt5:
    """The connection to the terminal that `terminal.kind` names; nothing is asked of it yet: see `sign_in`.

    Raises SettingsError if no terminal is named, MissingPart if what reaches it isn't installed, TerminalError if
    nothing answers there.
    """
    kind = settings.terminal.kind
    if kind == "simulated":
        return cast(Mt5, importlib.import_module("producers.terminal").connect(settings.home))
    if kind == "official":
        try:
            return cast(Mt5, importlib.import_module("MetaTrader5"))
        except ImportError as error:
            raise MissingPart(
                "terminal.kind is official, but the package MetaTrader5 isn't here: it exists for Windows only "
                "(pip install MetaTrader5 there); from another system reach it by terminal.kind = rpyc"
            ) from error
    if kind == "rpyc":
        from producers.mt5_remote import RemoteMt5

        return RemoteMt5.dial(settings.terminal.host, settings.terminal.port, settings.terminal.timeout_ms / 1000)
    raise SettingsError("no terminal is named: set terminal.kind to simulated, official or rpyc")


def sign_in(mt5: Mt5Quotes, terminal: TerminalSettings) -> AccountInfo:
    """Initializes the connection, logged in as the settings ask; the account. Also makes a lost connection anew.

    Raises TerminalError with what to do.
    """
    arguments: dict[str, Any] = {"timeout": terminal.timeout_ms}
    if terminal.login:
        password = terminal.password.get_secret_value()
        arguments |= {"login": terminal.login, "password": password, "server": terminal.server}
    path = () if terminal.path is None else (str(terminal.path),)
    if not mt5.initialize(*path, **arguments):
        if terminal.kind == "simulated" and mt5.last_error()[0] == _NO_TERMINAL:
            raise _not_running(mt5)
        raise failure(mt5, "the terminal can't be reached")
    account = mt5.account_info()
    if account is None:
        raise failure(mt5, "the terminal has no account open")
    if terminal.login and account.login != terminal.login:
        raise TerminalError(
            f"the terminal is logged in as {account.login}, not as terminal.login = {terminal.login}: "
            "log it in there, or correct the setting"
        )
    return account


def failure(mt5: Mt5Quotes, what: str) -> TerminalError:
    """The error behind the call that has just failed, with the way out."""
    code, text = mt5.last_error()
    way_out = _WAYS_OUT.get(code, "see the terminal's journal")
    return TerminalError(f"{what}: {text} ({code}); {way_out}", code, text)


def _not_running(mt5: Mt5Quotes) -> TerminalError:
    """A simulated terminal is one of the home's services, and isn't found by a path."""
    code, text = mt5.last_error()
    return TerminalError(
        f"the home's simulated terminal isn't running, or hangs: {text} ({code}); start what the home runs "
        "(`tickledger up`, or `tickledger demo` or `paper` in theirs) with the same --home and --config",
        code,
        text,
    )


_NO_TERMINAL: Final = -10_003
_FINAL: Final = (0, -2, AUTHORIZATION_FAILED, -7)
_WAYS_OUT: Final = {
    AUTHORIZATION_FAILED: "check terminal.login, terminal.password and terminal.server",
    -2: "an argument isn't as the terminal takes it: see the settings of terminal",
    -8: "allow algorithmic trading by the external Python API in the terminal's options",
    -10_001: "the terminal ended or was stopped: start it again",
    -10_002: "the terminal ended or was stopped: start it again",
    _NO_TERMINAL: "start the terminal, or name it by terminal.path",
    NO_CONNECTION: "start the terminal",
    -10_005: "the terminal doesn't answer in terminal.timeout_ms: look whether it hangs",
}
