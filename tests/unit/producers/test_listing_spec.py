"""ListingSpec from a TOML file, or with digits found in the prices."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import BadFile
from producers import listing_spec
from producers.listing_spec import digits_of, read_spec, spec_of, wanted_spec
from schemas.events import ListingSpec

LISTING = "oanda/EURUSD"


def spec_file(folder: Path, text: str) -> Path:
    path = folder / "eurusd.toml"
    path.write_text(text, encoding="utf-8")
    return path


def told_by(folder: Path, text: str) -> dict[str, object]:
    return read_spec(spec_file(folder, text))


def first(told: dict[str, object], digits: int = 5) -> ListingSpec:
    spec = wanted_spec(LISTING, None, told, digits, None)
    assert spec is not None
    return spec


def test_the_example_of_the_module_is_a_whole_file(tmp_path: Path) -> None:
    example = [line.strip() for line in str(listing_spec.__doc__).splitlines() if line.startswith("    ")]
    told = told_by(tmp_path, "\n".join(example))
    assert told["digits"] == 5
    assert told["commission_per_lot_side"] == 3.0
    spec = first(told)
    assert (spec.currency_base, spec.currency_profit, spec.digits_inferred) == ("EUR", "USD", False)
    assert {key: getattr(spec, key) for key in told} == told


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("digit = 5", r"unknown key 'digit': did you mean digits\?"),
        ("colour = 5", "unknown key 'colour': it can have digits, stops_level"),
        ('server_clock = "ny7"', "unknown key 'server_clock': --server-clock tells it"),
        ("digits = 9", "digits = 9: it must be a whole number from 0 to 8"),
        ("digits = -1", "digits = -1: it must be a whole number"),
        ("digits = 5.0", "digits = 5.0: it must be a whole number"),
        ("digits = true", "digits = True: it must be a whole number"),
        ("volume_min = -1", "volume_min = -1: it must be a number, zero or above"),
        ("volume_min = nan", "volume_min = nan: it must be a number, zero or above"),
        ("volume_max = inf", "volume_max = inf: it must be a number"),
        ('contract_size = "1"', "contract_size = '1': it must be a number"),
        ("currency_base = 3", "currency_base = 3: it must be a text"),
        ('description = "a\\nb"', "it must be a text of at most 200 printable characters"),
        ("volume_min = 2\nvolume_max = 1", "volume_min 2 is above volume_max 1"),
        ('margin_mode = "FUTURES"', "margin_mode = 'FUTURES': it must be one of FOREX, CFD, CFD_LEVERAGE"),
        ('swap_mode = "UNKNOWN"', "swap_mode = 'UNKNOWN': it must be one of NONE, POINTS, PERCENT, MONEY"),
        ("swap_mode = 3", "swap_mode = 3: it must be one of"),
        ("swap_mode = [3]", "it must be one of"),
        ("swap_long = nan", "swap_long = nan: it must be a number"),
        ("swap_long = -3", "swap_long and swap_short need swap_mode beside them"),
        ("swap_triple_day = 7", "swap_triple_day = 7: it must be a whole number from 0 to 6"),
        ("margin_rate = -1", "margin_rate = -1: it must be a number, zero or above"),
        ("leverage = 100", "unknown key 'leverage': it is for the --spec of a backtest"),
        ("[symbols.EURUSD]", "unknown key 'symbols': it is for the --spec of a backtest"),
        ("digits", "is not TOML"),
    ],
)
def test_what_a_file_may_not_say(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(BadFile, match=reason) as refused:
        told_by(tmp_path, text)
    assert "eurusd.toml" in str(refused.value)


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="can't be read: No such file"):
        read_spec(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadFile, match="is not TOML"):
        read_spec(tmp_path / "bad.toml")


def test_digits_are_found_in_the_prices_and_marked(tmp_path: Path) -> None:
    spec = first({})
    assert (spec.digits, spec.digits_inferred, spec.server_clock) == (5, True, "ny7")
    assert spec.contract_size == 0.0


def test_found_digits_only_widen() -> None:
    spec = first({}, 5)
    assert wanted_spec(LISTING, spec, {}, 3, None) is None
    wider = wanted_spec(LISTING, spec, {}, 6, None)
    assert wider is not None
    assert (wider.digits, wider.digits_inferred) == (6, True)


def test_told_digits_stay_whatever_the_prices_say() -> None:
    spec = first({"digits": 5})
    assert wanted_spec(LISTING, spec, {}, 7, None) is None
    assert wanted_spec(LISTING, spec, {"digits": 5}, 7, None) is None


def test_a_file_that_differs_changes_what_it_tells_and_keeps_the_rest() -> None:
    spec = first({"digits": 5, "contract_size": 100_000.0})
    changed = wanted_spec(LISTING, spec, {"volume_min": 0.01}, 5, None)
    assert changed == replace(spec, volume_min=0.01)


def test_digits_told_for_found_ones_are_told_even_if_equal() -> None:
    spec = first({}, 5)
    changed = wanted_spec(LISTING, spec, {"digits": 5}, 5, None)
    assert changed == replace(spec, digits_inferred=False)


def test_the_server_clock_stays_unless_another_is_named() -> None:
    spec = wanted_spec(LISTING, None, {}, 5, "eu")
    assert spec is not None
    assert spec.server_clock == "eu"
    assert wanted_spec(LISTING, spec, {}, 5, None) is None
    assert wanted_spec(LISTING, spec, {}, 5, "eu") is None
    assert wanted_spec(LISTING, spec, {}, 5, "utc") == replace(spec, server_clock="utc")


def test_the_last_spec_of_a_listing_holds() -> None:
    one, two = first({}, 3), first({}, 4)
    other = replace(one, listing="fxcm/EURUSD")
    assert spec_of(LISTING, [one, two, other, object()]) == two
    assert spec_of("none/EURUSD", [one]) is None


@pytest.mark.parametrize(
    ("prices", "digits"),
    [
        ([1.0, 20.0], 0),
        ([1.38742, 1.3874], 5),
        ([123.456, 99.1], 3),
        ([0.00001234], 8),
        ([0.000000001], 8),
        ([1 / 3], 8),
        ([math.nan, math.inf, 0.0, -1.23456], 0),
        ([], 0),
        ([1.1, math.nan], 1),
        ([123456789.25], 2),
    ],
)
def test_digits_of_prices(prices: list[float], digits: int) -> None:
    assert digits_of(np.array(prices, np.float64), np.empty(0)) == digits


@given(st.lists(st.tuples(st.integers(1, 10**9), st.integers(0, 8)), min_size=1, max_size=20))
def test_digits_are_those_of_the_shortest_decimal(parts: list[tuple[int, int]]) -> None:
    prices = [k / 10**d for k, d in parts]
    expected = max(len(f"{Decimal(repr(p)):f}".partition(".")[2].rstrip("0")) for p in prices)
    assert digits_of(np.array(prices), np.array(prices)) == expected
