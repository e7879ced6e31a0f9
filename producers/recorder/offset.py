"""What the server's clock is ahead of UTC: a model that gives it at every tick, held against what fresh ticks show.

A terminal's times are its server's wall clock. The model (recorder.server_clock) turns them into UTC; what it is off,
whole quarters of an hour, is the correction. Ticks show the offset while they are fresh: a tick that has just come is
at most a minute old and never from the future.

When several symbols agree on another offset than the model and its correction give, it is one of three things:

- nothing of the feed is on the log yet: the model is not this server's, and what ticks show holds;
- they had agreed before, and this machine's clock has gone on steadily since: the server changed its clock, and what
  ticks show holds once they have shown it for half a minute;
- this machine's clock was moved, or it can't be told: nothing is changed. Quotes then arrive stale or from the future,
  so that no entry is decided on them, until clock or setting is put right.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from producers.clocks import ServerClock

STEP_S: Final = 900
OLDEST_S: Final = 60
AHEAD_S: Final = 5
SETTLED_US: Final = 30_000_000
"""How long ticks show another offset before a server is believed to have changed its clock."""
_SAMPLE_US: Final = 60_000_000
_CLOCK_MOVED_US: Final = 60_000_000
_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000


class Finding(Enum):
    """What another offset than the expected one means."""

    CHANGED = "changed"
    """It holds from now on."""
    CLOCK_MOVED = "clock moved"
    """This machine's clock was moved; nothing was changed."""
    CONTRADICTION = "contradiction"
    """It can't be told who is wrong; nothing was changed."""


class Found(NamedTuple):
    """A finding, told once."""

    finding: Finding
    expected_s: int
    shown_s: int


class _Sample(NamedTuple):
    offset_s: int
    steady_us: int


class ServerOffset:
    """The offset of one server. Times called steady are of a clock that nobody moves."""

    def __init__(self, model: ServerClock, correction_s: int, *, untold: bool) -> None:
        """`correction_s`: by the last block on the log, 0 without one. `untold`: nothing of the feed is on the log."""
        self.correction_s = correction_s
        self._model, self._untold = model, untold
        self._samples: dict[str, _Sample] = {}
        self._agreed: tuple[int, int] | None = None
        """(clock, steady clock) when ticks last showed what was expected."""
        self._differs: tuple[int, int] | None = None
        """(offset, steady clock) since when they have shown another."""
        self._told: tuple[Finding, int] | None = None
        self._day: tuple[int, int] | None = None
        self._minute = (-1, 0)
        """The minute that was asked for last, and the model's offset in it: clocks change at whole minutes."""

    def at(self, time_ms: int) -> int:
        """Seconds that the server's clock is ahead at a time in UTC."""
        minute = time_ms // _MINUTE_MS
        if minute != self._minute[0]:
            self._minute = minute, int(self._model.offsets_s(np.array([time_ms], np.int64))[0])
        return self._minute[1] + self.correction_s

    def of(self, time_msc: NDArray[np.int64], now_ms: int) -> NDArray[np.int64]:
        """The offset at each of the server's times, int64[n], seconds; an hour that its clock shows twice is the one
        nearer to now."""
        wall = time_msc - self.correction_s * 1000
        day = int(wall[0]) // _DAY_MS if len(wall) else 0
        if self._day is not None and self._day[0] == day and int(wall.min()) // _DAY_MS == int(wall.max()) // _DAY_MS:
            return np.full(len(wall), self._day[1] + self.correction_s, np.int64)
        first, later = self._model.wall.to_utc_ms(wall), self._model.wall.later_pass_ms(wall)
        utc = np.where(np.abs(later - now_ms) < np.abs(first - now_ms), later, first)
        self._keep_day(day)
        return (time_msc - utc) // 1000

    def _keep_day(self, day: int) -> None:
        """A day at whose both ends the clock is the same has no change in it."""
        edges = np.array([day, day + 1], np.int64) * _DAY_MS
        offsets = (edges - self._model.wall.to_utc_ms(edges)) // 1000
        self._day = (day, int(offsets[0])) if offsets[0] == offsets[1] else None

    def forget(self) -> None:
        """The connection was lost: what was shown before isn't fresh any more."""
        self._samples.clear()
        self._differs = None

    def show(self, symbol: str, time_msc: int, received_us: int, steady_us: int) -> None:
        """A tick that has just come shows the offset, if its age can be that of one."""
        raw_s = (time_msc * 1000 - received_us) / 1e6
        offset_s = math.ceil((raw_s - AHEAD_S) / STEP_S) * STEP_S
        if offset_s - raw_s <= OLDEST_S:
            self._samples[symbol] = _Sample(offset_s, steady_us)

    def settle(self, symbols: int, now_us: int, steady_us: int) -> Found | None:
        """What is to be told of what ticks show now; a CHANGED offset holds from here on.

        `symbols`: how many are recorded; two have to agree, or the only one.
        """
        shown_s = self._shown(symbols, steady_us)
        if shown_s is None:
            return None
        expected_s = self.at(now_us // 1000)
        if shown_s == expected_s:
            self._agreed, self._differs, self._told = (now_us, steady_us), None, None
            return None
        if self._differs is None or self._differs[0] != shown_s:
            self._differs = (shown_s, steady_us)
        if self._agreed is None:
            finding = Finding.CHANGED if self._untold else Finding.CONTRADICTION
        elif abs((now_us - self._agreed[0]) - (steady_us - self._agreed[1])) > _CLOCK_MOVED_US:
            finding = Finding.CLOCK_MOVED
        elif steady_us - self._differs[1] < SETTLED_US:
            return None
        else:
            finding = Finding.CHANGED
        if finding is Finding.CHANGED:
            self.correction_s += shown_s - expected_s
            self._agreed, self._differs, self._told, self._day = (now_us, steady_us), None, None, None
        elif self._told == (finding, shown_s):
            return None
        else:
            self._told = (finding, shown_s)
        return Found(finding, expected_s, shown_s)

    def _shown(self, symbols: int, steady_us: int) -> int | None:
        fresh = [sample.offset_s for sample in self._samples.values() if steady_us - sample.steady_us <= _SAMPLE_US]
        return fresh[0] if len(fresh) >= min(2, symbols) and len(set(fresh)) == 1 else None
