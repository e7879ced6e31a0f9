"""The programs that this release can run, and the hash that an activation on `reference` knows them by.

Every version of a built-in operator that was ever activated stays here: a log is derived again by what it names.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

from agents.berserker import Berserker, BerserkerParameters
from agents.parameters import BadParameters, canonical, parse
from schemas.events import OperatorActivation, ProgramKind
from streams.operators.bars import Bars
from streams.operators.base import Operator
from streams.operators.signals import StrategyOperator


class NotRunnable(Exception):
    """This release can't run the program of an activation; the message says why."""


class SeveralListings(NotRunnable):
    """The program reads the logs of several listings: `streams.merged_fold` runs it, and no fold of one listing."""


class Program(NamedTuple):
    """A built-in operator of one version: `make(parameters)` gives it, `sources` are the modules that make it."""

    operator: str
    version: int
    make: Callable[[str], Operator]
    parameters: str
    """The canonical JSON of its defaults."""
    sources: tuple[str, ...]


def _bars(parameters: str) -> Operator:
    if parameters not in ("", "{}"):
        raise BadParameters(f"bars takes no parameters, not {parameters!r}")
    return Bars()


def _berserker(parameters: str) -> Operator:
    return StrategyOperator(Berserker(parse(BerserkerParameters, parameters)))


PROGRAMS: Final[Mapping[tuple[str, int], Program]] = {
    ("bars", 1): Program("bars", 1, _bars, "{}", ("streams.operators.bar_kernel", "streams.operators.bars")),
    ("berserker", 1): Program(
        "berserker",
        1,
        _berserker,
        canonical(BerserkerParameters()),
        ("agents.berserker", "agents.parameters", "agents.signals", "streams.operators.signals"),
    ),
}


def program_of(activation: OperatorActivation) -> Operator:
    """The operator that an activation asks for. Raises NotRunnable."""
    if activation.program_kind is not ProgramKind.BUILTIN:
        raise NotRunnable(f"its program is a {activation.program_kind}, and this release runs only built-in ones")
    program = PROGRAMS.get((activation.operator, activation.version))
    if program is None:
        known = ", ".join(f"{name} {version}" for name, version in PROGRAMS)
        raise NotRunnable(f"this release has no {activation.operator} {activation.version}: it has {known}")
    own = sha256_of(program)
    if activation.program_sha256 != own:
        raise NotRunnable(
            f"{activation.operator} {activation.version} of the log is {activation.program_sha256[:12]}…, "
            f"here it is {own[:12]}…"
        )
    try:
        return program.make(activation.parameters)
    except BadParameters as error:
        raise NotRunnable(str(error)) from error


@cache
def sha256_of(program: Program) -> str:
    """Hex SHA-256 of the program's sources, with newlines as \\n, each after its module's name."""
    digest = hashlib.sha256()
    for name in program.sources:
        import_module(name)
        source = Path(str(sys.modules[name].__file__)).read_bytes().replace(b"\r\n", b"\n")
        digest.update(name.encode() + b"\x00" + source + b"\x00")
    return digest.hexdigest()
