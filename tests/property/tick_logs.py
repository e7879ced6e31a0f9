"""Random logs of one listing, as blocks, and other cuts of the same ticks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from schemas.quality import BROKEN, Quality
from schemas.ticks import BlockKind, TickBlock, TickSource

HOURS_MS = 3_600_000
DAY_MS = 24 * HOURS_MS
NONCE = b"12345678"
MAC = bytes(16)


class Knobs(NamedTuple):
    """What a random log is like."""

    seed: int
    blocks: int
    longest: int
    pace_ms: int
    broken: float
    marks: float
    deals: bool


knobs = st.builds(
    Knobs,
    seed=st.integers(0, 2**32 - 1),
    blocks=st.integers(1, 40),
    longest=st.sampled_from([0, 1, 3, 30]),
    pace_ms=st.sampled_from([20, 2_000, 45_000, 1_200_000]),
    broken=st.sampled_from([0.0, 0.1, 0.9]),
    marks=st.sampled_from([0.0, 0.1, 0.5]),
    deals=st.booleans(),
)


def block(
    *,
    time_ms: np.ndarray,
    bid: np.ndarray,
    ask: np.ndarray,
    volume: np.ndarray | None = None,
    quality: np.ndarray | None = None,
    seq: int = 1,
    first_n: int = 0,
    ref_no: int = 1,
    offset_s: int = 10_800,
    gap: bool = False,
    watermark_ms: int = 0,
    listing: str = "test/EURUSD",
    source: int = TickSource.IMPORT,
) -> TickBlock:
    """A DATA block with the given columns and plain values for the rest."""
    count = len(time_ms)
    deals = np.empty(0) if volume is None else volume
    return TickBlock(
        BlockKind.DATA, listing, 1, NONCE, seq, first_n, ref_no, source, 0, offset_s, gap, watermark_ms,
        time_ms, bid, ask, deals.copy(), deals, np.zeros(count, np.int32),
        np.zeros(count, np.int32) if quality is None else quality, "k", MAC, MAC,
    )  # fmt: skip


def random_log(k: Knobs) -> list[TickBlock]:
    """Blocks with changes of offset, ref_no, gaps, watermarks above the newest tick, and broken and suspect ticks."""
    rng = np.random.default_rng(k.seed)
    blocks: list[TickBlock] = []
    first_n, ref_no, offset_s = 0, 1, 10_800
    newest = 1_399_200_000_000 + int(rng.integers(0, 7 * DAY_MS))
    watermark = newest
    price = 138_000
    for seq in range(1, k.blocks + 1):
        count = int(rng.integers(0, k.longest + 1))
        steps = np.where(rng.random(count) < 0.3, 0, rng.exponential(k.pace_ms, count)).astype(np.int64)
        steps += np.where(rng.random(count) < 0.02, rng.integers(0, 30 * HOURS_MS, count), 0)
        quality = np.zeros(count, np.int32)
        quality[rng.random(count) < 0.1] = Quality.SPIKE
        quality[rng.random(count) < 0.03] = Quality.SYNTHETIC
        quality[rng.random(count) < k.broken] = Quality.CROSSED
        start = max(newest, watermark) if rng.random() < 0.8 else newest
        time_ms = start + np.cumsum(steps)
        quality[time_ms < watermark] |= Quality.BEHIND_WATERMARK
        broken = (quality & BROKEN) != 0
        time_ms[broken] += rng.integers(-DAY_MS, DAY_MS, int(broken.sum()))
        path = price + np.cumsum(rng.integers(-3, 4, count))
        bid = path / 1e5
        ask = (path + rng.integers(0, 25, count)) / 1e5
        bid[broken] = np.where(rng.random(int(broken.sum())) < 0.5, np.nan, -1.0)
        if count:
            price = int(path[-1])
        good = time_ms[~broken]
        newest = int(good[-1]) if len(good) else newest
        ahead = rng.random() < k.marks
        watermark = max(watermark, newest + (int(rng.integers(0, 3 * k.pace_ms * 40)) if ahead else 0))
        if rng.random() < k.marks / 4:
            offset_s = 10_800 if offset_s == 7_200 else 7_200
        if rng.random() < k.marks / 4:
            ref_no += int(rng.integers(1, 3))
        gap = bool(rng.random() < k.marks / 4)
        volume = rng.integers(0, 40, count) / 4.0 if k.deals else None
        blocks.append(
            block(
                time_ms=time_ms,
                bid=bid,
                ask=ask,
                volume=volume,
                quality=quality,
                seq=seq,
                first_n=first_n,
                ref_no=ref_no,
                offset_s=offset_s,
                gap=gap,
                watermark_ms=watermark,
            )
        )
        first_n += count
    return blocks


def recut(blocks: list[TickBlock], sizes: list[int]) -> list[TickBlock]:
    """The same ticks and watermarks in blocks of `sizes` ticks, taken in turn: a block is split, runs are joined.

    Joined are neighbours of equal ref_no, offset and source without a gap, over a watermark that is no later than the
    newest tick that isn't broken.
    """
    found: list[TickBlock] = []
    turn = 0
    run: list[TickBlock] = []
    newest: int | None = None

    def flush() -> None:
        nonlocal turn
        if not run:
            return
        whole = _joined(run)
        at = 0
        while True:
            end = min(at + sizes[turn % len(sizes)], whole.size)
            turn += 1
            last = end == whole.size
            found.append(_slice(whole, at, end, seq=len(found) + 1, watermark=whole.watermark_ms if last else None))
            at = end
            if last:
                break
        run.clear()

    for one in blocks:
        if run:
            before = run[-1]
            same = (one.ref_no, one.server_offset_s, one.source) == (
                before.ref_no,
                before.server_offset_s,
                before.source,
            )
            if not same or one.gap or newest is None or before.watermark_ms > newest:
                flush()
        run.append(one)
        good = one.time_ms[(one.quality & BROKEN) == 0]
        if len(good):
            newest = int(good[-1])
    flush()
    return found


def _joined(run: list[TickBlock]) -> TickBlock:
    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(one, name) for one in run])

    return run[0]._replace(
        watermark_ms=run[-1].watermark_ms,
        **{name: column(name) for name in ("time_ms", "bid", "ask", "last", "volume", "flags", "quality")},
    )


def _slice(whole: TickBlock, at: int, end: int, *, seq: int, watermark: int | None) -> TickBlock:
    columns = {
        name: getattr(whole, name)[at:end].copy()
        for name in ("time_ms", "bid", "ask", "last", "volume", "flags", "quality")
    }
    good = columns["time_ms"][(columns["quality"] & BROKEN) == 0]
    if watermark is None:
        watermark = int(good[-1]) if len(good) else -(2**63)
    return whole._replace(
        seq=seq, first_n=whole.first_n + at, gap=whole.gap and at == 0, watermark_ms=watermark, **columns
    )


sizes = st.one_of(
    st.sampled_from([[1], [7], [100], [4096], [1_000_000]]),
    st.lists(st.integers(1, 12), min_size=1, max_size=6),
)
