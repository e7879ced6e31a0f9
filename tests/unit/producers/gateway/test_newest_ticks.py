"""What prevailed at a time, of the newest ticks that are kept."""

from __future__ import annotations

import numpy as np
import pytest

from producers.gateway.newest_ticks import KEPT_TICKS, NewestTicks, Prevailing


def add(newest: NewestTicks, first_n: int, times: list[int]) -> None:
    """Ticks whose bid is their number, and whose ask is half a point higher."""
    n = np.arange(first_n, first_n + len(times), dtype=np.int64)
    newest.add(n, np.array(times, np.int64), n.astype(np.float64), n.astype(np.float64) + 0.5)


def test_nothing_prevails_before_the_first_tick() -> None:
    newest = NewestTicks()
    assert newest.at(2**62) is None
    add(newest, 7, [1_000])
    assert newest.at(999) is None


def test_the_last_of_several_ticks_of_one_time_prevails() -> None:
    newest = NewestTicks()
    add(newest, 7, [1_000, 2_000, 2_000])
    add(newest, 10, [2_000, 3_000])
    assert newest.at(1_999) == Prevailing(7, 7.0, 7.5)
    assert newest.at(2_000) == Prevailing(10, 10.0, 10.5)
    assert newest.at(2**62) == Prevailing(11, 11.0, 11.5)


@pytest.mark.parametrize("size", [1, 7, 1_000, KEPT_TICKS, KEPT_TICKS + 3])
def test_exactly_the_newest_are_kept_however_they_came(size: int) -> None:
    newest, count = NewestTicks(), 2 * KEPT_TICKS + 100
    for start in range(0, count, size):
        end = min(count, start + size)
        add(newest, start, [10 * n for n in range(start, end)])
    first = count - KEPT_TICKS
    assert newest.at(10 * first - 1) is None
    for n in (first, first + 1, 2 * KEPT_TICKS - 1, 2 * KEPT_TICKS, count - 1):
        assert newest.at(10 * n + 9) == Prevailing(n, float(n), n + 0.5)
