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
from streams.programs import PROGRAMS, NotRunnable, program_of


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
    """The operator that an activation asks for, built in or a graph. Raises NotRunnable."""
    if activation.program_kind is not ProgramKind.GRAPH:
        return program_of(activation)
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
    return BarStrategyOperator(program)
