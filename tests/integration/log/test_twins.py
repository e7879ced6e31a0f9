"""Writers and brokers ended or stopped in the middle, as real processes: no input is lost, doubled or out of order."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from infra.stack.home import Home
from infra.stack.services import is_ready, running
from schemas.accept import Verdict
from tests.conftest import StartStack
from tests.integration.log.place import Place, until, write

pytestmark = [pytest.mark.stack, pytest.mark.kill]


def handed_over(line: str) -> int:
    """How many inputs the child says that it has handed over."""
    return int(line.split()[2].rstrip(","))


def on_the_log(line: str) -> int:
    """How many of them it has seen there."""
    return int(line.rpartition(" ")[2])


def has_written(least: int) -> Callable[[str], bool]:
    """Whether a line of the child's says that it has seen so many there."""
    return lambda line: line.startswith("handed over") and on_the_log(line) >= least


def test_a_writer_that_is_stopped_and_wakes_behind_another_ends_and_adds_nothing(place: Place) -> None:
    with place.child() as child:
        until(child, lambda line: handed_over(line) >= 60 and on_the_log(line) >= 30)
        child.send_signal(signal.SIGSTOP)
        with place.writer() as other:
            before = other.open()
            assert before.n >= 30
            write(other, blocks=10)
            other.drain()
            child.send_signal(signal.SIGCONT)
            last = until(child, lambda line: line.startswith("Fenced"))[-1]
            assert child.wait(30) == 1
            write(other, blocks=10)
            other.drain()
    assert last.startswith(f"Fenced: another writer opened {place.listing} (epoch 2): this one has ended")
    assert place.written() == before.n + 60
    assert set(place.verdicts()) <= {Verdict.TAKE, Verdict.VOID}


def test_killed_at_any_moment_and_started_again_no_input_is_lost_or_doubled(place: Place) -> None:
    moments = random.Random(1)
    written = 0
    for _ in range(5):
        with place.child() as child:
            # A dozen more than there were: a machine that stands may let none come while it sleeps.
            lines = until(child, has_written(written + 12))
            time.sleep(moments.uniform(0, 0.4))
            child.kill()
            lines += until(child, lambda _: False)
        said = max(on_the_log(line) for line in lines)
        written = place.written()
        assert written >= said, "what it had seen on the log is there"
    assert written > 50
    assert set(place.verdicts()) <= {Verdict.TAKE, Verdict.VOID}


def test_a_broker_that_is_killed_while_writers_write_loses_and_doubles_nothing(start_stack: StartStack) -> None:
    with start_stack(services={"kafka"}) as own:
        one, two = Place(own), Place(own)
        home = Home(own.home)
        with one.writer() as writer, two.child() as child:
            writer.open()
            until(child, lambda line: handed_over(line) >= 30)
            former = running(home, "kafka")
            assert former is not None
            os.kill(former.pid, signal.SIGKILL)
            write(writer, blocks=100)
            deadline = time.monotonic() + 60
            while not is_ready(home, "kafka") or running(home, "kafka") == former:
                assert time.monotonic() < deadline, "the broker didn't come back"
                write(writer, blocks=1)
                time.sleep(0.02)
            write(writer, blocks=50)
            writer.drain()
            reached = writer.written.n
            assert one.written() == reached == writer.head.n
            said = handed_over(until(child, lambda line: line.startswith("handed over"))[-1])
            until(child, lambda line: handed_over(line) > said + 300)
            deadline = time.monotonic() + 60
            while two.written() <= said:
                assert time.monotonic() < deadline, "nothing was written after the broker had come back"
                time.sleep(0.1)
            child.kill()
            child.wait()
        assert two.written() > said
        for place in (one, two):
            assert set(place.verdicts()) == {Verdict.TAKE}
