"""What `symbol_info` tells of a listing, and what nobody can reckon with."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from producers.recorder.specs import Unusable, spec_of_symbol
from schemas.configuration import MarginMode, SwapMode

EURUSD: dict[str, Any] = {
    "digits": 5, "point": 1e-5, "trade_tick_value": 1.0, "trade_tick_size": 1e-5, "trade_contract_size": 100_000.0,
    "volume_min": 0.01, "volume_max": 500.0, "volume_step": 0.01, "trade_stops_level": 3, "trade_freeze_level": 2,
    "currency_base": "EUR", "currency_profit": "USD", "description": "Euro vs\x00 US Dollar", "trade_calc_mode": 0,
    "swap_mode": 1, "swap_long": -7.2, "swap_short": 3.1, "swap_rollover3days": 3,
}  # fmt: skip


def info(**more: Any) -> Any:
    return SimpleNamespace(**(EURUSD | more))


def test_all_that_it_tells_is_in_the_spec() -> None:
    spec = spec_of_symbol("f/EURUSD", info(), None, "ny7")
    assert (spec.listing, spec.digits, spec.digits_inferred, spec.contract_size) == ("f/EURUSD", 5, False, 100_000.0)
    assert (spec.volume_min, spec.volume_max, spec.volume_step) == (0.01, 500.0, 0.01)
    assert (spec.stops_level, spec.freeze_level, spec.server_clock) == (3, 2, "ny7")
    assert (spec.currency_base, spec.currency_profit, spec.description) == ("EUR", "USD", "Euro vs US Dollar")
    assert (spec.margin_mode, spec.swap_mode) == (MarginMode.FOREX, SwapMode.POINTS)
    assert (spec.swap_long, spec.swap_short, spec.swap_triple_day) == (-7.2, 3.1, 3)


def test_what_it_does_not_tell_stays_as_the_listing_has_it() -> None:
    now = replace(
        spec_of_symbol("f/EURUSD", info(digits=3), None, "eu"), commission_per_lot_side=3.0, margin_rate=0.5, ref_no=7
    )
    spec = spec_of_symbol("f/EURUSD", info(), now, "ny7")
    assert spec == replace(now, digits=5, server_clock="ny7")


@pytest.mark.parametrize(
    ("swap_mode", "known"), [(0, SwapMode.NONE), (4, SwapMode.MONEY), (5, SwapMode.PERCENT), (2, SwapMode.UNKNOWN)]
)
def test_swaps_of_a_kind_that_is_none_of_ours_count_for_nothing(swap_mode: int, known: SwapMode) -> None:
    spec = spec_of_symbol("f/EURUSD", info(swap_mode=swap_mode), None, "ny7")
    assert spec.swap_mode is known
    assert spec.swap_long == (-7.2 if known in (SwapMode.MONEY, SwapMode.PERCENT) else 0.0)
    assert spec_of_symbol("f/EURUSD", info(swap_long=math.nan), None, "ny7").swap_mode is SwapMode.UNKNOWN


@pytest.mark.parametrize(
    ("mode", "known"), [(2, MarginMode.CFD), (4, MarginMode.CFD_LEVERAGE), (33, MarginMode.UNKNOWN)]
)
def test_margin_modes(mode: int, known: MarginMode) -> None:
    assert spec_of_symbol("f/X", info(trade_calc_mode=mode), None, "ny7").margin_mode is known


@pytest.mark.parametrize(
    ("field", "value"),
    [("trade_tick_value", 0.0), ("trade_tick_value", math.nan), ("point", 0.0), ("volume_step", -0.01),
     ("trade_contract_size", math.inf), ("digits", 9)],
)  # fmt: skip
def test_a_symbol_that_nobody_can_reckon_with_is_refused_and_says_why(field: str, value: float) -> None:
    with pytest.raises(Unusable, match=rf"^f/EURUSD isn't recorded: the terminal says {field} = "):
        spec_of_symbol("f/EURUSD", info(**{field: value}), None, "ny7")
