"""A home in which a slice of the sample day is played and traded, all services under the stack's supervisor."""

from __future__ import annotations

import json
import re
import signal
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, TypeVar

from api.accounts import DEFAULT_LIMITS
from api.demo.history import log_rows
from api.demo.home import ACCOUNT, FEED
from api.demo.played import Day, Played
from api.start import make_log
from infra.account_log import read_account
from infra.errors import TickledgerError
from infra.kafka import read_range
from infra.keys import load_or_create
from infra.market_clock import FILE_NAME, MarketClock
from infra.marks import Mark
from infra.reference_log import read_reference
from infra.settings import Settings, load_settings
from infra.stack.home import Home
from infra.stack.process import Identity
from infra.stack.services import API, KAFKA, POSTGRES, is_ready, names_of, programs_of, running
from infra.stack.stack import Running, attach_or_start
from producers.mt5 import Mt5, TradePosition, connect, sign_in
from producers.sample import SAMPLE_DAY
from producers.terminal.client import control
from producers.terminal.control import Control, MarketState
from projections.extents import extents
from schemas.accept import Verdict
from schemas.catalogue import TOPICS
from schemas.chains import Derivations
from schemas.configuration import AccountConfig
from schemas.events import Alert
from schemas.executions import DealEntry, Filled, OrderRequest, Sending
from schemas.registry import decode
from schemas.trading import OrderPurpose, Submitted

LISTING: Final = f"{FEED}/EURUSD"
MIDNIGHT_US: Final = 1_399_334_400_000_000
"""Of the sample day, UTC."""
MINUTE_US: Final = 60_000_000
BUSIEST: Final = (7 * 60, 8 * 60)
"""Minutes of the day: its hour with the most ticks."""
STRATEGY: Final = Path(__file__).with_name("every_twenty_ticks.py")
PATIENT: Final = "30m"
"""How long its entries may be sent: so long that none is over when a process is back."""
SERVER_AHEAD_MS: Final = 3 * 3_600_000
"""The server's clock of that day before UTC."""
ON_ITS_WAY_US: Final = 5_000_000
"""From the gateway's last look at an entry's time until the server has it, at most, market time."""
ALMOST_STANDING: Final = 0.001
"""The market's speed until all services are there: nothing happens before somebody records it."""
PATIENCE_S: Final = 120.0
SAID_LINES: Final = 80
"""Of each log, that a wait in vain tells: where its threads are."""
_PLACE: Final = re.compile(r'\s*(File|TASK|THREAD|Thread|Current|"data-plane-kafka)')

T = TypeVar("T")


def slice_of(folder: Path, minutes: tuple[int, int]) -> Path:
    """The sample day's rows between two minutes of the day, as a file of its kind."""
    sample = SAMPLE_DAY[0]
    with zipfile.ZipFile(sample.path) as archive:
        rows = archive.read(archive.namelist()[0]).decode().splitlines(keepends=True)
    first, last = (minute * 60_000 for minute in minutes)
    path = folder / sample.path.name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        chosen = (row for row in rows if first <= float(row.partition(",")[0]) < last)
        archive.writestr(f"{path.name[:8]}.csv", "".join(chosen))
    return path


