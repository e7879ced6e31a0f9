"""`bench graph`: a strategy's graph, EMA 20/50 cross and ATR 14, over bars in blocks of several sizes."""

from __future__ import annotations

import math
from functools import partial
from typing import Final

import numpy as np

from agents.expressions import COLUMNS, Bars
from agents.graph import Doubles, GraphFold, graph_of
from agents.indicators.averages import ema
from agents.indicators.choices import cross_above, cross_below
from agents.indicators.prices import atr
from api.bench.result import Report, Result, seconds

BARS: Final = 200_000
SIZES: Final = (BARS, 100, 1)
SEED: Final = 20_140_508


def run(least_s: float = 1.0) -> Report:
    """Measures each size for at least `least_s`; its values are first held equal to those of `slow_values`."""
    b = Bars()
    fast, slow = ema(b.close, 20), ema(b.close, 50)
    graph = graph_of([cross_above(fast, slow), cross_below(fast, slow), atr(b, 14)])
    columns = _random_bars(BARS)
    wanted = slow_values(columns)
    results, equal = [], True
    for size in SIZES:
        # Of single bars, a tenth tell as much.
        some = columns if size > 1 else columns[:, : BARS // 10]
        blocks = [np.ascontiguousarray(some[:, at : at + size]) for at in range(0, some.shape[1], size)]
        found = np.concatenate(_fold(graph_fold := GraphFold(graph), blocks), axis=1)
        equal &= np.array_equal(found, wanted[:, : some.shape[1]], equal_nan=True)
        spent = seconds(partial(_fold, graph_fold, blocks), least_s)
        name = "whole" if size == BARS else f"block{size}"
        results.append(Result(f"graph.ema_cross.{name}.bars_per_s", some.shape[1] / spent, "bars/s"))
    notes = [
        f"one core, {BARS:,} random bars, {len(graph.places)} nodes: columns in, three columns out, state carried; the "
        "shortest of many runs; equal bit for bit to a plain loop over all bars"
    ]
    return Report("graph", equal, results if equal else [], notes)


def slow_values(columns: Doubles) -> Doubles:
    """The same three columns by a loop over bars that keeps all of them; sums in the kernels' order."""
    _, high, low, close = columns[:4].tolist()
    fast = slow = close[0]
    ranges: list[float] = []
    rows = []
    for i in range(len(close)):
        before = (fast, slow)
        if i:
            fast += 2.0 / 21.0 * (close[i] - fast)
            slow += 2.0 / 51.0 * (close[i] - slow)
            ranges.append(max(high[i], close[i - 1]) - min(low[i], close[i - 1]))
        above = i > 0 and fast > slow and before[0] <= before[1]
        below = i > 0 and fast < slow and before[0] >= before[1]
        rows.append((float(above), float(below), _sum_of_14(ranges[-14:]) / 14.0))
    return np.array(rows).T


def _sum_of_14(x: list[float]) -> float:
    """Eight accumulators, then the rest, as `agents.kernels.windows` sums."""
    if len(x) < 14:
        return math.nan
    rest = 0.0
    for value in x[8:]:
        rest += value
    return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7])) + rest


def _fold(fold: GraphFold, blocks: list[Doubles]) -> list[Doubles]:
    state = fold.initial()
    return [fold.fold(state, block) for block in blocks]


def _random_bars(count: int) -> Doubles:
    rng = np.random.default_rng(SEED)
    close = (110_000 + np.cumsum(rng.integers(-20, 21, count))) / 1e5
    columns = np.ones((len(COLUMNS), count))
    columns[0] = columns[3] = close
    columns[1] = close + rng.integers(0, 15, count) / 1e5
    columns[2] = close - rng.integers(0, 15, count) / 1e5
    return columns
