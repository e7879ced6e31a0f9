"""The simulated terminal as a service of a home: `python -m producers.terminal`, until SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any, Final

from infra import log
from infra.errors import HomeBusy, TickledgerError
from infra.market_clock import MarketClockWriter
from infra.marks import Mark
from infra.settings import Settings, load_settings
from infra.stack.home import Home, Lock
from infra.stack.services import announce
from producers.terminal.build import build, played
from producers.terminal.owner import calls_of
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
        return error.exit_code
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
        terminal = build(
            settings.terminal,
            played(settings.terminal, settings.cache_dir / "ticks"),
            MarketClockWriter.of(home),
            marks=[Mark.of(home, name) for name in settings.terminal.followers],
            state=state,
        )
        served = TerminalSocket(home, calls_of(terminal))
        try:
            found = terminal.state()
            announce(settings.home, SERVICE, ended=found["ended"], ticks=found["ticks"])
            _logger.info("ready", symbols=found["symbols"], ticks=found["ticks"], of=found["ticks_in_all"])
            terminal.run(stop)
        finally:
            served.close()
    finally:
        lock.release()


if __name__ == "__main__":
    sys.exit(main())
