"""kill -9 of everything that can be killed: what is started again, what is gone, what is never touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import psycopg
import pytest

from infra.settings import load_settings
from infra.stack.addresses import postgres_dsn
from infra.stack.home import Home, write_json
from infra.stack.process import Identity
from infra.stack.services import is_ready, running
from tests.integration.stack.keeping import Keeper, family, once, wait

pytestmark = [pytest.mark.stack, pytest.mark.kill]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def restarted(keeper: Keeper, service: str, former: int) -> None:
    def ready() -> bool:
        process = running(keeper.home, service)
        return process is not None and process.pid != former and is_ready(keeper.home, service)

    wait(ready, 120)


def supervisor_of(keeper: Keeper) -> int:
    """The child of the owner that is the services' parent."""
    stat = Path(f"/proc/{keeper.pid('postgres')}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def counting(dsn: str) -> int:
    """How many backends are busy with the long query of these tests."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE state = 'active' AND query LIKE '%3000000000%' AND pid <> pg_backend_pid()"
        ).fetchone()
    return 0 if row is None else int(row[0])


def gone(processes: list[Identity], timeout_s: float = 120) -> None:
    wait(lambda: not any(process.alive() for process in processes), timeout_s)


def test_a_broker_that_is_killed_is_started_again_with_what_it_had(home: Path) -> None:
    from infra.kafka import end_of, ensure_topics, new_producer, send_and_wait

    with Keeper(home, "up", "first") as keeper:
        kafka = keeper.ready().said("ready")
        ensure_topics(kafka)
        producer = new_producer(kafka)
        for number in range(20):
            send_and_wait(producer, "alerts", 0, "k", b"%d" % number)
        former, first = keeper.pid("kafka"), keeper.pid("first")
        os.kill(former, signal.SIGKILL)
        restarted(keeper, "kafka", former)
        assert end_of(kafka, "alerts", 0) == 20
        assert keeper.pid("first") == first
        send_and_wait(producer, "alerts", 0, "k", b"more")


def test_a_database_that_is_killed_while_it_is_busy_is_started_again(home: Path) -> None:
    """Its backends outlive it until their query ends, and would keep a new one from starting."""
    with Keeper(home, "up") as keeper:
        keeper.ready()
        dsn = postgres_dsn(load_settings(home=home))
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")

        def be_busy() -> None:
            with pytest.raises(psycopg.OperationalError), psycopg.connect(dsn) as connection:
                connection.execute("SELECT count(*) FROM generate_series(1, 3000000000)")

        busy = [Thread(target=be_busy) for _ in range(2)]
        for thread in busy:
            thread.start()
        wait(lambda: counting(dsn) == 2)
        former = keeper.pid("postgres")
        everything = family(former)
        os.kill(former, signal.SIGKILL)
        restarted(keeper, "postgres", former)
        for thread in busy:
            thread.join(90)
            assert not thread.is_alive()
        assert not [process for process in everything if process.alive()]
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)


def test_when_up_is_killed_nothing_is_left_and_the_next_up_starts(home: Path) -> None:
    with Keeper(home, "up", "first", "second") as keeper:
        everything = family(keeper.ready().process.pid)
        keeper.process.kill()
        with Keeper(home, "up", "first", "second") as following:  # at once: it waits for the former one's end
            following.ready()
            gone(everything, 1)
            assert all(is_ready(keeper.home, name) for name in ("kafka", "postgres", "first", "second"))
    assert (home / "first.ended").exists()


def test_when_up_and_supervisor_are_killed_at_once_nothing_is_left(home: Path) -> None:
    with Keeper(home, "up", "first") as keeper:
        everything = family(keeper.ready().process.pid)
        for pid in (supervisor_of(keeper), keeper.process.pid):
            os.kill(pid, signal.SIGKILL)
        gone(everything)
        states = once(home, "status", "first")["status"]
        assert {service["state"] for service in states.values()} == {"stopped"}


def test_when_the_supervisor_is_killed_up_says_so_and_nothing_is_left(home: Path) -> None:
    with Keeper(home, "up", "first") as keeper:
        everything = family(keeper.ready().process.pid)
        os.kill(supervisor_of(keeper), signal.SIGKILL)
        assert keeper.end(60) == 2
        assert "supervisor" in keeper.said("error")
        assert not [process for process in everything if process.alive()]


def test_busy_backends_of_a_database_whose_whole_family_was_killed_are_found(home: Path) -> None:
    """Nothing tells them to end: the next start finds them by their folder and program, never by name."""
    with Keeper(home, "up") as keeper:
        keeper.ready()
        dsn = postgres_dsn(load_settings(home=home))

        def be_busy() -> None:
            with pytest.raises(psycopg.OperationalError), psycopg.connect(dsn) as connection:
                connection.execute("SELECT count(*) FROM generate_series(1, 3000000000)")

        thread = Thread(target=be_busy)
        thread.start()
        wait(lambda: counting(dsn) == 1)
        left = family(keeper.pid("postgres"))[1:]
        supervisor, postmaster = supervisor_of(keeper), keeper.pid("postgres")
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(postmaster, signal.SIGKILL)
        os.kill(supervisor, signal.SIGKILL)
        keeper.process.kill()
        keeper.process.wait()
        assert any(process.alive() for process in left)
        with Keeper(home, "up") as following:
            following.ready()
            assert not [process for process in left if process.alive()]
            assert any("left behind" in line.get("progress", "") for line in following.lines)
        thread.join(90)


def test_a_recorded_process_is_ended_and_one_that_only_has_its_number_is_not(home: Path) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(300)"]
    with subprocess.Popen(sleeper) as recorded, subprocess.Popen(sleeper) as other:
        mine, theirs = Identity.of(recorded.pid), Identity.of(other.pid)
        assert mine is not None
        assert theirs is not None
        Home(home).create()
        write_json(Home(home).pid_file("kafka"), mine._asdict())
        write_json(Home(home).pid_file("postgres"), theirs._replace(start_ticks=theirs.start_ticks - 1)._asdict())
        try:
            said = once(home, "hold", "kafka,postgres")
            assert said["code"] == 0
            assert recorded.wait(5) == -signal.SIGTERM
            assert other.poll() is None
        finally:
            recorded.kill()
            other.kill()


def test_a_process_that_has_the_number_of_a_former_database_does_not_block_it(home: Path) -> None:
    assert once(home, "hold", "postgres")["code"] == 0
    pid_file = home / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{home}\n0\n0\n\n\n        0         0\nready\n")
    owner = pid_file.parent.stat()
    os.chown(pid_file, owner.st_uid, owner.st_gid)
    assert once(home, "hold", "postgres")["code"] == 0
