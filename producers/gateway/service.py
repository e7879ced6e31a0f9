"""The gateway as a service: reads what was done, finds its place, and goes on until SIGTERM."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Final

from infra import log
from infra.account_log import AccountWriter, Taken
from infra.chain_follower import Fenced, Standing
from infra.clock import WaitingClock
from infra.errors import SettingsError, TickledgerError
from infra.kafka import new_producer
from infra.keys import load_or_create
from infra.market_clock import service_clock
from infra.marks import Mark
from infra.pauses import shorten_pauses
from infra.reference_log import read_reference
from infra.settings import Settings, load_settings
from infra.stack.addresses import kafka_address
from infra.stack.home import Home, read_json, write_json
from infra.stack.services import FENCED, announce, exit_code_of
from producers.clocks import ServerClock
from producers.gateway.alarms import KafkaAlarms
from producers.gateway.book import Book
from producers.gateway.chain import ExecutionsChain
from producers.gateway.fence import Fence, fence_path
from producers.gateway.gateway import AWAY_S, AWAY_TOLD_S, FLOOR_S, Gateway
from producers.gateway.intake import Intake
from producers.gateway.outage import Outage
from producers.gateway.quotes import Quotes
from producers.gateway.spool import Spool
from producers.gateway.venue import NoAnswer, Pin, Venue, WrongAccount
from producers.mt5 import TerminalError, connect
from schemas.accept import Head, Verdict
from schemas.configuration import AccountConfig
from schemas.events import Severity
from schemas.integrity import KeyRing

logger = log.get(__name__)

ANCHOR_S: Final = 60.0
"""The chain's head is witnessed so often."""
_LONGEST_WAIT_S: Final = 0.25
_BUSY_MARK_S: Final = 1.0
"""A market that waits for the gateway goes on so often while requests are in doubt: time is what they wait for."""
_SERVICE: Final = "gateway"
_EXECUTIONS: Final = "executions"


def main() -> int:
    """Runs the service until SIGTERM; returns the exit code."""
    try:
        settings = load_settings()
        log.configure(_SERVICE, settings.log.level)
        log.calm()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        serve(settings, stop)
    except Fenced as error:
        logger.error("gateway fenced", reason=str(error))
        return FENCED
    except TickledgerError as error:
        logger.error("gateway can't go on", reason=str(error))
        return exit_code_of(error)
    return 0


def serve(settings: Settings, stop: threading.Event) -> None:
    """Trades `trade.account` on the terminal until `stop` is set.

    Raises SettingsError, WrongAccount, TerminalError (a refused login), Fenced, ChainStopped, Unreachable, and what
    else stops it.
    """
    account = settings.trade.account
    if not account:
        raise SettingsError("no account is named: set trade.account to one that `reference` has an AccountConfig of")
    bootstrap, keys, clock = kafka_address(settings), load_or_create(settings), service_clock(settings)
    config = account_config(bootstrap, keys, account, clock)
    producer = new_producer(bootstrap)
    alarms = KafkaAlarms(producer, clock, account)
    try:
        opened = _opened(settings, config, alarms, clock, stop)
        if opened is None:
            return
        venue, pin = opened
        fence = Fence(fence_of(settings, pin), "gateway")
        settle = fence.take()
        try:
            if settle:
                _settle(settings.trade.settle_s, fence, stop)
            _run(settings, stop, bootstrap, keys, clock, config, venue, fence, alarms)
        finally:
            fence.release()
    except WrongAccount as error:
        alarms.tell("wrong_account", Severity.CRITICAL, account, str(error))
        raise
    except TerminalError as error:
        alarms.tell("terminal_refused", Severity.CRITICAL, account, f"nothing is sent: {error}")
        raise
    finally:
        producer.flush(5)


def account_config(bootstrap: str, keys: KeyRing, account: str, clock: WaitingClock) -> AccountConfig:
    """The account's configuration that holds now. Raises SettingsError if there is none.

    One that moves the account to another feed or partition counts for nobody.
    """
    records, _ = read_reference(bootstrap, keys)
    found = [r for r in records if isinstance(r, AccountConfig) and r.account == account]
    found = [r for r in found if (r.feed, r.partition) == (found[0].feed, found[0].partition)]
    now_us = clock.now_us()
    holding = [record for record in found if record.effective_from_us <= now_us] or found[:1]
    if not holding:
        known = sorted({r.account for r in records if isinstance(r, AccountConfig)})
        raise SettingsError(
            f"trade.account is {account!r}, and `reference` has no AccountConfig of it; it has "
            f"{', '.join(known) or 'none of any account'}: configure the account, or correct the setting"
        )
    return max(holding, key=lambda record: (record.effective_from_us, record.ref_no))


def _opened(
    settings: Settings, config: AccountConfig, alarms: KafkaAlarms, clock: WaitingClock, stop: threading.Event
) -> tuple[Venue, Pin] | None:
    """The terminal, once it answers; None if the gateway is to end before. Raises as `open_venue`."""
    away = Outage(alarms, "terminal_away", "terminal_back")
    began_us, began_s = clock.now_us(), time.monotonic()
    while True:
        try:
            opened = open_venue(settings, config)
        except (NoAnswer, TerminalError) as error:
            if isinstance(error, TerminalError) and error.final:
                raise
            away.begin(began_us)
            if time.monotonic() - began_s >= AWAY_TOLD_S:
                away.tell(str(error), "nothing is sent until it answers")
            if stop.wait(AWAY_S):
                return None
        else:
            away.end("the terminal answers")
            return opened


