"""Strategies from files. What is wrong in one is said by its own line, in one sentence."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from agents.contract import Strategy
from agents.expressions import StrategyError
from agents.strategy_program import StrategyProgram
from infra.errors import BadFile


class BadStrategy(BadFile):
    """A strategy's file that can't be used; the message has file, line and reason."""


def load(path: Path, name: str | None = None) -> Strategy:
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


def build(strategy: Strategy, values: Mapping[str, Any] | None = None) -> StrategyProgram:
    """The program of a strategy with these parameters. Raises BadStrategy."""
    code = getattr(strategy.function, "__code__", None)
    try:
        return strategy.program(values)
    except Exception as error:
        if code is None:
            raise BadStrategy(_sentence(error)) from error
        raise _located(error, Path(code.co_filename), code.co_firstlineno) from error


def _strategies(path: Path) -> dict[str, Strategy]:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise BadStrategy(f"cannot read {path}: {error.strerror or error}") from error
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    module = ModuleType(f"strategy_file_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except SyntaxError as error:
        file = path if error.filename is None else Path(error.filename)
        raise BadStrategy(f"{file.name}, line {error.lineno or 1}: this is not Python: {error.msg}") from error
    except Exception as error:
        raise _located(error, path, 1) from error
    made_here = [
        value
        for value in vars(module).values()
        if isinstance(value, Strategy) and value.function.__module__ == module.__name__
    ]
    return {strategy.name: strategy for strategy in made_here}


def _located(error: Exception, path: Path, otherwise: int) -> BadStrategy:
    """The error by the innermost line of the file that it came through."""
    lines = [
        (frame.lineno, frame.line)
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path) and frame.lineno
    ]
    line, text = lines[-1] if lines else (otherwise, "")
    shown = f", `{text}`" if text else ""
    return BadStrategy(f"{path.name}, line {line}{shown}: {_sentence(error)}")


def _sentence(error: Exception) -> str:
    said = str(error) if isinstance(error, StrategyError | AttributeError) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())
