"""Compiles the kernels of graphs into numba's cache: `python -m agents.kernels.warm`, at set-up."""

from __future__ import annotations

import numpy as np

from agents.expressions import COLUMNS, Bars
from agents.graph import GraphFold, graph_of
from agents.indicators.averages import ema, sma
from agents.indicators.channels import highest
from agents.indicators.choices import hold
from agents.indicators.statistics import correlation
from agents.indicators.trend import parabolic_sar


def warm() -> None:
    """Calls each kernel once; it is compiled whole, whatever its node."""
    b = Bars()
    x = b.close + 1.0
    graph = graph_of([sma(x, 2), highest(x, 2), correlation(x, b.open, 2), ema(x, 2), hold(x), parabolic_sar(b)])
    fold = GraphFold(graph)
    fold.fold(fold.initial(), np.ones((len(COLUMNS), 1)))


if __name__ == "__main__":
    warm()
