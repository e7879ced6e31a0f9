"""The time at which things are taken: what a wall clock that is set does to it."""

from __future__ import annotations

import time

from infra.clock import FixedClock, WallClock
from streams.sequencer.taken_clock import APART_US, TakenClock


class Walls:
    """A wall and a monotonic clock, moved apart or together. `stands_us`: how long the machine stands before each of
    the next readings of the monotonic one."""

    def __init__(self) -> None:
        self.wall, self.mono_us = FixedClock(1_000_000_000), 5
        self.stands_us: list[int] = []
        self.clock = TakenClock(self.wall, self._monotonic_ns)

    def _monotonic_ns(self) -> int:
        if self.stands_us:
            self.go_on(self.stands_us.pop(0))
        return self.mono_us * 1_000

    def go_on(self, us: int) -> None:
        self.wall.advance(us)
        self.mono_us += us


def test_it_goes_on_with_the_monotonic_clock_from_where_the_wall_was() -> None:
    walls = Walls()
    walls.go_on(7_000_123)
    assert (walls.clock.now_us(), walls.clock.now_ms()) == (1_007_000_123, 1_007_000)
    walls.wall.advance(APART_US)
    assert walls.clock.now_us() == 1_007_000_123
    assert walls.clock.stepped_us() == 0, "a second apart is no step yet"


def test_a_wall_that_is_set_forward_is_followed_once_asked_to() -> None:
    walls = Walls()
    walls.wall.advance(3_600_000_000)
    assert walls.clock.stepped_us() == 3_600_000_000
    assert walls.clock.now_us() == 1_000_000_000
    walls.clock.follow()
    assert walls.clock.now_us() == 4_600_000_000
    assert walls.clock.stepped_us() == 0


def test_a_wall_that_is_set_back_isnt_followed_and_is_a_step_once() -> None:
    walls = Walls()
    walls.wall.advance(-3_600_000_000)
    assert walls.clock.stepped_us() == -3_600_000_000
    walls.clock.follow()
    walls.go_on(10)
    assert walls.clock.now_us() == 1_000_000_010
    assert walls.clock.stepped_us() == 0
    walls.wall.advance(3_600_000_000)
    assert walls.clock.stepped_us() == 3_600_000_000, "set right again"
    walls.clock.follow()
    assert (walls.clock.now_us(), walls.clock.stepped_us()) == (1_000_000_010, 0)


def test_a_machine_that_stood_between_its_two_readings_has_set_no_clock() -> None:
    walls = Walls()
    walls.stands_us = [2_000_000, 2_000_000]
    assert walls.clock.stepped_us() == 0
    assert walls.stands_us == []


def test_by_default_it_is_the_machines_time() -> None:
    clock = TakenClock()
    assert abs(clock.now_us() - WallClock().now_us()) < APART_US
    assert abs(WallClock().now_ms() - time.time() * 1000) < 1_000
    assert clock.stepped_us() == 0
