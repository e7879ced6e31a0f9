"""Every record is read back as it was written, and one content has one encoding."""

from __future__ import annotations

import dataclasses
import math
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalogue import TOPICS
from schemas.events import Bar, Event, OperatorActivation, ReferenceOpen, Signal
from schemas.integrity import ZERO_MAC
from schemas.registry import UnreadableRecord, decided_part, decision_bytes, decode, encode, schemas, seal
from tests.records import KEYS, longs, records

KINDS = [s.record for s in schemas().values() if s.record is not None]

some_record = st.one_of(*(records(kind) for kind in KINDS))


def same(a: Event, b: Event) -> bool:
    """Equal, NaN to NaN."""
    return type(a) is type(b) and _same(dataclasses.astuple(a), dataclasses.astuple(b))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b or (a != a and b != b))


@settings(deadline=None, max_examples=40)
@given(st.data())
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_a_record_is_read_back_as_it_was_written(kind: type[Event], data: st.DataObject) -> None:
    record = data.draw(records(kind))
    value = encode(record)
    assert same(decode(value), record)
    assert encode(decode(value)) == value


@settings(deadline=None, max_examples=200)
@given(some_record, st.data())
def test_cut_anywhere_or_made_longer_it_is_no_record(record: Event, data: st.DataObject) -> None:
    value = encode(record)
    for wrong in (value[: data.draw(st.integers(0, len(value) - 1))], value + b"\0", value + value[-16:]):
        with pytest.raises(UnreadableRecord):
            decode(wrong)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(list(schemas().values())), st.binary(max_size=200))
def test_any_bytes_are_read_as_what_they_encode_or_refused(schema: Any, body: bytes) -> None:
    value = schema.prefix + body
    try:
        record = decode(value)
    except UnreadableRecord:
        return
    assert encode(record) == value


@settings(deadline=None, max_examples=300)
@given(some_record, st.data())
def test_any_changed_byte_gives_another_record_or_none(record: Event, data: st.DataObject) -> None:
    value = bytearray(encode(record))
    at = data.draw(st.integers(0, len(value) - 1))
    value[at] ^= data.draw(st.integers(1, 255))
    try:
        other = decode(bytes(value))
    except UnreadableRecord:
        return
    assert encode(other) == bytes(value)


@settings(deadline=None, max_examples=50)
@given(records(OperatorActivation))
def test_an_array_in_two_runs_or_with_its_size_is_refused(record: Event) -> None:
    """Avro lets an array come in several counted runs; only one of these encodings is ours."""
    assert isinstance(record, OperatorActivation)
    record = dataclasses.replace(record, listings=("a/B", "c/D"))
    value = encode(record)
    ours = b"\x04" + b"\x06a/B" + b"\x06c/D" + b"\0"
    assert value.count(ours) == 1
    for other in (b"\x02\x06a/B\x02\x06c/D\0", b"\x03\x10\x06a/B\x06c/D\0"):
        changed = value.replace(ours, other)
        assert fastavro_reads(changed) == record.listings
        with pytest.raises(UnreadableRecord, match="not the canonical encoding of a OperatorActivation"):
            decode(changed)


def fastavro_reads(value: bytes) -> Any:
    """What the reference decoder makes of the listings of an activation."""
    row: Any = fastavro.schemaless_reader(BytesIO(value[5:]), schemas()["OperatorActivation"].parsed, None)
    return tuple(row["listings"])


