"""Blocks as operators see them: cut and joined into runs in which nothing but the ticks changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from schemas.events import ListingSpec
from schemas.quality import BROKEN
from schemas.ticks import TickBlock
from streams.operators.base import NEVER_MS, Segment
from streams.reference import SpecStep

JOINED_TICKS: Final = 4_096
"""Short blocks are joined up to about so many ticks; longer ones gain nothing."""


def segments(blocks: Sequence[TickBlock]) -> Iterator[Segment]:
    """Consecutive DATA blocks of one listing as segments.

    Neighbours of equal ref_no, offset and source are joined, except over a gap, between ticks with and without deals,
    and over a watermark that may prove something: one above the newest good tick.
    """
    run: list[TickBlock] = []
    ticks = 0
    deals = 0
    newest: int | None = None
    for block in blocks:
        if run:
            last = run[-1]
            if (
                block.gap
                or ticks >= JOINED_TICKS
                or newest is None
                or last.watermark_ms > newest
                or block.ref_no != last.ref_no
                or block.server_offset_s != last.server_offset_s
                or block.source != last.source
                or block.first_n != last.first_n + len(last.quality)
                or (ticks > 0 and len(block.quality) > 0 and (len(block.last) > 0) != (deals > 0))
            ):
                yield _segment(run)
                run = []
                ticks = deals = 0
        run.append(block)
        ticks += len(block.quality)
        deals += len(block.last)
        newest = _newest_ms(block, newest)
    if run:
        yield _segment(run)


def with_spec(segment: Segment, steps: Sequence[SpecStep]) -> list[tuple[Segment, ListingSpec | None]]:
    """The segment, cut where another ListingSpec comes into force, which is at a good tick.

    None: there is no good tick, or no spec is in force.
    """
    if (
        len(steps) == 1
        and len(segment.quality)
        and not segment.quality[0] & BROKEN
        and segment.time_ms[0] >= steps[0].from_ms
    ):
        return [(segment, steps[0].spec)]
    good = np.flatnonzero((segment.quality & BROKEN) == 0)
    if not len(good):
        return [(segment, None)]
    # Good ticks never go back in time, so each step begins at one place among them.
    places = np.searchsorted(segment.time_ms[good], [step.from_ms for step in steps])
    cuts: list[tuple[int, ListingSpec | None]] = [(0, None)]
    for place, step in zip(places.tolist(), steps, strict=True):
        if place == 0:
            cuts[0] = (0, step.spec)
        elif place < len(good):
            at = int(good[place])
            if cuts[-1][0] == at:
                cuts.pop()
            cuts.append((at, step.spec))
    ends = [at for at, _ in cuts[1:]] + [len(segment.quality)]
    return [(piece(segment, at, end), spec) for (at, spec), end in zip(cuts, ends, strict=True)]


def piece(segment: Segment, at: int, end: int) -> Segment:
    """Ticks [at, end) of a segment: the first piece has its gap, the last its watermark, others one proving nothing."""
    whole = len(segment.quality)
    if at == 0 and end == whole:
        return segment
    deals = slice(at, end) if len(segment.last) else slice(0, 0)
    return segment._replace(
        first_n=segment.first_n + at,
        gap=segment.gap and at == 0,
        watermark_ms=segment.watermark_ms if end == whole else NEVER_MS,
        time_ms=segment.time_ms[at:end],
        bid=segment.bid[at:end],
        ask=segment.ask[at:end],
        last=segment.last[deals],
        volume=segment.volume[deals],
        flags=segment.flags[at:end],
        quality=segment.quality[at:end],
    )


def _segment(run: list[TickBlock]) -> Segment:
    first, last = run[0], run[-1]
    if len(run) == 1:
        columns = (first.time_ms, first.bid, first.ask, first.last, first.volume, first.flags, first.quality)
        return Segment(
            first.first_n, first.ref_no, first.server_offset_s, first.source, first.gap, first.watermark_ms, *columns
        )
    return Segment(
        first.first_n,
        first.ref_no,
        first.server_offset_s,
        first.source,
        first.gap,
        last.watermark_ms,
        np.concatenate([b.time_ms for b in run]),
        np.concatenate([b.bid for b in run]),
        np.concatenate([b.ask for b in run]),
        np.concatenate([b.last for b in run]),
        np.concatenate([b.volume for b in run]),
        np.concatenate([b.flags for b in run]),
        np.concatenate([b.quality for b in run]),
    )


def _newest_ms(block: TickBlock, before: int | None) -> int | None:
    quality = block.quality
    if not len(quality):
        return before
    if not quality[-1] & BROKEN:
        return int(block.time_ms[-1])
    good = np.flatnonzero((quality & BROKEN) == 0)
    return int(block.time_ms[good[-1]]) if len(good) else before
