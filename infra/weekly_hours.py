"""When something trades, by the week, as a person writes it: `Mon-Thu 01:00-23:55, Fri 01:00-12:00 13:00-22:00`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAY_MINUTES: Final = 1_440
_HOURS: Final = re.compile(r"([0-9]{1,2}):([0-5][0-9])-([0-9]{1,2}):([0-5][0-9])")
_FORM: Final = "write days and hours such as 'Mon-Fri 01:00-23:55', several of them with commas in between"


def weekly_hours(text: str) -> tuple[tuple[int, int], ...]:
    """(from, to) in minutes since Sunday 00:00, in order; those that touch are one. Raises ValueError."""
    spans: list[tuple[int, int]] = []
    for start, end in sorted(span for part in text.split(",") for span in _spans(part)):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return tuple(spans)


def _spans(part: str) -> Iterator[tuple[int, int]]:
    days, *hours = part.split() or [""]
    if not hours:
        raise ValueError(f"{part.strip()!r} has no days or no hours: {_FORM}")
    first, dash, last = days.partition("-")
    start = _day(first)
    for day in range(start, start + (_day(last if dash else first) - start) % 7 + 1):
        for text in hours:
            low, high = _minutes(text)
            yield day % 7 * _DAY_MINUTES + low, day % 7 * _DAY_MINUTES + high


def _day(name: str) -> int:
    if name.lower() not in _DAYS:
        raise ValueError(f"{name!r} is no day: there are Mon, Tue, Wed, Thu, Fri, Sat and Sun")
    return _DAYS.index(name.lower())


def _minutes(text: str) -> tuple[int, int]:
    found = _HOURS.fullmatch(text)
    if found is not None:
        hour, minute, last_hour, last_minute = map(int, found.groups())
        low, high = 60 * hour + minute, 60 * last_hour + last_minute
        if low < high <= _DAY_MINUTES:
            return low, high
    raise ValueError(
        f"{text!r} are no hours: write them from 00:00 to 24:00 such as '01:00-23:55'; over midnight they are two, "
        "until 24:00, and from 00:00 of the next day"
    )
