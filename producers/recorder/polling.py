"""The cursor of a symbol: which rows of the terminal's history are on the log, and what a page brings that is new.

The terminal takes whole seconds only, so each page begins with rows that were taken before. They are told by all six
columns and by how often each is there: two ticks of one millisecond are two, and a row that the terminal gives twice
is on the log twice. A row that comes late, below others that were taken, is found while its second is read again: the
newest by each page, the half minute before it by a sweep.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from producers.mt5 import TICK_DTYPE
from schemas.ticks import TickBlock

LATE_S: Final = 30
"""How many seconds behind the newest tick a sweep looks for late ones."""
LARGEST_PAGE: Final = 1 << 20
"""Rows that one call asks for at most: more ticks in one second than any market has."""

Rows = NDArray[np.int64]
"""int64[n, 6]: time_msc on the server's clock, the bits of bid, ask, last and volume, flags."""

_NONE: Final = np.empty((0, 6), np.int64)


class Fresh(NamedTuple):
    """What a page brought."""

    rows: Rows
    """New ones, in the terminal's order."""
    complete: bool
    """The page was read to its end: the terminal has no more."""
    vouched: bool
    """Something that was taken before was found again, or nothing was; else ticks may be missing in between."""


def rows_of_page(page: NDArray[np.void]) -> Rows:
    """The rows of what `copy_ticks_*` returned. The volume with a fraction counts where a symbol has one."""
    rows = np.empty((len(page), 6), np.int64)
    prices = rows.view(np.float64)
    rows[:, 0] = page["time_msc"]
    prices[:, 1], prices[:, 2], prices[:, 3] = page["bid"], page["ask"], page["last"]
    prices[:, 4] = page["volume_real"]
    whole = page["volume"]
    if whole.any():
        prices[:, 4] = np.where(prices[:, 4] == 0.0, whole, prices[:, 4])
    rows[:, 5] = page["flags"].astype(np.int32)
    return rows


def rows_of_block(block: TickBlock) -> Rows:
    """The rows that a block on the log was made of."""
    rows = np.zeros((block.size, 6), np.int64)
    prices = rows.view(np.float64)
    rows[:, 0] = block.time_ms + block.server_offset_s * 1000
    for i, column in enumerate((block.bid, block.ask, block.last, block.volume), start=1):
        if len(column):
            prices[:, i] = column
    rows[:, 5] = block.flags
    return rows


class Question(NamedTuple):
    """What to ask `copy_ticks_from` for."""

    second: int
    """On the server's clock."""
    rows: int


class Cursor:
    """Where a symbol is read on: from `second`, the newest that has a tick.

    A sweep asks for the seconds before it again, since a tick may come late; until a page is complete it isn't over.
    """

    def __init__(self, second: int, page: int, taken: Rows | None = None) -> None:
        """Nothing before `second` is asked for. `page`: rows to ask for. `taken`: the rows on the log from there on."""
        self.second = second
        self.page = page
        self._smallest = page
        self._floor = second
        self._past, self._current = b"", b""
        """Rows as the terminal gave them, all of them taken: from the floor to `second`, and from there on."""
        self._other = _from(_NONE if taken is None else taken, second)
        """Rows that are taken too, and weren't where the terminal gave those."""

    @classmethod
    def behind(cls, rows: Rows, page: int, newest_ms: int, *, all_rows: bool) -> Cursor:
        """The cursor behind what is on the log: `rows` are its last ones, one at least. See `take` for `newest_ms`.

        `all_rows`: there are no others; else the first second may not be whole, and has to be before the newest.
        """
        sane = rows[:, 0][rows[:, 0] <= newest_ms]
        second = int(sane.max() if len(sane) else rows[:, 0].min()) // 1000
        known = int(rows[:, 0].min()) // 1000 + (not all_rows)
        cursor = cls(min(max(known, second - LATE_S), second), page, rows)
        cursor.second = second
        return cursor

    def ask(self, sweep: bool) -> Question:
        """What to ask for; a sweep for late ticks as well."""
        if not sweep:
            return Question(self.second, self.page)
        return Question(self._floor, self.page + len(self._past) // TICK_DTYPE.itemsize + len(self._other))

    def take(self, page: NDArray[np.void], question: Question, newest_ms: int) -> Fresh:
        """What is new in the answer; the cursor then stands behind it.

        `newest_ms`: the latest time, on the server's clock, that a tick can have; one above it doesn't move the
        cursor, or nothing would be seen until then.
        """
        complete, before = len(page) < question.rows, self.second
        swept = question.second < self.second
        seen = self._past + self._current if swept else self._current
        known = len(seen) // page.itemsize
        vouched = True
        if not len(self._other) and page[:known].tobytes() == seen:
            fresh = rows_of_page(page[known:])
        else:
            fresh, self._other, vouched = self._compare(page, question.second)
        times = fresh[:, 0][fresh[:, 0] <= newest_ms]
        if len(times):
            self.second = max(self.second, int(times.max()) // 1000)
        self._keep(page, b"" if swept else self._past)
        if complete:
            self.page = max(self._smallest, self.page // 2)
        elif self.second == before:
            # All that came lies in the second that is asked for again: only a longer page gets past it.
            self.page = min(LARGEST_PAGE, self.page * 2)
        return Fresh(fresh, complete, vouched)

    def _keep(self, page: NDArray[np.void], past: bytes) -> None:
        """Remembers the page's rows behind those of `past`, and forgets what is too old to be asked for again."""
        older = page["time_msc"] < self.second * 1000
        self._past, self._current = past + page[older].tobytes(), page[~older].tobytes()
        if self.second - LATE_S > self._floor:
            self._floor = self.second - LATE_S
            rows = np.frombuffer(self._past, TICK_DTYPE)
            self._past = rows[rows["time_msc"] >= self._floor * 1000].tobytes()
            self._other = _from(self._other, self._floor)

    def _compare(self, page: NDArray[np.void], second: int) -> tuple[Rows, Rows, bool]:
        """(new rows, taken ones that the page hasn't, whether it has any taken one or none is known or it is empty)."""
        rows = rows_of_page(page)
        known = np.concatenate([rows_of_page(np.frombuffer(self._past + self._current, TICK_DTYPE)), self._other])
        left = Counter(row.tobytes() for row in _from(known, second))
        taken = left.total()
        new = np.ones(len(rows), np.bool_)
        for i, row in enumerate(rows):
            key = row.tobytes()
            if left[key] > 0:
                left[key] -= 1
                new[i] = False
        missing = np.frombuffer(b"".join(left.elements()), np.int64).reshape(-1, 6)
        vouched = len(missing) < taken or not taken or not len(rows)
        unasked = self._other[self._other[:, 0] < second * 1000]
        return rows[new], np.concatenate([unasked, missing]), vouched


def _from(rows: Rows, second: int) -> Rows:
    return rows[rows[:, 0] >= second * 1000]
