"""`bench bars`: all timeframes from the sample day's ticks, kernel to columns, in blocks of several sizes."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from api.bench.result import Report, Result, seconds
from api.bench.sample_day import sample_blocks
from api.bench.slow_bars import slow_bars
from producers.listing_spec import wanted_spec
from producers.sample import SAMPLE_DAY
from schemas.quality import BROKEN
from schemas.registry import encode
from streams.operators.bars import Bars
from streams.operators.base import Outputs, Segment
from streams.segments import piece, segments

SIZES: Final = (2, 10, 100, 4_096)
GOALS: Final = {10: 3e6, 4_096: 20e6}
DIGITS: Final = 5
SPEC: Final = wanted_spec("bench/EURUSD", None, {"digits": DIGITS}, DIGITS, None)


def run(least_s: float = 1.0) -> Report:
    """Measures each size for at least `least_s`; its bars are first held equal to those of `slow_bars`."""
    days = [list(segments(sample_blocks(file, ref_no=1))) for file in SAMPLE_DAY]
    ticks = sum(len(s.quality) for day in days for s in day)
    slow = [slow_bars((s, DIGITS) for s in day) for day in days]
    results, equal = [], True
    for size in SIZES:
        cut = [_cut(day, size) for day in days]
        equal &= [np.concatenate(_fold(segments_)).tolist() for segments_ in cut] == slow
        spent = seconds(partial(_fold_all, cut), least_s)
        results.append(Result(f"bars.block{size}.ticks_per_s", ticks / spent, "ticks/s", GOALS.get(size)))
    rows = [np.concatenate(_fold(day)) for day in days]
    bars = sum(map(len, rows))
    spent = seconds(partial(_encode, rows), least_s)
    results.append(Result("bars.encode.records_per_s", bars / spent, "records/s"))
    notes = [
        f"one core, {ticks:,} ticks of the sample day from {len(days)} feeds, {bars:,} bars of seven timeframes; "
        "the shortest of many runs",
        f"encoding its records, which is not in these rates, takes {spent / ticks * 1e9:.0f} ns a tick more",
    ]
    return Report("bars", equal, results if equal else [], notes)


def _cut(day: list[Segment], size: int) -> list[Segment]:
    """The day in segments of `size` ticks, each with its newest good tick as watermark, as from live polls."""
    found = []
    for whole in day:
        for at in range(0, len(whole.quality), size):
            one = piece(whole, at, min(at + size, len(whole.quality)))
            good = one.time_ms[(one.quality & BROKEN) == 0]
            if len(good):
                one = one._replace(watermark_ms=int(good[-1]))
            found.append(one)
    return found


def _fold(day: list[Segment]) -> list[Outputs]:
    operator = Bars()
    state = operator.initial("bench/EURUSD")
    fold = operator.fold
    return [fold(state, segment, SPEC) for segment in day]


def _fold_all(days: list[list[Segment]]) -> None:
    for day in days:
        _fold(day)


def _encode(days: list[Outputs]) -> None:
    operator = Bars()
    for rows in days:
        for record in operator.records(rows, operator="bars@1", listing="bench/EURUSD", out_seq=0, ref_no=1):
            encode(record)
