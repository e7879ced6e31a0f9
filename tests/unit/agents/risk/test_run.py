"""All checks together: their order, what always holds, and the size that is left."""

from __future__ import annotations

import math

from agents.risk import CHECK_NAMES, Verdict, decided_lots, decided_verdict, no_limits, run_checks
from tests.unit.agents.risk.accounts import ACCOUNT, ENTRY, EURUSD, checked, limits, spec

ALL = {
    "max_lots": 5.0, "max_spread_points": 25, "max_price_move_points": 30, "max_quote_age_ms": 5000,
    "max_symbol_lots": 10.0, "max_currency_exposure": 50.0, "max_gross_notional": 200.0, "min_margin_level": 200.0,
    "max_positions": 10, "max_orders_per_minute": 5, "max_requests_per_day": 2000, "max_daily_loss": "5%",
    "max_drawdown": "10%", "loss_streak": 5, "loss_streak_pause": "4h",
}  # fmt: skip
BROKERS = {"volume_min", "volume_max", "volume_step", "quote", "suspect_data", "free_margin"}


def test_every_check_is_listed_in_a_fixed_order_with_limits_or_without() -> None:
    for risk in (no_limits("lab"), limits(**ALL)):
        assert tuple(check.name for check in run_checks(ENTRY, ACCOUNT, risk, EURUSD)) == CHECK_NAMES


def test_every_check_is_listed_after_one_that_denies() -> None:
    checks = run_checks(ENTRY._replace(bid=math.nan, lots=1e6), ACCOUNT, limits(**ALL), EURUSD)
    assert tuple(check.name for check in checks) == CHECK_NAMES


def test_without_limits_the_brokers_own_checks_hold() -> None:
    checks = checked()
    assert {name for name, check in checks.items() if check.verdict is not Verdict.NONE} == BROKERS
    assert all(check.verdict is Verdict.PASS for name, check in checks.items() if name in BROKERS)
    assert all(math.isnan(check.limit) for name, check in checks.items() if name not in BROKERS)


def test_an_entry_within_all_limits_keeps_its_size() -> None:
    checks = checked({"stop_distance": 0.001}, told=ALL)
    passed = {name for name, check in checks.items() if check.verdict is Verdict.PASS}
    assert passed == set(CHECK_NAMES) - {"session", "correlation"}
    assert decided_lots(0.3, list(checks.values()), EURUSD) == 0.3


def test_the_smallest_size_that_a_check_leaves_is_decided() -> None:
    checks = checked({"lots": 4.0}, told={"max_lots": 3.0, "max_symbol_lots": 2.5})
    assert decided_lots(4.0, list(checks.values()), EURUSD) == 2.5
    assert decided_verdict(4.0, 2.5) is Verdict.REDUCE


def test_one_denial_denies() -> None:
    checks = checked(told={"max_spread_points": 5})
    assert checks["spread"].verdict is Verdict.DENY
    assert decided_lots(0.3, list(checks.values()), EURUSD) == 0.0
    assert decided_verdict(0.3, 0.0) is Verdict.DENY


def test_a_reduction_is_a_size_that_the_listing_takes() -> None:
    check = checked({"lots": 3.0}, told={"max_lots": 1.2345}, listing=spec(volume_step=0.1, volume_min=0.1))[
        "order_lots"
    ]
    assert (check.verdict, check.allowed_lots) == (Verdict.REDUCE, 1.2)


def test_a_reduction_below_the_smallest_order_is_a_denial() -> None:
    check = checked({"lots": 3.0}, told={"max_lots": 0.05}, listing=spec(volume_step=0.1, volume_min=0.1))["order_lots"]
    assert (check.verdict, check.allowed_lots) == (Verdict.DENY, 0.0)


def test_what_passes_whole_is_passed_as_it_is() -> None:
    assert decided_verdict(0.3, 0.3) is Verdict.PASS
    assert decided_lots(0.3, [], EURUSD) == 0.3
    assert decided_lots(math.nan, [], EURUSD) == 0.0
