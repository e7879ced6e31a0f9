"""Where a journal stands by its own entries, wherever it is read from."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.account_log import Taken
from schemas.accept import Verdict
from schemas.chains import Judged, Position
from schemas.integrity import ZERO_MAC, ZERO_NONCE
from schemas.journal import EntryKind, JournalEntry, JournalSource
from streams.sequencer.place import Place

BLANK = JournalEntry(
    kind=EntryKind.CLOCK, source=JournalSource.LIVE, account="test", epoch=1, nonce=ZERO_NONCE, seq=1, taken_us=0,
    stream="", stream_seq=-1, input=b"", clock_names=(), clock_us=(), clock_listing=(), clock_n=(), clock_time_ms=(),
    clock_bid=(), clock_ask=(), clock_quality=(), clock_watermark_ms=(), mark_streams=(), mark_seqs=(), key_id="",
    prev=ZERO_MAC, mac=ZERO_MAC,
)  # fmt: skip


def entry(
    kind: EntryKind, stream: str = "", number: int = -1, us: int = 0, marks: dict[str, int] | None = None
) -> JournalEntry:
    marks = marks or {}
    return dataclasses.replace(
        BLANK, kind=kind, stream=stream, stream_seq=number, taken_us=us, mark_streams=tuple(marks),
        mark_seqs=tuple(marks.values()),
    )  # fmt: skip


def place_of(*entries: JournalEntry) -> Place:
    place = Place()
    for one in entries:
        place.apply(one)
    return place


def test_a_journal_that_nobody_wrote_has_not_begun() -> None:
    assert Place() == Place({}, 0, begun=False)


def test_the_first_opens_marks_count_and_a_later_ones_do_not() -> None:
    first, later = entry(EntryKind.OPEN, us=5, marks={"a": 1}), entry(EntryKind.OPEN, us=9, marks={"a": 7})
    assert place_of(first) == Place({"a": 1}, 5, begun=True)
    assert place_of(first, later).marks == {"a": 1}
    assert place_of(first, entry(EntryKind.INPUT, "a", 3), later).marks == {"a": 3}


def test_an_entrys_marks_are_all_marks_and_its_own_number_moves_one() -> None:
    place = place_of(
        entry(EntryKind.OPEN, marks={"a": 1, "b": 2}), entry(EntryKind.INPUT, "a", 2), entry(EntryKind.CLOCK, us=8)
    )
    assert (place.marks, place.taken_us) == ({"a": 2, "b": 2}, 8)
    place.apply(entry(EntryKind.CLOCK, marks={"a": 2, "b": 4, "c": 1}))
    assert place.marks == {"a": 2, "b": 4, "c": 1}


def test_a_record_that_isnt_taken_changes_nothing() -> None:
    place = Place()
    for verdict in set(Verdict) - {Verdict.TAKE}:
        judged = Judged(verdict, "test", entry(EntryKind.INPUT, "a", 3, 7), "", False, Position("journal", 0, 0))
        place.take(Taken(judged, b""))
    assert place == Place()


inputs = st.lists(st.tuples(st.sampled_from(["signals/x", "commands", "executions"]), st.booleans()), max_size=30)


@settings(max_examples=50, deadline=None)
@given(inputs)
def test_reading_on_from_any_entry_with_marks_is_reading_all(some: list[tuple[str, bool]]) -> None:
    counts = {"signals/x": 4, "commands": 0, "executions": 0}
    entries = [entry(EntryKind.OPEN, marks=dict(counts))]
    for us, (stream, marked) in enumerate(some, start=1):
        counts[stream] += 1
        entries.append(entry(EntryKind.INPUT, stream, counts[stream], us, dict(counts) if marked else None))
    whole = place_of(*entries)
    assert whole.marks == counts
    for start, one in enumerate(entries):
        if one.mark_streams:
            assert place_of(*entries[start:]) == whole
