"""Risk limits from a TOML table."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from typing import Any

import pytest

from agents.risk import BadLimit, limits, limits_from_toml, no_limits
from schemas.configuration import BreachAction, LossBasis
from schemas.registry import decode, encode


def test_the_example_of_the_module_sets_every_limit() -> None:
    text = "\n".join(line.strip() for line in str(limits.__doc__).splitlines() if " = " in line)
    found = limits_from_toml(tomllib.loads(text), "lab")
    assert [name for name, value in asdict(found).items() if value is None] == ["max_correlation"]
    assert (found.max_daily_loss, found.max_drawdown, found.loss_streak_pause_ms) == (0.05, 0.1, 4 * 3_600_000)
    assert (found.daily_loss_basis, found.daily_loss_action) == (LossBasis.HIGHER, BreachAction.FLATTEN)
    assert decode(encode(found)) == found


def test_no_limits_are_all_null() -> None:
    found = no_limits("lab")
    assert found == limits_from_toml({}, "lab")
    assert {value for name, value in asdict(found).items() if name.startswith(("max_", "min_"))} == {None}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"max_lot": 5}, "unknown limit 'max_lot': did you mean max_lots?"),
        ({"colour": 5}, "unknown limit 'colour': there are max_lots"),
        ({"max_lots": 0}, "max_lots = 0: it must be a number above zero; leave the key out for no limit"),
        ({"max_lots": -1}, "max_lots = -1: it must be a number above zero"),
        ({"max_lots": float("nan")}, "max_lots = nan: it must be a number above zero"),
        ({"max_lots": True}, "max_lots = True: it must be a number"),
        ({"max_lots": "5"}, "max_lots = '5': it must be a number"),
        ({"max_spread_points": -1}, "max_spread_points = -1: it must be a number zero or above"),
        ({"max_positions": 1.5}, "max_positions = 1.5: it must be a whole number from 1"),
        ({"max_positions": 0}, "max_positions = 0: it must be a whole number from 1"),
        ({"max_daily_loss": 5}, 'max_daily_loss = 5: it must be a share above 0 and up to 1, or "5%" for 0.05'),
        ({"max_daily_loss": "five%"}, "max_daily_loss = 'five%': it must be a share"),
        ({"max_daily_loss": "nan%"}, "max_daily_loss = 'nan%': it must be a share"),
        ({"daily_loss_basis": "CASH"}, "daily_loss_basis = 'CASH': it must be one of BALANCE, EQUITY, HIGHER"),
        ({"drawdown_action": "UNKNOWN"}, "drawdown_action = 'UNKNOWN': it must be one of BLOCK, REDUCE, FLATTEN"),
        ({"max_correlation": 0.8}, "max_correlation = 0.8: correlation can't be measured"),
        ({"loss_streak": 3}, "loss_streak needs loss_streak_pause beside it"),
        ({"loss_streak_pause": "4h"}, "loss_streak_pause needs loss_streak beside it"),
        ({"loss_streak": 3, "loss_streak_pause": 4}, "loss_streak_pause takes a time such as '60s'"),
    ],
)
def test_a_limit_that_can_not_be_names_key_value_and_way_out(told: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadLimit) as refused:
        limits_from_toml(told, "lab")
    assert str(refused.value).startswith(reason)


def test_percent_is_exact() -> None:
    assert limits_from_toml({"max_daily_loss": "0.7%"}, "lab").max_daily_loss == 0.007
