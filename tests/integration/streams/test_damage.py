"""Records that are not what they should be: nothing of them is folded, somebody is told, and others go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.integrity import KeyRing
from schemas.ticks import seal_block
from tests.integration.streams.line import KEYS, Line, lively
from tests.integration.streams.partitions import Reader

pytestmark = pytest.mark.stack

NewLine = Callable[..., Line]
BLOCKS = lively()


@pytest.fixture
def other(new_line: NewLine, line: Line) -> Line:
    """Another listing on the partition."""
    return new_line(line).usual()


def went_on(other: Line, reader: Reader) -> None:
    """What is written to the other listing after the damage is folded as ever."""
    other.write(lively(8))
    reader.read()
    for topic in ("bars", "signals"):
        assert other.found(topic) == other.expected(topic)


def has_only(line: Line, blocks: int) -> None:
    for topic in ("bars", "signals"):
        assert line.found(topic) == line.expected(topic, line.blocks[:blocks])


def forged(line: Line, value: bytes) -> bytes:
    return value[:-20] + bytes([value[-20] ^ 1]) + value[-19:]


def by_a_stranger(line: Line, value: bytes) -> bytes:
    stranger = KeyRing({KEYS.current: b"another key of 32 bytes, guessed"}, KEYS.current)
    return seal_block(line.blocks[-1], stranger)


@pytest.mark.parametrize("make", [forged, by_a_stranger, lambda line, value: b"", lambda line, value: None])
def test_a_forged_record_stops_nobody(line: Line, other: Line, make: Any) -> None:
    line.usual().write(BLOCKS[:20])
    value = make(line, line.sealed(BLOCKS[20]))
    line.blocks.pop()
    line.head = line.head._replace(seq=20, n=line.blocks[-1].first_n + line.blocks[-1].size)
    reader = Reader(line).read()
    (at,) = line.put(value)
    reader.read()
    assert ("forged_record", at) in line.alerts()
    has_only(line, 20)
    went_on(other, reader)


def test_a_block_that_lies_there_once_more_is_told_and_changes_nothing(line: Line, other: Line) -> None:
    line.usual()
    values = [line.opened(), *(line.sealed(b) for b in BLOCKS[:20])]
    line.put(*values)
    (at,) = line.put(values[10])
    line.write(BLOCKS[20:])
    reader = Reader(line).read()
    assert line.alerts() == [("replayed_record", at)]
    has_only(line, 40)
    went_on(other, reader)


@pytest.mark.parametrize("damage", ["dropped", "changed", "swapped"])
def test_a_chain_with_a_link_damaged_stands_still(line: Line, other: Line, damage: str) -> None:
    line.usual()
    values = [line.sealed(b) for b in BLOCKS[:20]] if line.put(line.opened()) else []
    if damage == "dropped":
        del values[10]
    elif damage == "changed":
        values[10] = forged(line, values[10])
    else:
        values[10], values[11] = values[11], values[10]
    offsets = line.put(*values)
    reader = Reader(line).read()
    alerts = line.alerts()
    stopped_at = offsets[11] if damage == "changed" else offsets[10]
    assert ("chain_stopped", stopped_at) in alerts
    assert [code for code, _ in alerts].count("chain_stopped") == 1
    has_only(line, 10)
    went_on(other, reader)
    assert line.listing not in reader.part.heads, "no anchor behind a stop"


def test_a_stop_holds_after_a_restart_whatever_comes_then(line: Line, other: Line) -> None:
    """The missing link comes late: with the snapshot before the stop it would seem to fit."""
    line.usual()
    line.put(line.opened())
    values = [line.sealed(b) for b in BLOCKS[:20]]
    line.put(*values[:10])
    reader = Reader(line).read()
    line.put(values[11])
    states = reader.read().checkpoint()
    assert {s.head.seq for s in states} <= {10}
    line.put(line.opened())
    assert reader.read().checkpoint() == [], "no snapshot behind a stop"
    group = reader.next
    line.put(values[10])
    again = Reader(line, None, group).read()
    has_only(line, 10)
    assert again.part.heads.get(line.listing) is None
    went_on(other, again)


def test_a_repair_read_ahead_leads_past_the_damage_over_a_gap(line: Line) -> None:
    line.usual()
    line.put(line.opened())
    values = [line.sealed(b) for b in BLOCKS[:12]]
    heads = []
    line.head = line.head._replace(seq=10, n=line.blocks[10].first_n)
    del line.blocks[10:]
    offsets = line.put(*values[:10], forged(line, values[10]))
    heads.append(line.head)
    broken = forged(line, values[10])
    new = line.head._replace(seq=11, n=line.head.n + 7, mac=values[10][-16:])
    line.repair(offsets[10], broken, new)
    line.head = new
    line.put(line.opened())
    line.write(BLOCKS[12:])
    Reader(line).read()
    assert [code for code, _ in line.alerts()] == []
    found = line.found("bars")
    assert len(found) > 10
    assert line.expected("bars", line.blocks[:10]) == found[: len(line.expected("bars", line.blocks[:10]))]


def test_a_repair_that_comes_after_the_stop_is_taken_when_a_writer_opens_again(line: Line, other: Line) -> None:
    line.usual()
    line.put(line.opened())
    values = [line.sealed(b) for b in BLOCKS[:12]]
    offsets = line.put(*values[:10], values[11])
    reader = Reader(line).read()
    reader.checkpoint()
    has_only(line, 10)
    head = line.head
    line.repair(offsets[10], values[11], head)
    line.put(line.opened())
    line.write(BLOCKS[12:])
    reader.read()
    running = line.found("bars")
    assert len(running) > len(line.expected("bars", line.blocks[:10]))

    again = Reader(line, None, offsets[10]).read()
    assert line.found("bars") == running
    assert again.part.heads[line.listing][0] == line.head
    went_on(other, again)


def test_after_a_restart_a_repaired_record_may_be_the_first_that_comes(line: Line) -> None:
    line.usual()
    line.write(BLOCKS[:10])
    reader = Reader(line).read()
    states = reader.checkpoint()
    head = line.head
    value = forged(line, line.sealed(BLOCKS[10]))
    line.blocks.pop()
    new = head._replace(seq=11, mac=bytes(range(16)))
    line.head = new
    (at,) = line.put(value)
    line.repair(at, value, new)
    line.put(line.opened())
    line.write(BLOCKS[11:])
    Reader(line, states, at).read()
    assert line.alerts() == []
    assert len(line.found("bars")) > len(line.expected("bars", line.blocks[:10]))


def test_good_ticks_without_a_spec_park_the_listing(line: Line, other: Line) -> None:
    line.configure(line.activation("bars"))
    offsets = line.write(BLOCKS)
    reader = Reader(line).read()
    first_good = next(i for i, b in enumerate(BLOCKS) if ((b.quality & 0xFF) == 0).any())
    assert line.alerts() == [("listing_parked", offsets[first_good])]
    assert line.found("bars") == []
    assert {s.head.seq for s in reader.checkpoint() if s.listing == line.listing} <= {first_good}
    went_on(other, reader)


def test_a_reference_number_that_reference_has_not_parks_the_listing(line: Line, other: Line) -> None:
    line.usual().write(BLOCKS[:10])
    line.ref_no = 10**6
    offsets = line.write(BLOCKS[10:])
    reader = Reader(line).read()
    assert line.alerts() == [("listing_parked", offsets[0])]
    has_only(line, 10)
    went_on(other, reader)


def test_a_late_block_with_such_a_number_parks_nobody(line: Line) -> None:
    line.usual().write(BLOCKS[:10])
    before = line.head
    line.ref_no, known = 10**6, line.ref_no
    late = line.sealed(BLOCKS[10])
    line.blocks.pop()
    line.head, line.ref_no = before, known
    line.put(line.opened(), late)
    line.write(BLOCKS[11:])
    Reader(line).read()
    assert line.alerts() == []
    assert line.found("bars") == line.expected("bars")
