"""What the columns are documented to hold is what the records can say."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest

from projections.columns import COLUMNS
from schemas.catalogue import TOPICS
from schemas.events import Severity, SignalKind, SourceKind
from schemas.executions import CommandKind, DealEntry, OrderRequest
from schemas.journal import EntryKind
from schemas.trading import OrderPurpose, OrderType


def doc_of(what: str, name: str) -> str:
    return next(column.doc for column in COLUMNS[what] if column.name == name)


@pytest.mark.parametrize(("what", "opening"), [("reference", "ReferenceOpen"), ("executions", "AccountOpen")])
def test_the_kinds_of_records_are_those_of_the_topic(what: str, opening: str) -> None:
    assert re.findall(r"\b[A-Z]\w+", doc_of(what, "kind")) == [r for r in TOPICS[what].records if r != opening]


@pytest.mark.parametrize(
    ("what", "column", "values", "not_there"),
    [
        ("signals", "kind", SignalKind, set()),
        ("alerts", "severity", Severity, set()),
        ("sources", "kind", SourceKind, set()),
        ("journal", "kind", EntryKind, {"OPEN"}),
        ("commands", "kind", CommandKind, set()),
        ("executions", "request", OrderRequest, set()),
        ("executions", "entry", DealEntry, set()),
        ("fills", "entry", DealEntry, {"INOUT", "OUT_BY"}),
        ("orders", "purpose", OrderPurpose, set()),
        ("orders", "type", OrderType, set()),
    ],
)
def test_the_values_of_a_column_are_those_that_its_records_have(
    what: str, column: str, values: type[StrEnum], not_there: set[str]
) -> None:
    said = {value.value for value in values} - {"UNKNOWN", *not_there}

    assert set(re.findall(r"\b[A-Z_]{2,}\b", doc_of(what, column))) == said


@pytest.mark.parametrize("what", ["fills", "positions", "executions", "pnl"])
def test_an_order_that_is_not_ours_is_documented_as_the_database_has_it(what: str) -> None:
    assert doc_of(what, "order_no").endswith("; empty = not ours")
