"""What has been lost: in a day, from the peak, in a row; and the correlation that isn't measured."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from agents.risk import Breach, DayStart, Streak, Verdict, after_trade, breaches, run_checks, trading_day
from schemas.configuration import BreachAction, LossBasis
from tests.unit.agents.risk.accounts import ACCOUNT, ENTRY, EURUSD, MONDAY_NOON_US, checked, limits

DAY_US = 86_400_000_000


def test_a_trading_day_begins_at_midnight_of_its_clock() -> None:
    midnight = 20_000 * DAY_US
    assert trading_day(midnight, 0) == 20_000
    assert trading_day(midnight - 1, 0) == 19_999
    assert trading_day(midnight - 2 * 3_600_000_000, 2 * 3600) == 20_000
    assert trading_day(midnight - 2 * 3_600_000_000 - 1, 2 * 3600) == 19_999


def test_a_days_loss_is_counted_from_what_the_firm_counts_it_from() -> None:
    start = DayStart(20_000, balance=10_000.0, equity=10_400.0)
    assert start.basis(LossBasis.BALANCE) == start.basis(LossBasis.UNKNOWN) == 10_000.0
    assert start.basis(LossBasis.EQUITY) == 10_400.0
    assert start.basis(LossBasis.HIGHER) == 10_400.0
    assert DayStart(1, 10_000.0, 9_000.0).basis(LossBasis.HIGHER) == 10_000.0


@pytest.mark.parametrize(
    ("equity", "verdict"), [(9_500.01, Verdict.PASS), (9_500.0, Verdict.DENY), (12_000.0, Verdict.PASS)]
)
def test_entries_stop_at_the_days_loss(equity: float, verdict: Verdict) -> None:
    assert checked(account={"equity": equity}, told={"max_daily_loss": 0.05})["daily_loss"].verdict is verdict


@pytest.mark.parametrize(("equity", "verdict"), [(9_001.0, Verdict.PASS), (9_000.0, Verdict.DENY)])
def test_entries_stop_at_the_drawdown_from_the_peak(equity: float, verdict: Verdict) -> None:
    check = checked(account={"equity": equity}, told={"max_drawdown": "10%"})["drawdown"]
    assert (check.verdict, check.limit, check.unit) == (verdict, 0.1, "share")


def test_an_unknown_basis_denies_where_the_loss_is_limited() -> None:
    unknown = {"day_basis": math.nan, "peak_equity": math.nan}
    checks = checked(account=unknown, told={"max_daily_loss": 0.05, "max_drawdown": 0.1})
    assert (checks["daily_loss"].verdict, checks["drawdown"].verdict) == (Verdict.DENY, Verdict.DENY)


def test_a_reached_limit_names_what_to_do() -> None:
    told = limits(max_daily_loss=0.05, daily_loss_action="flatten", max_drawdown=0.1, drawdown_action="REDUCE")
    assert breaches(told, 9_600.0, 10_000.0, 10_000.0) == ()
    assert breaches(told, 9_500.0, 10_000.0, 10_500.0) == (
        Breach("daily_loss", 0.05, 0.05, "share", BreachAction.FLATTEN),
    )
    assert [breach.limit for breach in breaches(told, 9_000.0, 10_000.0, 10_000.0)] == ["daily_loss", "drawdown"]
    assert breaches(limits(), 1.0, 10_000.0, 10_000.0) == ()


def test_without_an_action_entries_are_blocked() -> None:
    assert breaches(limits(max_drawdown=0.1), 1.0, 1.0, 10.0)[0].action is BreachAction.BLOCK


def test_losses_in_a_row_make_an_instance_pause() -> None:
    told = limits(loss_streak=2, loss_streak_pause="4h")
    one = after_trade(Streak(), -5.0, MONDAY_NOON_US, told)
    two = after_trade(one, -5.0, MONDAY_NOON_US, told)
    assert one == Streak(1, 0)
    assert two == Streak(0, MONDAY_NOON_US + 4 * 3_600_000_000)
    assert after_trade(one, 0.0, MONDAY_NOON_US, told) == one
    assert after_trade(one, 5.0, MONDAY_NOON_US, told) == Streak(0, 0)
    assert after_trade(two, -5.0, MONDAY_NOON_US, told) == Streak(1, two.paused_until_us)


def test_entries_are_denied_until_the_pause_ends() -> None:
    told = {"loss_streak": 2, "loss_streak_pause": "4h"}
    during, after = (
        checked(account={"paused_until_us": until, "losses_in_row": 1}, told=told)["loss_streak"]
        for until in (MONDAY_NOON_US + 1, MONDAY_NOON_US)
    )
    assert (during.verdict, during.measured) == (Verdict.DENY, 2.0)
    assert (after.verdict, after.measured) == (Verdict.PASS, 1.0)


def test_a_streak_is_counted_without_a_limit_too() -> None:
    assert after_trade(Streak(7), -1.0, 0, limits()) == Streak(8, 0)
    assert checked(account={"losses_in_row": 7})["loss_streak"].verdict is Verdict.NONE


def test_a_correlation_is_not_measured_and_a_record_that_limits_it_lets_nothing_in() -> None:
    assert checked()["correlation"].verdict is Verdict.NONE
    limited = replace(limits(), max_correlation=0.8)
    (check,) = (one for one in run_checks(ENTRY, ACCOUNT, limited, EURUSD) if one.name == "correlation")
    assert (check.verdict, check.limit, check.allowed_lots) == (Verdict.DENY, 0.8, 0.0)
    assert math.isnan(check.measured)
