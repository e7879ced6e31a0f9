"""A simulated terminal in this process, for tests."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.market_clock import MarketClock, MarketClockWriter
from infra.marks import Mark
from infra.settings import TerminalSettings
from producers.terminal.account import TradeAccount
from producers.terminal.build import Played, build, of_ticks, played
from producers.terminal.control import Control
from producers.terminal.faults import Fault
from producers.terminal.module import Mt5Module
from producers.terminal.owner import calls_of
from producers.terminal.terminal import Terminal
from producers.terminal.ticks import Ticks
from producers.terminal.transport import InProcess


def in_process(
    ticks: Mapping[str, Ticks] | None = None,
    *,
    settings: TerminalSettings | None = None,
    account: TradeAccount | None = None,
    faults: Sequence[Fault] = (),
    marks: Sequence[Mark] = (),
    clock: Path | None = None,
    state: Path | None = None,
    cache: Path | None = None,
    running: bool = False,
) -> Simulation:
    """A terminal of this process, for tests: it stands at its market's start until it is stepped (`control.step`).

    `ticks`: by symbol; None: those of the settings, by default the sample day. `clock`, `state`: files, for services
    beside it and for a restart; None: in memory. `running`: its market goes at the settings' speed, by a thread.
    Settings without more: no latency.
    """
    settings = TerminalSettings(latency_ms=0.0) if settings is None else settings
    data: Played = played(settings, cache) if ticks is None else of_ticks(ticks)
    terminal = build(
        settings, data, MarketClockWriter(clock), marks=marks, standing=not running, state=state, account=account,
        faults=faults,
    )  # fmt: skip
    return Simulation(terminal, running=running)


class Simulation:
    """A terminal of this process with its clients; a context manager."""

    def __init__(self, terminal: Terminal, *, running: bool) -> None:
        self.terminal = terminal
        self._handler = calls_of(terminal)
        self._clients: list[InProcess] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=terminal.run, args=(self._stop,), name="terminal", daemon=True)
        if running:
            self._thread.start()
        self.control = Control(self._client())

    @property
    def clock(self) -> MarketClock:
        """Market time, for what is beside it."""
        return self.terminal.pace.clock

    def connect(self) -> Mt5Module:
        """Another client; `initialize` connects it."""
        return Mt5Module(self._client())

    def close(self) -> None:
        """Keeps its state, and ends its clients."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.terminal.close()
        for client in self._clients:
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _client(self) -> InProcess:
        self._clients.append(InProcess(self._handler))
        return self._clients[-1]
