"""Recorders killed and stopped in the middle, as real processes: the log stays the terminal's history, row by row."""

from __future__ import annotations

import random
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from infra.stack.services import FENCED
from tests.conftest import TestStack
from tests.integration.recorder.processes import processes
from tests.integration.recorder.recording import Recording, history, until

pytestmark = [pytest.mark.stack, pytest.mark.kill]


def test_killed_at_any_moment_and_started_again_no_tick_is_lost_or_doubled(stack: TestStack, tmp_path: Path) -> None:
    recording, moments = Recording(stack), random.Random(7)
    with processes(stack, tmp_path, recording, TERMINAL__SPEED="120", TERMINAL__LEAD_S="60") as own:
        for _ in range(4):
            process = own.recorder()
            until(partial(own.marked_since, own.mark.get() or 0), 90)
            time.sleep(moments.uniform(0, 1.2))
            process.kill()
            process.wait()
        own.recorder()
        market = own.control()
        market.pause()
        own.caught_up(market)
        rows = history(own.client())
    on_the_log = recording.rows()
    assert len(on_the_log) > 100
    assert on_the_log == rows[-len(on_the_log) :]
    recording.check()


def test_a_recorder_that_is_stopped_and_wakes_behind_another_ends_and_adds_nothing(
    stack: TestStack, tmp_path: Path
) -> None:
    recording = Recording(stack)
    with processes(stack, tmp_path, recording, TERMINAL__SPEED="60", TERMINAL__LEAD_S="60") as own:
        stopped = own.recorder()
        until(lambda: len(recording.rows()) > 50, 90)
        stopped.send_signal(signal.SIGSTOP)
        own.recorder()
        reached = len(recording.rows())
        until(lambda: len(recording.rows()) > reached + 200, 90)
        stopped.send_signal(signal.SIGCONT)
        assert stopped.wait(60) == FENCED
        assert "this one has ended" in own.written()
        market = own.control()
        market.pause()
        own.caught_up(market)
        rows = history(own.client())
    on_the_log = recording.rows()
    assert on_the_log == rows[-len(on_the_log) :]
    recording.check()


def test_told_to_end_it_puts_everything_on_the_log_first(stack: TestStack, tmp_path: Path) -> None:
    recording = Recording(stack)
    with processes(stack, tmp_path, recording, TERMINAL__SPEED="60", TERMINAL__LEAD_S="60") as own:
        process = own.recorder()
        until(lambda: len(recording.rows()) > 50, 90)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        rows = history(own.client())
        on_the_log = recording.rows()
    first = rows.index(on_the_log[0])
    assert on_the_log == rows[first : first + len(on_the_log)]
