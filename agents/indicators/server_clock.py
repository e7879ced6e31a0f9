"""The server's clock, by a bar's opening time."""

from __future__ import annotations

from agents.expressions import Bars, Condition, Number, StrategyError
from agents.indicators.choices import floor
from agents.indicators.definition import indicator

_MINUTE_MS = 60_000.0
_DAY_MINUTES = 1_440


@indicator("0 to 23", mt5="MqlDateTime.hour")
def hour(b: Bars) -> Number:
    """The hour in which a bar opens, on the server's clock."""
    return floor(b.time / (60.0 * _MINUTE_MS)) % 24.0


@indicator("0 to 59", mt5="MqlDateTime.min")
def minute(b: Bars) -> Number:
    """The minute in which a bar opens."""
    return floor(b.time / _MINUTE_MS) % 60.0


@indicator("0 Sunday to 6 Saturday", mt5="MqlDateTime.day_of_week")
def weekday(b: Bars) -> Number:
    """The day of the week on which a bar opens, on the server's clock."""
    return (floor(b.time / (_DAY_MINUTES * _MINUTE_MS)) + 4.0) % 7.0


@indicator("start ≤ opening time < end, over midnight if end is before start")
def session(b: Bars, start: str = "08:00", end: str = "17:00") -> Condition:
    """Whether a bar opens in [start, end) on the server's clock."""
    first, last = _minutes(start), _minutes(end)
    now = floor(b.time / _MINUTE_MS) % float(_DAY_MINUTES)
    if first == last:
        raise StrategyError(f"session: it ends when it starts, at {start}")
    return (now >= float(first)) & (now < float(last)) if first < last else (now >= float(first)) | (now < float(last))


def _minutes(text: str) -> int:
    hours, colon, minutes = text.partition(":")
    digits = hours.isdecimal() and minutes.isdecimal() and hours.isascii() and minutes.isascii()
    if colon and digits and len(minutes) == 2 and int(minutes) < 60 and int(hours) * 60 + int(minutes) <= _DAY_MINUTES:
        return int(hours) * 60 + int(minutes)
    raise StrategyError(f"session: {text!r} is no time of day such as '08:30', '00:00' to '24:00'")
