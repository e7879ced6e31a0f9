"""Classes as programs on the log: their source goes with them, and is run only where that is asked for."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np
import pytest

from agents.hatches import BarStrategy, TickStrategy, class_strategy
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


def rows_of(operator: Any) -> Any:
    state = operator.initial(LISTING)
    blocks = random_log(Knobs(3, 40, 30, 45_000, 0.1, 0.1, False))
    return np.concatenate([operator.fold(state, s, spec()) for b in blocks for s in segments([b])])


def rows(operator: Any) -> bytes:
    found: bytes = rows_of(operator).tobytes()
    return found


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


class Opening(BarStrategy):
    """Raises at its fifth bar."""

    version, bars = 1, "M1"
    raised: BaseException

    def start(self) -> None:
        self.seen = 0

    def on_bar(self, bar: Any) -> None:
        self.seen += 1
        if self.seen == 5:
            raise self.raised


class Reading(TickStrategy):
    """Raises at its third block."""

    version, bars = 1, "M1"
    raised: BaseException

    def start(self) -> None:
        self.seen = 0

    def on_block(self, ticks: Any) -> Any:
        self.seen += 1
        if self.seen >= 3:
            raise self.raised
        return ()


@pytest.mark.parametrize("cls", [Opening, Reading])
@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (FileNotFoundError(2, "No such file or directory", "/nowhere"), "FileNotFoundError: "),
        (TimeoutError("slow"), "TimeoutError: slow"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_what_a_class_raises_is_its_own_also_where_it_reads_a_file_or_ends_the_program(
    cls: Any, raised: BaseException, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cls, "raised", raised, raising=False)
    failed = rows_of(class_operator(class_strategy(cls).program()))
    assert len(failed) == 1
    assert said in failed["message"][0].decode()


@pytest.mark.parametrize("cls", [Opening, Reading])
def test_memory_that_ends_is_not_the_classes(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cls, "raised", MemoryError(), raising=False)
    with pytest.raises(MemoryError):
        rows(class_operator(class_strategy(cls).program()))
