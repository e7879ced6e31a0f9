"""Strategies as programs on the log."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from agents.strategy_program import parse_program
from streams.graph_programs import graph_activation, graph_or_built_in
from streams.operators.bar_strategy import BarStrategyOperator
from streams.operators.bars import Bars
from streams.operators.base import BadState
from streams.programs import NotRunnable
from tests.property.references import LISTING, built_in
from tests.strategies import busy, ema_cross

ACTIVATION = graph_activation("mine", ema_cross.program(), parameters={"fast": 20, "k": 2.0}, listings=[LISTING])


def test_an_activation_carries_the_whole_program() -> None:
    operator = graph_or_built_in(ACTIVATION)
    assert isinstance(operator, BarStrategyOperator)
    assert (operator.name, operator.version, operator.topic) == ("ema_cross", 1, "signals")
    assert parse_program(ACTIVATION.program) == ema_cross.program()
    assert ACTIVATION.program_sha256 == ema_cross.program().digest
    assert (ACTIVATION.parameters, ACTIVATION.listings) == ('{"fast":20,"k":2.0}', (LISTING,))


def test_built_in_programs_run_as_before() -> None:
    assert isinstance(graph_or_built_in(built_in("bars")), Bars)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"program": ACTIVATION.program + " "}, "the program's hash is"),
        ({"program_sha256": "0" * 64}, "and the log says 000000000000…"),
        ({"operator": "other"}, "the program is ema_cross 1, and the log says other 1"),
        ({"version": 2}, "and the log says ema_cross 2"),
    ],
)
def test_a_program_that_the_log_contradicts_is_not_run(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(NotRunnable, match=said):
        graph_or_built_in(dataclasses.replace(ACTIVATION, **changes))


def test_a_program_of_a_form_unknown_here_is_not_run() -> None:
    later = dataclasses.replace(
        ACTIVATION, program="{}", program_sha256="44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )
    with pytest.raises(NotRunnable, match="a program is an object of form"):
        graph_or_built_in(later)


def test_a_state_of_another_program_is_refused() -> None:
    first, second = BarStrategyOperator(ema_cross.program()), BarStrategyOperator(busy.program())
    with pytest.raises(BadState, match="not a state of busy version 3"):
        second.load(first.dump(first.initial(LISTING)))
    with pytest.raises(BadState):
        first.load(first.dump(first.initial(LISTING))[:60])