class TradingDay:
    """A day that is being traded; its market, its processes, and what is on its log."""

    def __init__(self, settings: Settings, running: Running, day: Day) -> None:
        self.settings, self.running, self.day = settings, running, day
        self.home, self.keys = Home(settings.home), load_or_create(settings)
        self.market: Control = control(settings.home)
        self.services: Final = (
            KAFKA,
            POSTGRES,
            *(program.name for program in programs_of(settings) if program is not API),
        )

    # -- the market ----------------------------------------------------------------------------------------------------

    def state(self) -> MarketState | None:
        """The market; None while the terminal doesn't answer."""
        try:
            return self.market.state()
        except TickledgerError:
            return None

    def now_us(self) -> int:
        """Market time."""
        return self.market.state().now_us

    def is_played(self) -> bool:
        """Whether the market is at its end."""
        state = self.state()
        return state is not None and state.ended and state.held

    @cached_property
    def clock(self) -> MarketClock:
        """Market time, also while the terminal doesn't answer."""
        return MarketClock(self.home.run / FILE_NAME)

    def positions(self) -> Sequence[TradePosition]:
        """What is open at the terminal."""
        found = self.mt5.positions_get()
        assert found is not None, self.mt5.last_error()
        return found

    @cached_property
    def mt5(self) -> Mt5:
        """A client of the terminal, connected."""
        mt5 = connect(self.settings)
        sign_in(mt5, self.settings.terminal)
        return mt5

    # -- processes -----------------------------------------------------------------------------------------------------

    def process(self, service: str) -> Identity:
        """The process that runs a service, once it does."""
        return self.until(lambda: running(self.home, service), f"{service} runs")

    def send(self, service: str, number: signal.Signals) -> Identity:
        """A signal to a service's process; which that was."""
        process = self.process(service)
        assert process.send(number)
        return process

    def is_ready(self, service: str) -> bool:
        return is_ready(self.home, service)

    def all_ready(self) -> None:
        """Waits until every service says so."""
        for service in self.services:
            self.until(partial(self.is_ready, service), f"{service} is ready")

    def mark(self, name: str) -> int:
        """How far a follower has got, market time."""
        return Mark.of(self.home, name).get() or 0

    def caught_up(self, us: int) -> bool:
        """Whether recorder and desk have got to a market time."""
        return self.mark("recorder") >= us and self.mark(f"desk-{ACCOUNT}") >= us

    def said(self, service: str) -> str:
        """What a service has logged."""
        return self.home.log_file(service).read_text(errors="replace")

    def until(self, condition: Callable[[], T | None], what: str, seconds: float = PATIENCE_S) -> T:
        """Waits until something is there; what it is. A service that is given up ends the wait."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            self.running.check()
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}\n{self.standing()}"
            time.sleep(0.05)
        return found

    def standing(self) -> str:
        """What can be told of it where something didn't come: the market, who is how far, what was said last."""
        told = [f"market: {self.state()}"]
        marks = {name: Mark.of(self.home, name).get() for name in ("recorder", f"desk-{ACCOUNT}")}
        told.append(f"marks: {marks}; not ready: {[one for one in self.services if not self.is_ready(one)]}")
        try:
            counts: Counter[str] = Counter()
            for (topic, _), ends in extents(self.running.kafka).items():
                counts[topic] += ends.high
            told += [
                f"records: {dict(counts)}",
                f"alerts: {[(one.code, one.message) for one in self.alerts().values()]}",
            ]
        except TickledgerError as error:
            told.append(f"the log: {error}")
        for service in self.services:
            process = running(self.home, service)
            if process is not None and service != POSTGRES:
                process.send(signal.SIGQUIT if service == KAFKA else signal.SIGUSR1)
        # Nothing says when they have written it; on a loaded machine it takes a moment.
        time.sleep(2)
        for service in self.services:
            lines = self.said(service).splitlines() if self.home.log_file(service).exists() else []
            told += [f"{service}: {line[:200]}" for line in lines if _PLACE.match(line)][-SAID_LINES:]
            told += [f"{service}: {line[:300]}" for line in lines if line.startswith("{")][-3:]
        return "\n".join(told)

    # -- the log -------------------------------------------------------------------------------------------------------

    @cached_property
    def config(self) -> AccountConfig:
        records, _ = read_reference(self.running.kafka, self.keys)
        return next(r for r in records if isinstance(r, AccountConfig) and r.account == ACCOUNT)

    def executions(self, kind: Any = object) -> list[Any]:
        """What the gateway has written, in order."""
        records, _ = read_account(self.running.kafka, self.keys, "executions", ACCOUNT, self.config.partition)
        return [record for record in records if isinstance(record, kind)]

    def executions_since(self, us: int) -> list[Any]:
        """What the gateway has written since a market time."""
        return [record for record in self.executions() if record.written_us >= us]

    def orders(self) -> list[Submitted]:
        """Each order that the desk has made, once."""
        partition = self.config.partition
        derivations = Derivations("orders", self.keys, {ACCOUNT: partition})
        found = []
        for batch in read_range(self.running.kafka, "orders", partition):
            for message in batch:
                judged = derivations.judge(partition, message.offset() or 0, message.key(), message.value())
                if judged.verdict is Verdict.TAKE and isinstance(judged.record, Submitted):
                    found.append(judged.record)
        return found

    def entries(self, from_us: int = 0) -> list[Submitted]:
        """Orders that open positions, decided at or after a market time."""
        return [o for o in self.orders() if o.purpose is OrderPurpose.ENTRY and o.taken_us >= from_us]

    def alerts(self, from_us: int = 0) -> dict[str, Alert]:
        """The newest alert of each code since a market time."""
        found = {}
        for partition in range(TOPICS["alerts"].partitions):
            for batch in read_range(self.running.kafka, "alerts", partition):
                for message in batch:
                    alert = decode(message.value() or b"")
                    if isinstance(alert, Alert) and alert.time_us >= from_us:
                        found[alert.code] = alert
        return found

    def trades_again(self, since_us: int) -> None:
        """Waits until an entry that was decided since then has been filled."""

        def filled() -> bool:
            entered = {order.order_no for order in self.entries(since_us)}
            return any(record.order_no in entered for record in self.executions(Filled))

        self.until(filled, "the account trades")

    def on_old_prices(self) -> list[str]:
        """Entries that were decided on a quote older than the account allows, or sent or filled when they were over."""
        time_us = (log_rows(self.running.kafka, self.keys, LISTING)[:, 0] - SERVER_AHEAD_MS) * 1000
        entries = {order.order_no: order for order in self.entries()}
        found = []
        for number, order in entries.items():
            age_us = order.taken_us - int(time_us[order.decision_n])
            if age_us > DEFAULT_LIMITS["max_quote_age_ms"] * 1000:
                found.append(f"entry {number} was decided on a quote of {age_us / 1e6:.1f} s before")
        for record in self.executions(Sending):
            placed = record.request is OrderRequest.PLACE and record.order_no in entries
            late_us = record.written_us - entries[record.order_no].valid_until_us if placed else 0
            if late_us > 0:
                found.append(f"entry {record.order_no} was begun {late_us / 1e6:.1f} s after it was over")
        for deal in self.executions(Filled):
            late_us = deal.time_ms * 1000 - entries[deal.order_no].valid_until_us if deal.order_no in entries else 0
            if deal.entry is DealEntry.IN and late_us > ON_ITS_WAY_US:
                found.append(f"entry {deal.order_no} was filled {late_us / 1e6:.1f} s after it was over")
        return found


