"""What an expression allows, and what it says of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.expressions import Bars, Condition, Number, StrategyError
from agents.graph import graph_of
from tests.graphs import B, outputs_of, random_bars
from tickledger import ta

BARS = random_bars(1, 50)
OPEN, HIGH, LOW, CLOSE = BARS[:4]


def value(expression: Number | Condition) -> Any:
    return outputs_of(graph_of([expression]), BARS)[0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (B.close + B.open, CLOSE + OPEN),
        (1 + B.close, 1 + CLOSE),
        (B.close - 1.5, CLOSE - 1.5),
        (2 - B.close, 2 - CLOSE),
        (B.close * B.low, CLOSE * LOW),
        (3 * B.close, 3 * CLOSE),
        (B.close / B.open, CLOSE / OPEN),
        (1 / B.close, 1 / CLOSE),
        (-B.close, -CLOSE),
        (abs(B.open - B.close), abs(OPEN - CLOSE)),
        (B.volume % 7, BARS[5] % 7),
        (B.close > B.open, CLOSE > OPEN),
        (B.close > 1.12, CLOSE > 1.12),
        (B.close <= B.open, CLOSE <= OPEN),
        (B.close >= B.open, CLOSE >= OPEN),
        (B.volume == 5, BARS[5] == 5),
        (B.volume != 5, BARS[5] != 5),
        ((B.close > B.open) & (B.volume > 200), (CLOSE > OPEN) & (BARS[5] > 200)),
        ((B.close > B.open) | (B.volume > 200), (CLOSE > OPEN) | (BARS[5] > 200)),
        (~(B.close > B.open), ~(CLOSE > OPEN)),
        (ta.where(B.close > B.open, B.high, 0), np.where(CLOSE > OPEN, HIGH, 0)),
        (B.close * np.float64(2), CLOSE * 2),
        (np.float64(2) * B.close, CLOSE * 2),
    ],
)
def test_operators_do_what_they_do_to_arrays(expression: Number | Condition, expected: Any) -> None:
    np.testing.assert_array_equal(value(expression), expected)


def test_a_lag_looks_back_and_has_no_value_before() -> None:
    np.testing.assert_array_equal(value(B.close.lag(3)), np.concatenate([[np.nan] * 3, CLOSE[:-3]]))
    assert B.close.lag(0).node.kind.name == "close"
    held = value((B.close > B.open).lag(2))
    np.testing.assert_array_equal(held, np.concatenate([[0, 0], (CLOSE > OPEN)[:-2]]))


def test_a_division_by_zero_and_a_root_of_less_have_no_value() -> None:
    assert np.isnan(value(B.close / (B.close - B.close))).all()
    assert np.isnan(value(B.close % 0)).all()
    assert np.isnan(value(ta.sqrt(-B.close))).all()


def test_a_comparison_with_what_is_not_there_is_false() -> None:
    missing = B.close / 0
    for one in (missing > 1, missing < 1, missing >= 1, missing <= 1, missing == 1, missing != 1):
        assert not value(one).any()


REFUSED: list[tuple[Any, str]] = [
    (lambda: B.close.lag(-1), r"lag\(-1\) would look 1 bars into the future"),
    (lambda: B.close.lag(1.0), "whole number of bars"),
    (lambda: (B.close > B.open).lag(-2), "into the future"),
    (lambda: B.close > B.open and B.high > B.low, "use &, | and ~"),
    (lambda: B.close if B.close > B.open else B.open, r"where\(condition, a, b\)"),
    (lambda: 1.0 < B.close < 1.2, "a < b < c can't"),
    (lambda: not B.close, "use &, | and ~"),
    (lambda: B.close & B.open, "brackets around each comparison"),
    (lambda: (B.close > 1) & B.open, "takes a condition such as .*, not a number over bars: compare it"),
    (lambda: (B.close > 1) + 1, r"where\(condition, 1, 0\)"),
    (lambda: B.close + (B.close > 1), r"where\(condition, 1, 0\)"),
    (lambda: B.close + "1", "not '1'"),
    (lambda: B.close + True, "not True"),
    (lambda: B.close * float("nan"), "must be finite, not nan"),
    (lambda: B.close[1], r"x.lag\(n\)"),
    (lambda: B.close[-1:], r"x.lag\(n\)"),
    (lambda: list(B.close), "bar by bar"),
    (lambda: float(B.close), "not a plain number"),
    (lambda: ta.sma(B.close, 0), "sma|mean: period = 0 is not between 1 and 10000"),
    (lambda: ta.sma(B.close, 20_000), "not between 1 and 10000"),
    (lambda: ta.sma(B.close, 2.5), "sma: period takes a whole number, not 2.5"),
    (lambda: ta.sma(B.close, B.close), "sma: period takes a whole number, not a number over bars"),
    (lambda: ta.sma("close"), "sma: x must be a number or an expression such as b.close, not 'close'"),
    (lambda: ta.sma(B.close, length=3), r"sma\(x, period=14\): got an unexpected keyword argument 'length'"),
    (lambda: ta.atr(B.close), r"atr: b takes the bars themselves \(b\), not a number over bars"),
    (lambda: ta.atr(B, wilder=1), "atr: wilder takes True or False, not 1"),
    (lambda: ta.bollinger(B.close, k=float("inf")), "bollinger: k takes a finite number, not inf"),
    (lambda: ta.where(B.close, 1, 2), "where: when takes a condition"),
    (lambda: ta.linreg(B.close, 1), "period = 1 is not between 2"),
    (lambda: ta.hull(B.close, 3), "hull: period = 3 is not at least 4"),
    (lambda: ta.kama(B.close, fast=40), "kama: fast = 40 is more than slow = 30"),
    (lambda: ta.parabolic_sar(B, step=0.3), "step = 0.3 is more than maximum = 0.2"),
    (lambda: ta.session(B, "8", "17:00"), "'8' is no time of day"),
    (lambda: ta.session(B, "08:00", "25:00"), "'25:00' is no time of day"),
    (lambda: ta.session(B, "08:00", "08:00"), "ends when it starts"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "said"), REFUSED)
def test_what_makes_no_sense_is_said_at_once(write: Any, said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        write()


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(AttributeError, match=r"no 'shift': x.lag\(n\) looks back"):
        _ = B.close.shift
    with pytest.raises(AttributeError, match="bars have no 'hl2': they have open, high"):
        _ = Bars().hl2
