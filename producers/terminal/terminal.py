"""The simulated terminal: every call, one after the other, at the market's time of its arrival.

A call first lets the market catch up with its clock. A request to trade takes its time to the server: it arrives
`latency` of market time later, after the ticks of that time, and its caller waits for the answer. Where market time
stands (paused, stepped, held by its followers for a while, at its end) a request arrives at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final

from infra.clock import Stopwatch
from producers.terminal import constants as mt5
from producers.terminal.failure import TerminalFailure, call_failed, invalid_params, not_authorized
from producers.terminal.faults import Fault, Faults, Kind, earliest_us, failure, refuse_unshapeable
from producers.terminal.market import Market
from producers.terminal.pace import Pace
from producers.terminal.prices import Prices
from producers.terminal.rates import MAX_BARS
from producers.terminal.server import TradeServer
from producers.terminal.store import Store
from producers.terminal.structures import TerminalInfo

BUILD: Final = 5_200
VERSION: Final = (500, BUILD, "6 Sep 2026")
_NO_CONNECTION: Final = "No connection"
_HELD_S: Final = 0.05
"""How long a request waits for a market that its followers hold: longer than a follower needs for a moment's work, and
no longer, since one of them may be who asks."""
_SAVE_S: Final = 5.0
_LOOK_S: Final = 0.5
_NAP_S, _FAST_NAP_S, _STANDING_NAP_S = 0.005, 0.002, 0.05
_STEP_US: Final = 5_000
"""In real time prices are told as they were so long ago, if nothing has moved the market on since."""
_TRADING: Final = frozenset(
    [
        "account_info", "positions_total", "positions_get", "orders_total", "orders_get", "history_orders_total",
        "history_orders_get", "history_deals_total", "history_deals_get", "order_check", "order_calc_margin",
        "order_calc_profit",
    ]
)  # fmt: skip
_PRICES: Final = frozenset(
    [
        "symbols_total", "symbols_get", "symbol_info", "symbol_info_tick", "symbol_select", "copy_ticks_from",
        "copy_ticks_range", "copy_rates_from", "copy_rates_from_pos", "copy_rates_range", "market_book_add",
        "market_book_release", "market_book_get",
    ]
)  # fmt: skip
_OWN: Final = frozenset(["initialize", "login", "shutdown", "version", "terminal_info"])
_EMPTY: Final = {
    "mqid": False, "community_balance": 0.0, "retransmission": 0.0, "path": "", "data_path": "", "commondata_path": "",
}  # fmt: skip


class Terminal:
    """One terminal, one account, one market. Thread-safe: one call at a time, but for those that wait."""

    def __init__(
        self,
        market: Market,
        server: TradeServer,
        pace: Pace,
        faults: Faults | None = None,
        *,
        latency_ms: float = 0.0,
        seed: int = 1,
        store: Store | None = None,
        speed_told: float = 1.0,
    ) -> None:
        """`latency_ms`: a request's way to the server, on average; drawn from its half to one and a half.
        `speed_told`: that of the settings, which counts again at a start once it is another.
        """
        self.market, self.server, self.pace = market, server, pace
        self.faults = Faults(seed=seed) if faults is None else faults
        self._prices = Prices(market, self.faults, server.engine.account)
        self._latency_us, self._seed, self._store = latency_ms * 1000, seed, store
        self._speed_told = speed_told
        self._requests = 0
        self._calls = 0
        self._lock = threading.RLock()
        self._released = threading.Event()
        self._closed = False
        self._since_saved = Stopwatch()
        self._saved_changes = -1
        market.attach(server)

    # -- calls ---------------------------------------------------------------------------------------------------------

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What MetaTrader5's function `name` answers: plain values, tuples in the order of its structures, arrays.

        Arguments are as `producers.terminal.module.Transport` says. Raises TerminalFailure. What it tells of the
        account is kept before it is told.
        """
        with self._lock:
            self._check_running()
            if name not in _PRICES or self._behind():
                self.advance()
            self._calls += 1
            fault = self.faults.of_call(name, self.market.now_us())
            if fault is None and name != "order_send":
                return self._told(name, args, kwargs)
        if fault is not None and fault.kind is Kind.FAIL:
            raise failure(fault)
        if fault is not None and fault.kind is Kind.HANG:
            self._released.wait(fault.seconds)
            raise failure(fault)
        answer = self._answer(name, args, kwargs)
        if fault is not None and fault.kind is Kind.LATE:
            self._released.wait(fault.seconds)
        if fault is not None and fault.kind is Kind.LOST:
            raise failure(fault)
        return answer

    def advance(self) -> None:
        """Everything up to the market's time happens; then it may go on."""
        with self._lock:
            if not self._closed:
                self.market.play(self.pace.now_us())
                self.pace.renew()

    # -- for those who own the market ----------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """How far it has been played, and how it goes; times in microseconds UTC."""
        with self._lock:
            self.advance()
            market = self.market
            return {
                "from_us": market.start_us,
                "to_us": market.end_us,
                "now_us": market.now_us(),
                "ended": market.ended,
                "speed": self.pace.speed,
                "standing": self.pace.standing,
                "held": self.pace.held,
                "ticks": market.ticks,
                "ticks_in_all": sum(history.ticks.size for history in market.histories.values()),
                "symbols": tuple(market.symbols),
                "calls": self._calls,
                "requests": self._requests,
                "connected": self._connected,
                "faults": len(self.faults.faults),
                "trouble": self.market.trouble,
            }

    def set_pace(self, change: Callable[[Pace], None]) -> None:
        """Changes the pace; all that has been asked of the server arrives first if the market stands then."""
        with self._lock:
            self.advance()
            change(self.pace)
            self.advance()
            if self.pace.standing:
                self.market.arrive()
            self.save()

    def add_fault(self, told: Mapping[str, Any]) -> None:
        """A fault from now on, from the keys of a file. Raises BadFile, Refused."""
        with self._lock:
            self.advance()
            fault = Fault.told(told, "the fault")
            fault = replace(fault, from_us=max(fault.from_us, earliest_us(fault.kind, self.market.now_us())))
            if self.market.grows:
                refuse_unshapeable([fault])
            self._released.clear()
            self.faults.add(fault)
            for name, history in self.market.histories.items():
                self.faults.shape(history, self.market.symbols[name].point, len(self.faults.faults) - 1)
            self.save()

    def clear_faults(self) -> None:
        """No faults from now on; calls that hang are let go."""
        with self._lock:
            self.advance()
            self.faults.clear()
            self._released.set()
            self.save()

    def permit(self, algo_trading: bool | None, api_trading: bool | None) -> None:
        """Sets the terminal's button for algorithmic trading and its option for Python; None: as it is."""
        with self._lock:
            if algo_trading is not None:
                self.server.algo_trading = algo_trading
            if api_trading is not None:
                self.server.api_trading = api_trading
            self.save()

    # -- life ----------------------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event, look: Callable[[], None] = lambda: None) -> None:
        """Lets the market go on, whoever asks or doesn't, until `stop`; then keeps its state. `look`: called now and
        then."""
        looked = Stopwatch()
        while not stop.wait(self._nap_s()):
            with self._lock:
                self.advance()
                if self._since_saved.seconds() > _SAVE_S:
                    self.save()
            if looked.seconds() > _LOOK_S:
                looked.restart()
                look()
        self.close()

    def close(self) -> None:
        """Market time stands until another terminal goes on. What is on its way arrives, calls that hang are let go,
        later ones fail; the state that is kept is the last."""
        with self._lock:
            if self._closed:
                return
            self.advance()
            self.market.arrive()
            self._released.set()
            self.save()
            self._closed, self._store = True, None
            self.pace.clock.set(self.market.now_us(), 0.0, self.market.now_us())

    def save(self) -> None:
        """Keeps the state, if there is a place for it."""
        with self._lock:
            self._since_saved.restart()
            if self._store is None:
                return
            changes = self.server.changes
            kept = {
                "now_us": self.market.now_us(),
                "watched": list(self.market.watched),
                "pace": self.pace.kept(),
                "speed_told": self._speed_told,
                "faults": self.faults.kept(),
                "requests": self._requests,
                "permits": [self.server.algo_trading, self.server.api_trading],
                **self.market.kept(),
            }
            self._store.save(kept, self.server.dump())
            self._saved_changes = changes

    def restore(self, kept: Mapping[str, Any], server: bytes) -> None:
        """Takes up what `save` kept; the market stands there, and its clock goes on by the pace that was set."""
        with self._lock:
            self._requests = kept["requests"]
            self.server.algo_trading, self.server.api_trading = kept["permits"]
            self.market.watched = dict.fromkeys(kept["watched"])
            # Of a live market one may be new here: it couldn't be had when this was kept.
            new = [name for name in self.market.symbols if name not in kept["source"]] if "source" in kept else []
            self.market.watched |= dict.fromkeys(new)
            self.market.resume(kept["now_us"])
            self.server.load(server)
            self._saved_changes = self.server.changes

    # -- inside --------------------------------------------------------------------------------------------------------

    def _check_running(self) -> None:
        """Nothing is done any more once the state was kept for the last time."""
        if self._closed:
            raise TerminalFailure(mt5.RES_E_INTERNAL_FAIL_RECEIVE, "IPC recv failed")

    def _behind(self) -> bool:
        """Whether the market has to go on before its prices are told: in real time they come in steps, as from a
        server, however often they are asked for."""
        pace = self.pace
        return pace.standing or pace.speed != 1 or pace.now_us() - self.market.now_us() >= _STEP_US

    def _answer(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if name == "order_send":
            return self._send(*args)
        with self._lock:
            self._check_running()
            self.advance()
            return self._told(name, args, kwargs)

    def _told(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Any other answer, of the market as it is."""
        if name == "symbol_select" and not args[1] and self.server.holds(args[0]):
            raise call_failed()
        if name in _PRICES:
            answer = getattr(self._prices, name)(*args, **kwargs)
        elif name in _TRADING:
            answer = getattr(self.server, name)(*args, **kwargs)
        elif name in _OWN:
            answer = getattr(self, f"_{name}")(*args, **kwargs)
        else:
            raise invalid_params()
        self._keep()
        return answer

    def _send(self, request: tuple[Any, ...]) -> tuple[Any, ...]:
        """The server's answer, once the request has got there."""
        with self._lock:
            self._check_running()
            self.advance()
            if not self._connected:
                return (mt5.TRADE_RETCODE_CONNECTION, 0, 0, 0.0, 0.0, 0.0, 0.0, _NO_CONNECTION, 0, 0, request)
            self._requests += 1
            flight = _Flight(lambda: self._execute(request))
            at_us = self.market.now_us() + self._way_us()
            self.market.at(at_us, flight.land)
        waiting = Stopwatch()
        while True:
            with self._lock:
                self.advance()
                if self.pace.standing or (self.pace.held and waiting.seconds() > _HELD_S):
                    self.market.arrive()
            if flight.landed.wait(self.pace.clock.wait_s(at_us)):
                return flight.answer()

    def _execute(self, request: tuple[Any, ...]) -> tuple[Any, ...]:
        try:
            return self.server.order_send(request)
        finally:
            self._keep()

    def _way_us(self) -> int:
        digest = blake2b(f"{self._seed}/{self._requests}".encode(), digest_size=8).digest()
        return int(self._latency_us * (0.5 + int.from_bytes(digest, "little") / 2**64))

    def _keep(self) -> None:
        if self.server.changes != self._saved_changes:
            self.save()

    @property
    def _connected(self) -> bool:
        return self.market.connected and self.faults.cut_off_since(self.market.now_us()) is None

    def _nap_s(self) -> float:
        if self.pace.standing:
            return _STANDING_NAP_S
        return _NAP_S if self.pace.speed == 1 else _FAST_NAP_S

    def _initialize(
        self,
        path: str = "",
        *,
        login: int = 0,
        password: str = "",
        server: str = "",
        timeout: int = 0,
        portable: bool = False,
    ) -> bool:
        return not login or self._login(login, password=password, server=server)

    def _login(self, login: int, *, password: str = "", server: str = "", timeout: int = 0) -> bool:
        """Without a password the terminal takes the one that it has kept."""
        if not self.server.account.admits(login, password or self.server.account.password, server):
            raise not_authorized()
        return True

    def _shutdown(self) -> bool:
        return True

    def _version(self) -> tuple[int, int, str]:
        return VERSION

    def _terminal_info(self) -> tuple[Any, ...]:
        account, server = self.server.account, self.server
        values = {
            "connected": self._connected, "dlls_allowed": False, "trade_allowed": server.algo_trading,
            "tradeapi_disabled": not server.api_trading, "build": BUILD, "maxbars": MAX_BARS, "codepage": 65_001,
            "ping_last": int(self._latency_us), "company": account.company, "name": "tickledger", "language": "English",
        }  # fmt: skip
        return tuple(values.get(field, _EMPTY.get(field, False)) for field in TerminalInfo.names())


class _Flight:
    """A request on its way, and its answer."""

    def __init__(self, execute: Callable[[], tuple[Any, ...]]) -> None:
        self.landed = threading.Event()
        self._execute = execute
        self._answer: tuple[Any, ...] | TerminalFailure | None = None

    def land(self) -> None:
        try:
            self._answer = self._execute()
        except TerminalFailure as error:
            self._answer = error
        finally:
            self.landed.set()

    def answer(self) -> tuple[Any, ...]:
        if self._answer is None:
            raise call_failed()
        if isinstance(self._answer, TerminalFailure):
            raise self._answer
        return self._answer
