"""The sets of a sweep: steps, lists, draws, and what is refused before anything runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.lab.choice import choose
from api.lab.sweep.axes import MOST_SETS, drawn, fitted, grid, parse_axes
from infra.errors import SettingsError


def values(text: str) -> tuple[int | float, ...]:
    return parse_axes([f"x={text}"])[0].values


def test_steps_include_both_ends() -> None:
    assert values("10:60:5") == tuple(range(10, 61, 5))


def test_steps_that_miss_the_end_stop_before_it() -> None:
    assert values("10:21:5") == (10, 15, 20)


def test_steps_of_a_tenth_are_the_numbers_that_one_writes() -> None:
    assert values("0.1:0.7:0.1") == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def test_steps_may_go_down() -> None:
    assert values("3:1:-1") == (3, 2, 1)


def test_a_list_keeps_its_order_and_has_each_value_once() -> None:
    assert values("20,5,20,10.5") == (20, 5, 10.5)


def test_one_value_is_no_range() -> None:
    (axis,) = parse_axes(["k=2.5"])
    assert axis.values == (2.5,)
    assert not axis.varied


def test_the_last_axis_goes_fastest() -> None:
    assert [tuple(one.values()) for one in grid(parse_axes(["a=1,2", "b=7,8"]))] == [(1, 7), (1, 8), (2, 7), (2, 8)]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("x", "name=from:to:step"),
        ("x=", "name=from:to:step"),
        ("x=1:5:0", "a step of 0"),
        ("x=5:1:1", "has no value"),
        ("x=1:2:3:4", "name=from:to:step"),
        ("x=ten", "'ten' is not a number"),
        ("x=1,,2", "'' is not a number"),
        ("x=nan", "is not a number"),
        ("x=1:1e9:1", "take a larger step"),
        ("x=5:5", "5 is not below 5"),
    ],
)
def test_what_can_not_be_read_is_refused_with_the_way_out(option: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse_axes([option])


def test_a_parameter_is_given_once() -> None:
    with pytest.raises(SettingsError, match="given twice"):
        parse_axes(["x=1", "x=2"])


def test_too_many_sets_are_told_with_their_number() -> None:
    with pytest.raises(SettingsError, match=r"1,000,000 sets.*--random 1000"):
        grid(parse_axes(["x=1:1000:1", "y=1:1000:1"]))


def test_a_grid_needs_steps() -> None:
    with pytest.raises(SettingsError, match="x=1:5:STEP"):
        grid(parse_axes(["x=1:5"]))


def test_values_are_held_to_the_strategys_bounds_before_anything_runs() -> None:
    chosen = choose("ema_cross", {})
    with pytest.raises(SettingsError, match="fast = 101 is not between 5 and 100"):
        fitted(parse_axes(["fast=99:101:1"]), chosen)
    with pytest.raises(SettingsError, match="no parameter 'quick': there are fast, slow, k"):
        fitted(parse_axes(["quick=1,2"]), chosen)
    with pytest.raises(SettingsError, match="not a whole number"):
        fitted(parse_axes(["fast=10:12:0.5"]), chosen)
    assert fitted(parse_axes(["k=1:3:1"]), chosen)[0].values == (1.0, 2.0, 3.0)


def test_values_are_held_to_a_built_in_strategys_bounds() -> None:
    chosen = choose("berserker", {})
    with pytest.raises(SettingsError, match="turn_agree = 61 is not between 1 and 60"):
        fitted(parse_axes(["turn_agree=4,61"]), chosen)
    assert fitted(parse_axes(["turn_agree=4,5"]), chosen)[0].values == (4, 5)


@given(st.integers(1, 40), st.integers(0, 2**31))
def test_drawn_sets_are_different_and_the_same_for_a_seed(sets: int, seed: int) -> None:
    axes = parse_axes(["a=1:5:1", "b=1,2,3", "c=0.5:2.5:0.5"])
    found = drawn(axes, sets, seed)
    assert found == drawn(axes, sets, seed)
    assert len({tuple(one.values()) for one in found}) == sets
    everything = grid(axes)
    assert all(one in everything for one in found)


def test_all_are_drawn_where_there_are_no_more() -> None:
    axes = parse_axes(["a=1,2,3", "b=1,2"])
    assert drawn(axes, 100, 1) == grid(axes)


def test_draws_from_a_range_without_steps_are_whole_where_the_parameter_is() -> None:
    axes = fitted(parse_axes(["fast=10:20", "k=1:3"]), choose("ema_cross", {}))
    found = drawn(axes, 50, 3)
    assert all(type(one["fast"]) is int and 10 <= one["fast"] <= 20 for one in found)
    assert all(type(one["k"]) is float and 1 <= one["k"] <= 3 for one in found)


@pytest.mark.parametrize("sets", [0, -1, MOST_SETS + 1])
def test_so_many_sets_are_not_drawn(sets: int) -> None:
    with pytest.raises(SettingsError, match="--random"):
        drawn(parse_axes(["a=1,2"]), sets, 1)
