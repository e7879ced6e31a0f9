"""An entry that is read in one pass says what fastavro reads of it, and whatever fastavro refuses is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas.codec
import schemas.journal_columns
from schemas.journal import EntryKind, JournalEntry
from schemas.journal_columns import Entry, read_entry
from schemas.registry import UnreadableRecord, decode, encode
from streams.operators.desk import clock_entry
from tests.kernels import bounds_checked, plain
from tests.records import doubles, ints, longs, records, texts
from tests.unit.streams.desk.account import SPEC, T0, rows
from tests.unit.streams.desk.test_journal_fold import BLANK

COLUMNS = (
    "clock_us", "clock_listing", "clock_n", "clock_time_ms", "clock_bid", "clock_ask", "clock_quality",
    "clock_watermark_ms",
)  # fmt: skip


@st.composite
def entries(draw: st.DrawFn) -> JournalEntry:
    """Entries as they may lie on a journal: the columns of a clock fit together."""
    record: Any = draw(records(JournalEntry))  # type: ignore[arg-type]
    names, rows = draw(st.lists(texts, max_size=3)), draw(st.integers(0, 6))
    if record.kind is not EntryKind.CLOCK:
        names, rows = [], 0
    some: dict[str, Any] = {"clock_bid": doubles, "clock_ask": doubles, "clock_quality": ints}
    some["clock_listing"] = st.integers(-1, len(names) - 1)
    columns: dict[str, Any] = {
        c: tuple(draw(st.lists(some.get(c, longs), min_size=rows, max_size=rows))) for c in COLUMNS
    }
    marks = draw(st.dictionaries(texts, longs, max_size=3))
    made: JournalEntry = dataclasses.replace(
        record, clock_names=tuple(names), mark_streams=tuple(marks), mark_seqs=tuple(marks.values()), **columns
    )
    return made


def as_read(record: JournalEntry, found: Entry) -> None:
    own = found._asdict()
    for name in ("kind", "source", "account", "epoch", "nonce", "seq", "taken_us", "stream", "stream_seq", "input",
                 "key_id", "prev", "mac"):  # fmt: skip
        assert own[name] == getattr(record, name), name
    assert found.marks == dict(zip(record.mark_streams, record.mark_seqs, strict=True))
    assert (found.clock is not None) == (record.kind is EntryKind.CLOCK)
    if found.clock is not None:
        assert found.clock.names == record.clock_names
        arrays: tuple[Any, ...] = found.clock[1:]
        for name, column in zip(COLUMNS, arrays, strict=True):
            assert column.tobytes() == np.array(getattr(record, name), column.dtype).tobytes(), name


@settings(deadline=None, max_examples=100)
@given(entries())
def test_what_is_read_is_what_the_record_says(record: JournalEntry) -> None:
    as_read(record, read_entry(encode(record)))


@settings(deadline=None, max_examples=100)
@given(entries(), st.data())
def test_bytes_that_fastavro_refuses_are_refused(record: JournalEntry, data: st.DataObject) -> None:
    value = bytearray(encode(record))
    for _ in range(data.draw(st.integers(1, 2))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(value)))
    for mangled in (bytes(value), bytes(value[:cut]), bytes(value) + b"\x00"):
        with bounds_checked(schemas.journal_columns):
            try:
                found = read_entry(mangled)
            except UnreadableRecord:
                continue
        again = decode(mangled)
        assert isinstance(again, JournalEntry)
        as_read(again, found)


@pytest.mark.parametrize(
    "wrong", [{"clock_us": ()}, {"clock_listing": (1,)}, {"clock_listing": (-2,)}, {"kind": EntryKind.INPUT}]
)
def test_a_clock_whose_columns_do_not_fit_together_is_no_entry(wrong: dict[str, Any]) -> None:
    with pytest.raises(UnreadableRecord):
        read_entry(encode(dataclasses.replace(clock_entry(BLANK, rows((T0, 5, 1.1, 1.2)), T0), **wrong)))


def test_another_record_is_no_entry() -> None:
    with pytest.raises(UnreadableRecord, match="no JournalEntry"):
        read_entry(encode(SPEC))


def test_the_kernel_as_python_reads_the_same() -> None:
    value = encode(clock_entry(BLANK, rows((T0, 5, 1.1, 1.2), (T0, 6, 1.1, 1.2)), T0))
    with plain(schemas.journal_columns, schemas.codec):
        as_read(decode(value), read_entry(value))  # type: ignore[arg-type]