def open_venue(settings: Settings, config: AccountConfig) -> tuple[Venue, Pin]:
    """The terminal with its account pinned. Raises WrongAccount, NoAnswer, SettingsError, TerminalError."""
    venue = Venue(connect(settings), settings.terminal, ServerClock(settings.recorder.server_clock))
    pin = venue.pin(venue.sign_in(), config)
    if differ := keep_pin(settings, config.account, pin):
        raise WrongAccount(
            f"the account {config.account} was traded on another account of a terminal before ({differ}): log the "
            f"terminal in to that one; if the change is meant, remove {pin_file(settings, config.account)}"
        )
    return venue, pin


def keep_pin(settings: Settings, account: str, pin: Pin) -> str:
    """How the pin differs from the one that is kept of the account, empty if it doesn't; kept if there is none yet."""
    kept = pin_file(settings, account)
    before, now = read_json(kept), pin._asdict()
    if before is None:
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(kept, now)
        return ""
    return ", ".join(f"{name} {before.get(name)!r} → {now[name]!r}" for name in now if before.get(name) != now[name])


def pin_file(settings: Settings, account: str) -> Path:
    """Where it is kept which of the terminal's accounts an account is, and which order numbers are its own."""
    return Home(settings.home).root / "gateway" / f"{account}.pin.json"


def keep_numbers(settings: Settings, config: AccountConfig, newest: int) -> None:
    """Adds to the pin what tells the account's orders from others without the log. Raises HomeUnusable."""
    kept = pin_file(settings, config.account)
    pin = read_json(kept)
    if pin is not None:
        write_json(kept, pin | {"order_base": config.order_base, "order_newest": max(newest, config.order_base)})


def spool_of(settings: Settings) -> Spool:
    """The account's spool."""
    return Spool(Home(settings.home).root / "gateway" / f"{settings.trade.account}.spool")


def fence_of(settings: Settings, pin: Pin) -> Path:
    """The fence's file: in the home of a simulated terminal; for others in the user's cache, which all homes share."""
    terminal = settings.terminal
    if terminal.kind == "simulated":
        home = Home(settings.home)
        return fence_path(home.run, "simulated", pin.server, pin.login)
    place = f"{terminal.host}:{terminal.port}" if terminal.kind == "rpyc" else str(terminal.path or "official")
    return fence_path(settings.cache_dir / "fences", f"{terminal.kind} {place}", pin.server, pin.login)


def _settle(settle_s: float, fence: Fence, stop: threading.Event) -> None:
    """Waits for what an ended holder had on its way."""
    logger.warning("another gateway was ended", settle_s=settle_s)
    until = time.monotonic() + settle_s
    while time.monotonic() < until and not stop.wait(_LONGEST_WAIT_S):
        fence.beat()


def _run(
    settings: Settings,
    stop: threading.Event,
    bootstrap: str,
    keys: KeyRing,
    clock: WaitingClock,
    config: AccountConfig,
    venue: Venue,
    fence: Fence,
    alarms: KafkaAlarms,
) -> None:
    book = Book()

    def fold(taken: Taken) -> None:
        alarms.note(taken.judged)
        if taken.judged.verdict is Verdict.TAKE:
            book.fold(taken.judged.record)

    # The book needs the whole chain, so it isn't read from its last anchor on.
    start = Standing(Head(), 0, 0)
    writer = AccountWriter(
        bootstrap, keys, clock, _EXECUTIONS, config.account, config.partition, start=start, on_record=fold
    )
    intake = Intake(bootstrap, keys, config.account, config.partition, alarms.note)
    quotes = Quotes(bootstrap, keys)
    try:
        head = writer.open()
        # A new log of an account of the same name began at another time.
        venue.claim(f"{config.account}/{book.since_ms}", head.epoch)
        chain = ExecutionsChain(writer, book, clock, fence.beat)
        gateway = Gateway(config, settings.trade, venue, chain, quotes, alarms, clock, spool_of(settings), fence.beat)
        gateway.take_spooled()
        for request in intake.backlog():
            gateway.receive(request)
        gateway.begin()
        keep_numbers(settings, config, max(book.orders, default=0))
        announce(settings.home, _SERVICE, ready=True, account=config.account, epoch=head.epoch)
        logger.info("gateway ready", account=config.account, epoch=head.epoch, seq=head.seq)
        wait_s, anchored_s, marked_s = 0.0, time.monotonic(), 0.0
        mark = Mark.of(Home(settings.home), _SERVICE)
        # A market that waits for this mark stands until it moves: its clock can't say how long the wait is.
        longest_s = FLOOR_S if _SERVICE in settings.terminal.followers else _LONGEST_WAIT_S
        shorten_pauses()
        while not stop.is_set():
            began_us = clock.now_us()
            for request in intake.poll(min(wait_s, longest_s)):
                gateway.receive(request)
            quotes.poll()
            wait_s = gateway.turn()
            writer.follow()
            fence.beat()
            if gateway.idle or time.monotonic() - marked_s > _BUSY_MARK_S:
                mark.set(began_us)
                marked_s = time.monotonic()
            if time.monotonic() - anchored_s > ANCHOR_S:
                anchored_s = time.monotonic()
                writer.anchor()
        writer.drain()
        writer.anchor()
    finally:
        intake.close()
        quotes.close()
        writer.close()