@contextmanager
def trading_day(
    folder: Path,
    minutes: tuple[int, int],
    *,
    speed: float,
    valid_for: str = PATIENT,
    followers: tuple[str, ...] = ("recorder", f"desk-{ACCOUNT}"),
    more: Mapping[str, Mapping[str, Any]] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[TradingDay]:
    """The minutes of the sample day are played at a speed; everything ends with the block.

    `valid_for`: how long entries may be sent. `followers`: whom the market waits for. `more`: settings, by section.
    """
    home = Home(folder / "home")
    home.create()
    told: dict[str, dict[str, Any]] = {
        "terminal": {
            "kind": "simulated",
            "data": [str(slice_of(folder, minutes))],
            "symbol": "EURUSD",
            "speed": ALMOST_STANDING,
            "followers": list(followers),
        },
        "recorder": {"feed": FEED},
        "trade": {"account": ACCOUNT},
    }
    for section, keys in (more or {}).items():
        told.setdefault(section, {}).update(keys)
    lines = []
    for section, keys in told.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    (home.root / "tickledger.toml").write_text("\n".join(lines) + "\n")
    settings = load_settings(home.root)
    strategy = folder / STRATEGY.name
    strategy.write_text(STRATEGY.read_text().replace(f'valid_for="{PATIENT}"', f'valid_for="{valid_for}"'))
    played = Played(settings, [strategy], None)
    prepare = make_log(settings, played.configure)
    programs = [program for program in programs_of(settings) if program is not API]
    with attach_or_start(settings, names_of(programs), prepare, tell, programs) as stack, played.watched(stack) as day:
        own = TradingDay(settings, stack, day)
        day.set_pace(speed)
        try:
            yield own
        finally:
            own.market.close()
