"""How many lots an entry gets."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.money import Quote, Rates, commission, exact, notional, profit
from agents.sizing import (
    KELLY_START,
    KELLY_TRADES,
    ClosedTrades,
    SizeRequest,
    SizeResult,
    kelly_fraction,
    loss_at_stop,
    size_of,
)
from agents.volumes import fitted, stepped
from schemas.configuration import Sizing
from schemas.events import ListingSpec, Side
from tests.unit.agents.risk.accounts import EURUSD

DOLLARS = Rates("USD", {}, {}, {})
FREE = replace(EURUSD, commission_per_lot_side=0.0)
RISK = SizeRequest(
    spec=FREE,
    rates=DOLLARS,
    sizing=Sizing.RISK,
    size=0.01,
    equity=Decimal("10000"),
    side=Side.LONG,
    price=1.1,
    stop_distance=0.001,
)


def sized(**changes: Any) -> SizeResult:
    return size_of(RISK._replace(**changes))


def test_fixed_lots_are_what_was_asked() -> None:
    assert sized(sizing=Sizing.LOTS, size=0.3) == SizeResult(0.3)


def test_fixed_lots_between_two_steps_are_rounded_down_and_that_is_said() -> None:
    assert sized(sizing=Sizing.LOTS, size=0.299) == SizeResult(0.29, "0.299 lots rounded down to the step of 0.01")


@pytest.mark.parametrize("size", [0.0, -1.0, math.nan, math.inf])
def test_a_size_that_is_none_gives_no_lots(size: float) -> None:
    result = sized(sizing=Sizing.LOTS, size=size)
    assert result.lots == 0.0
    assert "it must be above zero" in result.reason


def test_risk_is_the_loss_at_the_stop() -> None:
    # 1 % of 10,000 is 100; 100 points of 1 lot are 100.
    assert sized() == SizeResult(1.0)
    assert sized(stop_distance=0.002) == SizeResult(0.5)
    assert sized(size=0.003) == SizeResult(0.3)


def test_the_loss_has_the_commission_of_both_sides() -> None:
    with_commission = RISK._replace(spec=EURUSD)
    assert loss_at_stop(with_commission) == Decimal("107")
    assert size_of(with_commission) == SizeResult(0.93)


@pytest.mark.parametrize("side", [Side.LONG, Side.SHORT])
def test_a_shorts_stop_lies_above(side: Side) -> None:
    assert loss_at_stop(RISK._replace(side=side)) == Decimal("100")


def test_the_loss_is_in_the_accounts_currency() -> None:
    rates = Rates("EUR", {}, {("EUR", "USD"): "sim/EURUSD"}, {"sim/EURUSD": Quote(1.25, 1.26)})
    # A loss of 100 USD is bought at the bid: 80 EUR.
    assert loss_at_stop(RISK._replace(rates=rates)) == Decimal("80")
    assert sized(rates=rates) == SizeResult(1.25)


@pytest.mark.parametrize("distance", [math.nan, 0.0, -0.001])
def test_risk_without_a_stop_is_refused_with_what_to_write(distance: float) -> None:
    result = sized(stop_distance=distance)
    assert result == SizeResult(0.0, result.reason)
    assert "write Exit(stop=" in result.reason


def test_a_currency_that_can_not_be_converted_gives_no_lots() -> None:
    result = sized(rates=Rates("EUR", {}, {}, {}))
    assert result.lots == 0.0
    assert "USD can't be converted into EUR" in result.reason


def test_below_the_smallest_order_there_is_no_order_and_a_reason() -> None:
    assert sized(equity=Decimal("50"), size=0.01) == SizeResult(
        0.0, "0.005 lots are below the smallest order, 0.01 lots"
    )


def test_above_the_largest_order_it_is_capped() -> None:
    assert sized(size=1.0, stop_distance=0.0001) == SizeResult(50.0, "capped at the largest order, 50.0 lots")


@pytest.mark.parametrize("told", [-1.0, math.nan, math.inf])
def test_a_max_lots_that_is_none_stops_entries_rather_than_lifting_the_limit(told: float) -> None:
    assert sized(max_lots=told) == SizeResult(
        0.0, f"max_lots is {told}: it must be a finite number above zero, or zero for no limit"
    )


def test_max_lots_caps_and_is_said() -> None:
    assert sized(max_lots=0.25) == SizeResult(0.25, "capped at max_lots 0.25")
    assert sized(sizing=Sizing.LOTS, size=3.0, max_lots=0.25) == SizeResult(0.25, "capped at max_lots 0.25")


def test_a_listing_that_tells_no_volumes_takes_hundredths() -> None:
    unknown = replace(FREE, volume_min=0.0, volume_max=0.0, volume_step=0.0)
    assert sized(spec=unknown, size=0.00123) == SizeResult(0.12)
    assert sized(spec=unknown, size=0.00009).lots == 0.0
    assert sized(spec=unknown, size=1.0, stop_distance=0.00001).lots == 10_000.0


@pytest.mark.parametrize("equity", ["0", "-3"])
def test_without_equity_there_are_no_lots(equity: str) -> None:
    assert sized(equity=Decimal(equity)) == SizeResult(0.0, f"the equity is {equity}")


def test_without_a_price_there_are_no_lots() -> None:
    assert sized(price=math.nan).lots == 0.0


def test_an_unknown_sizing_gives_no_lots() -> None:
    assert sized(sizing=Sizing.UNKNOWN) == SizeResult(0.0, "there is no sizing UNKNOWN")


def test_volatility_is_aimed_at() -> None:
    # 10 % of 10,000 a year; a lot is worth 110,000 and moves 16 % a year: 1,000 / 17,600.
    result = sized(sizing=Sizing.VOLATILITY, size=0.1, volatility=0.01, periods_per_year=256.0, stop_distance=math.nan)
    assert result == SizeResult(0.05)


@pytest.mark.parametrize("volatility", [math.nan, 0.0, math.inf])
def test_an_unknown_volatility_gives_no_lots(volatility: float) -> None:
    result = sized(sizing=Sizing.VOLATILITY, size=0.1, volatility=volatility)
    assert result == SizeResult(0.0, "the listing's volatility isn't known (yet)")


@pytest.mark.parametrize(
    ("closed", "fraction"),
    [
        (ClosedTrades(100, 60, 1.0, 1.0), 0.2),
        (ClosedTrades(100, 50, 2.0, 1.0), 0.25),
        (ClosedTrades(100, 40, 1.0, 1.0), -0.2),
        (ClosedTrades(100, 100, 1.0, 0.0), 1.0),
        (ClosedTrades(100, 0, 0.0, 1.0), -1.0),
        (ClosedTrades(), 0.0),
    ],
)
def test_kellys_fraction(closed: ClosedTrades, fraction: float) -> None:
    assert kelly_fraction(closed) == pytest.approx(fraction)


def test_kelly_risks_a_share_of_the_fraction_to_the_stop_and_is_capped() -> None:
    small = ClosedTrades(100, 52, 1.0, 1.0)
    assert sized(sizing=Sizing.KELLY, size=0.25, closed=small).lots == 1.0
    assert sized(sizing=Sizing.KELLY, size=0.5, closed=ClosedTrades(100, 60, 1.0, 1.0)).lots == 2.0
    assert sized(sizing=Sizing.KELLY, size=0.5, closed=ClosedTrades(100, 60, 1.0, 1.0), kelly_cap=0.005).lots == 0.5


def test_kelly_starts_small_until_an_edge_can_be_known() -> None:
    few = ClosedTrades(KELLY_TRADES - 1, KELLY_TRADES - 1, 1.0, 1.0)
    assert sized(sizing=Sizing.KELLY, size=1.0, closed=few).lots == pytest.approx(100 * KELLY_START)


def test_kelly_without_an_edge_does_not_trade() -> None:
    result = sized(sizing=Sizing.KELLY, size=0.5, closed=ClosedTrades(100, 40, 1.0, 1.0))
    assert result == SizeResult(0.0, "Kelly sees no edge: 40 of 100 trades won, 1.00 against 1.00 lost")


specs = st.builds(
    lambda step, least, most: replace(
        EURUSD, volume_step=step, volume_min=float(exact(step) * least), volume_max=float(exact(step) * least * most)
    ),
    st.sampled_from([0.01, 0.1, 0.001, 0.02, 1.0, 0.03]),
    st.integers(1, 10),
    st.integers(1, 10_000),
)
requests = st.builds(
    SizeRequest,
    spec=specs,
    rates=st.just(DOLLARS),
    sizing=st.sampled_from([Sizing.LOTS, Sizing.RISK, Sizing.VOLATILITY, Sizing.KELLY]),
    size=st.floats(1e-6, 10),
    equity=st.decimals(0, 10**9, places=2),
    side=st.sampled_from([Side.LONG, Side.SHORT]),
    price=st.floats(0.5, 2),
    stop_distance=st.one_of(st.just(math.nan), st.floats(1e-5, 0.1)),
    max_lots=st.one_of(st.just(0.0), st.floats(0.001, 100)),
    volatility=st.one_of(st.just(math.nan), st.floats(1e-5, 0.1)),
    closed=st.builds(ClosedTrades, st.just(100), st.integers(0, 100), st.floats(0, 100), st.floats(0, 100)),
)


@given(requests)
def test_a_size_is_one_that_the_listing_takes_or_none_with_a_reason(request: SizeRequest) -> None:
    lots, reason = size_of(request)
    if lots == 0:
        assert reason
        return
    spec = request.spec
    assert exact(lots) % exact(spec.volume_step) == 0
    assert spec.volume_min <= lots <= spec.volume_max
    assert request.max_lots == 0 or lots <= request.max_lots
    if request.sizing is Sizing.LOTS:
        assert lots <= request.size


@given(
    requests.map(lambda request: request._replace(sizing=Sizing.RISK, stop_distance=0.00123, size=request.size / 10))
)
def test_the_loss_at_the_stop_is_never_above_the_share_and_a_step_more_would_be(request: SizeRequest) -> None:
    lots, reason = size_of(request)
    spec = request.spec
    stop = float(exact(request.price) + (-1 if request.side is Side.LONG else 1) * exact(request.stop_distance))

    def lost(volume: float) -> Decimal:
        moved = profit(spec, request.side, volume, request.price, stop, DOLLARS)
        return -moved - 2 * commission(spec, volume, DOLLARS)

    most = request.equity * exact(request.size)
    assert lost(lots) <= most
    if not reason:
        assert lost(float(exact(lots) + exact(spec.volume_step))) > most


@given(
    requests.map(lambda request: request._replace(sizing=Sizing.VOLATILITY, volatility=0.01, periods_per_year=256.0))
)
def test_the_yearly_volatility_aimed_at_is_never_passed(request: SizeRequest) -> None:
    lots, _ = size_of(request)
    yearly = notional(request.spec, lots, request.price, DOLLARS) * Decimal("0.16")
    assert yearly <= request.equity * exact(request.size)


@given(st.decimals(0, 10_000, places=6), specs)
def test_fitting_twice_changes_nothing(lots: Decimal, spec: ListingSpec) -> None:
    once = fitted(lots, spec)
    assert fitted(once, spec) == once
    assert stepped(lots, spec) <= lots


@pytest.mark.parametrize("step", [0.01, 0.1, 0.001])
def test_every_multiple_of_a_step_is_kept_as_it_is_written(step: float) -> None:
    spec = replace(EURUSD, volume_step=step, volume_min=step, volume_max=1000.0)
    for count in range(1, 1000):
        lots = float(f"{count * exact(step)}")
        assert float(fitted(exact(lots), spec)) == lots
