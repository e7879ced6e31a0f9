"""`bench live`: a market in real time through the whole stack, and how long after its tick each thing is there."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from api.bench import live_receipts
from api.bench.live_home import ACCOUNT, Offered, configure, live_settings, programs, services
from api.bench.live_probe import RowProbe, TopicProbe, cpu_seconds
from api.bench.live_receipts import GOALS, Milliseconds
from api.bench.memory import GROWTH, memory_mb
from api.bench.result import Report, Result
from api.demo import agreement
from api.demo.history import compare_ticks
from api.demo.stages import Seen, Watch
from api.start import make_log, tell
from infra.clock import Stopwatch
from infra.errors import NotReady
from infra.keys import load_or_create
from infra.market_clock import FILE_NAME, MarketClock
from infra.settings import Settings
from infra.stack.home import Home
from infra.stack.stack import Running, attach_or_start
from producers.clocks import ServerClock
from producers.mt5 import Mt5, connect, sign_in
from producers.terminal.client import control
from producers.terminal.control import Control
from producers.terminal.synthetic import START_MS
from projections.database import connect as connect_database
from projections.derived import wait_until_derived, wait_until_projected
from schemas.catalogue import TOPICS

LISTINGS: Final = 50
SECONDS: Final = 60
MISSION: Final = 200
"""Ticks a second of each listing: 10,000 in all."""
FULL: Final = 500
"""25,000 in all."""
SUSTAINED_GOAL: Final = 20e3
PERCENT: Final = 99
CORES: Final = 2
LEAD_S: Final = 90
"""Seconds of market before the measured ones: specifications need quotes, listings are opened one by one, and for the
first minute under load the broker's second compiler is at work, which takes a share of the cores that it never does
again."""
SETTLE_S: Final = 10.0
"""Between the last listing's opening and the first look at memory. With the first quotes of fifty listings some hundred
orders come at once, and an account's are sent one after the other."""
_PATIENCE_S: Final = 180.0
_POLL_S: Final = 0.1
_SERVER_CLOCK: Final = "ny7"


@dataclass(frozen=True, slots=True)
class Played:
    """A load that was played: what it took, and what differs where nothing may."""

    offered: Offered
    ticks: int
    """That came while it was measured."""
    seconds: float
    """From the first of these ticks until the last had come, and the latest thing that follows from one was there."""
    late: Mapping[str, Milliseconds]
    cpu: Mapping[str, float]
    """Seconds of processor a second, by service, from the first tick to the last."""
    memory: Mapping[str, float]
    """Of each service, how many times as much of its own it has at the end as ten seconds after the first quotes."""
    problems: Sequence[str]


def run(seconds: int = SECONDS, listings: int = LISTINGS, rates: Sequence[int] = (MISSION, FULL)) -> Report:
    """Measures; `equal` is whether every stage has what the one before it has, at each rate."""
    results: list[Result] = []
    notes: list[str] = []
    problems: list[str] = []
    more: list[Result] = []
    for rate in rates:
        offered = Offered(listings, rate, LEAD_S + seconds)
        tell(f"bench live: {listings * rate:,} ticks/s for {seconds} s")
        with tempfile.TemporaryDirectory(prefix="tickledger-bench-") as folder:
            played = play(Path(folder) / "home", offered)
        problems += played.problems
        if rate == max(rates):
            sustained = played.ticks / played.seconds
            results.insert(0, Result("live.sustained.ticks_per_s", sustained, "ticks/s", SUSTAINED_GOAL))
            more = _memory(played)
        prefix = "live" if rate == MISSION else f"live.{listings * rate // 1000}k"
        results += _latencies(played, prefix, with_goals=rate == MISSION)
        notes.append(_note(played))
    return Report("live", not problems, [*results, *more] if not problems else [], [*notes, *problems[:5]])


