"""Bars computed the slow way, with every tick of every bar kept, which the kernel is held equal to."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from schemas.quality import BROKEN
from schemas.timeframes import TIMEFRAMES, Timeframe
from streams.operators.base import Segment

Row = tuple[int | float, ...]
"""One bar, field by field as BAR_DTYPE."""


class _Forming:
    """A bar with all its ticks: (n, bid, ask, spread in points, volume)."""

    def __init__(self, start_ms: int, offset_s: int, complete: bool) -> None:
        self.start_ms = start_ms
        self.offset_s = offset_s
        self.complete = complete
        self.ticks: list[tuple[int, float, float, int, float]] = []

    def row(self, timeframe: Timeframe, proof_n: int, proof_ms: int) -> Row:
        numbers, bids, asks, spreads, volumes = zip(*self.ticks, strict=True)
        time_ms = self.start_ms - 1000 * self.offset_s
        mean = float(Fraction(sum(spreads), len(spreads)))
        return (
            proof_n, proof_ms, int(timeframe), time_ms, self.offset_s,
            bids[0], max(bids), min(bids), bids[-1], asks[-1], len(bids),
            min(spreads), mean, max(spreads), sum(volumes), numbers[0], numbers[-1], int(self.complete),
        )  # fmt: skip


def slow_bars(segments: Iterable[tuple[Segment, int]]) -> list[Row]:
    """The closed bars of consecutive segments, each with its digits, in output order.

    Exact for volumes whose sums are exact, and for digits that don't change while a bar forms.
    """
    found: list[Row] = []
    forming: dict[Timeframe, _Forming] = {}
    newest_ms: int | None = None
    after_gap = True

    def close(timeframe: Timeframe, proof_n: int, proof_ms: int) -> None:
        bar = forming.pop(timeframe, None)
        if bar is not None:
            found.append(bar.row(timeframe, proof_n, proof_ms))

    for segment, digits in segments:
        if segment.gap:
            after_gap = True
            for bar in forming.values():
                bar.complete = False
        offset_ms = 1000 * segment.server_offset_s
        volumes = segment.volume.tolist() or [0.0] * len(segment.bid)
        rows = zip(
            segment.time_ms.tolist(), segment.bid.tolist(), segment.ask.tolist(), volumes, segment.quality.tolist(),
            strict=True,
        )  # fmt: skip
        for n, (time_ms, bid, ask, volume, quality) in enumerate(rows, start=segment.first_n):
            if quality & BROKEN:
                continue
            spread = round((ask - bid) * 10.0**digits)
            for timeframe in TIMEFRAMES:
                start_ms = (time_ms + offset_ms) // timeframe.ms * timeframe.ms
                if timeframe in forming and forming[timeframe].start_ms != start_ms:
                    close(timeframe, n, time_ms)
                if timeframe not in forming:
                    forming[timeframe] = _Forming(start_ms, segment.server_offset_s, not after_gap)
                elif after_gap:
                    forming[timeframe].complete = False
                forming[timeframe].ticks.append((n, bid, ask, spread, volume))
            newest_ms, after_gap = time_ms, False
        if newest_ms is not None and segment.watermark_ms > newest_ms:
            for timeframe in TIMEFRAMES:
                bar_ = forming.get(timeframe)
                if bar_ is not None and segment.watermark_ms >= bar_.start_ms + timeframe.ms - offset_ms:
                    close(timeframe, segment.first_n + len(segment.bid), segment.watermark_ms)
    return found
