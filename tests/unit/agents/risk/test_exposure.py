"""How much may be held: of a symbol, in a currency, altogether; margin; activity."""

from __future__ import annotations

from typing import Any

import pytest

from agents.risk import Verdict
from agents.risk.exposure import legs
from schemas.events import Side
from tests.unit.agents.risk.accounts import EURUSD, checked, spec


@pytest.mark.parametrize(
    ("held", "verdict", "left"),
    [(0.1, Verdict.PASS, 0.3), (0.2, Verdict.PASS, 0.3), (0.3, Verdict.REDUCE, 0.2), (0.5, Verdict.DENY, 0.0)],
)
def test_a_symbols_lots_are_counted_with_what_is_held(held: float, verdict: Verdict, left: float) -> None:
    check = checked(account={"symbol_lots": held}, told={"max_symbol_lots": 0.5})["symbol_lots"]
    assert (check.verdict, check.allowed_lots) == (verdict, left)
    assert check.measured == held + 0.3


def test_a_pair_has_a_leg_in_each_currency() -> None:
    assert legs(EURUSD, Side.LONG, 110_000.0, 110_010.0) == (("EUR", 110_000.0), ("USD", -110_010.0))
    assert legs(EURUSD, Side.SHORT, 110_000.0, 110_010.0) == (("EUR", -110_000.0), ("USD", 110_010.0))


def test_what_is_priced_in_its_own_currency_is_exposed_to_none() -> None:
    index = spec(currency_base="USD")
    assert legs(index, Side.LONG, 1.0, 1.0) == ()
    assert checked(told={"max_currency_exposure": 0.001}, listing=index)["currency_exposure"].verdict is Verdict.PASS


def test_an_unknown_base_has_no_leg() -> None:
    assert legs(spec(currency_base=""), Side.LONG, 1.0, 2.0) == (("USD", -2.0),)


@pytest.mark.parametrize(
    ("held", "side", "verdict", "left", "measured"),
    [
        ({}, Side.LONG, Verdict.PASS, 1.0, 11.0),
        ({"EUR": 55_000.0}, Side.LONG, Verdict.REDUCE, 0.59, 16.5),
        ({"USD": -55_000.0}, Side.LONG, Verdict.REDUCE, 0.59, 16.5),
        ({"EUR": 55_000.0}, Side.SHORT, Verdict.PASS, 1.0, 11.0),
        ({"EUR": 130_000.0}, Side.LONG, Verdict.DENY, 0.0, 24.0),
        ({"EUR": 200_000.0}, Side.SHORT, Verdict.PASS, 1.0, 11.0),
        ({"GBP": 900_000.0}, Side.LONG, Verdict.PASS, 1.0, 11.0),
    ],
)
def test_a_currencys_net_exposure_is_a_multiple_of_equity(
    held: dict[str, float], side: Side, verdict: Verdict, left: float, measured: float
) -> None:
    entry = {"lots": 1.0, "side": side, "notional_per_lot": 110_000.0, "base_per_lot": 110_000.0}
    check = checked(entry, {"exposures": held}, {"max_currency_exposure": 12})["currency_exposure"]
    assert (check.verdict, check.allowed_lots, check.unit) == (verdict, left, "x equity")
    assert check.measured == pytest.approx(measured)


def test_an_entry_that_turns_an_exposure_around_is_cut_at_the_limit_of_the_other_side() -> None:
    entry = {"lots": 4.0, "side": Side.SHORT, "notional_per_lot": 100_000.0, "base_per_lot": 100_000.0}
    check = checked(entry, {"exposures": {"EUR": 100_000.0}}, {"max_currency_exposure": 15})["currency_exposure"]
    assert (check.verdict, check.allowed_lots) == (Verdict.REDUCE, 1.5)


@pytest.mark.parametrize(
    ("gross", "verdict", "left"),
    [
        (0.0, Verdict.PASS, 0.3),
        (200_000.0 - 33_003.0, Verdict.PASS, 0.3),
        (180_000.0, Verdict.REDUCE, 0.18),
        (2e5, Verdict.DENY, 0.0),
    ],
)
def test_all_notionals_together_are_the_leverage_that_is_used(gross: float, verdict: Verdict, left: float) -> None:
    check = checked(account={"gross_notional": gross}, told={"max_gross_notional": 20})["gross_notional"]
    assert (check.verdict, check.allowed_lots) == (verdict, left)


@pytest.mark.parametrize("name", ["max_currency_exposure", "max_gross_notional", "min_margin_level"])
def test_an_account_without_equity_takes_no_exposure(name: str) -> None:
    checks = checked(account={"equity": -5.0}, told={name: 10})
    assert checks[name.removeprefix("max_").removeprefix("min_")].verdict is Verdict.DENY


@pytest.mark.parametrize(("open_now", "verdict"), [(2, Verdict.PASS), (3, Verdict.DENY)])
def test_positions_are_counted(open_now: int, verdict: Verdict) -> None:
    assert checked(account={"positions": open_now}, told={"max_positions": 3})["positions"].verdict is verdict


def test_what_free_margin_does_not_cover_is_refused_whole_as_the_broker_does() -> None:
    enough, short = (checked({"lots": lots, "margin_per_lot": 1_000.0})["free_margin"] for lots in (10.0, 10.01))
    assert (enough.verdict, enough.limit, enough.measured) == (Verdict.PASS, 10_000.0, 10_000.0)
    assert (short.verdict, short.allowed_lots) == (Verdict.DENY, 0.0)


@pytest.mark.parametrize(
    ("used", "verdict", "left"),
    [(0.0, Verdict.PASS, 4.0), (4_000.0, Verdict.REDUCE, 1.0), (5_000.0, Verdict.DENY, 0.0)],
)
def test_the_margin_level_after_the_entry_is_kept(used: float, verdict: Verdict, left: float) -> None:
    entry = {"lots": 4.0, "margin_per_lot": 1_000.0}
    check = checked(entry, {"margin": used}, {"min_margin_level": 200})["margin_level"]
    assert (check.verdict, check.allowed_lots, check.unit) == (verdict, left, "%")
    assert check.measured == 10_000.0 / (used + 4_000.0) * 100


def test_an_entry_that_binds_nothing_keeps_any_margin_level() -> None:
    assert checked({"margin_per_lot": 0.0}, told={"min_margin_level": 200})["margin_level"].verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("name", "counted", "limit"),
    [
        ("order_rate", "orders_last_minute", "max_orders_per_minute"),
        ("daily_requests", "requests_today", "max_requests_per_day"),
    ],
)
def test_orders_and_requests_are_counted_with_this_one(name: str, counted: str, limit: str) -> None:
    def at(number: int) -> Verdict:
        account: dict[str, Any] = {counted: number}
        return checked(account=account, told={limit: 3})[name].verdict

    assert [at(2), at(3)] == [Verdict.PASS, Verdict.DENY]
