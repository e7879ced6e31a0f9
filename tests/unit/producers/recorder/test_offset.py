"""The server's offset: the model's, held against what fresh ticks show."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from producers.clocks import ServerClock
from producers.recorder.offset import Finding, Found, ServerOffset

WINTER_US = int(datetime(2026, 1, 14, 12, tzinfo=UTC).timestamp()) * 1_000_000
HOUR_US = 3_600_000_000
S = 1_000_000


class Feed:
    """Ticks of a server, received by a machine whose clock may be moved."""

    def __init__(
        self, model: str = "ny7", *, correction_s: int = 0, untold: bool = False, offset_s: int = 7_200
    ) -> None:
        self.offset = ServerOffset(ServerClock(model), correction_s, untold=untold)
        self.now_us, self.steady_us, self.offset_s = WINTER_US, 0, offset_s
        self.moved_us = 0
        self.symbols = ["A", "B"]

    def wait(self, us: int) -> None:
        self.now_us += us
        self.steady_us += us

    def tick(self, age_ms: int = 50) -> Found | None:
        clock_us = self.now_us + self.moved_us
        for symbol in self.symbols:
            time_msc = self.now_us // 1000 - age_ms + self.offset_s * 1000
            self.offset.show(symbol, time_msc, clock_us, self.steady_us)
        return self.offset.settle(2, clock_us, self.steady_us)

    def ticks(self, seconds: int) -> list[Found]:
        found = []
        for _ in range(seconds):
            found.append(self.tick())
            self.wait(S)
        return [f for f in found if f is not None]


def test_each_tick_has_the_models_offset_at_its_own_time() -> None:
    offset = ServerOffset(ServerClock("ny7"), 0, untold=False)
    # The USA change on 2026-03-08 at 07:00 UTC, two weeks before the EU does.
    change_ms = int(datetime(2026, 3, 8, 7, tzinfo=UTC).timestamp()) * 1000
    wall = np.array([change_ms - 1 + 7_200_000, change_ms + 10_800_000])
    assert offset.of(wall, change_ms).tolist() == [7_200, 10_800]
    assert offset.at(change_ms - 1) == 7_200
    assert offset.at(change_ms) == 10_800
    week = np.array([wall[0] - 86_400_000 * 3, wall[1] + 86_400_000 * 3])
    for _ in range(2):
        assert offset.of(week[:1], change_ms).tolist() == [7_200]
        assert offset.of(week[1:], change_ms).tolist() == [10_800]


def test_an_hour_that_the_server_shows_twice_is_the_one_nearer_to_now() -> None:
    offset = ServerOffset(ServerClock("ny7"), 0, untold=False)
    change_ms = int(datetime(2026, 11, 1, 6, tzinfo=UTC).timestamp()) * 1000
    twice = np.array([change_ms + 7_200_000 + 60_000])
    assert offset.of(twice, change_ms + 60_000).tolist() == [7_200]
    assert offset.of(twice, change_ms - 3_540_000).tolist() == [10_800]


def test_ticks_that_show_what_the_model_says_are_no_finding() -> None:
    feed = Feed()
    assert feed.ticks(120) == []
    assert feed.offset.at(WINTER_US // 1000) == 7_200


def test_the_first_ticks_of_a_new_feed_correct_a_model_that_is_not_its_servers() -> None:
    feed = Feed(untold=True, offset_s=3_600)
    assert feed.ticks(3) == [Found(Finding.CHANGED, 7_200, 3_600)]
    assert feed.offset.at(WINTER_US // 1000) == 3_600
    wall = np.array([WINTER_US // 1000 + 3_600_000])
    assert feed.offset.of(wall, WINTER_US // 1000).tolist() == [3_600]


def test_a_feed_that_has_ticks_keeps_its_clock_and_says_that_this_cannot_be() -> None:
    feed = Feed(offset_s=3_600)
    assert feed.ticks(90) == [Found(Finding.CONTRADICTION, 7_200, 3_600)]
    assert feed.offset.at(WINTER_US // 1000) == 7_200


def test_the_correction_of_the_last_block_holds_after_a_restart() -> None:
    assert Feed(correction_s=-3_600, offset_s=3_600).ticks(60) == []


def test_a_server_that_changes_its_clock_is_followed_once_it_has_shown_that_for_half_a_minute() -> None:
    feed = Feed()
    feed.ticks(10)
    feed.offset_s = 10_800
    assert feed.ticks(29) == []
    assert feed.ticks(60) == [Found(Finding.CHANGED, 7_200, 10_800)]
    feed.offset_s = 7_200
    assert feed.ticks(60) == [Found(Finding.CHANGED, 10_800, 7_200)]


def test_this_machines_clock_being_moved_changes_nothing_and_is_told_each_time() -> None:
    feed = Feed()
    feed.ticks(10)
    feed.moved_us = HOUR_US
    assert feed.ticks(120) == [Found(Finding.CLOCK_MOVED, 7_200, 3_600)]
    feed.moved_us = 0
    assert feed.ticks(60) == []
    feed.moved_us = -HOUR_US
    assert feed.ticks(60) == [Found(Finding.CLOCK_MOVED, 7_200, 10_800)]
    assert feed.offset.correction_s == 0


@pytest.mark.parametrize(("age_ms", "shows"), [(-4_900, True), (59_000, True), (61_000, False), (-6_000, False)])
def test_only_a_tick_that_can_just_have_come_shows_anything(age_ms: int, shows: bool) -> None:
    feed = Feed(untold=True, offset_s=3_600)
    assert (feed.tick(age_ms) is not None) is shows


def test_one_symbol_of_several_shows_nothing_and_neither_do_two_that_differ() -> None:
    feed = Feed(untold=True, offset_s=3_600)
    feed.symbols = ["A"]
    assert feed.ticks(5) == []
    feed.offset_s, feed.symbols = 0, ["B"]
    assert feed.ticks(5) == []
    feed.offset.forget()
    feed.symbols = ["A", "B"]
    assert feed.ticks(5) == [Found(Finding.CHANGED, 7_200, 0)]
