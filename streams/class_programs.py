"""Classes on the log: an activation that carries a strategy's source, and what runs it where code may be run.

`python -m streams.class_programs` runs the source of an activation, read from its standard input in the log's encoding:
exit 0, or 1 with the reason. So whoever adds a class sees whether it runs elsewhere than beside its file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Sequence
from types import ModuleType

from agents.graph import canonical
from agents.hatches import BarStrategy, ClassProgram, TickStrategy, class_strategy
from agents.tick_class import TickClass
from schemas.events import OperatorActivation, ProgramKind
from schemas.registry import decode
from streams.activations import activation
from streams.graph_programs import graph_or_built_in
from streams.operators.bar_class import BarClassOperator
from streams.operators.base import Operator
from streams.operators.signals import StrategyOperator
from streams.programs import PROGRAMS, NotRunnable


def class_operator(program: ClassProgram) -> BarClassOperator | StrategyOperator:
    """The class at work."""
    return BarClassOperator(program) if program.strategy.on_bars else StrategyOperator(TickClass(program))


def class_activation(
    instance: str, program: ClassProgram, source: str, *, listings: Sequence[str] = ()
) -> OperatorActivation:
    """An activation that carries `source`, the text of the file that the class is in, with blank chain fields."""
    return dataclasses.replace(
        activation(instance, PROGRAMS["bars", 1], canonical(dict(program.parameters))),
        operator=program.name,
        version=program.version,
        program_kind=ProgramKind.CLASS,
        program=source,
        program_sha256=hashlib.sha256(source.encode()).hexdigest(),
        listings=tuple(listings),
    )


def with_code(activation: OperatorActivation) -> Operator:
    """The operator that an activation asks for; that of a class by running the source that the log carries.

    Only for those who were told to: the source can do what it likes. Raises NotRunnable.
    """
    if activation.program_kind is not ProgramKind.CLASS:
        return graph_or_built_in(activation)
    own = hashlib.sha256(activation.program.encode()).hexdigest()
    if own != activation.program_sha256:
        raise NotRunnable(f"the program's hash is {own[:12]}…, and the log says {activation.program_sha256[:12]}…")
    module = ModuleType(f"class_of_{activation.instance}")
    try:
        exec(compile(activation.program, activation.operator, "exec"), module.__dict__)
        cls = classes_in(module).get(activation.operator)
        if cls is None or cls.version != activation.version:
            raise NotRunnable(f"its source has no class {activation.operator} of version {activation.version}")
        strategy = class_strategy(cls)
        return class_operator(strategy.program(json.loads(activation.parameters)))
    except NotRunnable:
        raise
    except (Exception, SystemExit) as error:
        raise NotRunnable(f"its source: {type(error).__name__}: {error}") from error


def classes_in(module: ModuleType) -> dict[str, type[BarStrategy] | type[TickStrategy]]:
    """The strategies that are classes made in the module, by name."""
    return {
        value.__name__: value
        for value in module.__dict__.values()
        if isinstance(value, type)
        and issubclass(value, BarStrategy | TickStrategy)
        and value.__module__ == module.__name__
    }


def main() -> int:
    """Whether an activation's class runs in a process that knows nothing but its source."""
    record = decode(sys.stdin.buffer.read())
    assert isinstance(record, OperatorActivation)
    try:
        with_code(record)
    except NotRunnable as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
