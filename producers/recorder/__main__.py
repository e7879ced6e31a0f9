"""The recorder as a service of a home: `python -m producers.recorder`, until SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any, Final

from infra import log
from infra.chain_follower import Fenced
from infra.clock import SystemClock
from infra.errors import NotReady, TickledgerError
from infra.keys import load_or_create
from infra.market_clock import MarketClock, service_clock
from infra.marks import Mark
from infra.pauses import shorten_pauses
from infra.settings import Settings, load_settings
from infra.stack.addresses import kafka_address
from infra.stack.home import Home
from infra.stack.services import FENCED, announce, exit_code_of
from producers.mt5 import Mt5, TerminalError, connect
from producers.recorder.recorder import Recorder
from producers.suspicion import warm_suspicion

SERVICE: Final = "recorder"
_CLOCK_S: Final = 0.1
_TERMINAL_S: Final = 0.5

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
    except Fenced as error:
        _logger.error("ends", reason=f"{error}; it isn't started again for a minute")
        return FENCED
    except TickledgerError as error:
        _logger.error("ends", reason=str(error))
        return exit_code_of(error)
    return 0


def run(settings: Settings, stop: threading.Event) -> None:
    """Records the terminal of the settings. Raises what `Recorder.run` and `connect` raise."""
    mt5, clock = connected(settings, stop), _clock(settings, stop)
    if mt5 is None or clock is None:
        return
    recorder = Recorder(
        mt5,
        settings,
        kafka_address(settings),
        load_or_create(settings),
        clock,
        mark=Mark.of(Home(settings.home), SERVICE),
        stop=stop,
        ready=lambda listings: announce(settings.home, SERVICE, listings=listings),
    )
    warm_suspicion()
    shorten_pauses()
    recorder.run()


def connected(settings: Settings, stop: threading.Event) -> Mt5 | None:
    """What reaches the terminal, once it is there; None if the recorder is to end before. Raises as `connect`."""
    told = ""
    while not stop.is_set():
        try:
            return connect(settings)
        except TerminalError as error:
            if error.final:
                raise
            if str(error) != told:
                told = str(error)
                _logger.warning("waits", reason=told)
            stop.wait(_TERMINAL_S)
    return None


def _clock(settings: Settings, stop: threading.Event) -> MarketClock | SystemClock | None:
    """The services' clock, once it is there; None if the recorder is to end before."""
    while not stop.is_set():
        try:
            return service_clock(settings)
        except NotReady as error:
            _logger.info("waits", reason=str(error))
            stop.wait(_CLOCK_S)
    return None


if __name__ == "__main__":
    sys.exit(main())
