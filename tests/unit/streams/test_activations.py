"""Which built-in activations are missing on `reference`."""

from __future__ import annotations

import dataclasses
import json

import pytest

from schemas.events import ProgramKind
from streams.activations import missing
from streams.desk_program import desk_activation
from tests.property.references import built_in, spec


def test_a_new_home_gets_every_built_in_instance_with_its_defaults() -> None:
    assert [(a.instance, a.operator, a.version) for a in missing([])] == [
        ("bars", "bars", 1),
        ("berserker", "berserker", 1),
    ]
    assert json.loads(missing([])[1].parameters)["turn_changes"] == 6


def test_what_is_there_is_not_written_again() -> None:
    assert missing([spec(), *missing([])]) == []


@pytest.mark.parametrize(
    "changes", [{"active": False}, {"operator": "own"}, {"program_kind": ProgramKind.CLASS, "program_sha256": "x"}]
)
def test_an_instance_that_was_ended_or_made_something_else_is_left_alone(changes: dict[str, object]) -> None:
    assert missing([built_in("bars"), built_in("berserker", **changes)]) == []


def test_an_older_program_is_replaced_with_its_own_parameters_and_listings() -> None:
    older = built_in("berserker", program_sha256="0" * 64, parameters='{"turn_agree":3}', listings=("oanda/EURUSD",))
    (renewed,) = missing([built_in("bars"), older])
    assert (renewed.parameters, renewed.listings) == ('{"turn_agree":3}', ("oanda/EURUSD",))
    assert renewed.program_sha256 == built_in("berserker").program_sha256


def test_another_releases_desk_is_replaced_for_each_account_that_has_one() -> None:
    older = dataclasses.replace(desk_activation("one"), program_sha256="0" * 64)
    records = [*missing([]), older, desk_activation("two")]
    (renewed,) = missing(records)
    assert renewed == desk_activation("one")
    assert missing([*records, renewed]) == []
