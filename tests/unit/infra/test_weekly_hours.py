"""Weekly hours as a person writes them."""

from __future__ import annotations

import pytest

from infra.weekly_hours import weekly_hours

DAY = 1_440


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("Mon-Fri 00:00-24:00", [(DAY, 6 * DAY)]),
        ("Sun-Sat 00:00-24:00", [(0, 7 * DAY)]),
        ("mon-tue 01:00-23:55", [(DAY + 60, 2 * DAY - 5), (2 * DAY + 60, 3 * DAY - 5)]),
        ("Tue 01:00-11:30 12:00-24:00, Wed 0:00-1:00", [(2 * DAY + 60, 2 * DAY + 690), (2 * DAY + 720, 3 * DAY + 60)]),
        ("Fri 00:00-20:55, Sun 22:05-24:00, Mon-Thu 00:00-24:00", [(1_325, 5 * DAY + 1_255)]),
        ("Sat-Sun 10:00-11:00", [(600, 660), (6 * DAY + 600, 6 * DAY + 660)]),
        ("Mon 01:00-03:00, Mon 02:00-02:30", [(DAY + 60, DAY + 180)]),
    ],
)
def test_days_and_hours_are_minutes_of_the_week_and_those_that_touch_are_one(
    text: str, spans: list[tuple[int, int]]
) -> None:
    assert list(weekly_hours(text)) == spans


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Mon-Fri 01:00-23:55"),
        ("Mon-Fri", "Mon-Fri 01:00-23:55"),
        ("Mon-Fri 00:00-24:00,", "Mon-Fri 01:00-23:55"),
        ("Mo 00:00-24:00", "'Mo' is no day"),
        ("Mon-Friday 00:00-24:00", "'Friday' is no day"),
        ("Mon-Tue-Wed 00:00-24:00", "'Tue-Wed' is no day"),
        ("Mon- 00:00-24:00", "'' is no day"),
        ("Mon 1-5", "'1-5' are no hours"),
        ("Mon 00:00-24:01", "'00:00-24:01' are no hours"),
        ("Mon 00:00-10:60", "'00:00-10:60' are no hours"),
        ("Mon ٠٠:00-10:00", "are no hours"),
        ("Mon 22:00-02:00", "'22:00-02:00' are no hours: .*until 24:00, and from 00:00"),
        ("Mon 10:00-10:00", "'10:00-10:00' are no hours"),
    ],
)
def test_what_is_no_hours_is_named_with_the_way_out(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        weekly_hours(text)
