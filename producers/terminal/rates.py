"""Bars as the terminal gives them by `copy_rates_*`: made from the bids of its own ticks, on the server's clock.

A bar's spread is its narrowest, in points; the last bar is still forming. Bars without a tick don't exist.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from producers.terminal.constants import CONSTANTS
from producers.terminal.failure import call_failed, invalid_params
from producers.terminal.ticks import TickHistory
from schemas.quality import BROKEN

RATE_DTYPE: Final = np.dtype(
    [
        ("time", "<i8"),
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("tick_volume", "<u8"),
        ("spread", "<i4"),
        ("real_volume", "<u8"),
    ]
)
"""A row of `copy_rates_*`: packed, 60 bytes, oldest first; time is the bar's open on the server's clock."""
Rates: TypeAlias = NDArray[Any]

MAX_BARS: Final = 100_000
"""Bars that a chart holds, as `terminal_info` says; a call for so many or more is refused."""

_MINUTE_S: Final = 60
_DAY_S: Final = 86_400
_WEEK_S: Final = 7 * _DAY_S
_SUNDAY_S: Final = 3 * _DAY_S
"""1970-01-04, the first Sunday."""
_TIMEFRAMES: Final = {value for name, value in CONSTANTS.items() if name.startswith("TIMEFRAME_")}


class RateHistory:
    """One symbol's bars. Minutes are made once, as their ticks happen; longer bars from minutes, when asked for."""

    def __init__(self, history: TickHistory, point: float) -> None:
        self._history, self._point = history, point
        self._minutes: Rates = np.empty(0, RATE_DTYPE)
        self._made = 0
        """Ticks before this one are in minutes that have ended."""
        self._revision = history.revision

    def bars(self, seen: int, timeframe: int) -> Rates:
        """All bars of a timeframe, of the first `seen` ticks. Raises TerminalFailure if there is no such timeframe."""
        if timeframe not in _TIMEFRAMES:
            raise invalid_params()
        minutes = self._grown(seen)
        return minutes if timeframe == 1 else _merged(minutes, _starts(minutes["time"], timeframe))

    def copy_from(self, seen: int, timeframe: int, until_s: int, count: int) -> Rates:
        """The last `count` bars that open at `until_s` or before, on the server's clock."""
        bars = self.bars(seen, timeframe)
        end = int(np.searchsorted(bars["time"], until_s, "right"))
        return _last(bars[:end], count)

    def copy_from_pos(self, seen: int, timeframe: int, position: int, count: int) -> Rates:
        """`count` bars up to the one `position` before the present. Raises TerminalFailure behind the oldest."""
        bars = self.bars(seen, timeframe)
        if position < 0:
            raise invalid_params()
        if position >= len(bars):
            raise call_failed()
        return _last(bars[: len(bars) - position], count)

    def copy_range(self, seen: int, timeframe: int, from_s: int, to_s: int) -> Rates:
        """The bars that open from `from_s` to `to_s`; the time between counts, whether or not there are bars in it."""
        bars = self.bars(seen, timeframe)
        if (to_s - from_s) // _length_s(timeframe) >= MAX_BARS:
            raise invalid_params()
        found: Rates = bars[(bars["time"] >= from_s) & (bars["time"] <= to_s)]
        return found.copy()

    def _grown(self, seen: int) -> Rates:
        if self._revision != self._history.revision:
            self._minutes, self._made, self._revision = np.empty(0, RATE_DTYPE), 0, self._history.revision
        made = self._of_ticks(self._made, seen)
        if len(made) > 1:
            # All but the forming minute have ended.
            first = int(made["time"][-1])
            self._minutes = np.concatenate([self._minutes, made[:-1]])
            self._made = self._history.at_or_after(first * 1000)
            made = made[-1:]
        return np.concatenate([self._minutes, made])

    def _of_ticks(self, start: int, end: int) -> Rates:
        ticks = self._history.ticks.part(start, end)
        good = (ticks.quality & BROKEN) == 0
        stamps_s = self._history.rows(start, end)["time"][good]
        minute = np.maximum.accumulate(stamps_s // _MINUTE_S * _MINUTE_S)
        first = np.flatnonzero(np.diff(minute, prepend=-1))
        bars = np.empty(len(first), RATE_DTYPE)
        if not len(first):
            return bars
        bid, ask = ticks.bid[good], ticks.ask[good]
        bars["time"] = minute[first]
        bars["open"], bars["close"] = bid[first], bid[[*(first[1:] - 1).tolist(), len(bid) - 1]]
        bars["high"], bars["low"] = np.maximum.reduceat(bid, first), np.minimum.reduceat(bid, first)
        bars["tick_volume"] = np.diff(first, append=len(bid))
        bars["spread"] = np.rint(np.minimum.reduceat(ask - bid, first) / self._point)
        bars["real_volume"] = np.add.reduceat(ticks.volume[good], first)
        return bars


def _starts(minute_s: NDArray[np.int64], timeframe: int) -> NDArray[np.int64]:
    """When the bars of a timeframe open that minutes belong to."""
    if timeframe == CONSTANTS["TIMEFRAME_MN1"]:
        return np.array([_month_start(s) for s in minute_s.tolist()], np.int64)
    if timeframe == CONSTANTS["TIMEFRAME_W1"]:
        return (minute_s - _SUNDAY_S) // _WEEK_S * _WEEK_S + _SUNDAY_S
    length_s = _length_s(timeframe)
    return minute_s // length_s * length_s


def _length_s(timeframe: int) -> int:
    """How long a bar is; a month as its shortest."""
    if timeframe == CONSTANTS["TIMEFRAME_MN1"]:
        return 28 * _DAY_S
    if timeframe == CONSTANTS["TIMEFRAME_W1"]:
        return _WEEK_S
    hours = timeframe & 0xFFF if timeframe & 0x4000 else 0
    return hours * 3600 if hours else timeframe * _MINUTE_S


def _month_start(s: int) -> int:
    day = datetime.fromtimestamp(s, UTC).replace(day=1, hour=0, minute=0, second=0)
    return int(day.timestamp())


def _merged(minutes: Rates, starts: NDArray[np.int64]) -> Rates:
    first = np.flatnonzero(np.diff(starts, prepend=-1))
    bars = np.empty(len(first), RATE_DTYPE)
    if not len(first):
        return bars
    last = [*(first[1:] - 1).tolist(), len(minutes) - 1]
    bars["time"], bars["open"], bars["close"] = starts[first], minutes["open"][first], minutes["close"][last]
    bars["high"], bars["low"] = np.maximum.reduceat(minutes["high"], first), np.minimum.reduceat(minutes["low"], first)
    bars["spread"] = np.minimum.reduceat(minutes["spread"], first)
    for name in ("tick_volume", "real_volume"):
        bars[name] = np.add.reduceat(minutes[name], first)
    return bars


def _last(bars: Rates, count: int) -> Rates:
    if not 0 < count < MAX_BARS:
        raise invalid_params()
    return bars[-count:].copy()
