"""The judge: equal to a slow reference, free of the cut into blocks, recoverable from the log's last 1,024 ticks."""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from producers import judge as judge_module
from producers.judge import AHEAD_MS, Judge
from schemas.quality import Quality
from schemas.ticks import TickBlock, TickSource, open_block

Row = tuple[int, float, float, float, float, int]
RECEIVED_US = 1_000_000
BEHIND = Quality.BEHIND_WATERMARK


class Ticks(NamedTuple):
    time_ms: NDArray[np.int64]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    last: NDArray[np.float64]
    volume: NDArray[np.float64]
    flags: NDArray[np.int32]
    quality: NDArray[np.int32]


def columns(rows: list[Row], quality: list[int] | None = None) -> Ticks:
    time_ms, bid, ask, last, volume, flags = zip(*rows, strict=True) if rows else ((),) * 6
    return Ticks(
        np.array(time_ms, np.int64),
        np.array(bid, np.float64),
        np.array(ask, np.float64),
        np.array(last, np.float64),
        np.array(volume, np.float64),
        np.array(flags, np.int32),
        np.array(quality or [0] * len(rows), np.int32),
    )


def block_of(ticks: Ticks, quality: NDArray[np.int32], watermark_ms: int) -> TickBlock:
    empty = open_block("feed/SYMBOL", 1, bytes(8), TickSource.LIVE, RECEIVED_US, "k")
    return empty._replace(**(ticks._replace(quality=quality))._asdict(), watermark_ms=watermark_ms)


def cut(ticks: Ticks, start: int, end: int) -> Ticks:
    return Ticks(*(column[start:end] for column in ticks))


def reference(rows: list[Row], watermarks: dict[int, int], *, memory: int, live: bool) -> list[int]:
    """The rules of the protocol, tick by tick. `watermarks`: those that say more than ticks do, by the ticks before."""

    def bits(row: Row) -> tuple[Any, ...]:
        return (row[0], row[5], *(struct.pack("<d", x) for x in row[1:5]))

    found: list[int] = []
    watermark = 0
    for i, row in enumerate(rows):
        watermark = max(watermark, watermarks.get(i, 0))
        time_ms, *prices, _ = row
        bid, ask, last, volume = prices
        good = [j for j in range(max(0, i - memory), i) if found[j] == 0]
        reasons = 0
        if any(math.isnan(x) or math.isinf(x) for x in prices):
            reasons |= Quality.NOT_FINITE
        if bid <= 0 or ask <= 0 or last < 0 or volume < 0:
            reasons |= Quality.NON_POSITIVE
        if ask < bid:
            reasons |= Quality.CROSSED
        if good and time_ms < rows[good[-1]][0]:
            reasons |= Quality.BACKWARDS
        elif time_ms < watermark:
            reasons |= Quality.BEHIND_WATERMARK
        if i and bits(row) == bits(rows[i - 1]):
            reasons |= Quality.REPEATED
        if live and time_ms > RECEIVED_US // 1000 + AHEAD_MS:
            reasons |= Quality.FUTURE
        found.append(int(reasons))
        if not reasons:
            watermark = max(watermark, time_ms)
    return found


PRICES = st.sampled_from([1.0, 1.1, 1.2, 0.0, -0.0, -1.0, math.nan, math.inf, -math.inf])
GOOD_PRICES = st.sampled_from([1.0, 1.1, 1.2])
ROWS = st.one_of(
    st.tuples(st.integers(-2, 7000), GOOD_PRICES, GOOD_PRICES, st.just(0.0), st.just(0.0), st.just(6)),
    st.tuples(st.integers(-2, 7000), PRICES, PRICES, PRICES, PRICES, st.integers(0, 255)),
)
# Each row once or several times in a row, so that repeats of every kind occur.
LOGS = st.lists(st.tuples(ROWS, st.sampled_from([1, 1, 1, 2, 3])), max_size=40).map(
    lambda runs: [row for row, times in runs for _ in range(times)]
)
WATERMARKS = st.dictionaries(st.integers(0, 60), st.integers(0, 7000), max_size=3)


