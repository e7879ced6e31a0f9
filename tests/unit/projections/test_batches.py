"""What a batch becomes: runs, rows, partitions, moments."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from projections.batch import Batch, Run
from projections.moments import INFINITY, MINUS_INFINITY, Moment
from projections.partitions import periods
from projections.rows import block_rows, good_times, tick_rows
from schemas.chains import Position
from schemas.quality import Quality
from schemas.ticks import Columns, TickBlock, TickSource, open_block


def batch_of(*blocks: tuple[list[int], list[int], bool]) -> Batch:
    """A batch of blocks of one listing, each of times, qualities and whether it has last and volume."""
    batch = Batch(Columns(64))
    n = 0
    for seq, (times, qualities, deals) in enumerate(blocks, start=1):
        size, columns, at = len(times), batch.columns, batch.ticks
        columns.time_ms[at : at + size] = times
        columns.prices[:, at : at + size] = 1.5
        columns.marks[0, at : at + size] = 6
        columns.marks[1, at : at + size] = qualities
        block: TickBlock = open_block("a/B", 1, bytes(8), TickSource.IMPORT, 0, "k")._replace(
            seq=seq,
            first_n=n,
            time_ms=columns.time_ms[at : at + size],
            last=columns.prices[2, at : at + size] if deals else np.empty(0),
        )
        batch.add_block(block, Position("ticks", 0, seq))
        n += size
    return batch


def test_runs_are_cut_where_deals_begin_and_end_only() -> None:
    batch = batch_of(([1, 2], [0, 0], False), ([], [], True), ([3], [0], False), ([4], [0], True))

    assert batch.runs() == [Run(0, 3, False), Run(3, 4, True)]


def test_ticks_are_numbered_through_their_blocks() -> None:
    batch = batch_of(([1, 2], [0, 0], False), ([], [], False), ([3], [0], False))
    (rows,) = tick_rows(batch, {"a/B": 7})

    assert rows["n"].tolist() == [0, 1, 2]
    assert rows["listing_id"].tolist() == [7, 7, 7]


def test_ticks_with_times_beyond_the_type_come_apart_with_their_milliseconds() -> None:
    batch = batch_of(([1, 2**62, 3], [0, 64, 0], False))
    finite, infinite = tick_rows(batch, {"a/B": 7})

    assert finite["n"].tolist() == [0, 2]
    assert "time_ms" not in finite.dtype.names
    assert infinite["time_ms"].tolist() == [2**62]
    assert infinite["time"].tolist() == [INFINITY]


def test_the_time_of_blocks_never_falls_and_leaves_broken_ticks_out() -> None:
    newest: dict[str, int] = {}
    batch = batch_of(
        ([99], [int(Quality.CROSSED)], False),
        ([5, 10], [0, 0], False),
        ([], [], False),
        ([90, 7, 11], [int(Quality.FUTURE), int(Quality.BACKWARDS), int(Quality.SPIKE)], False),
    )
    (rows,) = block_rows(batch, {"a/B": 7}, newest)
    times = [t if t == MINUS_INFINITY else Moment(t).ms for t in rows["time"].tolist()]

    assert times == [MINUS_INFINITY, 10, 10, 11]
    assert newest == {"a/B": 11}
    assert [Moment(t).ms for t in rows["from_time"].tolist()][:2] == [99, 5]
    assert rows["from_time"].tolist()[2] == INFINITY
    assert [Moment(t).ms for t in rows["to_time"].tolist()][3] == 90
    assert rows["to_time"].tolist()[2] == MINUS_INFINITY
    assert good_times(batch).tolist() == [5, 10, 11]


@pytest.mark.parametrize(
    ("days", "months"),
    [
        (["2014-05-06"], [532]),
        (["2014-05-31T23:59:59.999", "2014-06-01"], [532, 533]),
        (["2014-05-06", "2016-01-01"], [532, 552]),
        (["1969-12-31"], []),
        (["1969-12-31", "1970-01-01"], [0]),
        (["2099-12-31", "2100-01-01"], [1559]),
        (["1800-01-01", "2200-01-01"], []),
    ],
)
def test_only_months_with_a_tick_between_1970_and_2099_are_made(days: list[str], months: list[int]) -> None:
    assert periods("month", np.array(days, "datetime64[ms]").astype(np.int64)) == months


def test_no_input_makes_partitions_without_end() -> None:
    everywhen = np.linspace(-(2**62), 2**62, 10_001).astype(np.int64)

    assert len(periods("month", np.concatenate([everywhen, np.arange(0, 2**42, 10**9)]))) <= 1560
    assert periods("year", np.empty(0, np.int64)) == []


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_moment_keeps_its_milliseconds(time_ms: int) -> None:
    moment = Moment.of_ms(time_ms)

    if moment not in (INFINITY, MINUS_INFINITY):
        assert moment.ms == time_ms


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (Moment.of_ms(1_399_334_400_158), "timestamptz '2014-05-06 00:00:00.158000+00:00'"),
        (Moment(INFINITY), "timestamptz 'infinity'"),
        (Moment(MINUS_INFINITY), "timestamptz '-infinity'"),
        (
            Moment.of_us(2**60 * 8 - 1),
            f"(timestamptz '2000-01-01 00:00:00+00' + interval '{2**63 - 1 - 946_684_800_000_000} microseconds')",
        ),
    ],
)
def test_a_moment_in_sql(moment: Moment, text: str) -> None:
    assert moment.literal().as_string(None) in (text, "timestamptz 'infinity'")
    assert isinstance(moment.literal(), sql.Composable)


def test_a_moment_of_now_is_the_datetime_of_now() -> None:
    assert Moment.of_us(946_684_800_000_000) == 0
    assert datetime.fromtimestamp(Moment(0).ms / 1000, UTC) == datetime(2000, 1, 1, tzinfo=UTC)
