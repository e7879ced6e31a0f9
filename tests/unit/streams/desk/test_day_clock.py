"""Clocks by arithmetic, against the zones of the operating system."""

from __future__ import annotations

import pytest

from producers.clocks import ServerClock
from streams.operators.desk.day_clock import clock_offset_s, next_day_us

HOUR = 3_600_000_000


@pytest.mark.parametrize("name", ["ny7", "eu", "utc", "+3", "-05:30"])
def test_offsets_are_those_of_the_zones(name: str) -> None:
    import numpy as np

    # Every 7 hours from 1997 to 2037, so that each hour around the changes is met in some year.
    us = np.arange(852_076_800, 2_114_380_800, 7 * 3600, dtype=np.int64) * 1_000_000
    expected = ServerClock(name).offsets_s(us // 1000).tolist()
    assert [clock_offset_s(name, at) for at in us.tolist()] == expected


@pytest.mark.parametrize(
    ("name", "second", "hours"),
    [("ny7", 1_710_054_000, 23), ("ny7", 1_730_610_000, 25), ("eu", 1_711_846_800, 23), ("utc", 1_710_054_000, 24)],
)
def test_a_day_ends_at_the_clocks_midnight_also_where_it_changes(name: str, second: int, hours: int) -> None:
    us = second * 1_000_000
    end = next_day_us(name, us)
    start = next_day_us(name, us - 24 * HOUR)
    assert start <= us < end
    assert end - start == hours * HOUR
    assert (end // 1_000_000 + clock_offset_s(name, end)) % 86_400 == 0


def test_an_unknown_clock_counts_as_utc() -> None:
    assert clock_offset_s("mars", 0) == 0
