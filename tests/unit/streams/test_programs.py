"""The programs of this release are the ones that logs name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.programs import PROGRAMS, NotRunnable, program_of, sha256_of
from tests.property.references import built_in

PINNED = Path(__file__).parents[2] / "golden" / "programs.json"


def test_a_built_in_programs_source_does_not_change_without_a_new_version() -> None:
    """Once released, a version is frozen: add the next one beside it, and a line to the file, instead."""
    present = {f"{name} {version}": sha256_of(program) for (name, version), program in PROGRAMS.items()}
    assert present == json.loads(PINNED.read_text(encoding="utf-8"))


def test_the_program_of_an_activation_is_made_with_its_parameters() -> None:
    program = program_of(built_in("berserker"))
    assert (program.name, program.version, program.topic) == ("berserker", 1, "signals")


def test_parameters_that_a_strategy_cannot_run_with_make_it_not_runnable() -> None:
    with pytest.raises(NotRunnable, match="mean_ms = 1 is not between"):
        program_of(built_in("berserker", parameters='{"mean_ms":1}'))
