"""Who a process is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from infra.stack.process import Identity, end_all

UNUSED_PID = 2**22 - 3
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(300)"


@contextmanager
def child(code: str = "print(flush=True); import time; time.sleep(300)") -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def identity(process: subprocess.Popen[bytes]) -> Identity:
    found = Identity.of(process.pid)
    assert found is not None
    return found


def test_a_process_is_itself_until_it_ends() -> None:
    assert Identity.own().alive()
    assert Identity.own() == Identity.of(os.getpid())
    with child() as process:
        it = identity(process)
        assert it.alive()
        assert not it.wait(0.05)
        assert it.send(signal.SIGTERM)
        assert it.wait(10)
        assert not it.alive()  # though nobody has reaped it
        assert not it.send(signal.SIGTERM)
        assert it.wait(0)


def test_a_process_that_has_only_the_number_is_another_one() -> None:
    with child() as process:
        it = identity(process)
        for former in (it._replace(start_ticks=it.start_ticks - 1), it._replace(boot_id="another boot")):
            assert not former.alive()
            assert not former.send(signal.SIGKILL)
            assert former.wait(0)
        assert process.poll() is None


def test_no_process_has_no_identity() -> None:
    assert Identity.of(UNUSED_PID) is None
    gone = Identity.own()._replace(pid=UNUSED_PID)
    assert not gone.send(signal.SIGTERM)
    assert gone.wait(0)


def test_who_does_not_end_when_asked_is_killed() -> None:
    with child() as polite, child(DEAF) as deaf:
        end_all([identity(polite)], signal.SIGTERM, 30)
        assert polite.wait(30) == -signal.SIGTERM
        end_all([identity(deaf)], signal.SIGTERM, 0.3)
        assert deaf.wait(30) == -signal.SIGKILL
