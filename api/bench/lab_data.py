"""Files for the laboratory's benchmarks, as MT5 exports them: bars of a seeded walk, ticks of the sample day."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from api.bench.sample_day import sample_blocks
from producers.sample import SAMPLE_DAY

POINT: Final = 1e-5
DIGITS: Final = 5
SPREAD: Final = 1
"""Points, in every row of the bars."""
MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
WEEK_DAYS: Final = 5
MONDAY_MS: Final = 1_704_067_200_000
"""2024-01-01 00:00 by the server's clock, a Monday, and the first bar of the walk."""
TICKS_FROM_MS: Final = 1_399_248_000_000
"""2014-05-05 00:00 by the server's clock, a Monday: the week of the sample day."""
_STEPS: Final = 12
_STEP_POINTS: Final = 3.0
_MISSING: Final = 0.0015
"""Share of minutes without a bar, as quiet ones are."""
_FIRST: Final = 110_000

Longs = NDArray[np.int64]


def walk(weeks: int, seed: int) -> Longs:
    """Bars of a random walk: int64[5, n], time_ms on the server's clock and open, high, low, close in points.

    Monday 00:00 to Friday 23:59, some minutes missing, a gap over each weekend. The same arguments give the same bars.
    """
    random = np.random.default_rng(seed)
    day = np.arange(WEEK_DAYS * 1440, dtype=np.int64) * MINUTE_MS
    time_ms = (MONDAY_MS + np.arange(weeks, dtype=np.int64)[:, None] * 7 * DAY_MS + day).reshape(-1)
    steps = np.rint(random.normal(0.0, _STEP_POINTS, (len(time_ms), _STEPS))).astype(np.int64)
    monday = np.flatnonzero(np.diff(time_ms) > DAY_MS) + 1
    steps[monday, 0] += np.rint(random.normal(0.0, 150.0, len(monday))).astype(np.int64)
    path = _FIRST + np.cumsum(steps.reshape(-1)).reshape(steps.shape)
    bars = np.stack((time_ms, path[:, 0], path.max(axis=1), path.min(axis=1), path[:, -1]))
    return bars[:, random.random(len(time_ms)) >= _MISSING]


def write_bars(folder: Path, bars: Longs) -> Path:
    """Bars as MT5's terminal exports them."""
    path = folder / "EURUSD_M1.csv"
    columns = {"<DATE>": pl.Series(bars[0]).cast(pl.Datetime("ms"))}
    frame = pl.DataFrame(columns).select(
        pl.col("<DATE>").dt.strftime("%Y.%m.%d"), pl.col("<DATE>").dt.strftime("%H:%M:%S").alias("<TIME>")
    )
    prices = [pl.Series(name, _prices(row)) for name, row in zip(_BAR_NAMES, bars[1:], strict=True)]
    whole = [
        pl.Series(name, np.full(bars.shape[1], n))
        for name, n in (("<TICKVOL>", 12), ("<VOL>", 0), ("<SPREAD>", SPREAD))
    ]
    frame.with_columns(prices + whole).write_csv(path, separator="\t", float_precision=DIGITS)
    return path


def write_ticks(folder: Path, days: int) -> tuple[Path, int]:
    """The sample day of fxcm again and again as MT5's terminal exports ticks, and the count.

    Each weekday starts at the price at which the one before it ended, and every other one is the day upside down, so
    that prices don't run away.
    """
    path, count = folder / "EURUSD_ticks.csv", 0
    with path.open("wb") as file:
        file.write(b"<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\n")
        for time_ms, bid, ask in days_of_ticks(days):
            at = pl.Series("at", time_ms).cast(pl.Datetime("ms"))
            frame = pl.DataFrame(
                {
                    "date": at.dt.strftime("%Y.%m.%d"),
                    "time": at.dt.strftime("%H:%M:%S%.3f"),
                    "bid": _prices(bid),
                    "ask": _prices(ask),
                    "last": pl.Series(["" for _ in range(len(bid))]),
                    "volume": pl.Series(["" for _ in range(len(bid))]),
                    "flags": np.full(len(bid), 6),
                }
            )
            frame.write_csv(file, separator="\t", include_header=False, float_precision=DIGITS, quote_style="never")
            count += len(bid)
    return path, count


def days_of_ticks(days: int) -> Iterator[tuple[Longs, Longs, Longs]]:
    """Weekdays of ticks: time_ms on the server's clock, bid and ask in points, int64[n] each."""
    blocks = sample_blocks(SAMPLE_DAY[1], ref_no=0)
    offset_ms = blocks[0].server_offset_s * 1000
    time_ms = np.concatenate([block.time_ms for block in blocks]) + offset_ms
    bid = np.concatenate([np.rint(block.bid / POINT).astype(np.int64) for block in blocks])
    spread = np.concatenate([np.rint(block.ask / POINT).astype(np.int64) for block in blocks]) - bid
    inside = (time_ms >= TICKS_FROM_MS + DAY_MS) & (time_ms < TICKS_FROM_MS + 2 * DAY_MS)
    time_ms, bid, spread = time_ms[inside] - TICKS_FROM_MS - DAY_MS, bid[inside], spread[inside]
    last = int(bid[0])
    for number in range(days):
        week, day = divmod(number, WEEK_DAYS)
        moved = bid - bid[0]
        own = last + (moved if number % 2 == 0 else -moved)
        yield TICKS_FROM_MS + (7 * week + day) * DAY_MS + time_ms, own, own + spread
        last = int(own[-1])


_BAR_NAMES: Final = ("<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>")


def _prices(points: Longs) -> NDArray[np.float64]:
    return np.asarray(points / 10.0**DIGITS)
