"""The look-ahead check: it sees what a class keeps of the future, and leaves honest ones alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from agents.hatches import class_strategy
from streams.class_programs import class_operator
from streams.fold import Piece, pieces_of
from streams.graph_programs import operator_of
from streams.lookahead import check_lookahead
from streams.segments import segments
from tests.classes import CLASSES
from tests.property.references import LISTING, usual
from tests.property.tick_logs import Knobs, random_log
from tests.strategies import STRATEGIES
from tickledger import Bar, BarStrategy, Enter, Exit, Ticks, TickStrategy

PLAN = Exit(stop=0.001)


def pieces() -> list[Piece]:
    blocks = random_log(Knobs(11, 60, 30, 20_000, 0.05, 0.05, False))
    return pieces_of(LISTING, segments(blocks), usual())


def checked(cls: Any, **options: Any) -> str | None:
    program = class_strategy(cls).program()
    return check_lookahead(lambda: class_operator(program), LISTING, pieces(), **options)


class WholeBlock(TickStrategy):
    """Buys where the block's last price is higher."""

    version = 1

    def on_block(self, ticks: Ticks) -> Iterator[Any]:
        for i in np.flatnonzero(ticks.bid < ticks.bid[-1] - 0.0001).tolist():
            yield i, Enter.long(plan=PLAN)


SEEN: dict[int, float] = {}


class Hoarder(BarStrategy):
    """Keeps all closes outside of its state, and buys where it has seen a higher one after this."""

    version = 1
    bars = "M1"

    def on_bar(self, bar: Bar) -> Iterator[Any]:
        SEEN[bar.time] = bar.close
        if any(time > bar.time and close > bar.close for time, close in SEEN.items()):
            yield Enter.long(plan=PLAN)


FUTURE: list[float] = []


class TickHoarder(TickStrategy):
    """Keeps the whole file in an array, and looks up a later tick in it."""

    version = 1

    def on_block(self, ticks: Ticks) -> Iterator[Any]:
        for i, n in enumerate(ticks.n.tolist()):
            FUTURE.extend([float("nan")] * (n + 1 - len(FUTURE)))
            FUTURE[n] = float(ticks.bid[i])
            if n + 5 < len(FUTURE) and FUTURE[n + 5] > FUTURE[n]:
                yield i, Enter.long(plan=PLAN)


@pytest.mark.parametrize("cls", [WholeBlock, Hoarder, TickHoarder])
def test_what_looks_ahead_is_caught_and_said(cls: Any) -> None:
    SEEN.clear()
    FUTURE.clear()
    said = checked(cls)
    assert said is not None
    assert said.startswith("it looks ahead: at tick ")
    assert "ENTER LONG" in said
    assert said.endswith(("once the ticks came in other blocks", "on were left out", "on were replaced by others"))


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.name)
def test_an_honest_class_is_left_alone(one: Any) -> None:
    program = one.program()
    assert check_lookahead(lambda: class_operator(program), LISTING, pieces()) is None


@pytest.mark.parametrize("one", STRATEGIES, ids=lambda one: one.name)
def test_an_expression_can_not_look_ahead(one: Any) -> None:
    program = one.program()
    assert check_lookahead(lambda: operator_of(program), LISTING, pieces(), points=3) is None


def test_the_points_follow_from_the_seed() -> None:
    FUTURE.clear()
    first = checked(TickHoarder, seed=3)
    FUTURE.clear()
    assert checked(TickHoarder, seed=3) == first


def test_nothing_is_said_of_no_ticks() -> None:
    assert check_lookahead(lambda: operator_of(STRATEGIES[0].program()), LISTING, []) is None
