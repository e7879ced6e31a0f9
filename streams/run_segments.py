"""Runs as operators see them: the segments that `segments` makes of the same blocks, without a copy of their ticks."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from schemas import codec
from schemas.jit import kernel
from schemas.quality import BROKEN
from schemas.runs import Run
from schemas.ticks import Longs
from streams.operators.base import Segment
from streams.segments import JOINED_TICKS

_BROKEN: Final = BROKEN
_JOINED: Final = JOINED_TICKS
_LOOKED_AT: Final = (
    codec.TICKS,
    codec.DEALS,
    codec.GAP,
    codec.WATERMARK_MS,
    codec.REF_NO,
    codec.OFFSET_S,
    codec.SOURCE,
)
_TICKS, _DEALS, _GAP, _WATERMARK, _REF, _OFFSET, _SOURCE = range(7)


def run_segments(run: Run) -> list[Segment]:
    """The segments; their columns are views of the run's."""
    facts: Longs = np.ascontiguousarray(run.heads[:, _LOOKED_AT].T)
    columns = run.columns
    starts: Longs = np.empty(run.links, np.int64)
    count = int(cut(facts, columns.time_ms, columns.marks[1], starts))
    blocks = [*starts[:count].tolist(), run.links]
    edges = np.concatenate((_ZERO, np.cumsum(facts[_TICKS])))[blocks].tolist()
    found = []
    for k in range(count):
        first, last = run.heads[blocks[k]].tolist(), run.heads[blocks[k + 1] - 1].tolist()
        at, end = edges[k], edges[k + 1]
        deals = slice(at, end) if facts[_DEALS, blocks[k] : blocks[k + 1]].any() else slice(0, 0)
        found.append(
            Segment(
                first[codec.FIRST_N],
                first[codec.REF_NO],
                first[codec.OFFSET_S],
                first[codec.SOURCE],
                first[codec.GAP] == 1,
                last[codec.WATERMARK_MS],
                columns.time_ms[at:end],
                columns.prices[0, at:end],
                columns.prices[1, at:end],
                columns.prices[2, deals],
                columns.prices[3, deals],
                columns.marks[0, at:end],
                columns.marks[1, at:end],
            )
        )
    return found


@kernel
def cut(facts: Any, time_ms: Any, quality: Any, starts: Any) -> int:
    """Where segments start, as numbers of blocks into `starts`; returns how many. facts: int64[7, blocks]."""
    count = 0
    ticks = 0
    deals = 0
    known = False
    newest = np.int64(0)
    at = 0
    for i in range(facts.shape[1]):
        size = facts[_TICKS, i]
        if (
            i == 0
            or facts[_GAP, i] != 0
            or ticks >= _JOINED
            or not known
            or facts[_WATERMARK, i - 1] > newest
            or facts[_REF, i] != facts[_REF, i - 1]
            or facts[_OFFSET, i] != facts[_OFFSET, i - 1]
            or facts[_SOURCE, i] != facts[_SOURCE, i - 1]
            or (ticks > 0 and size > 0 and (facts[_DEALS, i] > 0) != (deals > 0))
        ):
            starts[count] = i
            count += 1
            ticks = 0
            deals = 0
        ticks += size
        deals += facts[_DEALS, i]
        for k in range(at + size - 1, at - 1, -1):
            if not quality[k] & _BROKEN:
                newest = time_ms[k]
                known = True
                break
        at += size
    return count


_ZERO: Final[Longs] = np.zeros(1, np.int64)
