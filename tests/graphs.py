"""Random bars, and graphs of every indicator and every node, for tests."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from agents.expressions import Bars, Expression, Node, Number, made_of
from agents.graph import KINDS, Doubles, Graph, GraphFold, graph_of
from agents.indicators.catalogue import INDICATORS
from agents.indicators.definition import Indicator
from agents.kernels.kinds import NodeKind

B = Bars()
ALL = {one.name: one for family in INDICATORS.values() for one in family}
"""Every indicator by name."""

SHORT: dict[str, dict[str, Any]] = {
    "hull": {"period": 9},
    "kama": {"period": 4, "slow": 6},
    "macd": {"fast": 3, "slow": 5, "signal": 3},
    "ichimoku": {"tenkan": 2, "kijun": 4, "senkou": 7},
    "keltner": {"period": 5, "atr_period": 3},
    "parabolic_sar": {"step": 0.1, "maximum": 0.5},
    "percentile_rank": {"period": 9},
}
"""Parameters that show all of an indicator within few bars; others take period = 5."""

STATEFUL = [kind for kind in KINDS.values() if kind.words((5.0, 5.0)) > 0]


def random_bars(seed: int, n: int, missing: float = 0.0) -> Doubles:
    """Columns of a random walk on the grid 2^-17, so that sums of prices are exact; some NaN if asked for."""
    rng = np.random.default_rng(seed)
    close = 147_456 + np.cumsum(rng.integers(-40, 41, n))
    first = np.concatenate([[147_456], close[:-1]]) + rng.integers(-3, 4, n)
    high = np.maximum(first, close) + rng.integers(0, 20, n)
    low = np.minimum(first, close) - rng.integers(0, 20, n)
    ticks, spread = rng.integers(1, 500, n), rng.integers(0, 20, n)
    time = 1_399_161_600_000 + 3_600_000 * np.arange(n)
    prices = np.array([first, high, low, close, close + spread]) / 2.0**17
    columns = np.concatenate([prices, [ticks, ticks / 4.0, spread, spread + 0.5, spread + 3, time]])
    columns[:, rng.random(n) < missing] = np.nan
    return columns


def arguments(indicator: Indicator[Any, Any]) -> list[Any]:
    """What an indicator needs: bars, numbers, conditions."""
    given: dict[str, list[Any]] = {
        "Bars": [B], "Number": [B.close, B.volume], "Operand": [B.open, B.close], "Condition": [B.close > B.open],
    }  # fmt: skip
    needed = [p for p in indicator.signature.parameters.values() if p.default is inspect.Parameter.empty]
    return [given[p.annotation][i % len(given[p.annotation])] for i, p in enumerate(needed)]


def graph_of_indicator(indicator: Indicator[Any, Any], *, short: bool = False) -> Graph:
    """All that an indicator returns, with its defaults or with short periods."""
    options: dict[str, Any] = {}
    if short:
        usual = {"period": 5} if "period" in indicator.signature.parameters else {}
        options = SHORT.get(indicator.name, usual)
    return graph_of(made_of(indicator(*arguments(indicator), **options)))


def graph_of_kind(kind: NodeKind, numbers: tuple[float, ...] | None = None) -> Graph:
    """One node over close, volume and low, or over conditions."""
    numbers = numbers or tuple(5.0 if p.whole else 0.1 for p in kind.parameters)
    conditions = iter([B.close > B.open, B.volume > 250.0])
    columns = iter([B.close, B.volume, B.low])
    inputs: list[Expression] = [next(conditions) if needs else next(columns) for needs in kind.inputs]
    return graph_of([Number(Node(kind, numbers, tuple(one.node for one in inputs)))])


def folded(graph: Graph, columns: Doubles, cut: list[int], *, restart: bool = False) -> tuple[bytes, bytes]:
    """The outputs as bytes, with one NaN for all, and the state's dump, folded in blocks of these sizes in turn.

    With `restart`, each block is folded by another object from the dump before.
    """
    fold = GraphFold(graph)
    state = fold.initial()
    found, at, turn = [], 0, 0
    while at < columns.shape[1]:
        end = at + cut[turn % len(cut)]
        found.append(fold.fold(state, columns[:, at:end]))
        if restart:
            data, fold = fold.dump(state), GraphFold(graph)
            state = fold.load(data)
            assert fold.dump(state) == data
        at, turn = end, turn + 1
    values = np.concatenate(found, axis=1)
    values[np.isnan(values)] = np.nan
    return values.tobytes(), fold.dump(state)


def outputs_of(graph: Graph, columns: Doubles) -> Doubles:
    """The outputs float64[outputs, n]."""
    fold = GraphFold(graph)
    return fold.fold(fold.initial(), columns)
