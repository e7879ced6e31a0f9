"""A paper terminal after a real one that a test plays by hand, and breaks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.clock import FixedClock
from infra.market_clock import MarketClockWriter
from infra.settings import PaperSettings, RecorderSettings, Settings, TerminalSettings
from producers.mt5 import COPY_TICKS_ALL, SymbolInfo
from producers.recorder.pinned import Source
from producers.recorder.polling import rows_of_page
from producers.terminal import constants as codes
from producers.terminal.account import TradeAccount
from producers.terminal.build import build, live
from producers.terminal.live_found import find
from producers.terminal.live_quotes import CALLS, LiveTerminal
from producers.terminal.module import Mt5Module
from producers.terminal.owner import calls_of
from producers.terminal.simulation import Simulation, in_process
from producers.terminal.terminal import Terminal
from producers.terminal.ticks import Ticks
from producers.terminal.transport import InProcess
from tests.unit.producers.terminal.playing import LEAD_US

SECOND_US = 1_000_000
SERVER = "Real-Live"
SOURCE = Source(SERVER, "A broker", 7, "real")


class Real:
    """A real terminal with a REAL account: one that plays, and counts what it was asked."""

    def __init__(self, market: dict[str, Ticks]) -> None:
        account = TradeAccount(trade_mode=codes.ACCOUNT_TRADE_MODE_REAL, server=SERVER, company="A broker")
        self.simulation: Simulation = in_process(market, account=account)
        self.mt5: Any = self.simulation.connect()
        self.owner: Any = self.simulation.connect()
        assert self.owner.initialize()
        self.asked: list[str] = []
        self.broken: tuple[int, str] | None = None
        self.gone: set[str] = set()
        """Symbols that it doesn't have any more."""
        self.wrong: dict[str, dict[str, Any]] = {}
        """What else it says of a symbol."""
        self.connected = True
        self.login = account.login

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self._answer(name, args, kwargs)

    def _answer(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.asked.append(name)
        if name == "last_error" and self.broken is not None:
            return self.broken
        if self.broken is not None:
            return False if name in ("initialize", "symbol_select") else None
        if self.gone and name == "last_error":
            return (-4, "Terminal: Not found")
        if args and args[0] in self.gone:
            return False if name == "symbol_select" else None
        found = getattr(self.mt5, name)(*args, **kwargs)
        if name == "terminal_info" and not self.connected:
            return SimpleNamespace(connected=False)
        if name == "account_info" and self.login != found.login:
            return SimpleNamespace(**{**found._asdict(), "login": self.login})
        if name == "symbol_info" and args[0] in self.wrong:
            return SimpleNamespace(**{**found._asdict(), **self.wrong[args[0]]})
        return found

    def close(self) -> None:
        """As an rpyc client leaves its server."""

    def rows(self, symbol: str = "EURUSD") -> list[list[int]]:
        found: list[list[int]] = rows_of_page(self.owner.copy_ticks_from(symbol, 1, 1_000_000, COPY_TICKS_ALL)).tolist()
        return found

    def history(self) -> int:
        """Orders, deals but the balance, and positions at the real server."""
        everything = (0, 2**31 - 1)
        deals = len(self.owner.history_deals_get(*everything)) - 1
        return int(deals + len(self.owner.history_orders_get(*everything)) + self.owner.orders_total())


class Paper:
    """A paper terminal after a real one; its machine's clock is the real market's."""

    def __init__(
        self,
        real: Real,
        clock: FixedClock,
        folder: Path,
        *symbols: str,
        known: Mapping[str, SymbolInfo] | None = None,
        selected: Iterable[str] | None = None,
        **recorder: Any,
    ) -> None:
        self.real, self.clock = real, clock
        self.terminal_settings = TerminalSettings(kind="simulated", latency_ms=0.0)
        told = LiveTerminal.of(
            Settings().model_copy(update={"paper": PaperSettings(terminal="rpyc"), "terminal": self.terminal_settings})
        )
        mt5: Any = real
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("producers.terminal.live_quotes.connect", lambda _: mt5)
            found = find(told, symbols, known)
        data = live(self.terminal_settings, told, found, RecorderSettings(**{"poll_ms": 5, **recorder}), clock)
        assert data.live is not None
        self.source = data.live.source
        self.terminal: Terminal = build(
            self.terminal_settings, data, MarketClockWriter(None), state=folder / "state"
        )  # fmt: skip
        self._client = InProcess(calls_of(self.terminal))
        self.mt5: Any = Mt5Module(self._client)
        assert self.mt5.initialize()
        for name in data.live.symbols if selected is None else selected:
            assert self.mt5.symbol_select(name, True)
        self.source.start()

    def rows(self, symbol: str = "EURUSD") -> list[list[int]]:
        found: list[list[int]] = rows_of_page(self.mt5.copy_ticks_from(symbol, 1, 1_000_000, COPY_TICKS_ALL)).tolist()
        return found

    def goes_on(self, us: int) -> None:
        """So much time passes at the real market and on this machine."""
        self.clock.advance(us)
        self.real.simulation.control.step(us)

    def has_all(self) -> None:
        until(lambda: self.rows() == self.real.rows())

    def close(self) -> None:
        self.source.close()
        self.terminal.close()
        self._client.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it didn't come"
        time.sleep(0.005)


@contextmanager
def paper(
    folder: Path, market: dict[str, Ticks], after_us: int = LEAD_US + SECOND_US, **recorder: Any
) -> Iterator[Paper]:
    real = Real(market)
    real.simulation.control.step(after_us)
    clock = FixedClock(real.simulation.clock.now_us())
    own = Paper(real, clock, folder, *market, **recorder)
    try:
        yield own
        assert set(real.asked) <= CALLS
        assert not real.history()
    finally:
        own.close()
        real.simulation.close()
