"""How a file's rows become blocks: where they are cut, what the judge says of them, and what their headers say.

A function of the file and the log before it; needs no broker, so a backtest reads files by the same code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from producers.cache import let_go
from producers.clocks import ServerClock
from producers.formats.bars import qualities_of
from producers.formats.gaps import misses_a_day, missing_days
from producers.judge import Judge
from producers.lean import QuoteFile
from producers.log_scan import QUOTE_FLAGS
from schemas.catalogue import MAX_BLOCK_TICKS
from schemas.quality import BROKEN, names
from schemas.ticks import TickBlock, TickSource, open_block

_WINDOW: Final = 256 * 4_096
"""Rows that are looked at at once for where to cut."""
_EMPTY: Final = open_block("", 0, bytes(8), TickSource.IMPORT, 0, "")


class JudgedPiece(NamedTuple):
    """A block to be: its columns with their quality, and what its header says."""

    columns: TickBlock
    server_offset_s: int
    gap: bool
    watermark_ms: int


def judged(
    quotes: QuoteFile,
    start: int,
    before_ms: int | None,
    server_clock: ServerClock,
    judge: Judge,
    most: int = MAX_BLOCK_TICKS,
) -> Iterator[JudgedPiece]:
    """The blocks of a file from row `start` on, of at most `most` ticks; `judge` stands after what lies before.

    `before_ms`: UTC time of the tick before the file's first row; None if there is none.
    """
    gap = not start and before_ms is not None and quotes.ticks > 0
    gap = gap and misses_a_day(before_ms or 0, int(quotes.time_ms[0]), quotes.clock)
    for piece in pieces(quotes, start, server_clock, most):
        broken = judge.judge(piece.columns, TickSource.IMPORT, 0)
        columns = piece.columns._replace(quality=broken | piece.columns.quality)
        yield JudgedPiece(columns, piece.server_offset_s, gap or piece.gap, judge.watermark_ms)
        gap = False


class Piece(NamedTuple):
    """Rows of a file as the columns of one block, with the server's offset that all of them have."""

    columns: TickBlock
    server_offset_s: int
    gap: bool
    """A day is missing before it, inside the file."""


def pieces(quotes: QuoteFile, start: int, server_clock: ServerClock, most: int = MAX_BLOCK_TICKS) -> Iterator[Piece]:
    """The file from row `start` on, in pieces that end at multiples of `most` rows, and where the offset changes or a
    day is missing.

    The multiples count from the file's first row, so an import that goes on cuts as one that was never killed.
    """
    begin, offset, gap = start, 0, False
    for window in range(start, quotes.ticks, _WINDOW):
        end = min(window + _WINDOW, quotes.ticks)
        # The row before, too: what changes between it and the first is a cut.
        first = max(window - 1, 0)
        times = quotes.time_ms[first:end]
        offsets = server_clock.offsets_s(times)
        gaps = set((np.flatnonzero(missing_days(times, quotes.clock)) + first + 1).tolist())
        if window == start:
            offset, gap = int(offsets[start - first]), start in gaps
        changes = (np.flatnonzero(np.diff(offsets)) + first + 1).tolist()
        multiples = range((begin // most + 1) * most, end, most)
        for cut in sorted({cut for cut in (*multiples, *changes, *gaps) if cut > begin}):
            yield Piece(columns_of(quotes, begin, cut), offset, gap)
            begin, offset, gap = cut, int(offsets[cut - first]), cut in gaps
        if end < quotes.ticks:
            for column in (quotes.time_ms, quotes.bid, quotes.ask, quotes.last, quotes.volume, quotes.flags):
                let_go(column)
    if begin < quotes.ticks:
        yield Piece(columns_of(quotes, begin, quotes.ticks), offset, gap)


def columns_of(quotes: QuoteFile, start: int = 0, end: int | None = None) -> TickBlock:
    """Rows of the file as the columns of a block; quality is still to be judged, but for synthetic ticks' bits."""
    time_ms = quotes.time_ms[start:end]
    end = start + len(time_ms)
    flags = quotes.flags
    return _EMPTY._replace(
        time_ms=time_ms,
        bid=quotes.bid[start:end],
        ask=quotes.ask[start:end],
        last=quotes.last[start:end],
        volume=quotes.volume[start:end],
        flags=np.full(len(time_ms), QUOTE_FLAGS, np.int32) if flags is None else flags[start:end],
        quality=qualities_of(start, end) if quotes.synthetic else np.zeros(len(time_ms), np.int32),
    )


def refusals(columns: TickBlock) -> tuple[int, Counter[str]]:
    """(how many ticks of a block are broken, how many for which reason)."""
    broken = columns.quality & np.int32(BROKEN)
    refused, reasons = 0, Counter[str]()
    for bits, ticks in zip(*np.unique(broken[broken != 0], return_counts=True), strict=True):
        refused += int(ticks)
        reasons.update(dict.fromkeys(names(int(bits)), int(ticks)))
    return refused, reasons
