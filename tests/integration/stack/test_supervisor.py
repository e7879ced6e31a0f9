"""The supervisor by itself, spoken to as its owner does: one JSON command or event a line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.stack.process import Identity
from tests.integration.stack.keeping import family, wait

pytestmark = [pytest.mark.stack, pytest.mark.kill]

STEADY = "import time; print('steady', flush=True); time.sleep(300)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)"
PARENT = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], "
    "start_new_session=True); print('parent', flush=True); time.sleep(300)"
)


class Owner:
    """Starts a supervisor and is, unless ``owner`` says otherwise, the process whose end it watches."""

    def __init__(self, folder: Path, owner: int | None = None) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "infra.stack.supervisor", str(owner or os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def send(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def event(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {}

    def start(self, name: str, code: str, **other: Any) -> Identity:
        """Start a service that runs Python ``code`` and wait for its first line."""
        self.send(do="start", service=self.spec(name, code, **other))
        event = self.event()
        assert (event["event"], event["service"]) == ("started", name)
        log = self.folder / f"{name}.log"
        wait(lambda: log.read_bytes() != b"")
        return Identity(event["pid"], event["start_ticks"], event["boot_id"])

    def spec(self, name: str, code: str, **other: Any) -> dict[str, Any]:
        return {
            "name": name,
            "argv": [sys.executable, "-c", code],
            "env": dict(os.environ),
            "cwd": str(self.folder),
            "uid": None,
            "stop_signal": int(signal.SIGTERM),
            "stop_timeout_s": 10,
            "log": str(self.folder / f"{name}.log"),
            "log_bytes": 1000,
            "record": str(self.folder / f"{name}.pid"),
            "most_ends": 2,
            "fenced": None,
            "refused": None,
            "rank": 0,
            **other,
        }

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    owner = Owner(tmp_path)
    yield owner
    owner.close()
    assert owner.process.wait(30) == 0


def test_a_service_is_recorded_and_ends_when_told(owner: Owner, tmp_path: Path) -> None:
    process = owner.start("a", STEADY)
    assert json.loads((tmp_path / "a.pid").read_text()) == process._asdict()
    owner.send(do="stop", name="unknown")
    owner.send(do="stop", name="a")
    assert owner.event() == {"event": "stopped", "service": "a"}
    assert not process.alive()
    assert not (tmp_path / "a.pid").exists()


def test_what_could_not_be_recorded_is_recorded_once_it_can_be(owner: Owner, tmp_path: Path) -> None:
    record = tmp_path / "not yet" / "a.pid"
    process = owner.start("a", STEADY, record=str(record))
    record.parent.mkdir()
    wait(record.exists)
    assert json.loads(record.read_text()) == process._asdict()


def test_a_service_that_dies_is_started_again_until_that_is_hopeless(owner: Owner) -> None:
    first = owner.start("a", STEADY)
    first.send(signal.SIGKILL)
    died = owner.event()
    assert (died["event"], died["reason"], died["again_in_s"]) == ("exited", "ended by signal 9", 0.2)
    second = owner.event()
    assert second["event"] == "started"
    assert second["pid"] != first.pid
    for last in ("exited", "failed"):
        os.kill(second["pid"], signal.SIGKILL)
        died = owner.event()
        assert died["event"] == last
        second = owner.event() if last == "exited" else second
    assert "again_in_s" not in died


def test_a_service_that_cannot_be_run_says_why(owner: Owner) -> None:
    owner.send(do="start", service=owner.spec("a", "", argv=["/no/such/program"], most_ends=0))
    event = owner.event()
    assert (event["event"], event["service"]) == ("failed", "a")
    assert "cannot be run" in event["reason"]
    assert "/no/such/program" in event["reason"]


def test_an_exit_code_is_told(owner: Owner) -> None:
    owner.send(do="start", service=owner.spec("a", "raise SystemExit(3)", most_ends=0))
    assert owner.event()["event"] == "started"
    assert owner.event()["reason"] == "ended with exit code 3"


def test_a_service_that_is_refused_is_not_started_again_and_can_be_stopped(owner: Owner, tmp_path: Path) -> None:
    steady = owner.start("steady", STEADY)
    owner.send(do="start", service=owner.spec("a", "raise SystemExit(4)", refused=4, fenced=3))
    assert owner.event()["event"] == "started"
    assert owner.event() == {"event": "refused", "service": "a", "reason": "ended with exit code 4"}
    owner.send(do="stop", name="a")
    assert owner.event() == {"event": "stopped", "service": "a"}
    assert steady.alive()
    assert not (tmp_path / "a.pid").exists()


def test_a_service_that_was_replaced_waits_a_minute(owner: Owner) -> None:
    owner.send(do="start", service=owner.spec("a", "raise SystemExit(3)", refused=4, fenced=3))
    assert owner.event()["event"] == "started"
    replaced = owner.event()
    assert (replaced["event"], replaced["again_in_s"]) == ("exited", 60.0)


def test_who_does_not_end_when_asked_is_killed(owner: Owner) -> None:
    process = owner.start("a", DEAF, stop_timeout_s=0.3)
    owner.send(do="stop", name="a")
    assert owner.event()["event"] == "stopped"
    assert not process.alive()


def test_what_a_service_leaves_behind_is_ended(owner: Owner) -> None:
    """A database's backends outlive it; here also with a session of their own."""
    for end in ("kill", "stop"):
        process = owner.start(end, PARENT)
        wait(lambda process=process: len(family(process.pid)) == 2)  # type: ignore[misc]
        everything = family(process.pid)
        if end == "kill":
            process.send(signal.SIGKILL)
            assert owner.event()["event"] == "exited"
            assert owner.event()["event"] == "started"
        else:
            owner.send(do="stop", name=end)
            assert owner.event()["event"] == "stopped"
        assert not [each for each in everything if each.alive()]


