"""Classes as strategies: what they may be, set and say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.expressions import StrategyError
from agents.hatches import ClassWork, class_strategy
from agents.plain_signals import Moment, as_signals, signals_at
from agents.signals import ENTER, EXIT, LEVELS, LIMIT, LONG, SHORT
from schemas.timeframes import Timeframe
from tests.classes import CROSSER, JUMPER
from tests.graphs import B
from tickledger import BarStrategy, Enter, Exit, Flat, Levels, Param, TickStrategy

MOMENT = Moment(9, 1_000, 900, 7, 5, 1.25, 1.26, suspect=False)
PLAN = Exit(stop=0.001)


def made(**attributes: Any) -> Any:
    """A BarStrategy with these attributes."""
    plain = {"version": 1, "bars": "H1", "on_bar": lambda self, bar: None, "__module__": __name__}
    return class_strategy(type("Mine", (BarStrategy,), plain | attributes))


def started(start: Any) -> Any:
    """The object of a class with this `start`."""
    return made(start=start).program().made()


def test_a_class_is_a_strategy_with_parameters() -> None:
    assert (CROSSER.name, CROSSER.version, CROSSER.timeframe) == ("Crosser", 1, Timeframe.M1)
    assert list(CROSSER.parameters) == ["n"]
    assert CROSSER.doc.startswith("Closes above and below")
    assert CROSSER.lines() == {}
    assert len(CROSSER.program({"n": 7}).made().closes) == 7
    assert (JUMPER.timeframe, JUMPER.on_bars, CROSSER.on_bars) == (Timeframe.M1, False, True)
    with pytest.raises(StrategyError, match="n = 51 is not between 1 and 50"):
        CROSSER.program({"n": 51})
    with pytest.raises(StrategyError, match="Crosser has no parameter 'm': there are n"):
        CROSSER.program({"m": 1})


def test_the_state_is_what_start_sets_and_goes_through_words_unchanged() -> None:
    work = ClassWork(CROSSER.program())
    words = work.initial()
    work.put(words)
    strategy: Any = work.strategy
    strategy.closes = np.array([1.0, np.nan, -0.0])
    strategy.seen, strategy.above, strategy.best = np.int64(5), np.True_, 3
    work.take(words)
    other: Any = ClassWork(CROSSER.program())
    other.put(words.copy())
    assert other.strategy.closes.tobytes() == np.array([1.0, np.nan, -0.0]).tobytes()
    assert (other.strategy.seen, other.strategy.above, other.strategy.best) == (5, True, 3.0)
    assert [type(x) for x in (other.strategy.seen, other.strategy.above, other.strategy.best)] == [int, bool, float]


def assign(name: str, value: Any) -> Any:
    def change() -> None:
        setattr(CROSSER.program().made(), name, value)

    return change


REFUSED: list[tuple[Any, str]] = [
    (assign("extra", 1), r"extra is not part of the state: set it in start\(self\) first"),
    (assign("n", 4), "n is a parameter, which stays as it is"),
    (assign("seen", 1.5), "seen was a whole number at the start, and is set to 1.5"),
    (assign("seen", True), "seen was a whole number at the start, and is set to True"),
    (assign("seen", 2**63), "has more than 64 bits"),
    (assign("above", 1), "above was True or False at the start, and is set to 1"),
    (assign("best", "high"), "best was a number at the start, and is set to 'high'"),
    (assign("closes", np.zeros(4)), r"closes is an array of shape \(3,\), and stays one"),
    (assign("closes", [1.0]), r"closes is an array of shape \(3,\), and stays one"),
    (lambda: started(lambda self: setattr(self, "seen", [1])), r"start sets seen to \[1\]: a strategy's state is"),
    (lambda: started(lambda self: setattr(self, "x", np.zeros(2, np.float32))), "start sets x to array"),
    (lambda: started(lambda self: setattr(self, "x", np.zeros(20_000_000))), "keep less"),
    (lambda: made(version="1"), "Mine: version = '1' is not a whole number from 1"),
    (lambda: made(bars="H2"), "Mine: bars = 'H2' is no timeframe: there are M1"),
    (lambda: made(warmup=-1), "Mine: warmup = -1 is not a number of bars"),
    (lambda: made(on_bar=BarStrategy.on_bar), r"Mine has no on_bar: write `def on_bar\(self, …\)`"),
    (lambda: class_strategy(type("Mine", (TickStrategy,), {"version": 1})), "Mine has no on_block"),
    (
        lambda: class_strategy(type("Mine", (BarStrategy,), {"on_bar": lambda self, bar: None})),
        "Mine needs the class attributes version and bars",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("write", "said"), REFUSED)
def test_what_makes_no_sense_is_said_at_once(write: Any, said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        write()


def said_of(*what: Any, suspect: bool = False) -> list[tuple[int, int]]:
    rows = as_signals(signals_at(MOMENT._replace(suspect=suspect), what, "Mine", 60_000))
    return [(int(row["kind"]), int(row["side"])) for row in rows]


def test_signals_at_one_moment_are_exit_levels_and_one_entry() -> None:
    levels = Levels(trail_long=1.2)
    assert said_of(Enter.long(plan=PLAN), levels, Flat(side="short")) == [(EXIT, SHORT), (LEVELS, 1), (ENTER, LONG)]
    assert said_of(Flat(), Flat(side="long")) == [(EXIT, LONG), (EXIT, SHORT)]
    assert said_of(Enter.long(plan=PLAN), Enter.short(plan=PLAN)) == []
    assert said_of(Enter.long(plan=PLAN), Enter.long(plan=PLAN)) == [(ENTER, LONG)]
    assert said_of(Enter.long(plan=PLAN), Flat(side="short"), suspect=True) == [(EXIT, SHORT)]
    assert not len(signals_at(MOMENT, None, "Mine", 60_000))
    assert len(signals_at(MOMENT, Flat(side="long"), "Mine", 60_000)) == 1  # returned, not yielded


def test_an_entry_carries_all_of_its_plan() -> None:
    plan = Exit(
        stop=0.002, target=0.004, trail_long=1.2, trail_short=1.3, breakeven_at=1.0, partial=(2.0, 0.5), max_bars=3,
        cooldown=2,
    )  # fmt: skip
    (row,) = as_signals(signals_at(MOMENT, [Enter.limit("short", plan=plan, price=1.27, expires="1h")], "Mine", 60_000))
    assert [row[name] for name in ("proof_n", "proof_ms", "time_ms", "n", "from_n", "bid", "ask")] == list(MOMENT[:7])
    assert [row[name] for name in ("entry_type", "price", "expires_ms")] == [LIMIT, 1.27, 3_600_000]
    assert [row[name] for name in ("stop_distance", "target_distance", "trail_long", "trail_short")] == [
        0.002, 0.004, 1.2, 1.3,
    ]  # fmt: skip
    assert [row[name] for name in ("breakeven_at", "partial_at", "partial_share")] == [1.0, 2.0, 0.5]
    assert [row[name] for name in ("max_hold_ms", "cooldown_ms", "valid_for_ms")] == [180_000, 120_000, 60_000]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (3, "Mine says Enter, Flat and Levels, not 3"),
        (Enter.long(B.close > 1.0, PLAN), "Mine decides by itself: leave the condition of Enter.long out"),
        (Flat(B.close > 1.0), "leave the condition of Flat out"),
        (Enter.long(plan=Exit(stop=B.high - B.low)), "Mine says plain numbers, not a number over bars"),
        (Enter.stop("long", plan=PLAN, price=B.high), "Mine says plain numbers, not a number over bars"),
    ],
)
def test_what_a_class_may_not_say_is_said(what: Any, said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        signals_at(MOMENT, [what], "Mine", 60_000)


def test_parameters_come_from_base_classes_too() -> None:
    class Base(BarStrategy):
        version = 1
        bars = "M5"
        k: Any = Param(2, 1, 3)

        def on_bar(self, bar: Any) -> None:
            return None

    class Derived(Base):
        n: Any = Param(5, 1, 9)

    assert list(class_strategy(Derived).parameters) == ["k", "n"]
