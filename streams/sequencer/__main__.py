"""The sequencer of a home's account; a service, `python -m streams.sequencer`."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

from infra import log
from infra.account_log import UnknownAccount
from infra.chain_follower import Fenced
from infra.clock import Clock, SystemClock
from infra.errors import NotReady, SettingsError, TickledgerError
from infra.keys import load_or_create
from infra.market_clock import service_clock
from infra.pauses import shorten_pauses
from infra.settings import Settings, load_settings
from infra.stack.addresses import kafka_address
from infra.stack.home import Home
from infra.stack.services import FENCED, announce, exit_code_of
from schemas.journal import JournalSource
from streams.sequencer.owed_halt import OwedHalt
from streams.sequencer.sequencer import NAME, Sequencer
from streams.sequencer.taken_clock import TakenClock

LOOK_AGAIN_S = 0.5

logger = log.get(__name__)


def main() -> int:
    """Runs the service until SIGTERM; returns the exit code, FENCED if another sequencer has taken over."""
    ending = threading.Event()
    running: list[Sequencer] = []

    def end(number: int, frame: FrameType | None) -> None:
        ending.set()
        for one in running:
            one.stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        settings = load_settings()
        log.configure(NAME, settings.log.level)
        log.calm()
        if not settings.trade.account:
            raise SettingsError("no account is traded in this home: name one by the setting trade.account")
        sequencer = _waited_for(settings, ending)
        if sequencer is None:
            return 0
        running.append(sequencer)
        if ending.is_set():
            return 0
        shorten_pauses()
        sequencer.run(lambda: announce(settings.home, NAME, ready=True))
    except Fenced as error:
        logger.error("another sequencer has taken over", reason=str(error))
        return FENCED
    except TickledgerError as error:
        logger.error("the sequencer has ended", reason=str(error))
        return exit_code_of(error)
    return 0


def _waited_for(settings: Settings, ending: threading.Event) -> Sequencer | None:
    """The sequencer, once its account is configured and the market has a time; None if it is ended before that."""
    said = ""
    source = JournalSource.PAPER if settings.terminal.kind == "simulated" else JournalSource.LIVE
    while not ending.is_set():
        try:
            keys, bootstrap = load_or_create(settings), kafka_address(settings)
            account = settings.trade.account
            owed = OwedHalt(Home(settings.home).root / "sequencer" / f"{account}.halt")
            return Sequencer(bootstrap, keys, _clock(settings), account, source, owed)
        except (UnknownAccount, NotReady) as error:
            if str(error) != said:
                said = str(error)
                logger.warning("waiting", reason=said)
        ending.wait(LOOK_AGAIN_S)
    return None


def _clock(settings: Settings) -> Clock:
    clock = service_clock(settings)
    return TakenClock() if isinstance(clock, SystemClock) else clock


if __name__ == "__main__":
    sys.exit(main())
