"""`up`, `down` and `status`: order, a second one, crash loops, ports."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.integration.stack.keeping import Keeper, family, once, wait

pytestmark = pytest.mark.stack


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "a home with späces"


def test_up_starts_all_says_so_to_a_second_one_and_ends_in_order(home: Path) -> None:
    with Keeper(home, "up", "first", "second") as keeper:
        keeper.ready()
        assert keeper.said("hook") == keeper.said("ready")
        hook = next(number for number, line in enumerate(keeper.lines) if "hook" in line)
        first = next(number for number, line in enumerate(keeper.lines) if line.get("progress") == "first: starting")
        assert hook < first

        services = once(home, "status", "first", "second")["status"]
        assert list(services) == ["kafka", "postgres", "first", "second"]
        assert {service["state"] for service in services.values()} == {"ready"}
        assert services["kafka"]["address"] == keeper.said("ready")
        assert services["postgres"]["address"].startswith("127.0.0.1:")
        assert services["first"]["pid"] == keeper.pid("first")

        second = once(home, "up", "first")
        assert (second["code"], second["kind"]) == (2, "HomeBusy")
        assert str(keeper.process.pid) in second["error"]
        assert "tickledger down" in second["error"]

        everything = family(keeper.process.pid)
        assert len(everything) >= 7
        keeper.process.send_signal(signal.SIGINT)
        assert keeper.end(60) == 0
        assert not [process for process in everything if process.alive()]

    assert (home / "second.ended").read_text() == "postgres kafka first second"
    assert (home / "first.ended").read_text() == "postgres kafka first"
    assert "shut down" in (home / "log" / "postgres.log").read_text()
    states = once(home, "status", "first")["status"]
    assert {service["state"] for service in states.values()} == {"stopped"}
    assert states["kafka"]["pid"] is None


def test_down_ends_what_up_keeps(home: Path) -> None:
    with Keeper(home, "up", "first") as keeper:
        keeper.ready()
        everything = family(keeper.process.pid)
        down = once(home, "down", "first")
        assert (down["found"], down["code"]) == (True, 0)
        assert keeper.end(60) == 0
        assert not [process for process in everything if process.alive()]
    assert once(home, "down", "first")["found"] is False


def test_up_that_is_asked_to_end_while_it_starts_ends(home: Path) -> None:
    with Keeper(home, "up", "first") as keeper:
        while not any("starting on port" in line.get("progress", "") for line in keeper.lines):
            time.sleep(0.01)
        everything = family(keeper.process.pid)
        keeper.process.terminate()
        assert keeper.end() == 0
        assert keeper.said("ready") is None
        assert not [process for process in everything if process.alive()]


@pytest.mark.parametrize(("program", "words"), [("broken", "no such strategy"), ("fragile", "lost my state")])
def test_a_program_that_dies_again_and_again_ends_the_stack_which_says_why(
    home: Path, program: str, words: str
) -> None:
    with Keeper(home, "up", "first", program) as keeper:
        assert keeper.end() == 2
        assert keeper.said("kind") == "ServiceFailed"
        for part in (program, "exit code 1", words, f"{program}.log"):
            assert part in keeper.said("error")
    failed = once(home, "status", program)["status"][program]
    if program == "fragile":
        assert failed["state"] == "failed"
        assert words in failed["reason"]


def test_a_port_that_is_asked_for_and_taken_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        for setting in ("postgres", "kafka"):
            with monkeypatch.context() as patch:
                patch.setenv(f"TICKLEDGER_{setting.upper()}__PORT", str(port))
                said = once(home, "up")
            assert (said["code"], said["kind"]) == (2, "PortTaken")
            assert f"port {port} on 127.0.0.1 ({setting}.port) is taken" in said["error"]
            assert "0 for any free one" in said["error"]


def test_ports_are_kept_unless_another_program_has_taken_them(home: Path) -> None:
    first = once(home, "hold", "postgres,kafka")["ready"]
    assert once(home, "hold", "postgres,kafka")["ready"] == first
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(first.rpartition(":")[2])))
        other.listen(1)
        assert once(home, "hold", "postgres,kafka")["ready"] != first


def test_settings_of_the_asked_ports_are_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("TICKLEDGER_POSTGRES__PORT", str(port))
    with Keeper(home, "hold", "postgres", "never") as keeper:
        keeper.ready()
        assert once(home, "status")["status"]["postgres"]["address"] == f"127.0.0.1:{port}"
        os.kill(keeper.process.pid, signal.SIGTERM)
        assert keeper.end() == 0


def test_a_program_that_cannot_run_is_told_of_and_the_others_go_on_without_it(home: Path) -> None:
    reason = "the password is wrong: correct terminal.password"
    with Keeper(home, "up", "first", "refused", "later", "dependent") as keeper:
        keeper.ready()
        wait(lambda: once(home, "status", "later")["status"]["later"]["state"] == "refused")
        told = [line["progress"] for line in keeper.lines if "can't run" in line.get("progress", "")]
        assert sorted(line.partition(":")[0] for line in told) == ["later", "refused"]
        assert all(reason in line and "tickledger down" in line for line in told)
        assert any("dependent: runs, but waits for refused" in line.get("progress", "") for line in keeper.lines)

        services = once(home, "status", "first", "refused", "dependent")["status"]
        assert services["refused"] == {"state": "refused", "pid": None, "address": None, "reason": reason}
        assert (services["first"]["state"], services["kafka"]["state"]) == ("ready", "ready")
        assert services["dependent"]["pid"] is not None

        needs_it = once(home, "with", "refused")
        assert (needs_it["code"], needs_it["kind"]) == (2, "ServiceFailed")
        assert reason in needs_it["error"]

        keeper.process.send_signal(signal.SIGINT)
        assert keeper.end() == 0
    assert once(home, "status", "refused")["status"]["refused"]["state"] == "stopped"


def test_a_command_that_needs_a_program_that_cannot_run_ends_at_once_with_its_reason(home: Path) -> None:
    said = once(home, "with", "refused")
    assert (said["code"], said["kind"]) == (2, "ServiceFailed")
    assert said["error"] == "refused can't run: the password is wrong: correct terminal.password"
