"""The models of a walk's parts take records of reference as the database has them."""

from __future__ import annotations

import dataclasses
import math

import pytest
from pydantic import ValidationError

from api.server.walk_models import ActivationPart, SpecificationPart
from projections.rows import _plain
from schemas.events import OperatorActivation, ProgramKind
from schemas.integrity import ZERO_MAC
from tests.unit.streams.desk.account import SPEC

PLACE = {"topic": "reference", "partition": 0, "offset": 7}
ACTIVATION = OperatorActivation(
    epoch=0, nonce=bytes(8), seq=0, ref_no=3, effective_from_us=0, written_us=0, instance="b", operator="bars",
    version=1, parameters="{}", program_kind=ProgramKind.BUILTIN, program="", program_sha256="",
    listings=("demo/EURUSD",), warm_from_us=0, emit_all=False, active=True, key_id="", prev=ZERO_MAC, mac=ZERO_MAC,
)  # fmt: skip


def test_records_of_reference_are_given_with_all_their_fields() -> None:
    spec = dataclasses.replace(SPEC, volume_max=math.inf)
    for model, record in ((ActivationPart, ACTIVATION), (SpecificationPart, spec)):
        body = _plain(dataclasses.asdict(record)) | PLACE

        assert model.model_validate(body).model_dump(exclude_unset=True) == body


def test_a_field_that_no_record_has_is_refused() -> None:
    with pytest.raises(ValidationError, match="colour"):
        ActivationPart.model_validate({"colour": "red"})
