"""A strategy's own lines over bars: what it computed, and where a chart draws it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from agents.lines import BELOW, MARKS, ON_PRICE, lines_over
from schemas.timeframes import Timeframe
from streams.operators.bar_kernel import BAR_DTYPE
from tickledger import Enter, Exit, other, strategy
from tickledger.ta import rsi, sma

MINUTE_MS = 60_000


def bars(timeframe: Timeframe, closes: list[float]) -> Any:
    rows = np.zeros(len(closes), BAR_DTYPE)
    rows["timeframe"] = int(timeframe)
    rows["time_ms"] = 1_399_161_600_000 + timeframe.ms * np.arange(len(closes))
    for name in ("open", "high", "low", "close"):
        rows[name] = closes
    return rows


@strategy(version=1, bars="M5")
def lined(b: Any) -> Iterator[Any]:
    mean, quarter, pound = sma(b.close, 2), other("M15").close, other("GBPUSD").close
    strength = rsi(b.close, 2)
    up = b.close > mean
    yield Enter.long(up & (strength + quarter > pound), Exit(stop=0.001, trail_long=b.low - 1.0))


CLOSES = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]


def test_lines_are_what_the_strategy_computes_joined_with_what_was_closed() -> None:
    own = np.concatenate([bars(Timeframe.M5, CLOSES), bars(Timeframe.M15, [30.0, 60.0])])
    found = lines_over(lined.lines(), lined.timeframe, {"": own, "GBPUSD": bars(Timeframe.M5, [9.0, 8.0])})
    nan = float("nan")
    expected = {
        "mean": [nan, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5],
        "quarter": [nan, nan, 30.0, 30.0, 30.0, 60.0, 60.0],
        "pound": [9.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0],
        "up": [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        "trail_long": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name].values, values, err_msg=name)


def test_lines_are_drawn_where_they_belong() -> None:
    found = lines_over(lined.lines(), lined.timeframe, {"": bars(Timeframe.M5, CLOSES)})
    panes = {name: line.pane for name, line in found.items()}
    assert panes == {
        "mean": ON_PRICE, "quarter": ON_PRICE, "pound": BELOW, "strength": BELOW, "up": MARKS, "trail_long": ON_PRICE,
    }  # fmt: skip
    assert np.isnan(found["pound"].values).all()
