"""What is said to be a price or a distance is one: shift all prices and see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.expressions import made_of
from agents.graph import graph_of
from agents.indicators.definition import Indicator
from agents.price_levels import DISTANCE, PRICE, shifts
from tests.graphs import ALL, B, arguments, outputs_of, random_bars
from tickledger import ta


@pytest.mark.parametrize("indicator", ALL.values(), ids=lambda one: one.name)
def test_what_is_certain_of_an_indicator_is_so(indicator: Indicator[Any, Any]) -> None:
    graph = graph_of(made_of(indicator(*arguments(indicator))))
    bars = random_bars(6, 400)
    higher = bars.copy()
    higher[:5] += 0.25
    moved = outputs_of(graph, higher) - outputs_of(graph, bars)
    for place, row in zip(graph.outputs, moved, strict=True):
        shift = shifts(graph)[place]
        if shift is not None:
            np.testing.assert_allclose(row[~np.isnan(row)], 0.25 * shift, atol=1e-9)


def test_averages_channels_and_ranges_are_certain() -> None:
    b = B
    prices = [
        b.close, ta.ema(b.close), ta.dema(b.close), ta.hull(b.close), ta.typical_price(b), ta.keltner(b).upper,
        ta.donchian(b).middle, ta.ichimoku(b).span_a, ta.alligator(b).jaws, ta.parabolic_sar(b),
        ta.highest(b.high, 22) - 3 * ta.atr(b),
    ]  # fmt: skip
    distances = [ta.atr(b), ta.stddev(b.close), ta.true_range(b), ta.macd(b.close).line, ta.linreg(b.close).slope]
    graph = graph_of([*prices, *distances])
    said = [shifts(graph)[place] for place in graph.outputs]
    assert said == [PRICE] * len(prices) + [DISTANCE] * len(distances)
