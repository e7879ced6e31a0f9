"""The typed records are what their schemas say, and the ids and names by which readers find them never change."""

from __future__ import annotations

import dataclasses
import json
import typing
from decimal import Decimal
from enum import Enum, IntEnum
from importlib import resources
from typing import Any

import pytest

from schemas import configuration, events, executions, journal, ticks, trading
from schemas.catalogue import TOPICS
from schemas.registry import Record, Schema, encode, schema_id, schemas
from schemas.timeframes import Timeframe

SCHEMAS = list(schemas().values())
EVENTS = [s for s in SCHEMAS if s.record is not None]

NAMES_AND_IDS = {
    "TickBlock": (1, "ticks-tickledger.TickBlock"),
    "ReferenceOpen": (10, "reference-tickledger.ReferenceOpen"),
    "ListingSpec": (11, "reference-tickledger.ListingSpec"),
    "OperatorActivation": (12, "reference-tickledger.OperatorActivation"),
    "Repair": (13, "reference-tickledger.Repair"),
    "Bar": (20, "bars-tickledger.Bar"),
    "Signal": (21, "signals-tickledger.Signal"),
    "SourceEvent": (30, "sources-tickledger.SourceEvent"),
    "Alert": (31, "alerts-tickledger.Alert"),
    "Anchor": (40, "anchors-tickledger.Anchor"),
    "Snapshot": (41, "snapshots-tickledger.Snapshot"),
    "AccountConfig": (14, "reference-tickledger.AccountConfig"),
    "StrategyConfig": (15, "reference-tickledger.StrategyConfig"),
    "RiskLimits": (16, "reference-tickledger.RiskLimits"),
    "SessionTable": (17, "reference-tickledger.SessionTable"),
    "JournalEntry": (50, "journal-tickledger.JournalEntry"),
    "AccountOpen": (51, "executions-tickledger.AccountOpen", "commands-tickledger.AccountOpen"),
    "Sending": (60, "executions-tickledger.Sending"),
    "Accepted": (61, "executions-tickledger.Accepted"),
    "Rejected": (62, "executions-tickledger.Rejected"),
    "PartiallyFilled": (63, "executions-tickledger.PartiallyFilled"),
    "Filled": (64, "executions-tickledger.Filled"),
    "Canceled": (65, "executions-tickledger.Canceled"),
    "Expired": (66, "executions-tickledger.Expired"),
    "Reconciled": (67, "executions-tickledger.Reconciled"),
    "Adopted": (68, "executions-tickledger.Adopted"),
    "Command": (70, "commands-tickledger.Command"),
    "Denied": (80, "orders-tickledger.Denied"),
    "Submitted": (81, "orders-tickledger.Submitted"),
    "ModifyRequested": (82, "orders-tickledger.ModifyRequested"),
    "CancelRequested": (83, "orders-tickledger.CancelRequested"),
    "OrderChanged": (84, "orders-tickledger.OrderChanged"),
    "Fill": (90, "fills-tickledger.Fill"),
    "RiskDecision": (100, "risk-tickledger.RiskDecision"),
    "LimitBreached": (101, "risk-tickledger.LimitBreached"),
    "TradingStateChanged": (102, "risk-tickledger.TradingStateChanged"),
    "PositionChanged": (110, "portfolio-tickledger.PositionChanged"),
    "EquityMarked": (111, "portfolio-tickledger.EquityMarked"),
    "PnlAttributed": (112, "portfolio-tickledger.PnlAttributed"),
}
"""On every log there is: add to it, change nothing."""


def named(schema: Schema) -> dict[str, Any]:
    """The enums and fixed types that a schema defines, by name."""
    found = {}
    for field in schema.avro["fields"]:
        for part in field["type"] if isinstance(field["type"], list) else [field["type"]]:
            if isinstance(part, dict) and "name" in part:
                found[part["name"]] = part
    return found


def python_type(avro: Any, schema: Schema) -> Any:
    """The type that a field of Avro type `avro` has in Python; enums by their symbols."""
    if isinstance(avro, list):
        assert avro[0] == "null", "null comes first, so that it can be the default"
        return python_type(avro[1], schema) | None
    avro = named(schema).get(avro, avro) if isinstance(avro, str) else avro
    if isinstance(avro, dict):
        match avro["type"]:
            case "enum":
                return tuple(avro["symbols"])
            case "fixed":
                return bytes
            case "bytes":
                assert avro["logicalType"] == "decimal"
                return Decimal
            case "array":
                return tuple[python_type(avro["items"], schema), ...]
    return {"boolean": bool, "int": int, "long": int, "double": float, "string": str, "bytes": bytes}[avro]


def as_symbols(hint: Any) -> Any:
    return tuple(m.name for m in hint) if isinstance(hint, type) and issubclass(hint, Enum) else hint


@pytest.mark.parametrize("schema", EVENTS, ids=lambda s: s.name)
def test_a_record_has_the_fields_of_its_schema_in_order_with_their_types(schema: Schema) -> None:
    hints = typing.get_type_hints(schema.record)
    found = [(f.name, as_symbols(hints[f.name])) for f in dataclasses.fields(schema.record)]
    wanted = [(f["name"], python_type(f["type"], schema)) for f in schema.avro["fields"]]
    assert found == wanted


