"""An account's journal as it is written: entries chained and sealed, each at its own time, with marks now and then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from infra.account_log import AccountWriter, Taken
from infra.chain_follower import Standing
from infra.clock import Clock
from schemas.chains import Position
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.journal import EntryKind, JournalSource
from schemas.journal_codec import MOST_ROWS, Head, encode_clock, encode_taken
from schemas.journal_columns import ClockRows
from streams.sequencer.inputs import Input
from streams.sequencer.place import TOPIC, Place

MARKS_EVERY: Final = 1_000
MINUTE_US: Final = 60_000_000


class JournalWriter:
    """Writes one epoch of a journal.

    Marks are in the OPEN, in each REFERENCE, in the first CLOCK of a minute and in every thousandth entry; each minute
    the newest entry that has some is anchored, so that the next writer begins there. Raises what AccountWriter does.
    """

    def __init__(
        self,
        bootstrap: str,
        keys: KeyRing,
        clock: Clock,
        account: str,
        partition: int,
        source: JournalSource,
        place: Place,
        start: Standing,
        first_marks: Callable[[], Mapping[str, int]],
    ) -> None:
        self.account = account
        self.place = place
        self._clock, self._source, self._key_id = clock, source, keys.current
        self._first_marks = first_marks
        self._marked: Taken | None = None
        self._anchored_minute = 0
        self._writer = AccountWriter(
            bootstrap,
            keys,
            clock,
            TOPIC,
            account,
            partition,
            start=start,
            opening=self._opening,
            on_record=place.take,
            on_written=self._written,
        )

    @property
    def taken_us(self) -> int:
        """When the newest entry was taken."""
        return self.place.taken_us

    @property
    def position(self) -> Position:
        """Where on the log its reading stands."""
        return self._writer.position

    def open(self) -> None:
        """Opens an epoch; `place` is then what the journal says up to it."""
        self._writer.open()

    def take(self, one: Input, now_us: int, marks: Mapping[str, int]) -> None:
        """Takes an input at `now_us`, or right after the entry before; `marks` are those without it."""
        self.place.taken_us = at_us = max(now_us, self.taken_us + 1)
        head = self._head()
        told = None
        if one.kind is EntryKind.REFERENCE or _marks_are_due(head):
            told = {**marks, one.stream: max(one.number, marks.get(one.stream, one.number))}
        self._writer.write(encode_taken(one.kind, head, at_us, one.stream, one.number, one.value, told))

    def clock(self, rows: ClockRows | None, at_us: int, marks: Mapping[str, int]) -> None:
        """Takes the whole second `at_us`, with the quotes that have come since the one before."""
        rows = rows or _NO_ROWS
        start = 0
        while True:
            end = _whole_seconds(rows, start)
            last = end == len(rows.us)
            part = rows.part(start, end)
            minute = at_us // MINUTE_US > self.taken_us // MINUTE_US
            head = self._head()
            self.place.taken_us = at_us if last else int(part.us[-1])
            told = marks if last and (minute or _marks_are_due(head)) else None
            self._writer.write(encode_clock(head, *part, taken_us=self.taken_us, marks=told))
            if last:
                return
            start = end

    def follow(self) -> None:
        """Reads back what is written, and anchors it each minute of the journal's own time."""
        self._writer.follow()
        minute = self.taken_us // MINUTE_US
        if minute > self._anchored_minute and self._marked is not None:
            self._writer.anchor(self._marked)
            self._anchored_minute = minute

    def close(self, drain: bool) -> None:
        """Ends; `drain`: once all is read back, leaving an anchor."""
        try:
            if drain:
                self._writer.drain()
                if self._marked is not None:
                    self._writer.anchor(self._marked)
        finally:
            self._writer.close()

    def _opening(self, epoch: int, nonce: bytes) -> bytes:
        at_us = max(self._clock.now_us(), self.taken_us + 1)
        marks = self.place.marks if self.place.begun else self._first_marks()
        head = Head(self._source, self.account, epoch, nonce, 0, self._key_id, ZERO_MAC)
        return encode_taken(EntryKind.OPEN, head, at_us, "", -1, b"", marks)

    def _head(self) -> Head:
        head = self._writer.head
        return Head(self._source, self.account, head.epoch, head.nonce, head.seq + 1, self._key_id, head.mac)

    def _written(self, taken: Taken) -> None:
        if taken.judged.record.mark_streams:
            self._marked = taken


def _marks_are_due(head: Head) -> bool:
    return head.seq % MARKS_EVERY == 0


def _whole_seconds(rows: ClockRows, start: int) -> int:
    """The end of the next entry's rows: it doesn't cut a second."""
    end = start + MOST_ROWS
    if end >= len(rows.us):
        return len(rows.us)
    cut = int(np.searchsorted(rows.us, rows.us[end]))
    return cut if cut > start else int(np.searchsorted(rows.us, rows.us[start], side="right"))


_NO_ROWS: Final = ClockRows(
    (),
    np.empty(0, np.int64),
    np.empty(0, np.int32),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    np.empty(0),
    np.empty(0),
    np.empty(0, np.int32),
    np.empty(0, np.int64),
)
