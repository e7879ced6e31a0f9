"""One listing while it is recorded: what a page brings becomes blocks on the end of its log."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from infra.tick_writer import TickWriter
from producers.judge import AHEAD_MS
from producers.mt5 import COPY_TICKS_ALL, Mt5
from producers.recorder.offset import ServerOffset
from producers.recorder.polling import Cursor, Rows
from producers.recorder.reference import LiveReference
from producers.recorder.tail import Tail
from producers.recorder.watermark import ListingWatermark, Server
from producers.suspicion import outside_session
from schemas.catalogue import MAX_BLOCK_TICKS
from schemas.quality import BROKEN
from schemas.ticks import TickBlock, TickSource, open_block

SWEEP_US: Final = 5_000_000
"""How often late ticks are looked for."""
LOOK_BACK_S: Final = 60
"""How far before a symbol's newest tick its log begins."""
MAX_WAITING: Final = 128
"""Blocks on their way to the log from which on a listing isn't read: the terminal keeps its ticks meanwhile."""
_SUCCESS: Final = 1
_NO_MEMORY: Final = (-3, "No memory")
"""What the package says of nothing; of a terminal that is out of memory the same code says `Terminal: Out of memory`.
"""

_EMPTY: Final = open_block("", 0, bytes(8), TickSource.LIVE, 0, "")
_MINUTE_MS: Final = 60_000


def means_no_ticks(code: int, text: str) -> bool:
    """Whether None is an answer without ticks, by `last_error()` behind it; else the call failed."""
    return code == _SUCCESS or (code, text) == _NO_MEMORY


class CallFailed(Exception):
    """A call for a listing failed: `last_error()` as (code, text)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code, self.text = code, text


class Now(NamedTuple):
    """What time it is."""

    us: int
    """By the clock of records."""
    steady_us: int
    """By one that nobody moves."""


class Polled(NamedTuple):
    """What a poll brought."""

    ticks: int
    complete: bool
    """The page was read to its end."""
    shown_msc: int
    """The newest time that can show the server's offset; 0 if none can."""
    gap: str = ""
    """Why ticks may be missing before those of this poll."""


