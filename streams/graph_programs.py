"""Strategies on the log: an activation that carries a strategy's program, and the operator that runs it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

from agents.graph import canonical
from agents.strategy_program import BadProgram, StrategyProgram, parse_program
from schemas.events import OperatorActivation, ProgramKind
from streams.activations import activation
from streams.operators.bar_strategy import BarStrategyOperator
from streams.operators.base import Operator
from streams.operators.merged_strategy import MergedStrategyOperator
from streams.programs import PROGRAMS, NotRunnable, SeveralListings, program_of


def graph_activation(
    instance: str,
    program: StrategyProgram,
    *,
    parameters: Mapping[str, float] | None = None,
    listings: Sequence[str] = (),
) -> OperatorActivation:
    """An activation of a strategy's program, with blank chain fields. `parameters` are what it was made with."""
    return dataclasses.replace(
        activation(instance, PROGRAMS["bars", 1], canonical(dict(parameters or {}))),
        operator=program.name,
        version=program.version,
        program_kind=ProgramKind.GRAPH,
        program=program.serialised(),
        program_sha256=program.digest,
        listings=tuple(listings),
    )


def graph_or_built_in(activation: OperatorActivation) -> Operator:
    """The operator of one listing that an activation asks for, built in or a graph. Raises NotRunnable;
    SeveralListings for a graph over those of several."""
    if activation.program_kind is ProgramKind.CLASS:
        raise NotRunnable(f"{activation.operator} is a class, whose source is run only where code may be: --run-code")
    if activation.program_kind is not ProgramKind.GRAPH:
        return program_of(activation)
    program = program_in(activation)
    if program.listings:
        raise SeveralListings(
            f"it reads {', '.join(program.listings)} too, and what runs here folds one listing at a time"
        )
    return operator_of(program)


def operator_of(program: StrategyProgram) -> BarStrategyOperator | MergedStrategyOperator:
    """The program at work. One that reads several listings is fed by `streams.merged_fold`."""
    return MergedStrategyOperator(program) if program.graph.sources else BarStrategyOperator(program)


def program_in(activation: OperatorActivation) -> StrategyProgram:
    """The graph that an activation carries. Raises NotRunnable."""
    own = hashlib.sha256(activation.program.encode()).hexdigest()
    if own != activation.program_sha256:
        raise NotRunnable(f"the program's hash is {own[:12]}…, and the log says {activation.program_sha256[:12]}…")
    try:
        program = parse_program(activation.program)
    except BadProgram as error:
        raise NotRunnable(str(error)) from error
    if (program.name, program.version) != (activation.operator, activation.version):
        raise NotRunnable(
            f"the program is {program.name} {program.version}, "
            f"and the log says {activation.operator} {activation.version}"
        )
    return program
