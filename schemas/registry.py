"""Schemas with fixed ids, and the wire format: magic 0, the id in four bytes, the Avro body.

One schema is one record type, subject `<topic>-<full name>` on each topic that it lies on; a reader picks the type by
the id. Ids are in `avro/ids.json` and never change. TickBlocks have a columnar codec of their own, held equal to the
schema by tests.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable
from enum import Enum
from functools import cache
from importlib import resources
from io import BytesIO
from operator import attrgetter
from typing import Any, Final, NamedTuple

import fastavro

from schemas import events, executions, journal, trading
from schemas.events import Event
from schemas.executions import AccountOpen, Command, Execution
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.journal import JournalEntry
from schemas.trading import Decided

PREFIX_BYTES: Final = 5


Record = Event | JournalEntry | AccountOpen | Execution | Command | Decided
"""Any record but a TickBlock."""

_MODULES: Final = (events, journal, executions, trading)


class UnreadableRecord(ValueError):
    """Bytes that are not a record of this language; the message says what is wrong with them."""


class Schema(NamedTuple):
    """One record type: its fixed id, topic (and others that it lies on), name in full, Avro schema, class of values."""

    id: int
    topic: str
    also: tuple[str, ...]
    name: str
    full_name: str
    avro: dict[str, Any]
    parsed: Any
    record: type[Record] | None

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics that it lies on."""
        return (self.topic, *self.also)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Its names in a schema registry, one a topic."""
        return tuple(f"{topic}-{self.full_name}" for topic in self.topics)

    @property
    def prefix(self) -> bytes:
        """What every value of it starts with."""
        return prefix_of(self.id)


def prefix_of(schema_id: int) -> bytes:
    """Magic byte 0 and the id, big-endian: the five bytes of Confluent's wire format."""
    return b"\x00" + schema_id.to_bytes(4, "big")


@cache
def schemas() -> dict[str, Schema]:
    """All record types by name, in the order of their ids."""
    folder = resources.files("schemas") / "avro"
    ids = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
    found = {}
    for name, entry in sorted(ids.items(), key=lambda item: int(item[1]["id"])):
        avro = json.loads((folder / f"{name}.avsc").read_text(encoding="utf-8"))
        full_name = f"{avro['namespace']}.{avro['name']}"
        record = next((getattr(module, name) for module in _MODULES if hasattr(module, name)), None)
        also = tuple(entry.get("also", ()))
        parsed = fastavro.parse_schema(avro)
        found[name] = Schema(entry["id"], entry["topic"], also, name, full_name, avro, parsed, record)
    return found


def schema_id(value: bytes) -> int:
    """The schema id that `value` starts with. Raises UnreadableRecord."""
    if len(value) < PREFIX_BYTES:
        raise UnreadableRecord(f"{len(value)} bytes are too few for a record")
    if value[0] != 0:
        raise UnreadableRecord(f"its magic byte is {value[0]}, not 0")
    return int.from_bytes(value[1:PREFIX_BYTES], "big")


def encode(record: Record) -> bytes:
    """The value of `record` on Kafka, canonical: one content has one encoding."""
    codec = _codecs()[type(record)]
    return _written(codec, codec.to_avro(record))


def _written(codec: _Codec, row: dict[str, Any]) -> bytes:
    out = BytesIO()
    out.write(codec.prefix)
    fastavro.schemaless_writer(out, codec.parsed, row)
    return out.getvalue()


def seal(record: Record, topic: str, keys: KeyRing) -> bytes:
    """The value of `record` with the MAC of its own `key_id` as its last 16 bytes, whatever its `mac` says."""
    return keys.seal(topic, record.key_id, encode(record))  # type: ignore[union-attr]


def decode(value: bytes) -> Record:
    """The record in `value`. Raises UnreadableRecord for an unknown id, a TickBlock, and a non-canonical encoding."""
    codec = _codecs_by_id().get(schema_id(value))
    if codec is None:
        raise UnreadableRecord(f"its schema id {schema_id(value)} is not one of an event")
    source = BytesIO(value)
    source.seek(PREFIX_BYTES)
    try:
        record = codec.from_avro(fastavro.schemaless_reader(source, codec.parsed, None))
        again = encode(record)
    except (ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise UnreadableRecord(f"it can't be read as {codec.name}: {error or type(error).__name__}") from error
    if again != value:
        raise UnreadableRecord(f"its bytes are not the canonical encoding of a {codec.name}")
    return record


def decision_bytes(record: Record) -> bytes:
    """The encoding of a derived record with activations, ref_no, key and MAC zeroed: what was decided, nothing else."""
    codec = _codecs()[type(record)]
    row = codec.to_avro(record)
    row["operator"], row["ref_no"] = _unnumbered(row["operator"]), 0
    if "mac" in row:
        row["key_id"], row["mac"] = "", ZERO_MAC
    if row.get("signal_operator"):
        row["signal_operator"] = _unnumbered(row["signal_operator"])
    return _written(codec, row)


def decided_part(value: bytes, record: Any) -> bytes:
    """`decision_bytes` of a derived record without a signal of its own, unsealed, from its encoding `value`."""
    operator = record.operator.encode()
    key = (record.listing if hasattr(record, "listing") else record.account).encode()
    start = PREFIX_BYTES + _size(len(operator)) + len(operator)
    middle = start + _size(len(key)) + len(key) + _size(record.out_seq)
    blank = _unnumbered(record.operator).encode()
    head = value[:PREFIX_BYTES] + bytes((2 * len(blank),)) + blank + value[start:middle] + b"\x00"
    return head + value[middle + _size(record.ref_no) :]


def _size(value: int) -> int:
    """Bytes of an Avro long at or above 0."""
    return max(((value << 1).bit_length() + 6) // 7, 1)


def _unnumbered(operator: str) -> str:
    return f"{operator.rpartition('@')[0]}@0"


class _Codec(NamedTuple):
    name: str
    prefix: bytes
    parsed: Any
    to_avro: Callable[[Any], dict[str, Any]]
    from_avro: Callable[[Any], Record]


def _codec_of(schema: Schema, record: type[Record]) -> _Codec:
    hints = typing.get_type_hints(record)
    names = tuple(f.name for f in dataclasses.fields(record))
    kinds = {n: t for n, t in hints.items() if isinstance(t, type) and issubclass(t, Enum)}
    enums = {n: {member: member.name for member in kind} for n, kind in kinds.items()}
    fields = attrgetter(*names)
    arrays = [n for n, t in hints.items() if typing.get_origin(t) is tuple]
    ints = [field["name"] for field in schema.avro["fields"] if field["type"] == "int"]

    def to_avro(value: Any) -> dict[str, Any]:
        row = dict(zip(names, fields(value), strict=True))
        for n, symbols in enums.items():
            row[n] = symbols[row[n]]
        for n in ints:
            # fastavro writes any number as an int, and reads it back.
            if not -(2**31) <= row[n] < 2**31:
                raise ValueError(f"{n} {row[n]} has more than 32 bits")
        return row

    def from_avro(row: dict[str, Any]) -> Record:
        for n, kind in kinds.items():
            row[n] = kind[row[n]]
        for n in arrays:
            row[n] = tuple(row[n])
        return record(**row)

    return _Codec(schema.name, schema.prefix, schema.parsed, to_avro, from_avro)


@cache
def _codecs() -> dict[type[Record], _Codec]:
    return {s.record: _codec_of(s, s.record) for s in schemas().values() if s.record is not None}


@cache
def _codecs_by_id() -> dict[int, _Codec]:
    return {schema_id(codec.prefix): codec for codec in _codecs().values()}
