"""Strategies that are classes: cut and restarts change nothing, and what they raise is said at one place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.hatches import ClassStrategy, class_strategy
from agents.signals import FAILED
from schemas.quality import BROKEN
from schemas.ticks import TickBlock
from streams.class_programs import class_operator
from streams.operators.bar_strategy import BarStrategyOperator
from streams.segments import segments
from tests.classes import CLASSES, CROSSER, JUMPER
from tests.property.references import LISTING, spec
from tests.property.tick_logs import Knobs, knobs, random_log, recut, sizes
from tickledger import Bar, BarStrategy, Enter, Exit, Flat, Ticks, TickStrategy, strategy

some = settings(deadline=None, max_examples=30)


def folded(strategy: ClassStrategy, blocks: list[TickBlock], stops: set[int]) -> tuple[Any, str]:
    """All rows and the last digest of blocks folded one by one; at `stops` by another object from a dump."""
    operator: Any = class_operator(strategy.program())
    state = operator.initial(LISTING)
    rows = []
    for at, block in enumerate(blocks):
        if at in stops:
            saved, digest = operator.dump(state), operator.digest(state)
            operator = class_operator(strategy.program())
            state = operator.load(saved)
            assert (operator.dump(state), operator.digest(state)) == (saved, digest)
        rows += [operator.fold(state, s, spec()) for s in segments([block])]
    return np.concatenate(rows), operator.digest(state)


def same(found: tuple[Any, str], expected: tuple[Any, str]) -> bool:
    return bool(found[0].tobytes() == expected[0].tobytes() and found[1] == expected[1])


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.name)
@some
@given(k=knobs, cut=sizes, stops=st.sets(st.integers(0, 39)))
def test_signals_and_state_do_not_depend_on_cut_and_restarts(
    one: ClassStrategy, k: Knobs, cut: list[int], stops: set[int]
) -> None:
    blocks = random_log(k)
    assert same(folded(one, recut(blocks, cut), stops), folded(one, blocks, set()))


class Brittle(BarStrategy):
    """Raises at its fourth bar."""

    version = 1
    bars = "M1"

    def start(self) -> None:
        self.left = 3

    def on_bar(self, bar: Bar) -> Iterator[Any]:
        yield Enter.long(plan=Exit(stop=1.0 / self.left))
        self.left -= 1


class Fragile(TickStrategy):
    """Raises at its fourth tick."""

    version = 1

    def start(self) -> None:
        self.left = 3

    def on_block(self, ticks: Ticks) -> Iterator[Any]:
        for i in range(len(ticks.n)):
            yield i, Enter.long(plan=Exit(stop=1.0 / self.left))
            self.left -= 1


@pytest.mark.parametrize("cls", [Brittle, Fragile])
@some
@given(k=knobs, cut=sizes, stops=st.sets(st.integers(0, 39)))
def test_what_a_class_raises_is_its_last_signal_wherever_the_log_is_cut(
    cls: Any, k: Knobs, cut: list[int], stops: set[int]
) -> None:
    blocks, one = random_log(k._replace(blocks=30, longest=30)), class_strategy(cls)
    rows, digest = folded(one, blocks, set())
    assert same(folded(one, recut(blocks, cut), stops), (rows, digest))
    failed = rows["kind"] == FAILED
    assert failed.sum() <= 1
    if failed.any():
        assert failed[-1]
        assert rows["message"][-1].startswith(b"line ")
        assert rows["message"][-1].endswith(b": ZeroDivisionError: float division by zero")


class Higher(BarStrategy):
    """As the expression below."""

    version = 1
    bars = "M1"
    warmup = 4

    def start(self) -> None:
        self.closes = np.full(4, np.nan)

    def on_bar(self, bar: Bar) -> Iterator[Any]:
        self.closes[:-1] = self.closes[1:]
        self.closes[-1] = bar.close
        if bar.close > self.closes[0]:
            yield Enter.long(plan=Exit(stop=0.001, max_bars=5))
        if bar.close < self.closes[0]:
            yield Flat()


@strategy(version=1, bars="M1", warmup=4)
def higher(b: Any) -> Iterator[Any]:
    yield Enter.long(b.close > b.close.lag(3), Exit(stop=0.001, max_bars=5))
    yield Flat(b.close < b.close.lag(3))


@some
@given(k=knobs)
def test_a_class_says_what_the_expression_says(k: Knobs) -> None:
    blocks = random_log(k)
    expression = BarStrategyOperator(higher.program())
    state = expression.initial(LISTING)
    expected = [row for b in blocks for s in segments([b]) for row in expression.fold(state, s, spec()).tolist()]
    assert repr(folded(class_strategy(Higher), blocks, set())[0].tolist()) == repr(expected)


@some
@given(k=knobs)
def test_ticks_that_are_broken_never_reach_a_class(k: Knobs) -> None:
    blocks = random_log(k)
    rows, _ = folded(JUMPER, blocks, set())
    quality = np.concatenate([b.quality for b in blocks])
    assert ((quality[rows["n"]] & BROKEN) == 0).all()


class Nameless(BarStrategy):
    """Has no number for its stop."""

    version = 1
    bars = "M1"

    def on_bar(self, bar: Bar) -> Iterator[Any]:
        yield Enter.long(plan=Exit(stop=float("nan")))


def test_a_class_that_gives_nan_fails_with_its_line() -> None:
    rows, _ = folded(class_strategy(Nameless), random_log(Knobs(3, 40, 30, 45_000, 0.1, 0.1, False)), set())
    (row,) = rows
    assert row["kind"] == FAILED
    assert re.fullmatch(rb"line \d+: Exit: stop must be finite, not nan", row["message"])


def test_classes_say_something_of_each_kind_in_these_tests() -> None:
    blocks = random_log(Knobs(3, 40, 30, 45_000, 0.1, 0.1, False))
    assert len(set(folded(CROSSER, blocks, set())[0]["kind"])) == 3
    assert len(set(folded(JUMPER, blocks, set())[0]["kind"])) == 2
