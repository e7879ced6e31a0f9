"""Writes files onto the end of a listing's log, in the blocks that `producers.pieces` cuts."""

from __future__ import annotations

from collections import Counter

from infra.clock import Clock
from infra.tick_writer import TickWriter
from producers.clocks import ServerClock
from producers.lean import QuoteFile
from producers.log_scan import LogScan
from producers.pieces import columns_of, judged, pieces, refusals
from producers.progress import Meter

__all__ = ["FileWriter", "columns_of", "pieces"]


class FileWriter:
    """Writes rows of files behind a log that was scanned, one file after the other; `writer` is open."""

    def __init__(
        self,
        writer: TickWriter,
        scan: LogScan,
        server_clock: ServerClock,
        ref_no: int,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self.refused = 0
        """Ticks judged broken."""
        self.reasons: Counter[str] = Counter()
        """The same by reason."""
        self._writer, self._judge = writer, scan.judge
        self._server_clock, self._ref_no = server_clock, ref_no
        self._clock, self._meter = clock, meter
        self._before_ms = scan.last_ms if scan.n else None

    def write(self, quotes: QuoteFile, start: int) -> int:
        """Writes the file from row `start` on, the rows before being the log's last; the n of its first row."""
        first_n = self._writer.head.n - start
        for piece in judged(quotes, start, self._before_ms, self._server_clock, self._judge):
            self._writer.write(
                ref_no=self._ref_no,
                received_us=self._clock.now_us(),
                server_offset_s=piece.server_offset_s,
                gap=piece.gap,
                watermark_ms=piece.watermark_ms,
                columns=piece.columns,
            )
            refused, reasons = refusals(piece.columns)
            self.refused += refused
            self.reasons.update(reasons)
            self._meter.add(piece.columns.size)
        self._before_ms = int(quotes.time_ms[-1])
        return first_n