class ForgetfulJudge(Judge):
    """Forgets within the few ticks of an example."""

    memory = 4


JUDGES = pytest.mark.parametrize("kind", [Judge, ForgetfulJudge])


def judged(judge: Judge, ticks: Ticks, source: TickSource, watermarks: dict[int, int], ends: list[int]) -> list[int]:
    """Judges `ticks` as blocks that end at `ends`, and at the places of `watermarks` besides."""
    found: list[int] = []
    explicit = {at for at in watermarks if at <= len(ticks.time_ms)}
    start = 0
    for end in sorted({*ends, *explicit, 0, len(ticks.time_ms)}):
        found += judge.judge(cut(ticks, start, end), source, RECEIVED_US).tolist()
        judge.end_block(max(judge.watermark_ms, watermarks.get(end, 0)))
        start = end
    return found


@JUDGES
@settings(deadline=None)  # the first example compiles the kernel
@given(rows=LOGS, watermarks=WATERMARKS, source=st.sampled_from(TickSource))
def test_it_equals_the_rules_tick_by_tick(
    kind: type[Judge], rows: list[Row], watermarks: dict[int, int], source: TickSource
) -> None:
    live = source in (TickSource.LIVE, TickSource.BRIDGE)
    expected = reference(rows, watermarks, memory=kind.memory, live=live)
    assert judged(kind(), columns(rows), source, watermarks, []) == expected


@JUDGES
@settings(deadline=None)  # the first example compiles the kernel
@given(rows=LOGS, watermarks=WATERMARKS, ends=st.lists(st.integers(0, 60)))
def test_where_blocks_end_changes_nothing(
    kind: type[Judge], rows: list[Row], watermarks: dict[int, int], ends: list[int]
) -> None:
    ticks = columns(rows)
    whole, pieces = kind(), kind()
    once = judged(whole, ticks, TickSource.IMPORT, watermarks, [])
    assert judged(pieces, ticks, TickSource.IMPORT, watermarks, [end for end in ends if end <= len(rows)]) == once
    assert pieces.state() == whole.state()


@JUDGES
@settings(deadline=None)  # the first example compiles the kernel
@given(rows=LOGS, more=LOGS, watermarks=WATERMARKS, start=st.integers(0, 60))
def test_the_tail_of_the_log_is_all_it_remembers(
    kind: type[Judge], rows: list[Row], more: list[Row], watermarks: dict[int, int], start: int
) -> None:
    carried = kind()
    quality = judged(carried, columns(rows), TickSource.IMPORT, watermarks, [])
    first = max(0, min(start, len(rows) - kind.memory))
    back = kind.from_tail(columns(rows[first:], quality[first:]), carried.watermark_ms)
    assert back.state() == carried.state()
    assert judged(back, columns(more), TickSource.IMPORT, {}, []) == judged(
        carried, columns(more), TickSource.IMPORT, {}, []
    )


@JUDGES
@settings(deadline=None)  # the first example compiles the kernel
@given(rows=LOGS, ends=st.lists(st.integers(0, 60)))
def test_followed_block_by_block_it_stands_where_the_writer_stood(
    kind: type[Judge], rows: list[Row], ends: list[int]
) -> None:
    writer, reader = kind(), kind()
    start = 0
    for end in sorted({*(e for e in ends if e <= len(rows)), len(rows)}):
        quality = writer.judge(columns(rows[start:end]), TickSource.IMPORT, 0).tolist()
        reader.follow(columns(rows[start:end], quality), writer.watermark_ms)
        assert reader.state() == writer.state()
        start = end


