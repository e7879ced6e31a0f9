"""An account's or a server's clock by the name that a record gives it: what it is ahead of UTC, by arithmetic alone.

`ny7`: New York + 7 h, so +2 h in winter and +3 h in summer, by the dates of the USA (Uniform Time Act as amended in
1986 and 2005). `eu`: EET, by the dates of the European Union (directive 2000/84/EC). `utc`, or hours such as `+3` or
`-05:30`. What isn't known counts as UTC.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_FIXED: Final = re.compile(r"(?:utc)?([+-])(\d{1,2})(?::?(\d{2}))?")


def clock_offset_s(clock: str, us: int) -> int:
    """What `clock` is ahead of UTC at a time in UTC microseconds, seconds."""
    name = clock.lower()
    second = us // 1_000_000
    if name in ("ny7", "eu"):
        start, end = _summer(name, _year(second // _DAY_S))
        return 3 * _HOUR_S if start <= second < end else 2 * _HOUR_S
    found = _FIXED.fullmatch(name)
    if found is None:
        return 0
    sign, hours, minutes = found.groups()
    offset = int(hours) * _HOUR_S + int(minutes or 0) * 60
    return offset if sign == "+" else -offset


def next_day_us(clock: str, us: int) -> int:
    """When the next day begins on `clock`, UTC microseconds."""
    offset = clock_offset_s(clock, us)
    start = ((us // 1_000_000 + offset) // _DAY_S + 1) * _DAY_S
    # The offset that holds then; clocks change hours away from midnight.
    return (start - clock_offset_s(clock, (start - offset) * 1_000_000)) * 1_000_000


@lru_cache(maxsize=256)
def _summer(name: str, year: int) -> tuple[int, int]:
    """Start and end of summer time, UTC seconds."""
    if name == "eu":
        return _sunday(year, 3, -1) * _DAY_S + _HOUR_S, _sunday(year, 10, -1) * _DAY_S + _HOUR_S
    # At 2:00 of New York's wall clock: 7:00 UTC in winter, 6:00 in summer.
    if year >= 2007:
        first, last = _sunday(year, 3, 2), _sunday(year, 11, 1)
    else:
        first, last = _sunday(year, 4, 1), _sunday(year, 10, -1)
    return first * _DAY_S + 7 * _HOUR_S, last * _DAY_S + 6 * _HOUR_S


def _sunday(year: int, month: int, which: int) -> int:
    """Day, counted from 1970-01-01, of the first, second … or last (-1) Sunday of a month."""
    if which == -1:
        after = _day(year + month // 12, month % 12 + 1)
        return after - 1 - (after - 1 + 4) % 7
    first = _day(year, month)
    return first + -(first + 4) % 7 + 7 * (which - 1)


def _day(year: int, month: int) -> int:
    """The first of a month, counted from 1970-01-01 (H. Hinnant, days_from_civil)."""
    y = year - (month <= 2)
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


@lru_cache(maxsize=4096)
def _year(day: int) -> int:
    year = 1970 + day * 400 // 146_097
    while _day(year + 1, 1) <= day:
        year += 1
    while _day(year, 1) > day:
        year -= 1
    return year