def play(home: Path, offered: Offered) -> Played:
    """Plays a load in a new home, in real time, and measures."""
    settings = live_settings(home, offered)

    def configured(running: Running) -> None:
        configure(settings, running, offered)

    with attach_or_start(
        settings, services(settings), make_log(settings, configured), tell, programs(settings)
    ) as running:
        owner = control(settings.home)
        try:
            return _Live(settings, running, owner, offered).play()
        finally:
            owner.close()


class _Live:
    """A load on a stack that runs."""

    def __init__(self, settings: Settings, running: Running, owner: Control, offered: Offered) -> None:
        self._settings, self._running, self._owner, self._offered = settings, running, owner, offered
        self._keys = load_or_create(settings)
        self._names = services(settings)
        self._clock = MarketClock(Home(settings.home).run / FILE_NAME)

    def play(self) -> Played:
        running = self._running
        every = {topic: range(TOPICS[topic].partitions) for topic in ("bars", "signals", "orders")}
        with TopicProbe(running.kafka, every) as topics, RowProbe(running.postgres_dsn) as rows:
            self._owner.speed(1.0)
            self._wait_for_listings()
            time.sleep(SETTLE_S)
            memory = memory_mb(running.home, self._names)
            self._wait_for_lead()
            cpu, watch, from_us = cpu_seconds(running.home, self._names), Stopwatch(), self._clock.now_us()
            self._wait_for_end()
            played_s = watch.seconds()
            pace = self._clock.pace()
            spent = cpu_seconds(running.home, self._names)
            self._wait_for_all()
            grown = memory_mb(running.home, self._names)
            # A market that stands brings nothing more, so that counts can be compared.
            self._owner.pause()
        market_us = pace.at
        ticks = live_receipts.read_ticks(running.kafka, from_us)
        arrivals = topics.arrivals
        mt5 = connect(self._settings)
        sign_in(mt5, self._settings.terminal)
        try:
            problems, orders = self._problems(mt5, ticks.count)
        finally:
            mt5.shutdown()
        late = {
            live_receipts.BAR: live_receipts.of_bars(arrivals, ticks, market_us),
            live_receipts.SIGNAL: live_receipts.of_signals(arrivals, ticks, market_us),
            live_receipts.ORDER: live_receipts.of_orders(arrivals, ticks, orders),
            live_receipts.ROW: live_receipts.of_rows(rows.seen, ticks, market_us),
        }
        used = {name: (spent[name] - cpu[name]) / played_s for name in self._names}
        growth = {name: grown[name] / memory[name] for name in self._names}
        return Played(self._offered, ticks.measured, ticks.through_s(late.values()), late, used, growth, problems)

    def _wait_for_listings(self) -> None:
        """Until the recorder has opened every listing."""
        watch = Stopwatch()
        file = Home(self._settings.home).ready_file("recorder")
        while file.read_text(encoding="utf-8").count("/") < self._offered.listings:
            self._running.check()
            if watch.seconds() > _PATIENCE_S:
                raise NotReady(f"the recorder hasn't opened {self._offered.listings} listings in {_PATIENCE_S:.0f} s")
            time.sleep(_POLL_S)

    def _wait_for_lead(self) -> None:
        """Until what is measured begins."""
        while self._clock.now_us() < (START_MS + LEAD_S * 1000) * 1000:
            self._running.check()
            time.sleep(_POLL_S)

    def _wait_for_end(self) -> None:
        while not self._owner.state().ended:
            self._running.check()
            time.sleep(_POLL_S)

    def _wait_for_all(self) -> None:
        running = self._running
        each = self._offered.ticks_per_s * self._offered.seconds
        for listing in self._offered.names:
            self._wait_for_ticks(listing, each)
            wait_until_derived(running.kafka, self._keys, running.postgres_dsn, listing, each, check=running.check)
        wait_until_projected(running.kafka, running.postgres_dsn, running.check)

    def _wait_for_ticks(self, listing: str, count: int) -> None:
        """Until the database has them: the log may not, yet."""
        watch = Stopwatch()
        with connect_database(self._running.postgres_dsn, "tickledger bench live") as connection:
            while True:
                row = connection.execute(_TICKS, (listing,)).fetchone()
                if row is not None and row[0] >= count:
                    return
                self._running.check()
                if watch.seconds() > _PATIENCE_S:
                    raise NotReady(f"of {count:,} ticks of {listing} {0 if row is None else row[0]:,} are through")
                time.sleep(_POLL_S)

    def _problems(self, mt5: Mt5, ticks: int) -> tuple[list[str], dict[int, int]]:
        """What differs between two stages; and when each order of ours got to the terminal, UTC ms by its number."""
        running, market = self._running, self._owner.state()
        found = [] if ticks == market.ticks else [f"the terminal has {market.ticks:,} ticks, the log {ticks:,}"]
        for listing in self._offered.names:
            same = compare_ticks(mt5, running.kafka, self._keys, listing)
            found += [] if same.equal else [f"{listing}: {same.differs}"]
        orders = self._orders(mt5)
        with Watch(self._owner, running.kafka, running.postgres_dsn) as watch:
            wait_until_projected(running.kafka, running.postgres_dsn, running.check)
            seen: Seen = watch.look()
        account: Any = mt5.account_info()
        with connect_database(running.postgres_dsn, "tickledger bench live") as connection:
            findings = agreement.of_account(connection, ACCOUNT, len(orders), Decimal(repr(account.balance)))
        for one in (*findings, agreement.of_database(seen)):
            found += one.problems
        if seen.ticks != ticks:
            found.append(f"the log has {ticks:,} ticks, the database {seen.ticks:,}")
        return found, orders

    def _orders(self, mt5: Mt5) -> dict[int, int]:
        there = [*(mt5.history_orders_get(0, 2**31 - 1) or ()), *(mt5.orders_get() or ())]
        ours: list[Any] = [order for order in there if order.magic]
        clock = ServerClock(_SERVER_CLOCK)
        times = clock.wall.to_utc_ms(np.array([order.time_setup_msc for order in ours], np.int64))
        found: dict[int, int] = {}
        for order, time_ms in zip(ours, times.tolist(), strict=True):
            # What the server closes a position by has the magic of the order that opened it.
            found[order.magic] = min(time_ms, found.get(order.magic, time_ms))
        return found


