"""Clocks: what `--tz` and `--server-clock` mean, and their offsets from UTC for columns of times.

A file's clock turns the times in it into UTC. The server's clock is the one that bars are cut on; MT5 servers mostly
run New York + 7 h, so that the day ends at 17:00 New York.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
from numpy.typing import NDArray

from infra.errors import TickledgerError

_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000
_DAY_MINUTES: Final = 1_440
_EPOCH: Final = datetime(1970, 1, 1)
_FIXED: Final = re.compile(r"(?:UTC)?([+-])(\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)
_WEST_H, _EAST_H = -12, 14


class UnknownClock(TickledgerError):
    """A `--tz` or `--server-clock` that names no clock."""


def parse_zone(text: str) -> tzinfo:
    """The zone of `--tz`: an IANA name, `UTC`, `UTC-05`, `UTC-05:30` or `-05:00`. Raises UnknownClock.

    An offset is what is added to UTC: `UTC-05` is five hours behind it, as ISO 8601 has it (POSIX's sign is the other).
    """
    if text.upper() == "UTC":
        return UTC
    if (fixed := _fixed(text)) is not None:
        return fixed
    if text in available_timezones():
        return ZoneInfo(text)
    near = _near(text, available_timezones())
    raise UnknownClock(
        f"there is no time zone {text!r}{near}; --tz takes an IANA name like America/New_York, or UTC, UTC-05, -05:00"
    )


class FileClock(NamedTuple):
    """The clock of the times in a file: a zone, and seconds that it is ahead of it."""

    name: str
    """As a report says it."""
    zone: tzinfo
    shift_s: int = 0

    def to_utc_ms(self, wall_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """UTC of wall-clock times (int64[n], milliseconds): see `to_utc_ms`."""
        return to_utc_ms(wall_ms - self.shift_s * 1000, self.zone)

    def later_pass_ms(self, wall_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """As `to_utc_ms`, but an hour that the clock shows twice is read as its second pass."""
        wall_ms = wall_ms - self.shift_s * 1000
        return wall_ms - _by_minute(wall_ms, _later_offsets(self.zone)) * 1000

    def wall_ms(self, time_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """What this clock shows at UTC times (int64[n]): milliseconds since 1970-01-01 00:00 on it."""
        return time_ms + (_by_minute(time_ms, _utc_offsets(self.zone)) + self.shift_s) * 1000

    def days(self, time_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """The day of UTC times on this clock, counted from 1970-01-01."""
        return self.wall_ms(time_ms) // _DAY_MS


def clock_of(zone: tzinfo) -> FileClock:
    """The clock of a zone that was told."""
    return FileClock(str(zone), zone)


class ServerClock:
    """The broker's clock as `--server-clock` names it: `ny7`, `eu`, `utc` or hours such as `+3`.

    `ny7`: New York + 7 h, so +2 h in winter and +3 h in summer by the dates of the USA. `eu`: EET, the same hours by
    the dates of the European Union. Raises UnknownClock.
    """

    def __init__(self, name: str) -> None:
        self.name: Final = name.lower()
        """As it is kept in a ListingSpec."""
        zone, self._shift_s = self._parse(self.name)
        self._offset_at = _utc_offsets(zone)
        self.wall: Final = FileClock(f"the server's clock ({self.name})", zone, self._shift_s)
        """The same as the clock of a file: a terminal exports its server's wall-clock times."""

    def offsets_s(self, time_ms: NDArray[np.int64]) -> NDArray[np.int32]:
        """What the server's clock is ahead of UTC at each of `time_ms` (int64[n], UTC): seconds, int32[n]."""
        return (_by_minute(time_ms, self._offset_at) + self._shift_s).astype(np.int32)

    @staticmethod
    def _parse(name: str) -> tuple[tzinfo, int]:
        if name == "ny7":
            return ZoneInfo("America/New_York"), 7 * 3600
        if name == "eu":
            return ZoneInfo("Europe/Athens"), 0
        if name == "utc":
            return UTC, 0
        if (fixed := _fixed(name)) is not None:
            return fixed, 0
        near = _near(name, {"ny7", "eu", "utc"})
        raise UnknownClock(
            f"there is no server clock {name!r}{near}; --server-clock takes ny7 (New York + 7 h), eu, utc or hours: +3"
        )


def to_utc_ms(local_ms: NDArray[np.int64], zone: tzinfo) -> NDArray[np.int64]:
    """UTC milliseconds of wall-clock times in `zone` (int64[n], milliseconds since 1970-01-01 00:00 on that clock).

    An hour that the clock shows twice is read as its first pass; one that it leaves out, with the offset before it.
    """
    return local_ms - _by_minute(local_ms, _wall_offsets(zone)) * 1000


def local_day(time_ms: int, zone: tzinfo) -> int:
    """The day in `zone` of a UTC time, counted from 1970-01-01."""
    offset_s = _utc_offsets(zone)(time_ms // _MINUTE_MS)
    return (time_ms + offset_s * 1000) // 86_400_000


def _by_minute(time_ms: NDArray[np.int64], offset_at: Callable[[int], int]) -> NDArray[np.int64]:
    """offset_at(minute) for each time; offsets change at whole minutes only, and times mostly come in runs.

    A day that has the same offset at its both ends has it throughout: only the others are looked at by the minute.
    """
    if not len(time_ms):
        return np.empty(0, np.int64)
    day = time_ms // _DAY_MS
    starts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    counts = np.diff(starts, append=len(day))
    offsets = np.empty(len(time_ms), np.int64)
    for at, count, number in zip(starts.tolist(), counts.tolist(), day[starts].tolist(), strict=True):
        first, last = offset_at(number * _DAY_MINUTES), offset_at((number + 1) * _DAY_MINUTES)
        one = slice(at, at + count)
        offsets[one] = first if first == last else _minute_by_minute(time_ms[one] // _MINUTE_MS, offset_at)
    return offsets


def _minute_by_minute(minute: NDArray[np.int64], offset_at: Callable[[int], int]) -> NDArray[np.int64]:
    starts = np.flatnonzero(np.diff(minute, prepend=minute[0] - 1))
    offsets = np.array([offset_at(m) for m in minute[starts].tolist()], np.int64)
    return np.repeat(offsets, np.diff(starts, append=len(minute)))


@lru_cache
def _utc_offsets(zone: tzinfo) -> Callable[[int], int]:
    @lru_cache(maxsize=4096)
    def offset(minute: int) -> int:
        at = (_EPOCH + timedelta(minutes=minute)).replace(tzinfo=UTC).astimezone(zone)
        return _seconds(at.utcoffset())

    return offset


@lru_cache
def _wall_offsets(zone: tzinfo) -> Callable[[int], int]:
    @lru_cache(maxsize=4096)
    def offset(minute: int) -> int:
        return _seconds((_EPOCH + timedelta(minutes=minute)).replace(tzinfo=zone).utcoffset())

    return offset


@lru_cache
def _later_offsets(zone: tzinfo) -> Callable[[int], int]:
    @lru_cache(maxsize=4096)
    def offset(minute: int) -> int:
        return _seconds((_EPOCH + timedelta(minutes=minute)).replace(tzinfo=zone, fold=1).utcoffset())

    return offset


def _seconds(offset: timedelta | None) -> int:
    return 0 if offset is None else offset // timedelta(seconds=1)


def _fixed(text: str) -> timezone | None:
    """The zone of `UTC-05`, `-05:30`, `+3`; None for what isn't of that form or names no place on earth."""
    match = _FIXED.fullmatch(text)
    if match is None:
        return None
    sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    in_range = timedelta(hours=_WEST_H) <= offset <= timedelta(hours=_EAST_H) and int(minutes or 0) < 60
    return timezone(offset) if in_range else None


def _near(text: str, names: set[str]) -> str:
    folded = {name.lower(): name for name in names} | {name.rpartition("/")[2].lower(): name for name in names}
    found = {folded[key]: None for key in get_close_matches(text.lower().replace(" ", "_"), folded, n=3, cutoff=0.6)}
    return f" (near: {', '.join(found)})" if found else ""
