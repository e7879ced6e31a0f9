"""Classes as programs on the log: their source goes with them, and is run only where that is asked for."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np
import pytest

from streams.class_programs import class_activation, class_operator, with_code
from streams.graph_programs import graph_or_built_in
from streams.operators.base import BadState
from streams.operators.signals import StrategyOperator
from streams.programs import NotRunnable
from streams.segments import segments
from tests import classes
from tests.classes import CLASSES, CROSSER, JUMPER
from tests.property.references import LISTING, built_in, spec
from tests.property.tick_logs import Knobs, random_log

SOURCE = inspect.getsource(classes)
ACTIVATION = class_activation("mine", CROSSER.program({"n": 5}), SOURCE, listings=[LISTING])


def rows(operator: Any) -> bytes:
    state = operator.initial(LISTING)
    blocks = random_log(Knobs(3, 40, 30, 45_000, 0.1, 0.1, False))
    return np.concatenate([operator.fold(state, s, spec()) for b in blocks for s in segments([b])]).tobytes()


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.name)
def test_the_source_on_the_log_says_what_the_class_said(one: Any) -> None:
    program = one.program()
    assert rows(with_code(class_activation("mine", program, SOURCE))) == rows(class_operator(program))


def test_an_activation_carries_source_and_parameters() -> None:
    assert (ACTIVATION.operator, ACTIVATION.version, ACTIVATION.parameters) == ("Crosser", 1, '{"n":5}')
    assert ACTIVATION.program == SOURCE
    assert rows(with_code(ACTIVATION)) == rows(class_operator(CROSSER.program({"n": 5})))


def test_a_class_is_not_run_unless_that_is_asked_for() -> None:
    with pytest.raises(NotRunnable, match="Crosser is a class, whose source is run only where code may be: --run-code"):
        graph_or_built_in(ACTIVATION)


def test_other_programs_are_run_as_ever() -> None:
    assert isinstance(with_code(built_in("berserker")), StrategyOperator)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"program": SOURCE + " "}, "the program's hash is"),
        ({"operator": "Other"}, "its source has no class Other of version 1"),
        ({"version": 7}, "its source has no class Crosser of version 7"),
        ({"parameters": '{"n":99}'}, "its source: StrategyError: n = 99 is not between 1 and 50"),
    ],
)
def test_what_can_not_be_run_is_said(changes: Any, said: str) -> None:
    with pytest.raises(NotRunnable, match=said):
        with_code(dataclasses.replace(ACTIVATION, **changes))


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.name)
def test_a_state_of_something_else_is_refused(one: Any) -> None:
    operator = class_operator(one.program())
    other = class_operator((JUMPER if one is CROSSER else CROSSER).program())
    with pytest.raises(BadState, match=f"are not a state of {one.name}"):
        operator.load(other.dump(other.initial(LISTING)))
