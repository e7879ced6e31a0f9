"""The strategy contract: what may be written, and what is said of the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from agents.expressions import StrategyError
from agents.graph import canonical
from agents.strategy_program import BadProgram, needs_stop, parse_program
from schemas.timeframes import Timeframe
from tests.graphs import B
from tests.strategies import STRATEGIES, busy, ema_cross
from tickledger import Enter, Exit, Flat, Levels, Param, strategy, ta
from tickledger.ta import atr, ema, sma

UP = B.close > B.open
PLAN = Exit(stop=0.001)


def made(body: Any, **options: Any) -> Any:
    """The program of a strategy that yields what `body(b)` gives."""

    def given(b: Any) -> Iterator[Any]:
        yield from body(b)

    return strategy(version=1, bars="M5", **options)(given).program()


def test_a_strategy_is_a_program_of_graph_entries_and_levels() -> None:
    program = ema_cross.program()
    assert (program.name, program.version, program.timeframe) == ("ema_cross", 1, Timeframe.H1)
    assert program.warm_up == 151  # an EMA of 50, and the bar before
    long, short = program.entries
    assert (long.side, short.side, long.valid_for_ms, long.breakeven_at) == ("long", "short", 60_000, 1.0)
    assert long.max_hold_ms == 120 * 3_600_000
    assert program.graph.outputs[long.stop] == program.graph.outputs[short.stop]
    assert ema_cross.doc.startswith("EMA cross; stop k ATR")


def test_a_pending_entry_has_a_price_and_a_life() -> None:
    market, limit, stop = made(
        lambda b: [
            Enter.long(UP, PLAN),
            Enter.limit("long", UP, PLAN, price=b.close - atr(b, 14), expires="4h"),
            Enter.stop("short", UP, PLAN, price=1.25, valid_for="5m"),
        ]
    ).entries
    assert [(e.type, e.side) for e in (market, limit, stop)] == [
        ("market", "long"),
        ("limit", "long"),
        ("stop", "short"),
    ]
    assert (market.price, market.expires_ms) == (-1, 0)
    assert limit.price >= 0
    assert (limit.expires_ms, stop.expires_ms, stop.valid_for_ms) == (4 * 3_600_000, 0, 300_000)


def test_a_partial_exit_is_a_share_at_a_number_of_stop_distances() -> None:
    (entry,) = made(lambda b: [Enter.long(UP, Exit(stop=0.001, partial=(1, 0.5)))]).entries
    assert (entry.partial_at, entry.partial_share) == (1.0, 0.5)


def test_a_program_without_a_stop_says_what_to_write_before_it_is_sized_by_risk() -> None:
    assert needs_stop(ema_cross.program()) is None
    bare = made(lambda b: [Enter.long(UP, PLAN), Enter.short(~UP, Exit(target=0.001))])
    assert not bare.has_stop
    assert "write Exit(stop=2 * atr(b, 14)), or size by --lots" in str(needs_stop(bare))


def test_the_strategys_own_lines_are_what_its_function_has_names_for() -> None:
    assert list(ema_cross.lines()) == ["f", "s", "r", "trail_long", "trail_short"]

    @strategy(version=1, bars="H1")
    def banded(b: Any) -> Iterator[Any]:
        bands = ta.bollinger(b.close)
        _ = 3
        yield Enter.long(b.close < bands.lower, PLAN)

    assert list(banded.lines())[:3] == ["bands.upper", "bands.middle", "bands.lower"]


def test_parameters_change_the_program_within_their_bounds() -> None:
    assert ema_cross.program({"slow": 30}).warm_up == 91
    assert ema_cross.program({"k": 3}).digest == ema_cross.program({"k": 3.0}).digest
    assert ema_cross.program({"k": 3}).digest != ema_cross.program().digest
    assert ema_cross.program({}).digest == ema_cross.program({"fast": 20, "slow": 50, "k": 2.0}).digest


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"fast": 4}, "fast = 4 is not between 5 and 100"),
        ({"fast": 20.0}, "fast = 20.0 is not a whole number: it is from 5 to 100"),
        ({"fast": True}, "fast = True is not a whole number"),
        ({"k": 6.5}, "k = 6.5 is not between 0.5 and 6.0"),
        ({"k": float("nan")}, "k = nan is not between"),
        ({"k": "2"}, "k = '2' is not between"),
        ({"fats": 4}, "ema_cross has no parameter 'fats': there are fast, slow, k"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused(values: Any, said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        ema_cross.program(values)


def test_warmup_overrides_what_the_indicators_need() -> None:
    assert made(lambda b: [Enter.long(b.close > sma(b.close, 30), PLAN)]).warm_up == 30
    assert made(lambda b: [Enter.long(b.close > sma(b.close, 30), PLAN)], warmup=5).warm_up == 5
    assert made(lambda b: [Enter.long(b.close > sma(b.close, 30), PLAN)], warmup=0).warm_up == 0


def test_a_parameter_is_whole_only_if_its_bounds_are_too() -> None:
    assert Param(2, 1, 6).checked("k", 3) == 3
    assert Param(2, 0.5, 6).checked("k", 2.5) == 2.5
    assert type(Param(2, 0.5, 6).checked("k", 2)) is float


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (lambda b: Exit(stop=b.low), "stop is a price, and Exit takes the distance"),
        (lambda b: Exit(target=ta.bollinger(b.close).middle), r"target is a price, .* write abs\(b.close - …\)"),
        (lambda b: Exit(stop=ta.highest(b.high, 5) - 2 * atr(b, 3)), "stop is a price"),
        (lambda b: Exit(stop=ta.median_price(b).lag(1)), "stop is a price"),
        (lambda b: Exit(trail_long=2 * atr(b, 3)), "trail_long is a distance, and Exit takes the price"),
        (lambda b: Exit(trail_short=ta.stddev(b.close, 5)), "trail_short is a distance"),
    ],
)
def test_a_price_in_place_of_a_distance_is_seen(plan: Any, said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        made(lambda b: [Enter.long(UP, plan(b))])


@pytest.mark.parametrize(
    "plan",
    [
        lambda b: Exit(stop=abs(b.close - b.low), target=2 * (b.high - b.low)),
        lambda b: Exit(stop=ta.stddev(b.close, 5), trail_long=ta.parabolic_sar(b)),
        lambda b: Exit(stop=b.close - 1.25, trail_long=b.close * 0.0 + 1.25),
        lambda b: Exit(stop=b.close * 0.01, target=ta.true_range(b), trail_short=ema(b.high, 5) + atr(b, 3)),
        lambda b: Exit(stop=0.001, trail_long=ta.hold(ta.fractals(b).down), trail_short=ta.where(UP, b.low, 1.25)),
    ],
)
def test_what_may_be_right_is_taken(plan: Any) -> None:
    assert made(lambda b: [Enter.long(UP, plan(b))]).entries


REFUSED: list[tuple[Any, str]] = [
    (lambda: Param(1, 2, 3), "the default 1 is not between 2 and 3"),
    (lambda: Param("1", 0, 3), "finite numbers, not"),
    (lambda: Param(1.0, 0.0, float("inf")), "finite numbers, not"),
    (lambda: strategy(version=1, bars="H2"), "bars = 'H2' is no timeframe: there are M1, M5, M15, M30, H1, H4, D1"),
    (lambda: strategy(version=0, bars="H1"), "version = 0 is not a whole number from 1"),
    (lambda: strategy(version=1, bars="H1", warmup=-1), "warmup = -1 is not a number of bars"),
    (lambda: strategy(version=1, bars="H1")(lambda n=3: []), "takes the bars first"),
    (lambda: strategy(version=1, bars="H1")(lambda b, n=3: []), r"n needs a default, n=Param\(default, low, high\)"),
    (lambda: Exit(stop=0), "stop = 0 is not above 0"),
    (lambda: Exit(stop=UP), "stop takes a number, not a condition"),
    (lambda: Exit(stop="20"), "Exit: stop must be a number or an expression"),
    (lambda: Exit(breakeven_at=1.0), "breakeven_at counts in stop distances, and there is no stop"),
    (lambda: Exit(stop=1.0, breakeven_at=B.close), "breakeven_at takes a number above 0, not a number over bars"),
    (lambda: Exit(stop=1.0, max_bars=2.5), "max_bars takes a whole number above 0, not 2.5"),
    (lambda: Exit(stop=1.0, on_opposite="flip"), "on_opposite = 'flip' is none of reverse, close, ignore"),
    (lambda: Exit(stop=1.0, cooldown="soon"), "cooldown takes a time such as '60s', '15m' or '4h' or a number of bars"),
    (lambda: Enter.long(B.close, PLAN), "Enter.long takes a condition such as .* not a number over bars"),
    (lambda: Enter.long(True, PLAN), "Enter.long takes a condition such as .* not True"),
    (lambda: Enter.short(UP, 0.001), r"Enter.short takes an exit plan, Exit\(stop=…, …\), not 0.001"),
    (lambda: Enter.long(UP, PLAN, valid_for=60), "valid_for takes a time such as '60s', '15m' or '4h', up to a year"),
    (lambda: Enter.long(UP, PLAN, valid_for="0s"), "valid_for takes a time"),
    (lambda: Enter.long(UP, PLAN, valid_for="9999d"), "up to a year, not '9999d'"),
    (lambda: Enter.long(UP, PLAN, valid_for="1w"), "valid_for takes a time"),
    (lambda: Enter.limit("up", UP, PLAN, price=B.low), "Enter.limit: side = 'up' is neither 'long' nor 'short'"),
    (lambda: Enter.limit("long", UP, PLAN, price=UP), "Enter.limit: price takes a number, not a condition"),
    (lambda: Enter.stop("long", UP, PLAN, price=0.0), "Enter.stop: price = 0.0 is not above 0"),
    (lambda: Enter.stop("long", UP, PLAN, price=1.3, expires=4), "Enter.stop: expires takes a time such as"),
    (lambda: made(lambda b: [Enter.stop("long", UP, PLAN, price=atr(b, 3))]), "price of Enter.stop is no price"),
    (lambda: made(lambda b: [Enter.limit("long", UP, PLAN, price=b.low + b.high)]), "price of Enter.limit is no price"),
    (lambda: made(lambda b: [Enter.long(plan=PLAN)]), "Enter.long needs a condition such as b.close > b.open"),
    (lambda: made(lambda b: [Enter.limit("long", plan=PLAN, price=b.low)]), "Enter.limit needs a condition"),
    (lambda: made(lambda b: [Enter.long(UP, PLAN), Flat()]), "Flat needs a condition"),
    (lambda: Enter.long(UP), r"Enter.long takes an exit plan, Exit\(stop=…, …\), not None"),
    (lambda: Exit(partial=(1.0, 0.5)), "partial counts in stop distances, and there is no stop"),
    (lambda: Exit(stop=1.0, partial=0.5), r"partial takes \(at, share\), such as \(1.0, 0.5\) for half of it at 1 R"),
    (lambda: Exit(stop=1.0, partial=(1.0, 1.0)), "the share lies between 0 and 1"),
    (lambda: Exit(stop=1.0, partial=(0.0, 0.5)), "at is above 0"),
    (lambda: Levels(), "Levels takes trail_long or trail_short"),
    (lambda: Levels(trail_long=B.low), "Levels takes prices above 0, not a number over bars"),
    (lambda: Flat(B.close), "Flat takes a condition"),
    (lambda: Flat(UP, side="up"), "side = 'up' is neither 'long' nor 'short'"),
    (lambda: made(lambda b: [UP]), "yields Enter.long, Enter.short and Flat, not a condition over bars"),
    (lambda: made(lambda b: [Flat(UP)]), "given never enters"),
    (lambda: made(lambda b: [Enter.long(UP, Exit(stop=1.0, max_bars=999_999))]), "max_bars takes a time .* a year"),
    (
        lambda: made(lambda b: [Enter.long(UP, Exit(trail_long=b.low)), Enter.short(UP, Exit(trail_long=b.high))]),
        "different trail_long",
    ),
    (lambda: made(lambda b: [Enter.long(UP, Exit(trail_long=b.low)), Enter.long(UP, PLAN)]), "different trail_long"),
    (lambda: strategy(version=1, bars="H1")(lambda b: [Enter.long(UP, PLAN)]).program(), "yields nothing: write"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "said"), REFUSED)
def test_what_makes_no_sense_is_said_at_once(write: Any, said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        write()


def test_plans_may_trail_by_levels_that_are_the_same_though_written_twice() -> None:
    program = made(
        lambda b: [
            Enter.long(UP, Exit(trail_long=b.low - atr(b, 3))),
            Enter.short(~UP, Exit(trail_long=b.low - atr(b, 3))),
        ]
    )
    assert program.trail_long >= 0
    assert program.trail_short == -1


@pytest.mark.parametrize("one", STRATEGIES, ids=lambda one: one.name)
def test_a_program_is_made_again_from_its_serialised_form(one: Any) -> None:
    program = one.program()
    again = parse_program(program.serialised())
    assert again == program
    assert again.digest == program.digest


def changed(path: str, value: Any) -> str:
    found = json.loads(busy.program().serialised())
    place: Any = found
    *parents, last = (int(key) if key.isdecimal() else key for key in path.split("."))
    for key in parents:
        place = place[key]
    if value is DELETED:
        del place[last]
    else:
        place[last] = value
    return canonical(found)


DELETED = object()
WHEN, STOP = busy.program().entries[0].when, busy.program().entries[0].stop


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a program"),
        ("3", "an object of form, name"),
        ("[" * 100_000, "not a program"),
        (changed("form", 2), "form 2 is not 1"),
        (changed("name", DELETED), "an object of form, name"),
        (changed("name", "a b"), "'a b' is no name"),
        (changed("bars", "H2"), "'H2' is no timeframe"),
        (changed("bars", "UNKNOWN"), "'UNKNOWN' is no timeframe"),
        (changed("version", 1.5), "version = 1.5 is not between"),
        (changed("warm_up", -1), "warm_up = -1 is not between"),
        (changed("graph", {}), "graph: a graph is an object"),
        (changed("entries", 3), "not a program"),
        (changed("entries.0", {}), "is no entry"),
        (changed("entries.0.side", "up"), "is no entry"),
        (changed("entries.0.when", STOP), f"output {STOP} is no condition"),
        (changed("entries.0.when", -1), "there is no output -1"),
        (changed("entries.0.stop", WHEN), f"output {WHEN} is a condition"),
        (changed("entries.0.stop", 999), "there is no output 999"),
        (changed("entries.0.valid_for_ms", 0), "valid_for_ms = 0 is not between"),
        (changed("entries.0.breakeven_at", 0.0), "breakeven_at 0.0 is not above 0"),
        (changed("entries.0.max_hold_ms", 2**63), "max_hold_ms"),
        (changed("entries.0.type", "gift"), "is no entry"),
        (changed("entries.0.price", STOP), "an entry at market has price"),
        (changed("entries.0.type", "limit"), "an entry at limit has price -1"),
        (changed("entries.0.expires_ms", -1), "expires_ms = -1 is not between"),
        (changed("entries.0.partial_at", 1.0), "are no partial exit"),
        (changed("entries.0.partial_share", 0.0), "partial_share 0.0 is not above 0"),
        (changed("graph.sources", [["", "M1"]]), "each is named once and has a column"),
        (changed("flats.0", {"sides": [], "when": WHEN}), "is no flat"),
        (changed("flats.0", {"sides": ["short", "long"], "when": WHEN}), "is no flat"),
        (changed("trail_long", True), "there is no output True"),
        (busy.program().serialised() + " ", "not in its canonical form"),
    ],
)
def test_what_is_no_program_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadProgram, match=said):
        parse_program(text)


def test_a_graph_that_is_too_big_is_said_by_the_strategy() -> None:
    with pytest.raises(StrategyError, match="shorten them"):
        made(
            lambda b: [Enter.long(ema(b.close, 3) > sum((sma(b.close + k, 10_000) for k in range(600)), b.open), PLAN)]
        )
