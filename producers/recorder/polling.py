"""The cursor of a symbol: which rows of the terminal's history are on the log, and what a page brings that is new.

The terminal takes whole seconds only, so each page begins with rows that were taken before. They are told by all six
columns and by how often each is there: two ticks of one millisecond are two, and a row that the terminal gives twice
is on the log twice. A row that comes late, below others that were taken, is new as long as its second is read again.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from producers.mt5 import TICK_DTYPE
from schemas.ticks import TickBlock

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


class Cursor:
    """Where a symbol is read on: `second` is the next call's date, `page` its count."""

    def __init__(self, second: int, page: int, taken: Rows | None = None) -> None:
        """`second`: on the server's clock. `taken`: rows on the log, those from there on count."""
        self.second = second
        self.page = page
        self._smallest = page
        self._seen = b""
        """Rows as the terminal gave them in its last page, from `second` on: all of them are taken."""
        self._other = _from(_NONE if taken is None else taken, second)
        """Rows that are taken too and weren't in that page."""

    @classmethod
    def behind(cls, rows: Rows, page: int, newest_ms: int) -> Cursor:
        """The cursor behind what is on the log: `rows` are its last ones, one at least. See `take` for `newest_ms`."""
        sane = rows[:, 0][rows[:, 0] <= newest_ms]
        return cls(int(sane.max() if len(sane) else rows[:, 0].min()) // 1000, page, rows)

    def take(self, page: NDArray[np.void], asked: int, newest_ms: int) -> Fresh:
        """What is new in the answer to (second, asked); the cursor then stands behind it.

        `newest_ms`: the latest time, on the server's clock, that a tick can have; one above it doesn't move the
        cursor, or nothing would be seen until then.
        """
        complete, before = len(page) < asked, self.second
        known = len(self._seen) // page.itemsize
        vouched = True
        if not len(self._other) and page[:known].tobytes() == self._seen:
            fresh = rows_of_page(page[known:])
        else:
            fresh, self._other, vouched = self._compare(rows_of_page(page))
        times = fresh[:, 0][fresh[:, 0] <= newest_ms]
        if len(times):
            self.second = max(self.second, int(times.max()) // 1000)
            self._other = _from(self._other, self.second)
        self._seen = page[page["time_msc"] >= self.second * 1000].tobytes()
        if complete:
            self.page = max(self._smallest, self.page // 2)
        elif self.second == before:
            # All that came lies in the second that is asked for again: only a longer page gets past it.
            self.page = min(LARGEST_PAGE, self.page * 2)
        return Fresh(fresh, complete, vouched)

    def _compare(self, rows: Rows) -> tuple[Rows, Rows, bool]:
        """(new rows, taken ones that the page hasn't, whether it has any taken one or none is known or it is empty)."""
        taken = np.concatenate([rows_of_page(np.frombuffer(self._seen, TICK_DTYPE)), self._other])
        left = Counter(row.tobytes() for row in taken)
        new = np.ones(len(rows), np.bool_)
        for i, row in enumerate(rows):
            key = row.tobytes()
            if left[key] > 0:
                left[key] -= 1
                new[i] = False
        missing = np.frombuffer(b"".join(left.elements()), np.int64).reshape(-1, 6)
        vouched = len(missing) < len(taken) or not len(taken) or not len(rows)
        return rows[new], missing, vouched


def _from(rows: Rows, second: int) -> Rows:
    return rows[rows[:, 0] >= second * 1000]
