"""A projector that is killed, a database that goes away, a twin: nothing is missing and nothing is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infra.clock import FixedClock
from infra.stack.home import read_json
from projections.projector import Projector
from schemas.integrity import KeyRing
from tests.conftest import StartStack, TestStack
from tests.integration.projections.conftest import Ask
from tests.integration.projections.scripted import KEYS, START_MS, Feed, Log, bar, value_of
from tests.integration.projections.scripted import signal as made_signal

pytestmark = [pytest.mark.stack, pytest.mark.kill, pytest.mark.timeout(900)]

COUNT = """
select count(*), count(distinct n), coalesce(max(n), -1) from tickledger.ticks
join tickledger.listings on id = listing_id where name = %s
"""
ROOT = Path(__file__).resolve().parents[3]


class Service:
    """The projector as the stack runs it, on a home of its own and the broker and database given."""

    def __init__(self, stack: TestStack, dsn: str, home: Path) -> None:
        (home / "run").mkdir(parents=True)
        (home / "keys").mkdir()
        ring = home / "keys" / "ring.json"
        ring.write_text('{"current": "k-test", "keys": {"k-test": "' + bytes(range(32)).hex() + '"}}')
        ring.chmod(0o600)
        self.home = home
        self.env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TICKLEDGER_HOME": str(home),
            "TICKLEDGER_KAFKA__BOOTSTRAP_SERVERS": stack.kafka,
            "TICKLEDGER_POSTGRES__DSN": dsn,
        }
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "projections.projector"], env=self.env, stderr=subprocess.PIPE, text=True
        )
        return self.process

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            record = read_json(self.home / "run" / "projector.json")
            if record and self.process and record.get("ready") and record["pid"] == self.process.pid:
                return
            time.sleep(0.02)
        raise AssertionError("the projector never became ready")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def service(own_stack: TestStack, dsn: str, tmp_path: Path) -> Iterator[Service]:
    found = Service(own_stack, dsn, tmp_path / "home")
    yield found
    if found.process is not None and found.process.poll() is None:
        found.process.terminate()
        found.process.communicate()


def wait_for(ask: Ask, listing: str, ticks: int, timeout_s: float = 150) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if ask(COUNT, listing)[0][0] >= ticks:
                return
        except psycopg.Error:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{ask(COUNT, listing)} after {timeout_s} s, {ticks} were written")


def test_killed_under_load_again_and_again_it_has_each_record_once(
    log: Log, listing: str, ask: Ask, service: Service
) -> None:
    feed = Feed(log, listing, step_ms=10)
    log.post("ticks", listing, feed.opened())
    for _ in range(1200):
        log.post("ticks", listing, feed.block(300))
    for number in range(3000):
        log.post("bars", listing, value_of(bar(listing, number)))
        log.post("signals", listing, value_of(made_signal(listing, number)))
    log.flush()

    there = 0
    for _ in range(3):
        service.start()
        service.wait_ready()
        # On a slow machine all of them may have come before this one was killed.
        wait_for(ask, listing, min(there + 1, feed.n))
        there = ask(COUNT, listing)[0][0]
        service.kill()
    service.start()
    wait_for(ask, listing, feed.n)
    queries = [
        f"select count(*), count(distinct out_seq), max(out_seq) from tickledger.{table} "
        "join tickledger.listings on id = listing_id where name = %s"
        for table in ("bars", "signals")
    ]
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline and any(ask(query, listing)[0][0] < 3000 for query in queries):
        time.sleep(0.1)
    time.sleep(0.5)

    assert ask(COUNT, listing) == [(feed.n, feed.n, feed.n - 1)]
    for query in queries:
        assert ask(query, listing) == [(3000, 3000, 2999)], query
    assert ask("select sum(seen) from tickledger.marks") == [(0,)]


def test_it_goes_on_by_itself_when_its_session_is_ended(
    log: Log, listing: str, ask: Ask, service: Service, dsn: str
) -> None:
    feed = Feed(log, listing)
    feed.open()
    feed.write(10)
    service.start()
    wait_for(ask, listing, 10)
    for _ in range(3):
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'tickledger projector' and datname = current_database()"
            )
        feed.write(10)
        wait_for(ask, listing, feed.n)

    assert ask(COUNT, listing) == [(40, 40, 39)]
    assert service.process is not None
    assert service.process.poll() is None


def test_a_second_projector_on_the_database_ends_and_says_so(
    log: Log, listing: str, ask: Ask, service: Service, own_stack: TestStack, dsn: str, tmp_path: Path
) -> None:
    service.start()
    service.wait_ready()
    twin = Service(own_stack, dsn, tmp_path / "twin")
    process = twin.start()
    _, said = process.communicate(timeout=120)

    assert process.returncode == 2
    assert "another projector writes the database" in said
    feed = Feed(log, listing)
    feed.open()
    feed.write(5)
    wait_for(ask, listing, 5)


def test_a_stopped_projector_keeps_its_database(
    log: Log, listing: str, ask: Ask, service: Service, own_stack: TestStack, dsn: str, tmp_path: Path
) -> None:
    process = service.start()
    service.wait_ready()
    process.send_signal(signal.SIGSTOP)
    twin = Service(own_stack, dsn, tmp_path / "twin").start()
    twin.communicate(timeout=120)
    process.send_signal(signal.SIGCONT)
    feed = Feed(log, listing)
    feed.open()
    feed.write(5)
    wait_for(ask, listing, 5)

    assert twin.returncode == 2
    assert ask(COUNT, listing) == [(5, 5, 4)]


@pytest.mark.parametrize("victim", ["postgres", "kafka"])
def test_it_goes_on_by_itself_when_database_or_broker_are_killed(
    start_stack: StartStack, listing: str, tmp_path: Path, victim: str
) -> None:
    with start_stack() as stack:
        log = Log(stack.kafka)
        service = Service(stack, stack.postgres_dsn, tmp_path / "home")
        feed = Feed(log, listing)

        def ask(query: str, *parameters: object) -> list[tuple[object, ...]]:
            with psycopg.connect(stack.postgres_dsn) as connection:
                return connection.execute(query.encode(), parameters).fetchall()

        try:
            log.post("ticks", listing, feed.opened())
            for _ in range(400):
                log.post("ticks", listing, feed.block(300))
            log.flush()
            service.start()
            wait_for(ask, listing, 1)
            pid = read_json(stack.home / "run" / f"{victim}.pid")
            assert pid is not None
            os.kill(pid["pid"], signal.SIGKILL)
            for _ in range(10):
                log.post("ticks", listing, feed.block(300))
            log.flush()
            wait_for(ask, listing, feed.n)

            assert ask(COUNT, listing) == [(feed.n, feed.n, feed.n - 1)]
            assert service.process is not None
            assert service.process.poll() is None
        finally:
            service.kill()


def test_it_ends_on_sigterm_with_what_it_has_taken_written(log: Log, listing: str, ask: Ask, service: Service) -> None:
    feed = Feed(log, listing)
    feed.open()
    feed.write(7)
    process = service.start()
    wait_for(ask, listing, 7)
    process.terminate()
    process.communicate(timeout=60)

    assert process.returncode == 0


def test_what_fits_no_key_of_its_ring_is_told_and_left_out(
    own_stack: TestStack, log: Log, listing: str, dsn: str, ask: Ask
) -> None:
    feed = Feed(log, listing)
    feed.open()
    at = feed.write(7)
    other = KeyRing({"k-other": bytes(32)}, "k-other")
    Projector(dsn, own_stack.kafka, other, FixedClock(START_MS * 1000)).run_to_end()
    Projector(dsn, own_stack.kafka, other, FixedClock(START_MS * 1000)).run_to_end()

    assert KEYS.current == "k-test"
    assert ask(COUNT, listing) == [(0, 0, -1)]
    assert ask(
        "select message from tickledger.alerts where alert_id like 'forged_record/ticks/%%/' || %s and message like %s",
        str(at),
        "%k-test%",
    )
