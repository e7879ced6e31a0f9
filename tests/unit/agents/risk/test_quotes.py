"""The quote that an entry meets."""

from __future__ import annotations

import math
from typing import Any

import pytest

from agents.risk import Verdict
from agents.risk.quotes import in_session, minute_of_week
from schemas.configuration import SessionTable
from schemas.events import Side
from tests.unit.agents.risk.accounts import CHAIN, MONDAY_NOON_US, checked, spec

OFFICE = SessionTable(
    listing="sim/EURUSD",
    from_minutes=(1440 + 60, 2 * 1440 + 60),
    to_minutes=(1440 + 12 * 60, 2 * 1440 + 12 * 60),
    **CHAIN,
)
"""Monday and Tuesday, 01:00 to 12:00."""


@pytest.mark.parametrize(
    "broken",
    [
        {"bid": math.nan},
        {"ask": math.inf},
        {"bid": 0.0},
        {"bid": 1.2},
        {"price": math.nan},
        {"price": 0.0},
        {"quote_ms": 0},
    ],
)
def test_without_a_usable_quote_no_entry_is_made(broken: dict[str, Any]) -> None:
    assert checked()["quote"].verdict is Verdict.PASS
    assert checked(broken)["quote"].verdict is Verdict.DENY


def test_no_entry_is_decided_on_a_suspect_quote() -> None:
    assert checked({"suspect": True})["suspect_data"].verdict is Verdict.DENY


@pytest.mark.parametrize(("age_ms", "verdict"), [(5000, Verdict.PASS), (5001, Verdict.DENY)])
def test_a_quote_that_is_too_old_denies(age_ms: int, verdict: Verdict) -> None:
    check = checked({"quote_ms": MONDAY_NOON_US // 1000 - age_ms}, told={"max_quote_age_ms": 5000})["quote_age"]
    assert (check.verdict, check.measured, check.unit) == (verdict, age_ms, "ms")


def test_a_quote_of_unknown_age_denies_where_age_is_limited() -> None:
    assert checked({"quote_ms": 0}, told={"max_quote_age_ms": 5000})["quote_age"].verdict is Verdict.DENY


@pytest.mark.parametrize(("limit", "verdict"), [(10, Verdict.PASS), (9.9, Verdict.DENY), (0, Verdict.DENY)])
def test_a_spread_is_compared_in_whole_points(limit: float, verdict: Verdict) -> None:
    check = checked(told={"max_spread_points": limit})["spread"]
    assert (check.verdict, check.measured, check.unit) == (verdict, 10.0, "points")


def test_a_price_far_from_the_signals_denies() -> None:
    near, far = (checked({"signal_price": price}, told={"max_price_move_points": 10}) for price in (1.1, 1.0999))
    assert (near["price_move"].verdict, near["price_move"].measured) == (Verdict.PASS, 10.0)
    assert (far["price_move"].verdict, far["price_move"].measured) == (Verdict.DENY, 20.0)


def test_a_signal_without_a_price_denies_where_the_move_is_limited() -> None:
    assert checked({"signal_price": math.nan}, told={"max_price_move_points": 10})["price_move"].verdict is Verdict.DENY
    assert checked({"signal_price": math.nan})["price_move"].verdict is Verdict.NONE


@pytest.mark.parametrize(
    ("hours_later", "offset_s", "verdict"),
    [
        (-0.001, 0, Verdict.PASS),
        (0, 0, Verdict.DENY),
        (0, -3600, Verdict.PASS),
        (-11, 0, Verdict.PASS),
        (-11.001, 0, Verdict.DENY),
    ],
)
def test_entries_are_made_within_a_session_on_the_servers_clock(
    hours_later: float, offset_s: int, verdict: Verdict
) -> None:
    at_us = MONDAY_NOON_US + int(hours_later * 3_600_000_000)
    check = checked({"taken_us": at_us, "server_offset_s": offset_s}, session=OFFICE)["session"]
    assert check.verdict is verdict


def test_without_a_session_table_hours_are_not_limited() -> None:
    assert checked()["session"].verdict is Verdict.NONE


def test_minutes_of_the_week_begin_on_sunday() -> None:
    assert minute_of_week(MONDAY_NOON_US, 0) == 1440 + 720
    assert minute_of_week(0, 0) == 4 * 1440
    assert minute_of_week(MONDAY_NOON_US, -36 * 3600) == 0
    assert minute_of_week(MONDAY_NOON_US, -36 * 3600 - 60) == 7 * 1440 - 1
    assert not in_session(OFFICE, 0)


@pytest.mark.parametrize(
    ("entry", "measured"),
    [
        ({"stop_distance": 0.0003}, 20.0),
        ({"target_distance": 0.0003}, 40.0),
        ({"stop_distance": 0.0005, "target_distance": 0.0002}, 30.0),
        ({"pending": True, "price": 1.0991, "stop_distance": 0.0003}, 30.0),
        ({"pending": True, "price": 1.09985, "stop_distance": 0.003}, 25.0),
        ({"side": Side.SHORT, "pending": True, "price": 1.1001}, 10.0),
    ],
)
def test_the_nearest_level_is_measured_from_where_it_would_act(entry: dict[str, Any], measured: float) -> None:
    at, above = (
        checked(entry, listing=spec(stops_level=level))["stops_level"] for level in (int(measured), int(measured) + 1)
    )
    assert (at.verdict, at.measured) == (Verdict.PASS, measured)
    assert (above.verdict, above.limit) == (Verdict.DENY, measured + 1)


def test_a_stop_within_the_spread_is_denied_by_any_broker() -> None:
    assert checked({"stop_distance": 0.0001})["stops_level"].verdict is Verdict.DENY
    assert checked({"stop_distance": 0.00011})["stops_level"].verdict is Verdict.PASS


def test_an_entry_without_stop_and_target_has_no_level() -> None:
    assert checked(listing=spec(stops_level=10))["stops_level"].verdict is Verdict.NONE
