"""Suspect bits: free of the cut into blocks, recoverable from the log's last 1,024 ticks, and what they are for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from producers.judge import Judge
from producers.recheck import Recheck
from producers.suspicion import Suspicion, outside_session
from schemas.configuration import SessionTable
from schemas.integrity import UNWRITTEN
from schemas.quality import Quality
from schemas.ticks import TickSource, open_block

RECEIVED_US = 1_790_000_000_000_000
NOW_MS = RECEIVED_US // 1000


class Ticks(NamedTuple):
    time_ms: NDArray[np.int64]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    last: NDArray[np.float64]
    volume: NDArray[np.float64]
    flags: NDArray[np.int32]
    quality: NDArray[np.int32]

    def cut(self, start: int, end: int | None = None) -> Ticks:
        return Ticks._make(column[start:end] for column in self)


def walk(count: int, seed: int, broken: float = 0.0) -> Ticks:
    """A quiet market with a few wild ticks in it."""
    random = np.random.default_rng(seed)
    mid = 1.1 + np.cumsum(random.integers(-2, 3, count)) * 1e-5
    wild = random.random(count) < 0.02
    mid = mid + wild * random.choice([-0.01, 0.01], count)
    spread = 1e-5 * random.integers(1, 4, count) + (random.random(count) < 0.02) * 0.003
    none = np.zeros(count)
    quality = np.where(random.random(count) < broken, np.int32(Quality.BACKWARDS), np.int32(0)).astype(np.int32)
    return Ticks(
        NOW_MS - random.integers(0, 7_000, count), mid - spread / 2, mid + spread / 2, none, none,
        np.full(count, 6, np.int32), quality,
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9_999), st.lists(st.integers(0, 1_500), max_size=8), st.sampled_from([0.0, 0.1, 0.97]))
def test_where_blocks_are_cut_and_where_a_writer_begins_changes_nothing(
    seed: int, ends: list[int], broken: float
) -> None:
    ticks = walk(1_500, seed, broken)
    whole = Suspicion().suspect(ticks, RECEIVED_US)
    suspicion, found, start = Suspicion(), [], 0
    for end in sorted({*ends, 1_500}):
        found += suspicion.suspect(ticks.cut(start, end), RECEIVED_US).tolist()
        if end > 1_024:
            suspicion = Suspicion.from_tail(ticks.cut(end - 1_024, end))
        start = end
    assert found == whole.tolist()


def test_a_wild_price_and_a_wild_spread_are_suspect_and_the_ticks_around_them_are_not() -> None:
    ticks = walk(600, 1)
    quiet = ticks._replace(bid=np.full(600, 1.1) + np.arange(600) % 3 * 1e-5)
    quiet = quiet._replace(ask=quiet.bid + 2e-5, time_ms=np.full(600, NOW_MS))
    bid, ask = quiet.bid.copy(), quiet.ask.copy()
    bid[300], ask[300] = bid[300] + 0.005, ask[300] + 0.005
    ask[400] += 0.003
    bits = Suspicion().suspect(quiet._replace(bid=bid, ask=ask), RECEIVED_US)
    assert np.flatnonzero(bits & Quality.SPIKE).tolist() == [300, 400]
    assert np.flatnonzero(bits & Quality.SPREAD_SPIKE).tolist() == [400]


def test_a_price_that_stays_at_a_new_level_is_usual_again() -> None:
    bid = np.full(600, 1.1) + np.arange(600) % 3 * 1e-5
    bid[300:] += 0.005
    ticks = walk(600, 1)._replace(bid=bid, ask=bid + 2e-5, time_ms=np.full(600, NOW_MS))
    bits = Suspicion().suspect(ticks, RECEIVED_US)
    assert np.flatnonzero(bits & Quality.SPIKE).tolist() == list(range(300, 308))


def test_a_tick_is_stale_from_five_seconds_on_and_a_broken_one_is_only_broken() -> None:
    ticks = walk(3, 1)._replace(time_ms=np.array([NOW_MS - 5_000, NOW_MS - 5_001, NOW_MS - 9_000]))
    ticks = ticks._replace(quality=np.array([0, 0, Quality.CROSSED], np.int32))
    assert Suspicion().suspect(ticks, RECEIVED_US).tolist() == [0, Quality.STALE, 0]


def test_the_log_alone_tells_them_again_and_a_changed_one_shows() -> None:
    ticks = walk(1_000, 3)
    ticks = ticks._replace(time_ms=np.sort(ticks.time_ms))
    source, received = TickSource.LIVE, RECEIVED_US
    broken = Judge().judge(ticks, source, received)
    suspect = Suspicion().suspect(ticks._replace(quality=broken), received)
    quality = (broken | suspect | np.where(broken == 0, Quality.OUTSIDE_SESSION, 0)).astype(np.int32)
    assert (quality & Quality.SPIKE).any()
    block = open_block("f/S", 1, bytes(8), source, received, "k")._replace(**ticks._asdict())
    assert Recheck().recheck(block._replace(quality=quality)).tolist() == quality.tolist()
    changed = quality ^ np.int32(Quality.SPIKE) * (np.arange(1_000) == 500)
    assert Recheck().recheck(block._replace(quality=changed)).tolist() == quality.tolist()


def test_what_was_imported_is_never_suspect() -> None:
    ticks = walk(1_000, 3)._replace(time_ms=np.arange(1_000) + NOW_MS - 100_000)
    block = open_block("f/S", 1, bytes(8), TickSource.IMPORT, RECEIVED_US, "k")._replace(**ticks._asdict())
    assert not Recheck().recheck(block).any()


def test_outside_the_sessions_of_the_servers_week() -> None:
    # 2026-09-20 was a Sunday; the server is two hours ahead.
    sunday_ms = 1_789_862_400_000 - 7_200_000
    table = SessionTable(listing="f/S", from_minutes=(60, 1_440), to_minutes=(120, 2_880), **UNWRITTEN)
    minutes = np.array([59, 60, 119, 120, 1_440, 2_879, 2_880, 7 * 1_440 + 60])
    bits = outside_session(sunday_ms + minutes * 60_000, 7_200, table)
    assert (bits != 0).tolist() == [True, False, False, True, False, False, True, False]
    assert set(bits.tolist()) == {0, Quality.OUTSIDE_SESSION}
    assert not outside_session(sunday_ms + minutes * 60_000, 7_200, None).any()
