"""What is missing: gaps between rows, the minutes in them, and where weeks end and begin.

Foreign exchange is closed from Friday to Sunday 17:00 New York, which is Saturday and Sunday on the clock of New York
+ 7 h. What trades on these days too (crypto) has no closing time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from producers.clocks import ServerClock

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS
KEPT: Final = 10
"""Longest gaps that are remembered."""
MAX_WEEKENDS: Final = 2_000

_MONDAY_MS: Final = 4 * DAY_MS
_CLOSED_FROM_MS: Final = 5 * DAY_MS


@dataclass(slots=True)
class GapCount:
    """Counts gaps of one row after the other; pieces are added in the order of the rows. Times UTC milliseconds."""

    step_ms: int = MINUTE_MS
    """What may lie between two rows without anything missing: a bar's length, or a minute for ticks."""
    missing: int = 0
    """Steps without a row while the market was open."""
    missing_always: int = 0
    """The same for a market that never closes."""
    weekend_rows: int = 0
    rows: int = 0
    gaps: list[tuple[int, int, int]] = field(default_factory=list)
    """(missing steps, last time before, first time after), UTC; the longest first."""
    weekends: list[tuple[int, int]] = field(default_factory=list)
    """(last time before, first time after) of each closing."""
    last_ms: int | None = None

    def add(self, time_ms: NDArray[np.int64]) -> None:
        """The next rows."""
        if not len(time_ms):
            return
        before = time_ms[:1] - 1 if self.last_ms is None else np.array([self.last_ms])
        times = np.concatenate([before, time_ms])
        self.rows += len(time_ms)
        self.weekend_rows += int(np.count_nonzero(closed(time_ms)))
        steps = times // self.step_ms
        wide = np.flatnonzero(steps[1:] - steps[:-1] > 1)
        if len(wide):
            self._count(times[wide], times[wide + 1])
        self.last_ms = int(time_ms[-1])

    def _count(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> None:
        whole = b // self.step_ms - a // self.step_ms - 1
        # The step before `a` has a row: what is missing starts behind it.
        start, end = (a // self.step_ms + 1) * self.step_ms, b // self.step_ms * self.step_ms
        # By New York's clock: a weekend in which it changes is an hour longer or shorter, and closed all the same.
        elapsed = _server(end) - _server(start)
        open_steps = np.maximum((elapsed - (_closed_before(end) - _closed_before(start))) // self.step_ms, 0)
        self.missing += int(open_steps.sum())
        self.missing_always += int(whole.sum())
        longest = np.argsort(-open_steps, kind="stable")[:KEPT]
        found = [(int(open_steps[i]), int(a[i]), int(b[i])) for i in longest if open_steps[i]]
        self.gaps = sorted([*self.gaps, *found], key=lambda gap: (-gap[0], gap[1]))[:KEPT]
        week = np.flatnonzero((b - a > DAY_MS) & (b - a < 4 * DAY_MS))
        room = MAX_WEEKENDS - len(self.weekends)
        self.weekends += [(int(a[i]), int(b[i])) for i in week[:room]]

    @property
    def always_open(self) -> bool:
        """Whether it trades at weekends too."""
        return self.rows > 0 and self.weekend_rows * 20 > self.rows

    @property
    def missing_steps(self) -> int:
        """Steps without a row while the market was open."""
        return self.missing_always if self.always_open else self.missing

    def as_json(self) -> dict[str, Any]:
        """To be kept with the columns."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> GapCount:
        """What `as_json` gave."""
        kept = {**kept, "gaps": [tuple(g) for g in kept["gaps"]], "weekends": [tuple(w) for w in kept["weekends"]]}
        return cls(**kept)


def closed(time_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether foreign exchange is closed at UTC times: bool[n]."""
    return np.asarray((_server(time_ms) - _MONDAY_MS) % WEEK_MS >= _CLOSED_FROM_MS)


def misses_a_day(before_ms: int, at_ms: int, clock: Any) -> bool:
    """Whether a day on a file's clock lies between two UTC times, and wasn't wholly in the closing of the weekend.

    Then nobody can vouch that no ticks are missing: the block that starts there says so by `gap`.
    """
    return bool(missing_days(np.array([before_ms, at_ms], np.int64), clock)[0])


def missing_days(time_ms: NDArray[np.int64], clock: Any) -> NDArray[np.bool_]:
    """The same for each two times that follow each other: bool[n - 1]."""
    out = np.zeros(max(len(time_ms) - 1, 0), np.bool_)
    for i in np.flatnonzero(np.diff(time_ms) > DAY_MS).tolist():
        first, last = clock.days(time_ms[i : i + 2]).tolist()
        between = np.arange(first + 1, last, dtype=np.int64) * DAY_MS
        if len(between):
            starts, ends = clock.to_utc_ms(between), clock.to_utc_ms(between + DAY_MS)
            out[i] = bool(np.any(_closed_before(ends) - _closed_before(starts) < ends - starts))
    return out


def _closed_before(time_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """How long the market was closed from some Monday long ago until UTC times."""
    since = _server(time_ms) - _MONDAY_MS
    return since // WEEK_MS * 2 * DAY_MS + np.maximum(since % WEEK_MS - _CLOSED_FROM_MS, 0)


def _server(time_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    return time_ms + _NY7.offsets_s(time_ms).astype(np.int64) * 1000


_NY7: Final = ServerClock("ny7")