class RecordedListing:
    """Reads a symbol on and writes its chain; `writer` is open."""

    def __init__(
        self,
        symbol: str,
        writer: TickWriter,
        tail: Tail,
        offset: ServerOffset,
        reference: LiveReference,
        server: Server,
        *,
        page: int,
        start_second: int,
        now: Now,
    ) -> None:
        """`start_second`: of the server's clock, where to begin if nothing is on the log."""
        self.symbol, self.listing, self.writer = symbol, writer.listing, writer
        self.first_n = writer.head.n
        """Number of the first tick of the last poll that brought any."""
        self._judge, self._suspicion = tail.judge, tail.suspicion
        self._offset, self._reference, self._server = offset, reference, server
        self._header_ms = 0 if tail.last is None else tail.last.watermark_ms
        self._mark = ListingWatermark()
        self._sweep_us = 0
        if len(tail.rows):
            newest_ms = now.us // 1000 + AHEAD_MS + offset.at(now.us // 1000) * 1000
            self._cursor = Cursor.behind(tail.rows, page, newest_ms, all_rows=tail.all_rows)
        else:
            self._cursor = Cursor(start_second, page)
        self.connected(now)

    def connected(self, now: Now) -> None:
        """The terminal was connected, or the symbol was selected for the first time."""
        self._mark.connected(now.us // 1000, now.steady_us)
        self._behind = True
        self._sweep_us = 0

    def poll(self, mt5: Mt5, clock: Callable[[], Now], check_source: Callable[[], None]) -> Polled:
        """Reads one page on, and writes what is new in it. Raises CallFailed, and what TickWriter.write raises.

        `check_source` is called before a page is written that has nothing of what was taken before: it may be another
        source's. It raises if it is, and then nothing of the page counts as taken.
        """
        asked_us = clock().us
        question = self._cursor.ask(sweep=asked_us >= self._sweep_us)
        page = mt5.copy_ticks_from(self.symbol, question.second, question.rows, COPY_TICKS_ALL)
        now = clock()
        if page is None or not len(page):
            if page is None and not means_no_ticks(*(failure := mt5.last_error())):
                raise CallFailed(*failure)
            # No evidence of anything: what was there before would have to be there again.
            return Polled(0, True, 0)
        newest_ms = now.us // 1000 + AHEAD_MS
        cursor = copy(self._cursor)
        fresh = cursor.take(page, question, newest_ms + self._offset.at(newest_ms) * 1000)
        if not fresh.vouched or not self.writer.head.n:
            check_source()
        self._cursor = cursor
        if fresh.complete and asked_us >= self._sweep_us:
            self._sweep_us = asked_us + SWEEP_US
        if not len(fresh.rows):
            if fresh.complete:
                self._heartbeat(now)
                self._behind = False
            return Polled(0, fresh.complete, 0)
        gap = "" if fresh.vouched else "the terminal's history has none of the ticks that the log ends with"
        self._write(fresh.rows, fresh.complete, bool(gap), now)
        shown_msc = 0 if self._behind else int(fresh.rows[-1, 0])
        self._behind = not fresh.complete
        return Polled(len(fresh.rows), fresh.complete, shown_msc, gap)

    def _heartbeat(self, now: Now) -> None:
        """A block without ticks, if the watermark passes a minute that nothing on the log has passed."""
        own_ms = self._judge.watermark_ms
        watermark_ms = self._watermark(now)
        if watermark_ms // _MINUTE_MS > own_ms // _MINUTE_MS:
            self._put(_EMPTY, self._offset.at(watermark_ms), watermark_ms, False, now)

    def _watermark(self, now: Now) -> int:
        sessions = self._reference.sessions.get(self.listing)
        now_ms = now.us // 1000
        own_ms = self._judge.watermark_ms
        return self._mark.value(own_ms, self._server, now_ms, now.steady_us, self._offset.at(now_ms), sessions)

    def _write(self, rows: Rows, complete: bool, gap: bool, now: Now) -> None:
        self.first_n = self.writer.head.n
        offsets = self._offset.of(rows[:, 0], now.us // 1000)
        prices = rows.view(np.float64)
        cuts = set(range(MAX_BLOCK_TICKS, len(rows), MAX_BLOCK_TICKS))
        if (offsets != offsets[0]).any():
            cuts |= set((np.flatnonzero(np.diff(offsets)) + 1).tolist())
        start = 0
        for end in sorted({*cuts, len(rows)}):
            part, own = rows[start:end], prices[start:end]
            deals = bool(own[:, 3].any() or own[:, 4].any())
            block = _EMPTY._replace(
                time_ms=part[:, 0] - offsets[start:end] * 1000,
                bid=own[:, 1].copy(),
                ask=own[:, 2].copy(),
                last=own[:, 3].copy() if deals else _EMPTY.last,
                volume=own[:, 4].copy() if deals else _EMPTY.volume,
                flags=part[:, 5].astype(np.int32),
            )
            offset_s = int(offsets[start])
            block = block._replace(quality=self._quality(block, offset_s, now))
            good = block.time_ms[(block.quality & BROKEN) == 0]
            if len(good):
                self._server.newest_ms = max(self._server.newest_ms, int(good[-1]))
                self._mark.ticked(int(good[-1]), now.steady_us)
            whole = complete and end == len(rows)
            self._put(block, offset_s, self._watermark(now) if whole else self._header_ms, gap and not start, now)
            start = end

    def _quality(self, block: TickBlock, offset_s: int, now: Now) -> NDArray[np.int32]:
        broken = self._judge.judge(block, TickSource.LIVE, now.us)
        suspect = self._suspicion.suspect(block._replace(quality=broken), now.us)
        outside = outside_session(block.time_ms, offset_s, self._reference.sessions.get(self.listing))
        return np.where(broken == 0, suspect | outside, broken).astype(np.int32)

    def _put(self, block: TickBlock, offset_s: int, watermark_ms: int, gap: bool, now: Now) -> None:
        self.writer.write(
            ref_no=self._reference.ref_no,
            received_us=now.us,
            server_offset_s=offset_s,
            gap=gap,
            watermark_ms=watermark_ms,
            columns=block,
        )
        self._judge.end_block(watermark_ms)
        self._header_ms = watermark_ms
