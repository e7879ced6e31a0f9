"""The desk as a real process: killed again and again, what it decides is what one fold of the journal gives."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.marks import Mark
from infra.stack.home import Home
from schemas.journal import EntryKind, JournalEntry
from schemas.registry import decode
from streams import snapshots
from tests.integration.desk.account_day import KEYS, AccountDay
from tests.integration.streams.service import UNHURRIED, Service, wait

pytestmark = [pytest.mark.stack, pytest.mark.kill]

NewDay = Callable[..., AccountDay]


def desk(day: AccountDay, home: Path, **more: str) -> Service:
    return Service(day.kafka, home, name="desk", module="streams.desk_service", **more)


def is_complete(day: AccountDay) -> bool:
    return day.found() == day.expected()


def test_killed_at_random_moments_it_leaves_the_topics_as_if_never(new_day: NewDay, tmp_path: Path) -> None:
    days = [new_day(seed=seed, seconds=400) for seed in (3, 4)]
    rng = random.Random(5)

    def trade(day: AccountDay) -> None:
        while not day.done:
            day.journal(60)
            time.sleep(0.15)

    threads = [threading.Thread(target=trade, args=(day,)) for day in days]
    with desk(days[0], tmp_path / "home", TICKLEDGER_WORKER__SNAPSHOT_INTERVAL_S="0.2") as service:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            service.start()
            wait(lambda: bool(days[0].on("risk")))
            time.sleep(rng.uniform(0.0, 2.5))
            service.kill()
        for thread in threads:
            thread.join()
        service.start()
        for day in days:
            wait(lambda day=day: is_complete(day))
            assert all(day.found()[topic] for topic in ("orders", "fills", "risk", "portfolio"))
            assert day.alerts() == []


def test_its_mark_is_the_time_of_the_last_entry(day: AccountDay, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with desk(day, home) as service:
        service.start().ready()
        mark = Mark.of(Home(home), f"desk-{day.account}")
        day.journal(40)
        wait(lambda: mark.get() == day.steps[39].us)
        day.journal()
        wait(lambda: mark.get() == day.steps[-1].us)
        assert is_complete(day)


def test_it_ends_on_sigterm_with_all_of_it_in_a_snapshot(day: AccountDay, tmp_path: Path) -> None:
    with desk(day, tmp_path / "home", TICKLEDGER_WORKER__SNAPSHOT_INTERVAL_S="60", **UNHURRIED) as service:
        service.start().ready()
        day.journal()
        wait(lambda: is_complete(day))
        assert service.end() == 0
        (stored,) = snapshots.load(day.kafka, KEYS, [day.partition], "journal")[day.partition]
        assert (stored.state.listing, stored.state.head.seq) == (day.account, len(day.steps))


def test_without_its_snapshots_it_folds_the_journal_from_the_start(day: AccountDay, tmp_path: Path) -> None:
    with desk(day, tmp_path / "home") as service:
        service.start().ready()
        day.journal(len(day.steps) // 2)
        wait(lambda: is_complete(day))
        assert service.end() == 0
        for stored in snapshots.load(day.kafka, KEYS, [day.partition], "journal")[day.partition]:
            snapshots.remove(day._producer, stored.state, stored.keys)
        day._producer.flush()
        service.start().ready()
        day.journal()
        wait(lambda: is_complete(day))


def test_a_damaged_journal_stops_its_account_alone_until_it_is_repaired(new_day: NewDay, tmp_path: Path) -> None:
    day, other = new_day(), new_day(seed=8)
    with desk(day, tmp_path / "home") as service:
        service.start().ready()
        day.journal(100)
        last = decode(day.values()[-1])
        assert isinstance(last, JournalEntry)
        offset, value = day.skip_a_link()
        wait(lambda: ("chain_stopped", offset) in day.alerts())
        other.journal()
        wait(lambda: is_complete(other))
        day.repair(offset, value, last)
        day.journal()
        wait(lambda: is_complete(day))
        assert other.alerts() == []


def test_an_input_that_cannot_be_folded_stops_its_account_alone(new_day: NewDay, tmp_path: Path) -> None:
    day, other = new_day(), new_day(seed=8)
    with desk(day, tmp_path / "home") as service:
        service.start().ready()
        day.steps.insert(50, day.steps[49]._replace(kind=EntryKind.INPUT, stream="executions", what=b"nonsense"))
        day.journal()
        other.journal()
        wait(lambda: is_complete(other))
        wait(lambda: [code for code, _ in day.alerts()] == ["account_stopped"])
        assert service.process.poll() is None
