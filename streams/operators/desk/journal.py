"""A journal's CLOCK entry and rows of a clock: one from the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from schemas.journal import EntryKind, JournalEntry
from schemas.journal_columns import ClockRows, Entry


def rows_of(entry: JournalEntry | Entry) -> ClockRows:
    """The rows of a CLOCK entry."""
    if isinstance(entry, Entry):
        return _NONE if entry.clock is None else entry.clock
    return ClockRows(
        entry.clock_names,
        np.array(entry.clock_us, np.int64),
        np.array(entry.clock_listing, np.int32),
        np.array(entry.clock_n, np.int64),
        np.array(entry.clock_time_ms, np.int64),
        np.array(entry.clock_bid, np.float64),
        np.array(entry.clock_ask, np.float64),
        np.array(entry.clock_quality, np.int32),
        np.array(entry.clock_watermark_ms, np.int64),
    )


def clock_entry(blank: JournalEntry, rows: ClockRows, taken_us: int) -> JournalEntry:
    """`blank` as a CLOCK entry with these rows. `taken_us` is the last row's, if there is one."""
    return replace(
        blank,
        kind=EntryKind.CLOCK,
        taken_us=taken_us,
        stream="",
        stream_seq=-1,
        input=b"",
        clock_names=rows.names,
        clock_us=tuple(rows.us.tolist()),
        clock_listing=tuple(rows.listing.tolist()),
        clock_n=tuple(rows.n.tolist()),
        clock_time_ms=tuple(rows.time_ms.tolist()),
        clock_bid=tuple(rows.bid.tolist()),
        clock_ask=tuple(rows.ask.tolist()),
        clock_quality=tuple(rows.quality.tolist()),
        clock_watermark_ms=tuple(rows.watermark_ms.tolist()),
    )


def bare_time(us: int) -> ClockRows:
    """One row that only says what time it is."""
    one = np.array([us], np.int64)
    none, price = np.full(1, -1, np.int64), np.zeros(1, np.float64)
    return ClockRows((), one, np.full(1, -1, np.int32), none, none, price, price, np.zeros(1, np.int32), none)


_NONE: Final = bare_time(0).part(0, 0)
