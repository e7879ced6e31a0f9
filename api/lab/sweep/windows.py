"""Walk-forward: a set is chosen on one stretch of time and judged on the next, again and again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from infra.errors import SettingsError
from schemas.times import iso_ms

DAY_MS: Final = 86_400_000
_UNITS: Final = {"d": "day", "w": "week", "m": "month", "y": "year"}
_HOW: Final = "write it as train/test, such as 6m/1m; d days, w weeks, m months, y years"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST: Final = 10_000


class Span(NamedTuple):
    """A length of time by the calendar."""

    length: int
    unit: str

    def after(self, start_ms: int, times: int = 1) -> int:
        """`times` spans after midnight `start_ms`, UTC milliseconds, before it if negative; a month's last day stays a
        last day."""
        count = self.length * times
        if self.unit in "dw":
            return start_ms + count * (7 if self.unit == "w" else 1) * DAY_MS
        start = _EPOCH + timedelta(milliseconds=start_ms)
        months = start.year * 12 + start.month - 1 + count * (12 if self.unit == "y" else 1)
        year, month = divmod(months, 12)
        if year > 9_998:
            raise SettingsError(f"--walk-forward: {self} is too long; {_HOW}")
        first = datetime(year, month + 1, 1, tzinfo=UTC)
        following = datetime(year + (month == 11), (month + 1) % 12 + 1, 1, tzinfo=UTC)
        day = min(start.day, (following - first).days)
        return (first - _EPOCH) // timedelta(milliseconds=1) + (day - 1) * DAY_MS

    def __str__(self) -> str:
        return f"{self.length} {_UNITS[self.unit]}{'' if self.length == 1 else 's'}"


class WalkForward(NamedTuple):
    """How long a set is chosen on, and then judged on."""

    train: Span
    test: Span

    def __str__(self) -> str:
        return f"chosen on {self.train}, judged on the next {self.test}"


class Window(NamedTuple):
    """One step: chosen on [train_ms, test_ms), judged on [test_ms, end_ms), UTC milliseconds."""

    number: int
    train_ms: int
    test_ms: int
    end_ms: int


def parse_walk_forward(text: str) -> WalkForward:
    """`6m/1m`. Raises SettingsError."""
    found = re.fullmatch(r"\s*(\d{1,5})\s*([dwmy])\s*/\s*(\d{1,5})\s*([dwmy])\s*", text)
    if found is None or int(found[1]) < 1 or int(found[3]) < 1:
        raise SettingsError(f"--walk-forward {text}: {_HOW}")
    return WalkForward(Span(int(found[1]), found[2]), Span(int(found[3]), found[4]))


def windows(how: WalkForward, starts_ms: int, ends_ms: int) -> list[Window]:
    """The steps over data of [starts_ms, ends_ms], from the midnight before its start; the last may be cut short.

    Raises SettingsError where there is none.
    """
    first = starts_ms // DAY_MS * DAY_MS
    judged = how.train.after(first)
    found: list[Window] = []
    while len(found) < _MOST:
        step = len(found)
        # Counted from one day each, so that no test overlaps another where months have different lengths.
        test_ms = how.test.after(judged, step)
        if test_ms > ends_ms:
            break
        end_ms = min(how.test.after(judged, step + 1), ends_ms + 1)
        # Back from the test: two days counted on from may fall onto one, a short month's last.
        found.append(Window(step, max(first, how.train.after(test_ms, -1)), test_ms, end_ms))
    if not found:
        raise SettingsError(
            f"--walk-forward: the data, {iso_ms(starts_ms)[:10]} to {iso_ms(ends_ms)[:10]}, ends before {how.train} "
            "have gone by: take shorter ones, or more data"
        )
    return found