@given(records(Bar), st.sampled_from([2**31, -(2**31) - 1, 2**62]))
@settings(deadline=None, max_examples=20)
def test_a_number_beyond_its_field_is_refused_on_both_ways(record: Event, number: int) -> None:
    """fastavro would write it, and read it back."""
    assert isinstance(record, Bar)
    with pytest.raises(ValueError, match=f"server_offset_s {number} has more than 32 bits"):
        encode(dataclasses.replace(record, server_offset_s=number))
    schema = schemas()["Bar"]
    row = dataclasses.asdict(record) | {"server_offset_s": number, "timeframe": record.timeframe.name}
    out = BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, row)
    with pytest.raises(UnreadableRecord, match="server_offset_s"):
        decode(schema.prefix + out.getvalue())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "0 bytes are too few"),
        (b"\0\0\0\0", "4 bytes are too few"),
        (b"\x01\0\0\0\x0a" + bytes(40), "its magic byte is 1, not 0"),
        (b"\0\0\0\0\x63" + bytes(40), "its schema id 99 is not one of an event"),
        (b"\0\0\0\0\x01" + bytes(40), "its schema id 1 is not one of an event"),
        (b"\0\0\0\0\x0a" + bytes(3), "it can't be read as ReferenceOpen"),
    ],
)
def test_what_is_no_record_says_why(value: bytes, reason: str) -> None:
    with pytest.raises(UnreadableRecord, match=reason):
        decode(value)


derived = st.one_of(records(Bar), records(Signal))


@settings(deadline=None, max_examples=100)
@given(derived, st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.integers(0, 10**9), longs)
def test_decision_bytes_leave_out_activation_ref_no_key_and_mac(
    record: Bar | Signal, instance: str, activation: int, ref_no: int
) -> None:
    record = dataclasses.replace(record, operator=f"{instance}@7")
    other = dataclasses.replace(record, operator=f"{instance}@{activation}", ref_no=ref_no)
    if isinstance(other, Signal):
        other = dataclasses.replace(other, key_id="another", mac=b"x" * 16)
    assert decision_bytes(other) == decision_bytes(record)
    zeroed = dataclasses.replace(record, operator=f"{instance}@0", ref_no=0)
    if isinstance(zeroed, Signal):
        zeroed = dataclasses.replace(zeroed, key_id="", mac=ZERO_MAC)
    assert decision_bytes(record) == encode(zeroed)


@settings(deadline=None, max_examples=100)
@given(derived, derived)
def test_decision_bytes_tell_any_other_field_apart(one: Bar | Signal, two: Bar | Signal) -> None:
    one = dataclasses.replace(one, operator="bars@1")
    kept = {"operator", "ref_no", "key_id", "mac"}
    names = [f.name for f in dataclasses.fields(one) if f.name not in kept]
    if type(one) is not type(two):
        return
    for name in names:
        other = getattr(two, name)
        if other != getattr(one, name) and not (isinstance(other, float) and math.isnan(other)):
            assert decision_bytes(dataclasses.replace(one, **{name: other})) != decision_bytes(one), name


@settings(deadline=None, max_examples=10)
@given(derived)
def test_another_instance_is_another_decision(record: Bar | Signal) -> None:
    one, other = (dataclasses.replace(record, operator=f"{name}@1") for name in ("bars", "others"))
    assert decision_bytes(one) != decision_bytes(other)


@settings(deadline=None, max_examples=30)
@given(records(ReferenceOpen))
def test_a_sealed_record_ends_in_its_mac_and_its_own_key_makes_it(record: ReferenceOpen) -> None:
    record = dataclasses.replace(record, key_id="k1")
    value = seal(record, "reference", KEYS)
    assert KEYS.holds("reference", "k1", value)
    assert decode(value) == dataclasses.replace(record, mac=value[-16:])
    assert all(not KEYS.holds(topic, "k1", value) for topic in TOPICS if topic != "reference")


@settings(deadline=None, max_examples=60)
@given(records(Signal), st.integers(0, 2**40), st.integers(0, 2**40))
def test_what_was_decided_is_cut_out_of_the_encoding(record: Signal, out_seq: int, ref_no: int) -> None:
    own = dataclasses.replace(
        record, operator=f"some@{ref_no}", out_seq=out_seq, ref_no=ref_no, key_id="", mac=ZERO_MAC
    )
    assert decided_part(encode(own), own) == decision_bytes(own)
