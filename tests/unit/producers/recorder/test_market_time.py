"""A market's clock that leaps, and ticks whose times do, are told with since when, and again once it is over."""

from __future__ import annotations

import pytest

from infra.clock import FixedClock, WaitingClock
from infra.market_clock import MarketClockWriter
from producers.recorder import market_time
from producers.recorder.market_time import LEAP_US, MarketTime
from schemas.events import Severity
from schemas.times import iso_ms

T0_US = 1_790_000_000_000_000
SECOND_US, HOUR_US = 1_000_000, 3_600_000_000
NEVER_US = 2**60
A, B = "demo/EURUSD", "demo/GBPUSD"


class Watched:
    """Market time that is watched, and what was told."""

    def __init__(self, clock: WaitingClock) -> None:
        self.told: list[tuple[str, str]] = []
        self.clock = clock
        self.time = MarketTime(clock, self._tell)
        self.time.look()

    def _tell(self, code: str, message: str, severity: Severity) -> None:
        assert severity is (Severity.INFO if code == "time_steady" else Severity.WARNING)
        self.told.append((code, message))

    def tick(self, listing: str = A, by_us: int = 0) -> None:
        """A tick comes, so far ahead of the clock."""
        now_us = self.clock.now_us()
        self.time.ticked(listing, now_us + by_us, now_us)
        self.time.settle({A, B})

    @property
    def codes(self) -> list[str]:
        return [code for code, _ in self.told]


def market(rate: float) -> tuple[MarketClockWriter, Watched]:
    clock = MarketClockWriter(None)
    clock.set(T0_US, rate, NEVER_US)
    return clock, Watched(clock)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_market_that_is_moved_on_is_told_and_over_with_a_tick_that_comes_in_time(rate: float) -> None:
    clock, watched = market(rate)
    clock.set(T0_US + HOUR_US, rate, NEVER_US)
    watched.time.look()
    watched.time.look()
    ((code, message),) = watched.told
    assert (code, iso_ms(T0_US // 1000)[:21] in message, "no entry is decided on them" in message) == (
        "time_leapt",
        True,
        True,
    )
    watched.tick(by_us=-HOUR_US // 2)
    assert watched.codes == ["time_leapt"], "the hour's own ticks are late"
    watched.tick(B)
    watched.tick()
    assert watched.codes == ["time_leapt", "time_steady"]
    assert f"hadn't since {iso_ms(T0_US // 1000)[:21]}" in watched.told[1][1]
    clock.set(clock.now_us() + HOUR_US, rate, NEVER_US)
    watched.time.look()
    assert watched.codes == ["time_leapt", "time_steady", "time_leapt"], "and told when it does so again"


def test_a_market_that_is_fast_or_slow_or_stands_is_none_that_leaps() -> None:
    clock, watched = market(10_000.0)
    began_us = clock.now_us()
    while clock.now_us() < began_us + 3 * LEAP_US:
        pass
    watched.time.look()
    for rate in (0.0, 10_000.0, 1.0):
        clock.set(clock.now_us(), rate, NEVER_US)
        began_us = clock.now_us()
        while rate > 1 and clock.now_us() < began_us + 3 * LEAP_US:
            pass
        watched.time.look()
    assert watched.told == []


def test_a_machine_that_slept_is_told_too() -> None:
    watched = Watched(clock := FixedClock(T0_US))
    clock.advance(LEAP_US // 2)
    watched.time.look()
    assert watched.told == []
    clock.advance(2 * LEAP_US)
    watched.time.look()
    assert watched.codes == ["time_leapt"]


def test_ticks_that_leap_ahead_of_the_clock_are_told_and_over_once_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_time, "AHEAD_TOLD_S", 0.0)
    watched = Watched(clock := FixedClock(T0_US))
    watched.tick()
    watched.tick(by_us=HOUR_US)
    clock.advance(SECOND_US)
    watched.tick(by_us=HOUR_US)
    ((code, message),) = watched.told
    assert code == "time_leapt"
    assert f"ticks of {A} have times 3600 s or more ahead of the clock since {iso_ms(T0_US // 1000)}" in message
    watched.tick(B)
    assert watched.codes == ["time_leapt"], "those of another listing say nothing of it"
    watched.tick()
    assert watched.codes == ["time_leapt", "time_steady"]


def test_a_listing_that_is_recorded_no_more_keeps_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_time, "AHEAD_TOLD_S", 0.0)
    watched = Watched(FixedClock(T0_US))
    watched.tick(by_us=HOUR_US)
    watched.time.ticked(B, T0_US, T0_US)
    watched.time.settle({B})
    assert watched.codes == ["time_leapt", "time_steady"]


def test_a_single_tick_from_the_future_is_no_leap() -> None:
    watched = Watched(FixedClock(T0_US))
    watched.tick(by_us=HOUR_US)
    watched.tick()
    assert watched.told == []


def test_a_clock_that_catches_up_with_the_ticks_while_they_are_read_is_no_other_leap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(market_time, "AHEAD_TOLD_S", 0.0)
    watched = Watched(clock := FixedClock(T0_US))
    watched.tick(by_us=HOUR_US)
    watched.time.look()
    clock.advance(HOUR_US)
    watched.tick()
    watched.time.look()
    assert watched.codes == ["time_leapt", "time_steady"]
