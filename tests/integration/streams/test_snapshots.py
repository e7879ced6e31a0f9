"""Snapshots on a real topic: the greatest position wins, and what is not whole is as if it weren't there."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

import pytest

from infra.kafka import read_range
from schemas.accept import Head
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.registry import decode, seal
from streams import snapshots
from streams.snapshots import PART_BYTES, State
from tests.integration.streams.line import KEYS, Line

pytestmark = pytest.mark.stack

NewLine = Callable[..., Line]


def state(line: Line, offset: int = 10, data: bytes = b"a state", operator: str = "bars@1") -> State:
    return State(operator, line.listing, offset, Head(2, b"nonce..1", offset, 3 * offset, 4, bytes(range(16))), 7, data)


def large(parts: int) -> bytes:
    """Bytes that can't be compressed, for so many parts."""
    return os.urandom((parts - 1) * PART_BYTES + 1000)


def write(line: Line, incarnation: int, one: State) -> tuple[bytes, ...]:
    _, keys = snapshots.write(line.producer, KEYS, incarnation, one)
    assert line.producer.flush(30) == 0
    return keys


def loaded(line: Line) -> list[snapshots.Stored]:
    return [
        s for s in snapshots.load(line.kafka, KEYS, [line.partition])[line.partition] if s.state.listing == line.listing
    ]


def values(line: Line) -> dict[bytes, bytes | None]:
    """The last value of each of the listing's keys, as compaction leaves them."""
    batches = read_range(line.kafka, "snapshots", line.partition)
    return {m.key() or b"": m.value() for b in batches for m in b if line.listing.encode() in (m.key() or b"")}


def test_a_state_comes_back_as_it_was(line: Line) -> None:
    keys = write(line, 1, state(line))
    assert loaded(line) == [snapshots.Stored(state(line), 1, keys)]


@pytest.mark.parametrize("parts", [2, 3])
def test_a_large_one_lies_in_parts_of_half_a_megabyte(line: Line, parts: int) -> None:
    one = state(line, data=large(parts))
    keys = write(line, 1, one)
    assert len(keys) == parts
    assert all(len(value or b"") < PART_BYTES + 1000 for value in values(line).values())
    assert loaded(line)[0].state == one


def test_the_greatest_position_wins_and_knows_whose_records_it_supersedes(line: Line) -> None:
    old = write(line, 1, state(line, 10))
    new = write(line, 2, state(line, 30))
    late = write(line, 3, state(line, 20))
    (found,) = loaded(line)
    assert found.state.offset == 30
    assert set(found.keys) == {*old, *new, *late}


def test_of_each_operator_the_newest_is_given(line: Line) -> None:
    write(line, 1, state(line, 10, operator="bars@1"))
    write(line, 1, state(line, 20, operator="berserker@2"))
    assert {(s.state.operator, s.state.offset) for s in loaded(line)} == {("bars@1", 10), ("berserker@2", 20)}


def test_without_one_of_its_parts_an_older_one_is_taken(line: Line) -> None:
    write(line, 1, state(line, 10))
    keys = write(line, 2, state(line, 20, large(3)))
    snapshots.remove(line.producer, state(line), keys[1:2])
    line.producer.flush()
    (found,) = loaded(line)
    assert found.state.offset == 10
    assert set(keys) - set(keys[1:2]) < set(found.keys), "what is left of it goes with the next one"


def test_parts_of_two_states_make_none(line: Line) -> None:
    """Ended between the parts of its second state, the first is half written over."""
    write(line, 1, state(line, 10, large(2)))
    before = values(line)
    write(line, 1, state(line, 20, large(2)))
    second = sorted(before)[1]
    line.put(before[second], key=second.decode(), topic="snapshots")
    assert loaded(line) == []


@pytest.mark.parametrize("what", ["byte", "stranger", "key", "rubbish", "digest"])
def test_one_that_was_tampered_with_is_left_out(line: Line, what: str) -> None:
    (key,) = write(line, 1, state(line))
    value = values(line)[key]
    assert value is not None
    if what == "byte":
        value = value[:30] + bytes([value[30] ^ 1]) + value[31:]
    elif what == "stranger":
        record = decode(value)
        value = seal(record, "snapshots", KeyRing({KEYS.current: b"another key of 32 bytes, guessed"}, KEYS.current))
    elif what == "rubbish":
        value = b"rubbish"
    elif what == "digest":
        record = dataclasses.replace(decode(value), digest="0" * 64, mac=ZERO_MAC)  # type: ignore[call-arg]
        value = seal(record, "snapshots", KEYS)
    name = key.decode() if what != "key" else key.decode().replace("|1|0", "|2|0")
    if what == "key":
        snapshots.remove(line.producer, state(line), [key])
        line.producer.flush()
    line.put(value, key=name, topic="snapshots")
    assert loaded(line) == []


def test_one_on_another_partition_than_its_listing_is_left_out(line: Line) -> None:
    """Copied there by somebody without a key: its MAC is right."""
    (key,) = write(line, 1, state(line))
    elsewhere = (line.partition + 1) % 32
    line.producer.produce("snapshots", key=key, value=values(line)[key], partition=elsewhere)
    line.producer.flush()
    assert not any(s.state.listing == line.listing for s in snapshots.load(line.kafka, KEYS, [elsewhere])[elsewhere])


def test_all_partitions_are_read_at_once(line: Line) -> None:
    write(line, 1, state(line))
    found = snapshots.load(line.kafka, KEYS, range(32))
    assert sorted(found) == list(range(32))
    assert state(line) in [s.state for s in found[line.partition]]
    assert snapshots.load(line.kafka, KEYS, []) == {}
