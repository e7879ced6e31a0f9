"""A round's polls begin one after the other, and wait for no market that stands."""

from __future__ import annotations

from infra.clock import FixedClock, SystemClock
from producers.recorder.pacing import Pacing

ROUND_US = 50_000
POLLS = 10


class Asked(FixedClock):
    """A clock that stands, and counts who asks it how long to wait."""

    asked = 0

    def wait_s(self, us: int) -> float:
        self.asked += 1
        return super().wait_s(us)


def test_each_poll_begins_at_its_own_time_and_the_last_before_the_next_round() -> None:
    clock = SystemClock()
    start_us = clock.now_us()
    pacing = Pacing(clock, start_us, ROUND_US, POLLS)
    for place in range(POLLS):
        pacing.wait(place)
        assert clock.now_us() >= start_us + place * ROUND_US * 0.8 / POLLS
    assert clock.wait_s(start_us + int((POLLS - 1) * ROUND_US * 0.8 / POLLS)) == 0


def test_a_round_that_is_late_waits_for_nothing() -> None:
    clock = Asked(7_000_000)
    pacing = Pacing(clock, 7_000_000 - ROUND_US, ROUND_US, POLLS)
    for place in range(POLLS):
        pacing.wait(place)
    assert clock.asked == POLLS


def test_a_long_round_is_over_soon_all_the_same() -> None:
    clock = Asked(7_000_000)
    pacing = Pacing(clock, 7_000_000 - 100_000, 60_000_000, POLLS)
    for place in range(POLLS):
        pacing.wait(place)
    assert clock.asked == POLLS


def test_a_market_that_stands_is_waited_for_once() -> None:
    clock = Asked(7_000_000)
    pacing = Pacing(clock, 7_000_000, ROUND_US, POLLS)
    for place in range(POLLS):
        pacing.wait(place)
    assert clock.asked == 2
