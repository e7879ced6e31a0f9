"""The windows of a walk forward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.lab.sweep.windows import parse_walk_forward, windows
from infra.errors import SettingsError


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_half_a_year_and_a_month() -> None:
    found = windows(parse_walk_forward("6m/1m"), ms("2024-01-01T22:00"), ms("2024-09-15"))
    assert [(one.train_ms, one.test_ms, one.end_ms) for one in found] == [
        (ms("2024-01-01"), ms("2024-07-01"), ms("2024-08-01")),
        (ms("2024-02-01"), ms("2024-08-01"), ms("2024-09-01")),
        (ms("2024-03-01"), ms("2024-09-01"), ms("2024-09-15") + 1),
    ]


def test_a_month_from_the_31st_ends_on_the_last_day() -> None:
    found = windows(parse_walk_forward("1m/1m"), ms("2024-01-31"), ms("2024-04-15"))
    assert [one.test_ms for one in found] == [ms("2024-02-29"), ms("2024-03-29")]


@pytest.mark.parametrize("text", ["6m", "6m/", "0d/1d", "6x/1m", "m/m", "1d/0w", "-1d/1d"])
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="such as 6m/1m"):
        parse_walk_forward(text)


def test_data_that_ends_before_the_training_has_no_window() -> None:
    with pytest.raises(SettingsError, match="ends before 6 months"):
        windows(parse_walk_forward("6m/1m"), ms("2024-01-01"), ms("2024-03-01"))


def test_a_short_month_leaves_no_training_empty() -> None:
    found = windows(parse_walk_forward("1d/1m"), ms("2023-01-29"), ms("2023-03-15"))
    assert [(one.train_ms, one.test_ms) for one in found] == [
        (ms("2023-01-29"), ms("2023-01-30")),
        (ms("2023-02-27"), ms("2023-02-28")),
    ]


@example(1, "d", 9, "m", 5_080)
@given(st.integers(1, 40), st.sampled_from("dwm"), st.integers(1, 20), st.sampled_from("dwm"), st.integers(0, 20_000))
def test_tests_follow_each_other_without_gap_or_overlap(train: int, a: str, test: int, b: str, day: int) -> None:
    start = int((datetime(1971, 1, 1, tzinfo=UTC) + timedelta(days=day)).timestamp() * 1000) + 12_345
    end = start + 2_000 * 86_400_000
    found = windows(parse_walk_forward(f"{train}{a}/{test}{b}"), start, end)
    assert all(one.train_ms < one.test_ms < one.end_ms for one in found)
    assert all(one.end_ms == following.test_ms for one, following in pairwise(found))
    assert found[-1].end_ms == end + 1
