"""A clock that is written from columns has the bytes that fastavro gives the same record."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.integrity import ZERO_MAC
from schemas.journal import EntryKind, JournalEntry, JournalSource
from schemas.journal_codec import Head, encode_clock, encode_taken
from schemas.registry import decode, encode
from tests.records import doubles, ints, longs, texts

row = st.tuples(longs, ints, longs, longs, doubles, doubles, ints, longs)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(row, max_size=8),
    st.lists(texts, max_size=3),
    st.sampled_from(list(JournalSource)),
    texts,
    longs,
    st.none() | longs,
    st.dictionaries(texts, longs, max_size=3),
)
def test_a_clock_from_columns_is_the_record_of_its_rows(
    rows: list[tuple[float, ...]],
    names: list[str],
    source: JournalSource,
    account: str,
    seq: int,
    later_us: int | None,
    marks: dict[str, int],
) -> None:
    us, listing, n, time_ms, bid, ask, quality, watermark_ms = zip(*rows, strict=True) if rows else ((),) * 8
    taken_us = 7 if later_us is None and not rows else later_us
    nonce, prev = bytes(range(8)), bytes(range(16))
    value = encode_clock(
        Head(source, account, 1, nonce, seq, "k1", prev),
        names,
        np.array(us, np.int64),
        np.array(listing, np.int32),
        np.array(n, np.int64),
        np.array(time_ms, np.int64),
        np.array(bid, np.float64),
        np.array(ask, np.float64),
        np.array(quality, np.int32),
        np.array(watermark_ms, np.int64),
        taken_us,
        marks,
    )
    record = JournalEntry(
        kind=EntryKind.CLOCK,
        source=source,
        account=account,
        epoch=1,
        nonce=nonce,
        seq=seq,
        taken_us=int(us[-1]) if taken_us is None else taken_us,
        stream="",
        stream_seq=-1,
        input=b"",
        clock_names=tuple(names),
        clock_us=tuple(map(int, us)),
        clock_listing=tuple(map(int, listing)),
        clock_n=tuple(map(int, n)),
        clock_time_ms=tuple(map(int, time_ms)),
        clock_bid=bid,
        clock_ask=ask,
        clock_quality=tuple(map(int, quality)),
        clock_watermark_ms=tuple(map(int, watermark_ms)),
        mark_streams=tuple(sorted(marks)),
        mark_seqs=tuple(marks[name] for name in sorted(marks)),
        key_id="k1",
        prev=prev,
        mac=ZERO_MAC,
    )
    assert value == encode(record)
    assert encode(decode(value)) == value


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([EntryKind.OPEN, EntryKind.INPUT, EntryKind.REFERENCE]),
    texts,
    longs,
    texts,
    longs,
    st.binary(max_size=300),
    st.dictionaries(texts, longs, max_size=3),
)
def test_an_input_from_its_parts_is_the_record_of_them(
    kind: EntryKind, account: str, taken_us: int, stream: str, number: int, data: bytes, marks: dict[str, int]
) -> None:
    nonce, prev = bytes(range(8)), bytes(range(16))
    head = Head(JournalSource.LIVE, account, 3, nonce, 7, "k1", prev)
    record = JournalEntry(
        kind=kind,
        source=JournalSource.LIVE,
        account=account,
        epoch=3,
        nonce=nonce,
        seq=7,
        taken_us=taken_us,
        stream=stream,
        stream_seq=number,
        input=data,
        clock_names=(),
        clock_us=(),
        clock_listing=(),
        clock_n=(),
        clock_time_ms=(),
        clock_bid=(),
        clock_ask=(),
        clock_quality=(),
        clock_watermark_ms=(),
        mark_streams=tuple(sorted(marks)),
        mark_seqs=tuple(marks[name] for name in sorted(marks)),
        key_id="k1",
        prev=prev,
        mac=ZERO_MAC,
    )
    assert encode_taken(kind, head, taken_us, stream, number, data, marks) == encode(record)