@JUDGES
@settings(deadline=None)  # the first example compiles the kernel
@given(rows=LOGS, ends=st.lists(st.integers(0, 60)))
def test_a_log_judged_again_is_as_it_was_written_and_keeps_the_bits_of_others(
    kind: type[Judge], rows: list[Row], ends: list[int]
) -> None:
    writer, reader = kind(), kind()
    start = 0
    for end in sorted({*(e for e in ends if e <= len(rows)), len(rows)}):
        ticks = columns(rows[start:end])
        quality = writer.judge(ticks, TickSource.LIVE, RECEIVED_US) | np.int32(Quality.SPIKE | Quality.SYNTHETIC)
        expected = reader.recheck(block_of(ticks, quality, writer.watermark_ms))
        assert expected.tolist() == quality.tolist()
        start = end


def test_a_wrong_bit_shows_and_what_follows_is_judged_by_the_log_as_it_is() -> None:
    rows: list[Row] = [(5, 1.0, 1.1, 0.0, 0.0, 6), (4, 1.0, 1.1, 0.0, 0.0, 6)]
    hidden = block_of(columns(rows), np.array([0, 0], np.int32), 4)
    judge = Judge()
    assert judge.recheck(hidden).tolist() == [0, Quality.BACKWARDS]
    assert judge.judge(columns([(4, 1.0, 1.2, 0.0, 0.0, 6)]), TickSource.IMPORT, 0).tolist() == [0]


def test_empty_last_and_volume_read_as_zeros() -> None:
    row: Row = (1, 1.0, 1.1, 0.0, 0.0, 6)
    none = columns([row])._replace(last=np.empty(0), volume=np.empty(0))
    judge = Judge()
    assert judge.judge(columns([row]), TickSource.IMPORT, 0).tolist() == [0]
    assert judge.judge(none, TickSource.IMPORT, 0).tolist() == [Quality.REPEATED]
    followed = Judge.from_tail(none, 1)
    assert followed.judge(columns([row]), TickSource.IMPORT, 0).tolist() == [Quality.REPEATED]


@pytest.mark.parametrize("broken", range(Judge.memory - 2, Judge.memory + 2))
def test_a_good_tick_is_remembered_over_1024_ticks_and_its_watermark_for_ever(broken: int) -> None:
    rows: list[Row] = [(1000, 1.0, 1.1, 0.0, 0.0, 6)]
    rows += [(2000 + i, 1.1, 1.0, 0.0, 0.0, 6) for i in range(broken)]
    rows += [(999, 1.0, 1.1, 0.0, 0.0, 6)]
    expected = Quality.BACKWARDS if broken < Judge.memory else Quality.BEHIND_WATERMARK
    assert judged(Judge(), columns(rows), TickSource.IMPORT, {}, [])[-1] == expected


def test_the_kernel_reads_nothing_beyond_its_columns() -> None:
    checked = numba.njit(boundscheck=True)(judge_module._judge.py_func)
    ticks, state, quality = columns([(1, 1.0, 1.1, 0.0, 0.0, 6)]), np.zeros(10, np.int64), np.empty(1, np.int32)
    checked(*ticks[:6], 10, 1024, state, quality)
    assert quality.tolist() == [0]
    with pytest.raises(IndexError):
        checked(ticks.time_ms, *(np.empty(0) for _ in range(4)), ticks.flags, 10, 1024, state, quality)


def test_the_kernel_as_plain_python_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    prices = [(1.0, 0.5), (1.0, 1.0), (1.0, 1.0), (-1.0, 1.0), (math.nan, 1.0)]
    rows: list[Row] = [(t, bid, ask, 0.0, 0.0, 6) for t in (5, 4, 9, 7000) for bid, ask in prices]
    rows += [(3, 1.0, 1.2, 0.0, 0.0, 6)]
    compiled = judged(Judge(), columns(rows), TickSource.LIVE, {}, [7])
    assert np.bitwise_or.reduce(compiled) == sum(Quality) - sum(bit for bit in Quality if bit > 255) - BEHIND
    monkeypatch.setattr(judge_module, "_judge", judge_module._judge.py_func)
    assert judged(Judge(), columns(rows), TickSource.LIVE, {}, [7]) == compiled
