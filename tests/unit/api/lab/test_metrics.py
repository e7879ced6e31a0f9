"""Metrics, by hand on small runs, and against empyrical on the same returns."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.lab import returns as of
from api.lab.days import trading_days
from api.lab.figures import fall, streaks, z_score
from api.lab.metrics import HEADLINES, METRICS, measure, shown
from api.lab.run import TRADE_DTYPE, Run
from tests.lab_runs import START_MS, make_run

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import empyrical

RETURNS = st.lists(st.floats(-0.2, 0.2).map(lambda x: round(x, 6)), min_size=3, max_size=60).map(np.array)
DAY_MS = 86_400_000


def of_trades(*pnl: float, days: int = 10) -> Run:
    """A run of trades with these results, one a day at noon, an hour long, over `days` days from a Monday."""
    trades = np.zeros(len(pnl), TRADE_DTYPE)
    trades["pnl"] = trades["gross"] = pnl
    trades["exit_ms"] = START_MS + 12 * 3_600_000 + DAY_MS * np.arange(len(pnl))
    trades["entry_ms"] = trades["exit_ms"] - 3_600_000
    trades["side"], trades["lots"], trades["risk"] = 1, 1.0, 50.0
    balance = 10_000 + np.cumsum(np.array(pnl, dtype=np.float64))
    return replace(
        make_run(bars=10, slow=5, records=False), trades=trades, equity_ms=trades["exit_ms"].copy(), balance=balance,
        equity=balance.copy(), margin=np.zeros(len(pnl)), charts=[], from_ms=START_MS, to_ms=START_MS + days * DAY_MS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run(records=False)


def test_there_are_at_least_64_with_name_unit_and_definition() -> None:
    assert len(METRICS) >= 64
    assert all(metric.name and metric.definition.endswith(".") for metric in METRICS.values())
    assert len({metric.name for metric in METRICS.values()}) == len(METRICS)
    assert len(HEADLINES) == 10
    assert set(HEADLINES) <= set(METRICS)


def test_results_by_hand() -> None:
    found = measure(of_trades(100.0, -50.0, -30.0, 80.0, -20.0))
    assert found["net_profit"] == pytest.approx(80.0)
    assert found["gross_profit"] == 180.0
    assert found["gross_loss"] == -100.0
    assert found["profit_factor"] == pytest.approx(1.8)
    assert found["expected_payoff"] == pytest.approx(16.0)
    assert found["balance_drawdown_maximal"] == pytest.approx(80.0)
    assert found["balance_drawdown_absolute"] == 0.0
    assert found["recovery_factor"] == pytest.approx(1.0)
    assert found["most_losses"] == 2
    assert found["most_losses_money"] == -80.0
    assert found["average_wins"] == 1.0
    assert found["payoff_ratio"] == pytest.approx(90 / (100 / 3))
    assert found["ghpr"] == pytest.approx((10_080 / 10_000) ** 0.2)
    assert found["r_mean"] == pytest.approx(0.32)
    assert found["holding_average"] == 3_600.0
    assert found["time_in_market"] == pytest.approx(5 / 240 * 100)


def test_without_trades_nothing_is_made_up() -> None:
    found = measure(of_trades())
    assert found["net_profit"] == 0.0
    nothing = (
        "profit_factor",
        "expected_payoff",
        "sharpe",
        "z_score",
        "ahpr",
        "kelly",
        "holding_average",
        "edge_ratio",
    )
    assert [found[key] for key in nothing] == [None] * len(nothing)
    assert shown(None, "%") == "–"


def test_equal_results_have_no_deviation() -> None:
    found = measure(of_trades(10.0, 10.0, 10.0, 10.0))
    assert (found["trade_deviation"], found["sqn"], found["z_score"]) == (None, None, None)
    assert found["profit_factor"] is None
    assert found["lr_correlation"] == pytest.approx(1.0)


def test_a_used_up_account_has_no_returns() -> None:
    found = measure(of_trades(-6_000.0, -5_000.0, 100.0))
    assert found["net_profit"] == -10_900.0
    assert (found["sharpe"], found["ghpr"], found["return_year"]) == (None, None, None)
    assert found["equity_drawdown_relative"] == pytest.approx(110.0)


def test_drawdowns_of_a_known_curve() -> None:
    found = fall(100.0, 0, np.array([1, 2, 3, 4, 5]), np.array([200.0, 100.0, 1_000.0, 700.0, 900.0]), 9)
    assert (found.absolute, found.maximal, found.maximal_share) == (0.0, 300.0, 0.3)
    assert (found.relative, found.relative_money) == (0.5, 100.0)
    assert found.longest_ms == 6
    assert found.mean == pytest.approx(0.4)


@given(st.lists(st.floats(-100, 100), max_size=40))
def test_drawdowns_are_those_of_a_slow_search(moves: list[float]) -> None:
    value = 1_000.0 + np.cumsum(moves)
    whole = [1_000.0, *value.tolist()]
    found = fall(1_000.0, 0, np.arange(1, len(moves) + 1), value, len(moves))
    deepest = max((max(whole[: i + 1]) - x for i, x in enumerate(whole)), default=0.0)
    assert found.maximal == pytest.approx(deepest)
    assert found.absolute == pytest.approx(1_000.0 - min(whole))


def test_streaks_count_and_add_up() -> None:
    pnl = np.array([5.0, 6.0, -1.0, 20.0, -2.0, -3.0, -4.0])
    won, lost = streaks(pnl, pnl > 0), streaks(pnl, pnl < 0)
    assert (won.longest, won.longest_money, won.greatest_money, won.greatest) == (2, 11.0, 20.0, 1)
    assert (lost.longest, lost.longest_money, lost.mean) == (3, -9.0, 2.0)


def test_the_z_score_of_vinces_example() -> None:
    """12 trades, 6 won and 6 lost, in 8 runs: (12 · 7.5 - 72) / √(72 · 60 / 11)."""
    signs = np.array([-1, 1, 1, 1, 1, -1, -1, 1, -1, -1, 1, -1], dtype=float)
    assert len(np.flatnonzero(np.diff(signs))) + 1 == 7
    assert z_score(signs) == pytest.approx((12 * 6.5 - 72) / np.sqrt(72 * 60 / 11))


def agrees(ours: float | None, theirs: Any) -> None:
    if ours is None:
        return
    assert ours == pytest.approx(float(theirs), rel=1e-6, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(RETURNS)
def test_returns_are_measured_as_empyrical_does(r: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agrees(of.sharpe(r, 252), empyrical.sharpe_ratio(r))
        agrees(of.sortino(r, 252), empyrical.sortino_ratio(r))
        agrees(of.volatility(r, 252), empyrical.annual_volatility(r))
        agrees(of.downside(r, 252), empyrical.downside_risk(r))
        agrees(of.growth(r, 252), empyrical.annual_return(r))
        agrees(of.deepest(r), empyrical.max_drawdown(r))
        agrees(of.tail(r), empyrical.tail_ratio(r))
        agrees(of.value_at_risk(r), empyrical.value_at_risk(r))
        agrees(of.conditional_value_at_risk(r), empyrical.conditional_value_at_risk(r))
        agrees(of.omega(r), empyrical.omega_ratio(r))
        agrees(of.stability(r), empyrical.stability_of_timeseries(r))


def test_the_metrics_of_a_run_are_empyricals_of_its_days(run: Run) -> None:
    r = trading_days(run).returns
    found = measure(run)
    assert found["sharpe"] == pytest.approx(empyrical.sharpe_ratio(r))
    assert found["calmar"] == pytest.approx(empyrical.calmar_ratio(r))
    assert found["volatility"] == pytest.approx(empyrical.annual_volatility(r) * 100)
    assert found["daily_drawdown"] == pytest.approx(empyrical.max_drawdown(r) * 100)


def test_the_days_of_a_year_of_weekdays(run: Run) -> None:
    days = trading_days(run)
    assert len(days.day) == 250
    assert days.a_year == 252
    assert np.prod(1 + days.returns) * 10_000 == pytest.approx(run.equity[-1])


def test_a_market_without_weekends_has_365_days() -> None:
    trades = of_trades(*[1.0] * 30, days=30)
    assert trading_days(trades).a_year == 365


def test_costs_add_up_to_what_lies_between_gross_and_net(run: Run) -> None:
    found = measure(run)
    parts = sum(found[key] or 0.0 for key in ("spread_cost", "slippage_cost", "commission", "swap"))
    assert found["costs"] == pytest.approx(parts)
    assert found["before_costs"] == pytest.approx((found["net_profit"] or 0.0) + parts)


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (-1234.5, "money", "−1,234.50"), (12.345, "%", "12.35 %"), (0.0123, "", "0.0123"), (90_061.0, "s", "1 d 1 h"),
        (75.0, "s", "1 min 15 s"), (2.5, "trades", "2.5"), (-0.5, "R", "−0.50 R"), (1.00338, "factor", "1.00338"),
    ],
)  # fmt: skip
def test_values_are_shown_for_people(value: float, unit: str, said: str) -> None:
    assert shown(value, unit) == said