def test_all_end_in_the_order_of_their_ranks(owner: Owner) -> None:
    processes = [owner.start(name, STEADY, rank=rank) for name, rank in (("b", 1), ("c", 2), ("a", 0))]
    owner.send(do="end")
    events = [owner.event() for _ in range(4)]
    assert [event.get("service") for event in events] == ["c", "b", "a", None]
    assert events[-1] == {"event": "ended"}
    assert not [process for process in processes if process.alive()]


def test_the_end_of_commands_or_of_the_owner_ends_all(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]) as watched:
        for how in ("pipe", "owner", "signal"):
            owner = Owner(tmp_path, watched.pid if how == "owner" else None)
            process = owner.start(how, STEADY)
            if how == "pipe":
                assert owner.process.stdin is not None
                owner.process.stdin.close()
            elif how == "owner":
                watched.kill()
            else:
                owner.process.terminate()
            assert owner.process.wait(20) == 0
            assert not process.alive()
            owner.close()


def test_an_owner_that_is_gone_already_gets_no_supervisor(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    owner = Owner(tmp_path, gone.pid)
    assert owner.process.wait(20) == 0
    owner.close()


def test_when_the_supervisor_is_killed_its_services_end(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    process = owner.start("a", STEADY)
    owner.process.kill()
    assert owner.process.wait(10) == -signal.SIGKILL
    assert process.wait(10)
    owner.close()


def test_a_log_that_has_grown_is_put_aside_at_a_start(owner: Owner, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    for number in range(5):
        log.write_bytes(b"%d" % number * 1001)
        owner.start("a", STEADY)
        wait(lambda: log.read_bytes() == b"steady\n")
        owner.send(do="stop", name="a")
        assert owner.event()["event"] == "stopped"
    kept = sorted(path.name for path in tmp_path.glob("a.log*"))
    assert kept == ["a.log", "a.log.1", "a.log.2", "a.log.3"]
    assert (tmp_path / "a.log.1").read_bytes()[:1] == b"4"
    assert (tmp_path / "a.log.3").read_bytes()[:1] == b"2"


def test_a_service_waits_longer_each_time_it_ends_soon(owner: Owner) -> None:
    owner.send(do="start", service=owner.spec("a", "", most_ends=3))
    delays = []
    started = time.monotonic()
    while (event := owner.event())["event"] != "failed":
        if event["event"] == "exited":
            delays.append(event["again_in_s"])
    assert delays == [0.2, 0.4, 0.8]
    assert time.monotonic() - started >= 1.4
