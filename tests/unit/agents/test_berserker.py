"""BERSERKER's rule, one condition at a time, on a quote that falls away from its mean and turns back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from agents.berserker import Berserker, BerserkerParameters
from agents.signals import ENTER, EXIT, LONG, MARKET, NO_ENTRY, SHORT, Signals
from schemas.quality import Quality

RULE = BerserkerParameters(
    mean_ms=60_000,
    entry_deviations=2.0,
    commission_points=7.0,
    min_edge_points=5.0,
    max_spread_points=20.0,
    turn_changes=4,
    turn_agree=3,
    warm_up_ticks=50,
    warm_up_ms=40_000,
    reset_after_ms=300_000,
    max_hold_ms=600_000,
    cooldown_ms=60_000,
)
CALM = [0, 1] * 40
"""Points of bid above 1.39, one a second: long enough to be warm."""
FALL = [-10, -25, -40, -50]
TURN = [-48, -46, -44]
BACK = [-20, 0, 10]


class Market:
    """Quotes in points of 1e-5 above 1.39, one a second, with a spread in points."""

    def __init__(self, rule: BerserkerParameters = RULE) -> None:
        self.strategy = Berserker(rule)
        self.state = self.strategy.initial()
        self.n = 0
        self.second = 0

    def quotes(
        self, points: list[int], spread: int = 2, quality: int = 0, every_s: int = 1, gap: bool = False
    ) -> list[dict[str, Any]]:
        count = len(points)
        times = np.array([1_399_334_400_000 + 1000 * (self.second + every_s * k) for k in range(count)], np.int64)
        bid = np.array([(139_000 + p) / 1e5 for p in points])
        ask = np.array([(139_000 + p + spread) / 1e5 for p in points])
        rows: Signals = self.strategy.fold(
            self.state, self.n, gap, 5, times, bid, ask, np.full(count, quality, np.int32)
        )
        self.n += count
        self.second += every_s * count
        names = rows.dtype.names or ()
        return [dict(zip(names, row, strict=True)) for row in rows.tolist()]


def entered(market: Market, **last: Any) -> list[dict[str, Any]]:
    market.quotes(CALM)
    return market.quotes(FALL + TURN, **last)


def test_it_enters_against_the_deviation_once_the_quotes_have_turned() -> None:
    (signal,) = entered(Market())
    assert (signal["kind"], signal["side"], signal["n"]) == (ENTER, LONG, len(CALM) + 5)
    assert (signal["bid"], signal["ask"]) == (1.38954, 1.38956)
    assert signal["proof_n"] == signal["n"]
    assert signal["from_n"] == len(CALM) + 4
    assert signal["strength"] > RULE.entry_deviations


def test_it_enters_short_above_the_mean() -> None:
    market = Market()
    market.quotes(CALM)
    (signal,) = market.quotes([-p for p in FALL + TURN])
    assert (signal["kind"], signal["side"]) == (ENTER, SHORT)


def test_the_plan_aims_at_the_mean_in_whole_points() -> None:
    (signal,) = entered(Market())
    target, stop = signal["target_distance"] * 1e5, signal["stop_distance"] * 1e5
    assert 35 <= target <= 46
    assert target == pytest.approx(round(target), abs=1e-6)
    assert stop == pytest.approx(RULE.min_stop_points, abs=1e-6)
    assert (signal["valid_for_ms"], signal["max_hold_ms"], signal["cooldown_ms"]) == (2_000, 600_000, 60_000)


def test_a_wide_market_puts_the_stop_at_its_deviations() -> None:
    market = Market()
    market.quotes([0, 60] * 40)
    (signal,) = market.quotes([-60, -120, -180, -240, -238, -236])
    assert signal["entry_type"] == MARKET
    assert np.isnan([signal["price"], signal["partial_at"], signal["partial_share"]]).all()
    assert signal["stop_distance"] * 1e5 > 2 * RULE.min_stop_points


@pytest.mark.parametrize(
    "changes",
    [
        {"commission_points": 40.0},
        {"min_edge_points": 40.0},
        {"max_spread_points": 1.0},
        {"entry_deviations": 15.0},
        {"warm_up_ticks": 1000},
        {"warm_up_ms": 120_000},
        {"turn_changes": 10, "turn_agree": 9},
    ],
    ids=str,
)
def test_each_condition_alone_keeps_it_out(changes: dict[str, Any]) -> None:
    assert entered(Market(dataclasses.replace(RULE, **changes))) == []


def test_it_stays_out_while_the_quotes_still_fall() -> None:
    market = Market()
    market.quotes(CALM)
    assert market.quotes([*FALL, -55, -60, -65, -70]) == []


def test_it_stays_out_where_nothing_moves() -> None:
    market = Market(dataclasses.replace(RULE, commission_points=0.0, min_edge_points=0.0))
    assert market.quotes([0] * 200, spread=0) == []


def test_a_wide_spread_keeps_it_out() -> None:
    assert entered(Market(), spread=30) == []


def test_back_at_the_mean_it_says_exit_and_cools_down() -> None:
    market = Market()
    entered(market)
    (leave,) = market.quotes(BACK)
    assert (leave["kind"], leave["side"], leave["valid_for_ms"]) == (EXIT, LONG, 0)
    assert leave["entry_type"] == NO_ENTRY
    assert np.isnan([leave["stop_distance"], leave["target_distance"], leave["breakeven_at"]]).all()
    assert market.quotes(FALL + TURN) == []
    market.quotes(CALM)
    assert [s["kind"] for s in market.quotes(FALL + TURN)] == [ENTER]


def test_a_short_leaves_at_the_mean_too() -> None:
    market = Market()
    market.quotes(CALM)
    market.quotes([-p for p in FALL + TURN])
    (leave,) = market.quotes([-p for p in BACK])
    assert (leave["kind"], leave["side"]) == (EXIT, SHORT)


def test_after_the_time_of_the_plan_it_forgets_that_it_entered() -> None:
    market = Market(dataclasses.replace(RULE, max_hold_ms=5_000))
    entered(market)
    assert market.quotes([-100] * 10) == []
    assert market.quotes(BACK) == []


def test_a_suspect_tick_decides_nothing_and_moves_the_mean() -> None:
    plain, suspect = Market(), Market()
    for market, quality in ((plain, 0), (suspect, Quality.SPIKE)):
        market.quotes(CALM)
        market.quotes(FALL, quality=quality)
    assert plain.state.tolist() == suspect.state.tolist()
    assert suspect.quotes(TURN, quality=Quality.SPIKE) == []
    assert [s["kind"] for s in suspect.quotes([-42])] == [ENTER]


@pytest.mark.parametrize("quality", [Quality.CROSSED, Quality.BACKWARDS, Quality.SYNTHETIC])
def test_broken_and_synthetic_ticks_are_not_looked_at(quality: int) -> None:
    market = Market()
    market.quotes(CALM)
    before = market.state.tolist()
    assert market.quotes(FALL + TURN, quality=quality) == []
    assert market.state.tolist() == before


def test_a_gap_and_a_long_silence_start_anew() -> None:
    for anew in ({"gap": True}, {"every_s": 1_000}):
        market = Market()
        market.quotes(CALM)
        market.quotes([0, 0], **anew)
        assert market.quotes(FALL + TURN) == []


def test_prices_that_overflow_start_anew_and_leave_no_nan() -> None:
    market = Market()
    count = 3
    columns = np.arange(count, dtype=np.int64) * 1000, np.full(count, 1.0), np.array([1.0, 1.7e308, 1.0])
    market.strategy.fold(market.state, 0, False, 5, *columns, np.zeros(count, np.int32))
    assert np.isfinite(market.state.view(np.float64)).all()
