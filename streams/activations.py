"""The built-in instances, which whatever starts a home puts onto `reference` before any other writer opens."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final, NamedTuple

from infra.clock import Clock
from schemas.events import OperatorActivation, ProgramKind, ReferenceRecord
from schemas.integrity import UNWRITTEN, KeyRing
from streams.programs import PROGRAMS, Program, sha256_of


class BuiltIn(NamedTuple):
    """An instance that runs on every listing unless somebody ends it."""

    instance: str
    program: Program


BUILT_IN: Final = (BuiltIn("bars", PROGRAMS["bars", 1]), BuiltIn("berserker", PROGRAMS["berserker", 1]))


def ensure(bootstrap: str, keys: KeyRing, clock: Clock) -> list[ReferenceRecord]:
    """Writes the built-in activations that are missing; all records then on `reference`. Safe to run in parallel."""
    from infra.reference_log import append_reference

    return append_reference(bootstrap, keys, clock, missing)


def missing(records: Sequence[ReferenceRecord]) -> list[OperatorActivation]:
    """What must be written, given all records so far; the fields of the chain are blank.

    An instance that was never activated gets its defaults. One that runs an older program of the same operator gets
    the present one with its own parameters, and so does the desk of an account. One that was ended, or made something
    else, is left alone.
    """
    newest = {r.instance: r for r in records if isinstance(r, OperatorActivation)}
    wanted = []
    for built_in in BUILT_IN:
        program = built_in.program
        present = newest.get(built_in.instance)
        if present is None:
            wanted.append(activation(built_in.instance, program, program.parameters))
        elif (
            present.active
            and present.program_kind is ProgramKind.BUILTIN
            and present.operator == program.operator
            and (present.version, present.program_sha256) != (program.version, sha256_of(program))
        ):
            renewed = activation(built_in.instance, program, present.parameters)
            wanted.append(dataclasses.replace(renewed, listings=present.listings))
    return [*wanted, *_desks(records)]


def _desks(records: Sequence[ReferenceRecord]) -> list[OperatorActivation]:
    """This release's desk for each account that another one's decides for."""
    accounts = dict.fromkeys(
        name for r in records if isinstance(r, OperatorActivation) and r.operator == "desk" for name in r.listings
    )
    if not accounts:
        return []
    # All that a desk is made of is loaded: a home without an account starts sooner.
    from streams.desk_program import desk_missing

    return [one for account in accounts for one in desk_missing(records, account)]


def activation(instance: str, program: Program, parameters: str) -> OperatorActivation:
    """An activation of a built-in program on all listings, with blank chain fields."""
    return OperatorActivation(
        instance=instance,
        operator=program.operator,
        version=program.version,
        parameters=parameters,
        program_kind=ProgramKind.BUILTIN,
        program="",
        program_sha256=sha256_of(program),
        listings=(),
        warm_from_us=0,
        emit_all=False,
        active=True,
        **UNWRITTEN,
    )
