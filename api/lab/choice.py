"""The strategy of a run: from a file, or by the name of one that ships, with its parameters filled in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from agents.expressions import StrategyError
from agents.hatches import ClassProgram
from agents.strategy_program import StrategyProgram
from infra.errors import SettingsError
from schemas.timeframes import Timeframe
from streams.programs import PROGRAMS, Program
from streams.strategy_file import AnyStrategy, build, load, load_named, source_of

_DATA: Final = (".csv", ".txt", ".tsv", ".zip", ".gz", ".bi5", ".parquet", ".pq")
BUILT_IN: Final = {"berserker": PROGRAMS["berserker", 1]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A strategy with its parameters. One of `graph`, `class_program` and `built_in` is there."""

    name: str
    version: int
    path: str
    """The file; empty for one that is built in."""
    source: str
    doc: str
    parameters: Mapping[str, Any]
    timeframe: Timeframe
    """Of its bars; of a strategy on ticks, that of the report's chart."""
    strategy: AnyStrategy | None = None
    graph: StrategyProgram | None = None
    class_program: ClassProgram | None = None
    built_in: Program | None = None

    @property
    def instance(self) -> str:
        """Its name on the log."""
        return self.name

    @property
    def listings(self) -> tuple[str, ...]:
        """Other listings that it reads, as it names them."""
        return () if self.graph is None else self.graph.listings

    @property
    def digest(self) -> str:
        """Hex SHA-256 of its program."""
        if self.graph is not None:
            return self.graph.digest
        import hashlib

        return hashlib.sha256((self.source + self.parameters_text).encode()).hexdigest()

    @property
    def parameters_text(self) -> str:
        """The parameters as JSON."""
        return json.dumps(dict(self.parameters), sort_keys=True, separators=(",", ":"))


def choose(what: str, values: Mapping[str, Any]) -> Chosen:
    """The strategy in the file `what`, `FILE:NAME` of several in it, or one that ships. Raises BadStrategy."""
    if Path(what).suffix.lower() in _DATA:
        raise SettingsError(f"{what} is a file of data: the strategy comes first, tickledger backtest STRATEGY {what}")
    path, _, name = what.partition(":") if ".py:" in what else (what, "", "")
    if path.endswith(".py") or "/" in path or Path(path).is_file():
        return with_values(load(Path(path), name or None), path, values)
    if path in BUILT_IN:
        return _built_in(path, values)
    return with_values(load_named(path), path, values)


def with_values(strategy: AnyStrategy, path: str, values: Mapping[str, Any]) -> Chosen:
    """The strategy with these parameters, the others at their defaults. Raises BadStrategy."""
    _check_values(strategy, values)
    program = build(strategy, values)
    filled = {name: values.get(name, p.default) for name, p in strategy.parameters.items()}
    return Chosen(
        name=strategy.name,
        version=strategy.version,
        path=path,
        source=source_of(strategy),
        doc=strategy.doc,
        parameters=filled,
        timeframe=program.timeframe,
        strategy=strategy,
        graph=program if isinstance(program, StrategyProgram) else None,
        class_program=program if isinstance(program, ClassProgram) else None,
    )


def _check_values(strategy: AnyStrategy, values: Mapping[str, Any]) -> None:
    """Raises SettingsError for a parameter that isn't there or a value out of its bounds."""
    for name, value in values.items():
        parameter = strategy.parameters.get(name)
        if parameter is None:
            near = get_close_matches(name, strategy.parameters, n=1)
            there = ", ".join(strategy.parameters) or "none"
            hint = f"did you mean {near[0]}?" if near else f"it has {there}"
            raise SettingsError(f"-p {name}={value}: {strategy.name} has no parameter {name!r}: {hint}")
        try:
            parameter.checked(name, value)
        except StrategyError as error:
            raise SettingsError(f"-p {name}={value}: {error}") from error


def parsed_values(options: Sequence[str]) -> dict[str, Any]:
    """`name=value` options as numbers. Raises SettingsError."""
    found: dict[str, Any] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals or not name:
            raise SettingsError(f"-p {option}: write it as name=value, such as -p fast=10")
        found[name] = number(name, text)
    return found


def number(name: str, text: str) -> int | float:
    """A parameter's value as it was typed: whole if it looks so."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"-p {name}={text}: {text!r} is not a number") from None


def _built_in(name: str, values: Mapping[str, Any]) -> Chosen:
    from agents.berserker import Berserker, BerserkerParameters
    from agents.parameters import BadParameters, canonical, parse

    try:
        parameters = parse(BerserkerParameters, json.dumps(dict(values)))
    except BadParameters as error:
        raise SettingsError(f"{name}: {error}") from error
    program = BUILT_IN[name]
    return Chosen(
        name=name,
        version=program.version,
        path="",
        source="",
        doc=(Berserker.__doc__ or "").strip(),
        parameters=json.loads(canonical(parameters)),
        timeframe=Timeframe.M1,
        built_in=program,
    )