@pytest.mark.parametrize("schema", EVENTS, ids=lambda s: s.name)
def test_a_record_is_frozen_and_documented_as_its_schema(schema: Schema) -> None:
    record = schema.record
    assert record is not None
    assert record.__dataclass_params__.frozen  # type: ignore[union-attr]
    assert record.__doc__ == schema.avro["doc"]
    defaults = {f.name: f.default for f in dataclasses.fields(record) if f.default is not dataclasses.MISSING}
    assert defaults == {f["name"]: f["default"] for f in schema.avro["fields"] if "default" in f}


def test_a_tick_block_has_the_fields_of_its_schema_in_order_with_their_types() -> None:
    schema = schemas()["TickBlock"]
    columns = {"long": ticks.Longs, "int": ticks.Ints, "double": ticks.Doubles}
    enums = {"BlockKind": ticks.BlockKind, "TickSource": ticks.TickSource}

    def of(avro: Any) -> Any:
        if isinstance(avro, dict) and avro["type"] == "array":
            return columns[avro["items"]]
        if isinstance(avro, dict) and avro["type"] == "enum":
            assert avro["symbols"] == [m.name for m in enums[avro["name"]]]
            assert [m.value for m in enums[avro["name"]]] == list(range(len(avro["symbols"])))
            return int
        return python_type(avro, schema)

    assert typing.get_type_hints(ticks.TickBlock) == {f["name"]: of(f["type"]) for f in schema.avro["fields"]}
    assert list(typing.get_type_hints(ticks.TickBlock)) == [f["name"] for f in schema.avro["fields"]]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda s: s.name)
def test_every_enum_starts_with_unknown_which_is_its_default(schema: Schema) -> None:
    for part in named(schema).values():
        if part["type"] == "enum":
            assert part["symbols"][0] == part["default"] == "UNKNOWN"
            assert part["doc"]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda s: s.name)
def test_every_record_and_field_is_documented(schema: Schema) -> None:
    assert schema.avro["doc"].endswith(".")
    for field in schema.avro["fields"]:
        assert field["doc"].endswith("."), field["name"]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda s: s.name)
def test_a_mac_is_the_last_field(schema: Schema) -> None:
    fields = [f["name"] for f in schema.avro["fields"]]
    if "mac" in fields:
        assert fields[-1] == "mac"
        assert "key_id" in fields


def test_ids_and_subjects_never_change() -> None:
    assert {s.name: (s.id, *s.subjects) for s in SCHEMAS} == NAMES_AND_IDS


def test_ids_are_unique_and_each_schema_has_a_file_a_topic_and_a_type() -> None:
    assert len({s.id for s in SCHEMAS}) == len(SCHEMAS)
    files = {f.name.removesuffix(".avsc") for f in (resources.files("schemas") / "avro").iterdir()} - {"ids.json"}
    assert files == set(schemas())
    assert {(r, t.name) for t in TOPICS.values() for r in t.records} == {
        (s.name, topic) for s in SCHEMAS for topic in s.topics
    }
    assert {s.record for s in EVENTS} == set(typing.get_args(Record))
    assert schemas()["TickBlock"].id == ticks.TICK_BLOCK_ID


def test_the_enums_of_the_records_are_those_of_the_schemas() -> None:
    ours = {
        name: [m.name for m in kind]
        for module in (events, configuration, executions, journal, trading)
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, Enum) and kind.__module__.startswith("schemas.")
    }
    theirs = {
        name: part["symbols"] for schema in EVENTS for name, part in named(schema).items() if part["type"] == "enum"
    }
    assert ours == theirs


def test_a_timeframe_is_as_long_as_its_name_says() -> None:
    minutes = {"UNKNOWN": 0, "M1": 1, "M5": 5, "M15": 15, "M30": 30, "H1": 60, "H4": 240, "D1": 1440}
    assert {t.name: t.ms for t in Timeframe} == {name: 60_000 * m for name, m in minutes.items()}


def test_a_value_starts_with_magic_and_id() -> None:
    record = events.ReferenceOpen(
        epoch=1, nonce=bytes(8), seq=0, written_us=0, key_id="k1", prev=bytes(16), mac=bytes(16)
    )
    assert encode(record)[:5] == b"\0\0\0\0\x0a"
    assert schema_id(encode(record)) == 10


def test_no_schema_uses_a_logical_type_but_money_or_a_union_of_records() -> None:
    money = {"type": "bytes", "logicalType": "decimal", "precision": 28, "scale": 8}
    for schema in SCHEMAS:
        for field in schema.avro["fields"]:
            assert "logicalType" not in json.dumps(field["type"]) or field["type"] == money
            assert not isinstance(field["type"], list) or field["type"][0] == "null"
            assert not isinstance(field["type"], list) or field["type"][1] in ("double", "int", "long")


def test_int_enums_on_the_wire_are_their_positions() -> None:
    for kind in (ticks.BlockKind, ticks.TickSource, Timeframe):
        assert issubclass(kind, IntEnum)
        assert [int(m) for m in kind] == list(range(len(kind)))
