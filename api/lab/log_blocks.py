"""Segments of the log as the long blocks that a backtest is fast with: their ticks copied once, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from schemas.quality import BROKEN
from schemas.ticks import BlockKind, TickBlock, TickSource
from streams.operators.base import Segment

LONGEST: Final = 65_536
"""Ticks of a block: as many as a file's have."""


def blocks_of(listing: str, ref_no: int, segments: Iterable[Segment]) -> Iterator[TickBlock]:
    """The segments' ticks as DATA blocks of up to LONGEST ticks and at least a segment, with `ref_no` for their own.

    A segment's columns are read before the next one is asked for. What is joined is what `streams.segments` would
    join: nothing over a gap, another offset, source or kind of ticks, or a watermark that may prove something.
    """
    room, seq = _Room(), 0
    for segment in segments:
        size = len(segment.quality)
        if not size:
            continue
        if room.size and not room.takes(segment):
            seq += 1
            yield room.block(listing, seq, ref_no)
            room = _Room()
        room.add(segment)
    if room.size:
        yield room.block(listing, seq + 1, ref_no)


class _Room:
    """Columns that fill up."""

    def __init__(self) -> None:
        self.size = 0
        self._first: Segment | None = None
        self._last: Segment | None = None
        self._newest_ms: int | None = None
        self._longs = np.empty(0, np.int64)
        self._doubles = np.empty((4, 0))
        self._ints = np.empty((2, 0), np.int32)

    def takes(self, segment: Segment) -> bool:
        """Whether the segment goes on where the last one ended, and there is room for it."""
        first, last, newest_ms = self._first, self._last, self._newest_ms
        assert first is not None
        assert last is not None
        return (
            self.size + len(segment.quality) <= len(self._longs)
            and not segment.gap
            and newest_ms is not None
            and last.watermark_ms <= newest_ms
            and segment.server_offset_s == first.server_offset_s
            and segment.source == first.source
            and segment.first_n == first.first_n + self.size
            and bool(len(segment.last)) == bool(len(first.last))
        )

    def add(self, segment: Segment) -> None:
        """Copies its columns behind those that are there."""
        size, deals = len(segment.quality), len(segment.last) > 0
        if self._first is None:
            most = max(LONGEST, size)
            self._first = segment
            self._longs = np.empty(most, np.int64)
            self._doubles = np.empty((4 if deals else 2, most))
            self._ints = np.empty((2, most), np.int32)
        some = slice(self.size, self.size + size)
        self._longs[some] = segment.time_ms
        self._doubles[0, some], self._doubles[1, some] = segment.bid, segment.ask
        if deals:
            self._doubles[2, some], self._doubles[3, some] = segment.last, segment.volume
        self._ints[0, some], self._ints[1, some] = segment.flags, segment.quality
        newest = _newest_ms(segment)
        self._newest_ms = self._newest_ms if newest is None else newest
        self._last = segment
        self.size += size

    def block(self, listing: str, seq: int, ref_no: int) -> TickBlock:
        """All that is in it."""
        first, last, n = self._first, self._last, self.size
        assert first is not None
        assert last is not None
        deals = len(self._doubles) > 2
        return TickBlock(
            kind=BlockKind.DATA,
            listing=listing,
            epoch=1,
            nonce=bytes(8),
            seq=seq,
            first_n=first.first_n,
            ref_no=ref_no,
            source=TickSource(first.source),
            received_us=0,
            server_offset_s=first.server_offset_s,
            gap=first.gap,
            watermark_ms=last.watermark_ms,
            time_ms=self._longs[:n],
            bid=self._doubles[0, :n],
            ask=self._doubles[1, :n],
            last=self._doubles[2, :n] if deals else np.empty(0),
            volume=self._doubles[3, :n] if deals else np.empty(0),
            flags=self._ints[0, :n],
            quality=self._ints[1, :n],
            key_id="",
            prev=bytes(16),
            mac=bytes(16),
        )


def _newest_ms(segment: Segment) -> int | None:
    if not segment.quality[-1] & BROKEN:
        return int(segment.time_ms[-1])
    good = np.flatnonzero((segment.quality & BROKEN) == 0)
    return int(segment.time_ms[good[-1]]) if len(good) else None
