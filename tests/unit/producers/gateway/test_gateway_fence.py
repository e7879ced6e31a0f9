"""The fence at the terminal: one holder, whoever is stopped loses it, whoever works keeps it."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.chain_follower import Fenced
from infra.stack.process import Identity
from producers.gateway.fence import Fence, fence_path

HOLDER = """
import sys, time
from pathlib import Path
from producers.gateway.fence import Fence
fence = Fence(Path(sys.argv[1]), "gateway")
fence.take()
print("held", flush=True)
while True:
    fence.beat()
    time.sleep(0.02)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the fence and beats."""
    command = [sys.executable, "-P", "-c", HOLDER, str(tmp_path / "fence.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd(), env=_env()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_free_fence_is_taken_without_ending_anybody(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "new" / "fence.lock", "gateway")
    assert fence.take() is False
    fence.beat()
    fence.release()
    assert Fence(tmp_path / "new" / "fence.lock", "gateway").take() is False


def test_a_holder_that_works_is_left_alone(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(Fenced, match=f"the gateway with pid {holder.pid} is at work"):
        Fence(tmp_path / "fence.lock", "gateway").take()
    assert holder.poll() is None


def test_a_holder_that_works_is_left_alone_by_a_newcomer_whose_machine_stood(
    tmp_path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = itertools.count(0, 10)
    clock = SimpleNamespace(monotonic=lambda: float(next(times)), sleep=time.sleep)
    monkeypatch.setattr("producers.gateway.fence.time", clock)
    holder.send_signal(signal.SIGSTOP)
    waking = threading.Timer(0.1, holder.send_signal, (signal.SIGCONT,))
    waking.start()
    with pytest.raises(Fenced, match="is at work"):
        Fence(tmp_path / "fence.lock", "gateway").take()
    waking.join()
    assert holder.poll() is None


def test_a_stopped_holder_is_ended_and_replaced(
    tmp_path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.gateway.fence.SILENT_S", 0.3)
    holder.send_signal(signal.SIGSTOP)
    fence = Fence(tmp_path / "fence.lock", "gateway")
    assert fence.take() is True
    assert holder.wait(5) == -signal.SIGKILL
    fence.release()


def test_who_has_to_flatten_ends_also_a_holder_that_works(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    assert Fence(tmp_path / "fence.lock", "direct flattening").take(now=True) is True
    assert holder.wait(5) == -signal.SIGKILL


def release_once_ended(monkeypatch: pytest.MonkeyPatch, holder: Fence) -> None:
    """The holder gives the lock up right after whoever waits for it was to end it."""
    end = Fence._end

    def ended(fence: Fence, named: dict[str, Any]) -> None:
        end(fence, named)
        holder.release()

    monkeypatch.setattr(Fence, "_end", ended)


def test_a_process_that_only_has_the_holders_pid_is_never_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.gateway.fence.SILENT_S", 0.1)
    path = tmp_path / "fence.lock"
    first = Fence(path, "gateway")
    first.take()
    own = Identity.own()
    path.write_bytes(bytes(8) + f'{{"pid": {own.pid}, "start_ticks": {own.start_ticks + 1}, "boot_id": ""}}'.encode())
    release_once_ended(monkeypatch, first)
    second = Fence(path, "gateway")
    assert second.take() is True
    second.release()


@pytest.mark.parametrize("content", [b"", b"short", bytes(8) + b"{not json", bytes(8) + b"[1]"])
def test_a_file_without_a_holder_is_waited_for(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.gateway.fence.SILENT_S", 0.1)
    path = tmp_path / "fence.lock"
    first = Fence(path, "gateway")
    first.take()
    path.write_bytes(content)
    release_once_ended(monkeypatch, first)
    second = Fence(path, "gateway")
    assert second.take() is True
    second.release()


def test_the_fence_is_of_the_brokers_account_whatever_we_call_it(tmp_path: Path) -> None:
    path = fence_path(tmp_path, "rpyc host:1", "Broker-Demo", 7)
    assert path == fence_path(tmp_path, "rpyc host:1", "Broker-Demo", 7)
    assert path != fence_path(tmp_path, "rpyc host:1", "Broker-Demo", 8)
    assert path != fence_path(tmp_path, "rpyc host:2", "Broker-Demo", 7)


def _env() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path.cwd())}
