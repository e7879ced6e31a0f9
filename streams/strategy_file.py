"""Strategies from files and by the names of those that ship. What is wrong in a file is said by its own line, in one
sentence."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from agents.contract import Strategy
from agents.expressions import StrategyError
from agents.hatches import ClassProgram, ClassStrategy, class_strategy
from agents.strategy_program import StrategyProgram
from infra.errors import BadFile, FileUnreadable
from streams.class_programs import class_operator, classes_in
from streams.graph_programs import operator_of
from streams.operators.bar_class import BarClassOperator
from streams.operators.bar_strategy import BarStrategyOperator
from streams.operators.merged_strategy import MergedStrategyOperator
from streams.operators.signals import StrategyOperator


class BadStrategy(BadFile):
    """A strategy's file that can't be used; the message has file, line and reason."""


class StrategyUnreadable(BadStrategy, FileUnreadable):
    """A strategy that isn't there, or whose file may not be opened."""


AnyStrategy = Strategy | ClassStrategy
AnyProgram = StrategyProgram | ClassProgram
AnyOperator = BarStrategyOperator | MergedStrategyOperator | BarClassOperator | StrategyOperator


def load(path: Path, name: str | None = None) -> AnyStrategy:
    """The strategy in a file, or the one called `name` where there are several; its defaults are tried out.

    The file's folder goes to the end of `sys.path`, so that it finds its neighbours and shadows nothing. Raises
    BadStrategy.
    """
    found = _strategies(path)
    names = ", ".join(found)
    if not found:
        raise BadStrategy(f"{path} has no strategy: write @strategy(version=1, bars='H1') above its function")
    if name is None and len(found) > 1:
        raise BadStrategy(f"{path} has several strategies, {names}: say which")
    if name is not None and name not in found:
        raise BadStrategy(f"{path} has no strategy {name!r}: it has {names}")
    strategy = next(iter(found.values())) if name is None else found[name]
    build(strategy)
    return strategy


def names_in(path: Path) -> list[str]:
    """The strategies in a file, by name. Raises BadStrategy."""
    return list(_strategies(path))


def shipped() -> dict[str, Path]:
    """The files of the strategies that ship, by name, sorted."""
    # Found, not imported: what drives strategies doesn't depend on the ones that there are.
    found = find_spec("tickledger.strategies")
    folder = Path(str(found and found.origin)).parent
    return {path.stem: path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"}


def load_named(name: str) -> AnyStrategy:
    """A strategy that ships. Raises BadStrategy, with the names that there are."""
    path = shipped().get(name)
    if path is None:
        raise StrategyUnreadable(
            f"there is no file {name} and no strategy of this name: {', '.join(shipped())} ship with tickledger, "
            f"and `tickledger new {name}` writes one of your own"
        )
    return load(path)


def build(strategy: AnyStrategy, values: Mapping[str, Any] | None = None) -> AnyProgram:
    """The program of a strategy with these parameters. Raises BadStrategy."""
    try:
        return strategy.program(values)
    except (Exception, SystemExit) as error:
        written = strategy.function if isinstance(strategy, Strategy) else strategy.cls
        try:
            path, line = inspect.getfile(written), inspect.getsourcelines(written)[1]
        except (OSError, TypeError):
            raise BadStrategy(_sentence(error)) from error
        raise _located(error, Path(path), line) from error


def operator_for(program: AnyProgram) -> AnyOperator:
    """The program at work. One that reads several listings is fed by `streams.merged_fold`."""
    return class_operator(program) if isinstance(program, ClassProgram) else operator_of(program)


def source_of(strategy: AnyStrategy) -> str:
    """The text of the file that the strategy is in."""
    written = strategy.function if isinstance(strategy, Strategy) else strategy.cls
    return Path(inspect.getfile(written)).read_text(encoding="utf-8")


def _strategies(path: Path) -> dict[str, AnyStrategy]:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise StrategyUnreadable(f"cannot read {path}: {error.strerror or error}") from error
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    module = ModuleType(f"strategy_file_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    found: dict[str, AnyStrategy] = {}
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
        for value in vars(module).values():
            if isinstance(value, Strategy) and value.function.__module__ == module.__name__:
                found[value.name] = value
    except SyntaxError as error:
        file = path if error.filename is None else Path(error.filename)
        raise BadStrategy(f"{file.name}, line {error.lineno or 1}: this is not Python: {error.msg}") from error
    except (Exception, SystemExit) as error:
        raise _located(error, path, 1) from error
    for name, cls in classes_in(module).items():
        try:
            found[name] = class_strategy(cls)
        except StrategyError as error:
            raise _located(error, path, inspect.getsourcelines(cls)[1]) from error
    return found


def _located(error: Exception | SystemExit, path: Path, otherwise: int) -> BadStrategy:
    """The error by the innermost line of the file that it came through."""
    lines = [
        (frame.lineno, frame.line)
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path) and frame.lineno
    ]
    line, text = lines[-1] if lines else (otherwise, "")
    shown = f", `{text}`" if text else ""
    return BadStrategy(f"{path.name}, line {line}{shown}: {_sentence(error)}")


def _sentence(error: Exception | SystemExit) -> str:
    said = str(error) if isinstance(error, StrategyError | AttributeError) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())
