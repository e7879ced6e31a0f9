"""Quotes second by second from a real chain of ticks: none is known before its tick was received."""

from __future__ import annotations

import time

import pytest

from infra.clock import FixedClock
from infra.kafka import new_producer
from infra.tick_writer import TickWriter
from schemas.catalogue import partition_of
from schemas.ticks import TickSource
from streams.alarms import Alarms
from streams.sequencer.quotes import Quotes
from tests.integration.sequencer.account import SECOND, T0, Account, write_ticks

pytestmark = pytest.mark.stack


def quotes_of(account: Account) -> Quotes:
    return Quotes(account.kafka, account.keys, Alarms(new_producer(account.kafka), FixedClock(T0), "test"))


def read(quotes: Quotes, blocks: int, now_us: int) -> None:
    for _ in range(2_000):
        blocks -= quotes.poll(now_us)
        if blocks <= 0:
            return
        time.sleep(0.005)
    raise AssertionError(f"{blocks} blocks didn't come")


def told(quotes: Quotes, after: int, to: int) -> list[tuple[int, int]]:
    """(second, n) of each row; seconds count from T0."""
    rows = quotes.rows(T0 + after * SECOND, T0 + to * SECOND)
    if rows is None:
        return []
    assert len({len(column) for column in rows[1:]}) == 1
    return [((us - T0) // SECOND, n) for us, n in zip(rows.us.tolist(), rows.n.tolist(), strict=True)]


@pytest.fixture
def recorder(account: Account) -> TickWriter:
    writer = account.tick_writer()
    writer.open()
    write_ticks(writer, T0 - 30 * SECOND, [1.0, 1.0])
    writer.drain()
    return writer


def test_seconds_that_were_missed_have_a_row_each_with_what_was_known_then(
    account: Account, recorder: TickWriter
) -> None:
    quotes = quotes_of(account)
    quotes.watch([account.listing], T0)
    assert told(quotes, 0, 1) == [(1, 1)], "what is there already comes with the first second"
    for at_us in (1_200_000, 1_700_000, 2_000_000, 2_000_001, 5_100_000):
        write_ticks(recorder, T0 + at_us, [1.1, 1.2])
    recorder.drain()
    read(quotes, 5, T0 + 9 * SECOND)
    assert told(quotes, 1, 4) == [(2, 7), (3, 9)]
    assert told(quotes, 4, 5) == []
    assert told(quotes, 5, 6) == [(6, 11)]
    assert told(quotes, 6, 9) == []
    quotes.close()


def test_what_is_read_after_its_second_was_taken_comes_with_the_next(account: Account, recorder: TickWriter) -> None:
    quotes = quotes_of(account)
    quotes.watch([account.listing], T0)
    quotes.rows(T0, T0 + 4 * SECOND)
    write_ticks(recorder, T0 + SECOND, [1.1])
    write_ticks(recorder, T0 + 2 * SECOND, [1.2])
    recorder.drain()
    read(quotes, 2, T0 + 4 * SECOND + 1)
    assert told(quotes, 4, 5) == [(5, 3)]


def test_a_recorder_whose_clock_goes_ahead_delays_its_quotes_by_no_more_than_a_second(
    account: Account, recorder: TickWriter
) -> None:
    quotes = quotes_of(account)
    quotes.watch([account.listing], T0)
    quotes.rows(T0, T0 + 1 * SECOND)
    write_ticks(recorder, T0 + 3_600 * SECOND, [1.1])
    recorder.drain()
    read(quotes, 1, T0 + 1_500_000)
    assert told(quotes, 1, 2) == [(2, 2)]


def test_broken_ticks_are_no_quotes_and_a_heartbeat_moves_the_watermark(account: Account, recorder: TickWriter) -> None:
    quotes = quotes_of(account)
    quotes.watch([account.listing], T0)
    quotes.rows(T0, T0 + 1 * SECOND)
    write_ticks(recorder, T0 + 1_500_000, [9.0, 9.0], broken=True)
    write_ticks(recorder, T0 + 1_900_000, [])
    recorder.drain()
    read(quotes, 2, T0 + 2 * SECOND)
    rows = quotes.rows(T0 + SECOND, T0 + 2 * SECOND)
    assert rows is not None
    assert (rows.n.tolist(), rows.bid.tolist(), rows.watermark_ms.tolist()) == ([1], [1.0], [T0 // 1000 + 1_900])


def test_a_listing_that_comes_later_onto_a_partition_that_is_read_misses_nothing(
    account: Account, recorder: TickWriter
) -> None:
    beside = next(
        f"{account.feed}/N{i}"
        for i in range(1_000)
        if partition_of("ticks", f"{account.feed}/N{i}") == partition_of("ticks", account.listing)
    )
    clock = FixedClock(T0)
    with TickWriter(account.kafka, account.keys, clock, beside, TickSource.LIVE) as other:
        other.open()
        write_ticks(other, T0, [1.5])
        other.drain()
        quotes = quotes_of(account)
        quotes.watch([account.listing], T0)
        write_ticks(other, T0, [1.6])
        other.drain()
        other.anchor()
        write_ticks(recorder, T0, [1.1])
        recorder.drain()
        read(quotes, 2, T0)
        quotes.watch([account.listing, beside], T0)
        write_ticks(other, T0 + 1, [1.7])
        other.drain()
        read(quotes, 1, T0 + SECOND)
    rows = quotes.rows(T0 - SECOND, T0 + SECOND)
    assert rows is not None
    found = [(rows.names[i], n, us) for i, n, us in zip(rows.listing, rows.n.tolist(), rows.us.tolist(), strict=True)]
    assert found == [(account.listing, 2, T0), (beside, 1, T0), (beside, 2, T0 + SECOND)]
    quotes.close()
