"""The simulated terminal as a service of a home: `python -m producers.terminal`, until SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any, Final

from infra import log
from infra.clock import SystemClock
from infra.errors import HomeBusy, TickledgerError
from infra.market_clock import MarketClockWriter
from infra.marks import Mark
from infra.pauses import shorten_pauses
from infra.settings import Settings, load_settings
from infra.stack.home import Home, Lock, read_json, write_json
from infra.stack.services import announce, exit_code_of
from producers.mt5 import TerminalError
from producers.recorder.connection import FIRST_DELAY_S, LONGEST_DELAY_S
from producers.terminal.build import Played, build, live, played
from producers.terminal.live_found import find
from producers.terminal.live_quotes import LiveTerminal
from producers.terminal.live_symbols import SYMBOLS_FILE, kept_symbols, known_symbols
from producers.terminal.owner import calls_of
from producers.terminal.terminal import Terminal
from producers.terminal.transport import TerminalSocket

SERVICE: Final = "terminal"

_logger = log.get(__name__)


def main() -> int:
    """Runs the service until SIGTERM; returns the exit code."""
    stop = threading.Event()

    def end(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        settings = load_settings()
        log.configure(SERVICE, settings.log.level)
        run(settings, stop)
    except TickledgerError as error:
        _logger.error("ends", reason=str(error))
        return exit_code_of(error)
    return 0


def run(settings: Settings, stop: threading.Event) -> None:
    """Serves the terminal of the settings' home. Raises HomeBusy if it has one already, and what `build` raises."""
    home = Home(settings.home)
    home.create()
    lock = Lock(home.run / "market.lock")
    if not lock.take():
        raise HomeBusy(f"the home {home.root} has a simulated terminal running: end it, or take another home (--home)")
    try:
        state = home.root / "terminal" / "state"
        state.parent.mkdir(mode=0o700, exist_ok=True)
        known = state.with_name(SYMBOLS_FILE)
        data = _played(settings, stop, known)
        if data is None:
            return
        terminal = build(
            settings.terminal,
            data,
            MarketClockWriter.of(home),
            marks=[Mark.of(home, name) for name in settings.terminal.followers],
            state=state,
        )
        served = TerminalSocket(home, calls_of(terminal))
        if data.live is not None:
            write_json(known, kept_symbols(data.live.found))
            data.live.source.start()
        try:
            found = terminal.state()
            announced = _Announced(settings, terminal)
            _logger.info("ready", symbols=found["symbols"], ticks=found["ticks"], of=found["ticks_in_all"])
            shorten_pauses()
            terminal.run(stop, announced.renew)
        finally:
            served.close()
            if data.live is not None:
                data.live.source.close()
    finally:
        lock.release()


class _Announced:
    """What the stack is told of the terminal: that it is ready, and what is wrong with its quotes."""

    def __init__(self, settings: Settings, terminal: Terminal) -> None:
        self._settings, self._terminal = settings, terminal
        self._trouble: tuple[str, ...] | None = None
        self.renew()

    def renew(self) -> None:
        """Tells it anew if it has changed."""
        trouble = self._terminal.market.trouble
        if trouble != self._trouble:
            self._trouble, found = trouble, self._terminal.state()
            reason = "; ".join(trouble) or None
            announce(self._settings.home, SERVICE, ended=found["ended"], ticks=found["ticks"], reason=reason)


def _played(settings: Settings, stop: threading.Event, known: Path) -> Played | None:
    """What the market plays; None if it is to end before a real terminal, whose ticks it serves, has answered.

    `known`: the file of symbols as the real terminal had them before.
    """
    if not settings.paper.terminal:
        return played(settings.terminal, settings.cache_dir / "ticks")
    terminal, delay, told = LiveTerminal.of(settings), FIRST_DELAY_S, ""
    while not stop.is_set():
        try:
            found = find(terminal, settings.paper.symbols, known_symbols(read_json(known)))
        except TerminalError as error:
            if error.final:
                raise
            if str(error) != told:
                told = str(error)
                _logger.warning("waits for the real terminal", reason=told)
                announce(settings.home, SERVICE, ready=False, reason=told)
            stop.wait(delay)
            delay = min(LONGEST_DELAY_S, delay * 2)
            continue
        return live(settings.terminal, terminal, found, settings.recorder, SystemClock())
    return None


if __name__ == "__main__":
    sys.exit(main())
