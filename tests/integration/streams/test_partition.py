"""One partition of ticks over a real broker: whatever happens to a worker, the topics end up as if nothing had."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas.ticks import BlockKind
from streams import snapshots
from tests.integration.streams.line import KEYS, Line, lively
from tests.integration.streams.partitions import Reader

pytestmark = pytest.mark.stack

NewLine = Callable[..., Line]


def is_as_if_never_stopped(line: Line) -> None:
    for topic in ("bars", "signals"):
        assert line.found(topic) == line.expected(topic), topic
    assert len(line.expected("bars")) > 10
    assert len(line.expected("signals")) > 10


def test_a_fresh_start_folds_everything_once(line: Line) -> None:
    line.usual().write(lively())
    reader = Reader(line).read()
    is_as_if_never_stopped(line)
    assert len(line.records("bars")) == len(line.found("bars"))
    assert {s.operator: s.digest for s in reader.changed()} == line.digests()
    assert line.alerts() == []


@pytest.mark.parametrize("every", [1, 7])
def test_a_start_from_snapshots_after_any_record_shows_nowhere(line: Line, every: int) -> None:
    line.usual()
    ends = [offset + 1 for offset in line.write(lively())]
    reader = Reader(line)
    for end in ends[every - 1 :: every]:
        reader = Reader(line, reader.checkpoint(), reader.next).read(end)
    reader = Reader(line, reader.checkpoint(), reader.next).read()
    is_as_if_never_stopped(line)
    assert len(line.records("bars")) == len(line.found("bars"))
    assert line.alerts() == []


@pytest.mark.parametrize("lost", [0, 5, 11])
def test_what_a_killed_worker_had_not_snapshotted_is_sent_again_to_the_byte(line: Line, lost: int) -> None:
    line.usual()
    offsets = line.write(lively())
    first = Reader(line).read(offsets[20])
    kept = first.checkpoint()
    first.read(offsets[20 + lost])
    Reader(line, kept, offsets[20]).read()
    is_as_if_never_stopped(line)
    assert line.alerts() == []


def test_records_that_come_again_after_their_snapshot_are_no_replays(line: Line) -> None:
    """Killed between snapshot and acknowledgement: the group gives them once more."""
    line.usual()
    offsets = line.write(lively())
    reader = Reader(line).read(offsets[30])
    Reader(line, reader.checkpoint(), offsets[10]).read()
    is_as_if_never_stopped(line)
    assert len(line.records("bars")) == len(line.found("bars"))
    assert line.alerts() == []


def test_without_snapshots_all_is_folded_anew_from_wherever_the_group_stands(line: Line) -> None:
    line.usual()
    offsets = line.write(lively())
    Reader(line).read(offsets[30])
    Reader(line, [], offsets[30]).read()
    is_as_if_never_stopped(line)
    assert line.alerts() == []


def test_a_snapshot_of_one_operator_alone_is_not_enough(line: Line) -> None:
    line.usual()
    offsets = line.write(lively())
    states = Reader(line).read(offsets[30]).changed()
    Reader(line, states[:1], offsets[30]).read()
    is_as_if_never_stopped(line)


def test_operators_with_snapshots_of_different_places_each_take_what_they_lack(line: Line) -> None:
    line.usual()
    offsets = line.write(lively())
    reader = Reader(line).read(offsets[12])
    early = {s.operator: s for s in reader.changed()}
    late = {s.operator: s for s in reader.read(offsets[25]).changed()}
    bars, signals = sorted(early)
    Reader(line, [early[bars], late[signals]], offsets[25]).read()
    is_as_if_never_stopped(line)


def test_a_state_that_cannot_be_loaded_is_folded_anew(line: Line) -> None:
    line.usual()
    offsets = line.write(lively())
    states = Reader(line).read(offsets[30]).changed()
    broken = [s._replace(data=b"of another release") for s in states]
    Reader(line, broken, offsets[30]).read()
    is_as_if_never_stopped(line)
    assert line.alerts() == []


def test_an_older_snapshot_hides_nothing_that_lies_behind_it(line: Line) -> None:
    """Its next link comes once more, after another writer opened: a reader of everything calls it void."""
    line.usual()
    blocks = lively()
    line.write(blocks[:10])
    reader = Reader(line).read()
    states = reader.checkpoint()
    before = line.head
    late = line.sealed(blocks[10])
    line.blocks.pop()
    line.head = before
    line.put(line.opened())
    reader.read()
    group = reader.next
    line.put(late)
    line.write(blocks[11:])
    Reader(line, states, group).read()
    is_as_if_never_stopped(line)


def test_a_listing_that_was_silent_for_long_goes_on_without_reading_all_that_lies_between(
    new_line: NewLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = new_line().usual()
    other = new_line(line).usual()
    blocks = lively()
    line.write(blocks[:20])
    other.write(lively(8, 40))
    reader = Reader(line).read()
    states = reader.checkpoint()
    line.write(blocks[20:])
    monkeypatch.setattr("streams.catch_up.read_range", None)
    Reader(line, states, reader.next).read()
    for one in (line, other):
        is_as_if_never_stopped(one)


def test_listings_of_one_partition_do_not_meet(new_line: NewLine) -> None:
    line = new_line().usual()
    other = new_line(line).usual()
    for a, b in zip(lively(7), lively(8), strict=True):
        line.write([a])
        other.write([b])
    reader = Reader(line).read(line.offsets[20])
    Reader(line, reader.checkpoint(), reader.next).read()
    for one in (line, other):
        is_as_if_never_stopped(one)
        assert one.alerts() == []


def test_while_one_listing_catches_up_the_others_go_on(new_line: NewLine) -> None:
    line = new_line().usual()
    other = new_line(line).usual()
    other.write(lively(8)[:20])
    known = Reader(other).read()
    states = known.checkpoint()
    line.write(lively(7) + lively(9) + lively(10))
    line.write(lively(11)[:1])
    other.write(lively(8)[20:])
    late = Reader(line, states, line.offsets[-1]).read(level=False)
    assert late.part.behind
    assert other.found("bars") == other.expected("bars")
    assert len(line.found("bars")) < len(line.expected("bars"))
    while late.part.behind:
        late.part.catch_up()
    late.read()
    assert line.found("bars") == line.expected("bars")
    assert line.listing in late.part.heads


def test_a_catch_up_that_was_cut_off_goes_on_from_its_snapshot(new_line: NewLine) -> None:
    line = new_line().usual()
    line.write(lively(7, 40) + lively(8, 40) + lively(9, 40))
    group = line.offsets[-1]
    cut = Reader(line, [], group)
    cut.read(level=False)
    # A checkpoint may come before the first link.
    while not (states := [state for state in cut.checkpoint() if state.head.seq]):
        cut.part.catch_up()
    assert cut.part.behind
    (reached,) = {s.head.seq for s in states}
    assert reached < 120
    line.write(lively(10, 3))
    Reader(line, states, group + 1).read()
    is_as_if_never_stopped(line)


def test_a_hole_in_the_partition_ends_the_worker(line: Line) -> None:
    from streams.partition import OutOfOrder

    line.usual()
    offsets = line.write(lively())
    reader = Reader(line).read(offsets[10])
    message = line.sealed(lively()[0])
    with pytest.raises(OutOfOrder, match=f"offset {offsets[12]} came after {offsets[10] - 1}"):
        reader.part.take(reader.part.read(offsets[12], line.listing.encode(), message))


def test_heads_are_known_of_silent_listings_too(new_line: NewLine) -> None:
    line = new_line().usual()
    other = new_line(line).usual()
    line.write(lively())
    reader = Reader(line).read()
    states = reader.checkpoint()
    other.write(lively(8)[:5])
    heads = Reader(line, states, reader.next).read().part.heads
    assert heads[line.listing] == (line.head, line.offsets[-1])
    assert heads[other.listing] == (other.head, other.offsets[-1])


def test_snapshots_are_only_of_what_changed(new_line: NewLine) -> None:
    line = new_line().usual()
    other = new_line(line).usual()
    line.write(lively()[:5])
    other.write(lively()[:5])
    reader = Reader(line).read()
    assert {s.listing for s in reader.checkpoint()} == {line.listing, other.listing}
    assert reader.checkpoint() == []
    line.write(lively()[5:7])
    assert {(s.listing, s.head.seq) for s in reader.read().checkpoint()} == {(line.listing, 7)}
    assert {s.head.mac for s in reader.changed()} == set()
    assert snapshots.load(line.kafka, KEYS, [line.partition])
    assert line.blocks[0].kind == BlockKind.DATA
