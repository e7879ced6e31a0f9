"""What of some files is on a listing's log already: one pass over the log beside the files.

The files' rows lie on the log in the files' order, if they were imported before; an import that was killed left the log
ending inside one of them. So one file after another is looked for, from where the one before ended. A row is the same
if all six columns are, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from producers.judge import Judge, TickColumns
from schemas.jit import kernel
from schemas.ticks import BlockKind, TickBlock

QUOTE_FLAGS: Final = 6
"""MT5's TICK_FLAG_BID | TICK_FLAG_ASK: a row of a quote file tells both."""

_COLUMNS: Final = 6

Rows = NDArray[np.int64]
"""int64[n, 6]: time_ms, the bits of bid, ask, last and volume, flags."""


class Place(NamedTuple):
    """Where a file's rows lie on the log: `rows` of them, from the start, are there as ticks `first_n` and on."""

    first_n: int
    rows: int


class LogScan:
    """Reads a listing's DATA blocks in order, and knows which files' rows it has seen.

    `sizes`: rows of each file, in the order of time; `load(i)`: the rows of file i, asked for one after the other.
    """

    def __init__(self, sizes: Sequence[int], load: Callable[[int], Rows]) -> None:
        self.judge: Final = Judge()
        """As it stands after the log."""
        self.n = 0
        """Ticks on the log."""
        self.last_ms = 0
        """Time of the last tick on the log, whatever its quality; UTC."""
        self._sizes, self._load = sizes, load
        self._places: list[Place] = []
        self._pattern: Rows = np.empty((0, _COLUMNS), np.int64)
        self._failure = np.empty(0, np.int64)
        self._matched = 0
        self._next_file()

    def feed(self, block: TickBlock) -> None:
        """The next block that is taken from the log."""
        if block.kind != BlockKind.DATA:
            return
        if block.first_n != self.n:
            # A Repair left ticks out: what was matched doesn't go on here.
            self._matched = 0
        rows, at = rows_of(block), 0
        while len(self._places) < len(self._sizes):
            at, self._matched = _search(rows, at, self._pattern, self._failure, self._matched)
            if self._matched < len(self._pattern):
                break
            self._places.append(Place(block.first_n + at - self._matched, self._matched))
            self._next_file()
        self.judge.follow(block, block.watermark_ms)
        self.n = block.first_n + block.size
        if block.size:
            self.last_ms = int(block.time_ms[-1])

    def places(self) -> list[Place]:
        """For each file, what of it is on the log. Rows of none, or of one, are fewer than the file has."""
        cut = [Place(self.n - self._matched, self._matched)] if len(self._places) < len(self._sizes) else []
        rest = len(self._sizes) - len(self._places) - len(cut)
        return [*self._places, *cut, *[Place(self.n, 0)] * rest]

    def _next_file(self) -> None:
        while len(self._places) < len(self._sizes) and not self._sizes[len(self._places)]:
            self._places.append(Place(self.n, 0))
        self._matched = 0
        if len(self._places) < len(self._sizes):
            self._pattern = self._load(len(self._places))
            self._failure = _failure_of(self._pattern)


def rows_of(ticks: TickColumns) -> Rows:
    """The rows of columns, to be compared; an empty `last` or `volume` reads as zeros."""
    rows = np.zeros((len(ticks.time_ms), _COLUMNS), np.int64)
    rows[:, 0] = ticks.time_ms
    for i, prices in enumerate((ticks.bid, ticks.ask, ticks.last, ticks.volume), start=1):
        if len(prices):
            rows[:, i] = np.ascontiguousarray(prices).view(np.int64)
    rows[:, 5] = ticks.flags
    return rows


# Knuth, Morris and Pratt, Fast Pattern Matching in Strings (1977): one pass over the log, also where rows repeat.


@kernel
def _failure_of(pattern: Rows) -> NDArray[np.int64]:
    """For each row: how many rows from the start are also the last ones up to and including it."""
    failure = np.zeros(len(pattern), np.int64)
    k = 0
    for i in range(1, len(pattern)):
        while k > 0 and not _same(pattern, i, pattern, k):
            k = failure[k - 1]
        if _same(pattern, i, pattern, k):
            k += 1
        failure[i] = k
    return failure


@kernel
def _search(rows: Rows, start: int, pattern: Rows, failure: NDArray[np.int64], matched: int) -> tuple[int, int]:
    """(the row behind the pattern, its length) once it is whole; else (the end, how many of its rows end there)."""
    k = matched
    for i in range(start, len(rows)):
        while k > 0 and not _same(rows, i, pattern, k):
            k = failure[k - 1]
        if _same(rows, i, pattern, k):
            k += 1
        if k == len(pattern):
            return i + 1, k
    return len(rows), k


@kernel
def _same(a: Rows, i: int, b: Rows, k: int) -> bool:
    x, y = a[i], b[k]
    return bool(x[0] == y[0] and x[1] == y[1] and x[2] == y[2] and x[3] == y[3] and x[4] == y[4] and x[5] == y[5])