def _latencies(played: Played, prefix: str, *, with_goals: bool) -> list[Result]:
    found = []
    for what, goal in GOALS.items():
        own = played.late[what]
        if len(own):
            value = float(np.percentile(own, PERCENT))
            found.append(Result(f"{prefix}.p99.{what}_ms", value, "ms", goal if with_goals else None, "lower"))
            found.append(Result(f"{prefix}.p50.{what}_ms", float(np.percentile(own, 50)), "ms", None, "lower"))
    return found


def _memory(played: Played) -> list[Result]:
    """Of the terminal without a goal: what it serves is its whole history."""
    return [
        Result(f"live.memory.{name}.growth", growth, "times", None if name == "terminal" else GROWTH, "lower")
        for name, growth in played.memory.items()
    ]


def _note(played: Played) -> str:
    offered = played.offered
    counts = ", ".join(f"{len(own):,} {what}s" for what, own in played.late.items())
    where = sorted(played.cpu.items(), key=lambda one: -one[1])
    told = ", ".join(f"{name} {100 * share / CORES:.0f} %" for name, share in where)
    whole = 100 * sum(played.cpu.values()) / CORES
    return (
        f"at {offered.listings * offered.ticks_per_s:,} ticks/s: {played.ticks:,} ticks and all that follows in "
        f"{played.seconds:.1f} s ({counts}); of {CORES} cores: {told}; in all {whole:.0f} %"
    )


_TICKS: Final = """
select n from tickledger.heads where topic = 'ticks' and chain = %s
"""
