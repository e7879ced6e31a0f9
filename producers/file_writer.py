"""How a file's rows become blocks, and what their headers say: a function of the file and the log before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, tzinfo
from typing import Final, NamedTuple

import numpy as np

from infra.clock import Clock
from infra.tick_writer import TickWriter
from producers.clocks import ServerClock, local_day
from producers.lean import QuoteFile
from producers.log_scan import QUOTE_FLAGS, LogScan
from producers.progress import Meter
from schemas.catalogue import MAX_BLOCK_TICKS
from schemas.quality import names
from schemas.ticks import TickBlock, TickSource, open_block

_EMPTY: Final = open_block("", 0, bytes(8), TickSource.IMPORT, 0, "")
_SATURDAY: Final = 5


class FileWriter:
    """Writes rows of files behind a log that was scanned, one file after the other; `writer` is open."""

    def __init__(
        self,
        writer: TickWriter,
        scan: LogScan,
        zone: tzinfo,
        server_clock: ServerClock,
        ref_no: int,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self.refused = 0
        """Ticks judged broken."""
        self.reasons: Counter[str] = Counter()
        """The same by reason."""
        self._writer, self._judge, self._zone = writer, scan.judge, zone
        self._server_clock, self._ref_no = server_clock, ref_no
        self._clock, self._meter = clock, meter
        self._before_ms = scan.last_ms if scan.n else None

    def write(self, quotes: QuoteFile, start: int) -> int:
        """Writes the file from row `start` on, the rows before being the log's last; the n of its first row."""
        first_n = self._writer.head.n - start
        gap = not start and self._before_ms is not None and misses_a_day(self._before_ms, quotes.day, self._zone)
        for piece in pieces(quotes, start, self._server_clock):
            now_us = self._clock.now_us()
            quality = self._judge.judge(piece.columns, TickSource.IMPORT, now_us)
            self._writer.write(
                ref_no=self._ref_no,
                received_us=now_us,
                server_offset_s=piece.server_offset_s,
                gap=gap,
                watermark_ms=self._judge.watermark_ms,
                columns=piece.columns._replace(quality=quality),
            )
            gap = False
            for reasons, ticks in zip(*np.unique(quality[quality != 0], return_counts=True), strict=True):
                self.refused += int(ticks)
                self.reasons.update(dict.fromkeys(names(int(reasons)), int(ticks)))
            self._meter.add(len(quality))
        self._before_ms = int(quotes.time_ms[-1])
        return first_n


class Piece(NamedTuple):
    """Rows of a file as the columns of one block, with the server's offset that all of them have."""

    columns: TickBlock
    server_offset_s: int


def pieces(quotes: QuoteFile, start: int, server_clock: ServerClock) -> Iterator[Piece]:
    """The file from row `start` on, in pieces that end at multiples of 4,096 rows and where the offset changes.

    The multiples count from the file's first row, so an import that goes on cuts as one that was never killed.
    """
    offsets = server_clock.offsets_s(quotes.time_ms)
    ends = {*range(MAX_BLOCK_TICKS, quotes.ticks, MAX_BLOCK_TICKS), *(np.flatnonzero(np.diff(offsets)) + 1).tolist()}
    for end in sorted({end for end in ends if end > start} | {quotes.ticks}):
        yield Piece(columns_of(quotes, start, end), int(offsets[start]))
        start = end


def columns_of(quotes: QuoteFile, start: int = 0, end: int | None = None) -> TickBlock:
    """Rows of the file as the columns of a block; quality is still to be judged."""
    time_ms = quotes.time_ms[start:end]
    return _EMPTY._replace(
        time_ms=time_ms,
        bid=quotes.bid[start:end],
        ask=quotes.ask[start:end],
        flags=np.full(len(time_ms), QUOTE_FLAGS, np.int32),
        quality=np.zeros(len(time_ms), np.int32),
    )


def misses_a_day(before_ms: int, day: date, zone: tzinfo) -> bool:
    """Whether a day other than a Saturday lies between that of the tick before (UTC) and `day`, both in `zone`.

    Then nobody can vouch that no ticks are missing: the file's first block says so by `gap`.
    """
    last, first = local_day(before_ms, zone), (day - date(1970, 1, 1)).days
    return any((between + 3) % 7 != _SATURDAY for between in range(last + 1, first))
