"""The equity of a run at the end of each trading day, by the server's clock, and the returns between."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from api.lab.run import Doubles, Longs, Run

DAY_MS: Final = 86_400_000
DAYS_A_YEAR: Final = 252
"""Trading days a year of a market that rests at weekends; one that doesn't has 365."""
_SATURDAY, _THURSDAY = 5, 3


class Days(NamedTuple):
    """day int64[n] (days since 1970 by the server's clock), equity float64[n] at each one's end, returns float64[n]
    against the day before (the first against the balance at the start), a_year: trading days that make a year."""

    day: Longs
    equity: Doubles
    returns: Doubles
    a_year: int


def trading_days(run: Run) -> Days:
    """The days on which the first chart has a bar, or the equity moved; without a chart, all that aren't a weekend.

    Returns are empty where the equity has ever been zero or below: there are none then.
    """
    first = int(server_ms(run, np.array([run.from_ms]))[0]) // DAY_MS
    # What is known at midnight belongs to the day that ends, but for the start.
    moved = np.maximum((server_ms(run, run.equity_ms) - 1) // DAY_MS, first)
    if run.charts and len(run.charts[0].bars):
        bars = run.charts[0].bars
        own = _distinct((bars["time_ms"] + bars["server_offset_s"] * 1000) // DAY_MS)
        # Bars before the range are there to warm up.
        day = np.union1d(own[own >= first], _distinct(moved))
    else:
        all_days = np.arange(run.from_ms // DAY_MS, max(run.to_ms - 1, run.from_ms) // DAY_MS + 1, dtype=np.int64)
        day = np.union1d(all_days[weekday(all_days) < _SATURDAY], _distinct(moved))
    start = float(run.start_balance)
    at = np.searchsorted(moved, day, side="right") - 1
    known = run.equity[at] if len(run.equity) else np.full(len(day), start)
    equity = np.where(at >= 0, known, start)
    before = np.concatenate(([start], equity[:-1]))
    returns = equity / before - 1.0 if len(day) and (before > 0).all() else np.zeros(0)
    saturdays = int((weekday(day) == _SATURDAY).sum())
    return Days(day, equity, returns, 365 if saturdays * 14 > len(day) else DAYS_A_YEAR)


def server_ms(run: Run, time_ms: Longs) -> Longs:
    """UTC milliseconds by the server's clock, as the first chart's bars know its offset; without bars, UTC."""
    if not run.charts or not len(run.charts[0].bars):
        return time_ms
    offset = run.charts[0].bars["server_offset_s"]
    # A clock changes twice a year: looked up among the changes, not among the bars.
    changes = np.flatnonzero(np.diff(offset)) + 1
    at = np.searchsorted(run.charts[0].bars["time_ms"][changes], time_ms, side="right")
    shifted: Longs = time_ms + offset[np.concatenate(([0], changes))][at] * 1000
    return shifted


def _distinct(days: Longs) -> Longs:
    """Each run of equal days once."""
    found: Longs = days[np.concatenate(([True], days[1:] != days[:-1]))] if len(days) else days
    return found


def weekday(day: Longs) -> Longs:
    """0 Monday to 6 Sunday, of days since 1970."""
    found: Longs = (day + _THURSDAY) % 7
    return found


def month(day: Longs) -> Longs:
    """Months since January 1970, of days since then."""
    months: Longs = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months
