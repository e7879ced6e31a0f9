"""What sizes a listing and an account take."""

from __future__ import annotations

import math

import pytest

from agents.risk import Verdict
from tests.unit.agents.risk.accounts import checked, spec


@pytest.mark.parametrize(
    ("lots", "verdict"), [(0.01, Verdict.PASS), (0.009, Verdict.DENY), (0.0, Verdict.DENY), (math.nan, Verdict.DENY)]
)
def test_an_order_is_at_least_the_smallest(lots: float, verdict: Verdict) -> None:
    check = checked({"lots": lots})["volume_min"]
    assert (check.verdict, check.limit, check.unit) == (verdict, 0.01, "lots")


@pytest.mark.parametrize(("lots", "verdict", "left"), [(50.0, Verdict.PASS, 50.0), (60.0, Verdict.REDUCE, 50.0)])
def test_an_order_is_cut_to_the_largest(lots: float, verdict: Verdict, left: float) -> None:
    check = checked({"lots": lots})["volume_max"]
    assert (check.verdict, check.limit, check.allowed_lots) == (verdict, 50.0, left)


def test_a_listing_without_a_largest_order_limits_none() -> None:
    assert checked(listing=spec(volume_max=0.0))["volume_max"].verdict is Verdict.NONE


@pytest.mark.parametrize(
    ("lots", "step", "verdict", "left"),
    [
        (0.3, 0.1, Verdict.PASS, 0.3),
        (0.7, 0.1, Verdict.PASS, 0.7),
        (0.35, 0.1, Verdict.REDUCE, 0.3),
        (0.299, 0.1, Verdict.REDUCE, 0.2),
        (0.35, 0.0, Verdict.PASS, 0.35),
        (0.355, 0.0, Verdict.REDUCE, 0.35),
    ],
)
def test_an_order_is_cut_to_the_step(lots: float, step: float, verdict: Verdict, left: float) -> None:
    check = checked({"lots": lots}, listing=spec(volume_step=step))["volume_step"]
    assert (check.verdict, check.allowed_lots) == (verdict, left)


def test_an_order_is_cut_to_the_accounts_largest() -> None:
    check = checked({"lots": 3.0}, told={"max_lots": 2.0})["order_lots"]
    assert (check.verdict, check.limit, check.measured, check.allowed_lots) == (Verdict.REDUCE, 2.0, 3.0, 2.0)
