"""The clock port."""

from __future__ import annotations

import time

import pytest

from infra.clock import FixedClock, Stopwatch, SystemClock


def test_the_system_clock_is_the_wall_clock() -> None:
    clock = SystemClock()
    assert abs(clock.now_us() - time.time_ns() // 1000) < 1_000_000
    assert abs(clock.now_ms() - clock.now_us() // 1000) <= 100


def test_a_step_back_is_not_followed_and_a_long_sleep_is(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, monotonic = [10**18], [10**9]
    monkeypatch.setattr(time, "time_ns", lambda: wall[0])
    monkeypatch.setattr(time, "monotonic_ns", lambda: monotonic[0])
    clock = SystemClock()
    start = clock.now_us()
    wall[0] -= 3600 * 10**9
    monotonic[0] += 1000
    assert clock.now_us() == start + 1
    wall[0] += 7200 * 10**9
    assert clock.now_us() == wall[0] // 1000


def test_a_fixed_clock_stands_still() -> None:
    clock = FixedClock(1_999)
    assert (clock.now_us(), clock.now_ms()) == (1_999, 1)
    clock.advance(1)
    assert (clock.now_us(), clock.now_ms()) == (2_000, 2)


def test_a_stopwatch_measures_from_its_last_start() -> None:
    watch = Stopwatch()
    assert 0 <= watch.seconds() <= watch.restart()
    assert watch.seconds() < 1
