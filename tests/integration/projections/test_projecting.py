"""What lies on the log is in the database, once; what is refused is not, and somebody is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from schemas.chains import Position
from tests.integration.projections.conftest import Ask
from tests.integration.projections.scripted import START_MS, Feed, Log, bar, signal, value_of

pytestmark = pytest.mark.stack

TICKS = """
select n, extract(epoch from time)::float8 * 1000, bid, ask, last, volume, flags, quality from tickledger.ticks
join tickledger.listings on id = listing_id where name = %s order by n
"""


IN_JUNE = """
select distinct relname from tickledger.ticks join pg_class on pg_class.oid = ticks.tableoid
where time >= '2014-06-01' and time < '2014-07-01'
"""


def test_ticks_are_there_once_however_often_the_projector_runs(
    log: Log, listing: str, project: Callable[[], None], ask: Ask
) -> None:
    feed = Feed(log, listing)
    feed.open()
    feed.write(3)
    project()
    feed.write(2)
    project()
    project()

    rows = ask(TICKS, listing)

    assert [row[0] for row in rows] == [0, 1, 2, 3, 4]
    assert rows[4] == (4, START_MS + 400, 1.39004, 1.39004 + 1e-4, None, None, 6, 0)


def test_last_and_volume_are_kept_where_the_symbol_has_them(
    log: Log, listing: str, project: Callable[[], None], ask: Ask
) -> None:
    feed = Feed(log, listing)
    feed.open()
    feed.write(1)
    feed.write(2, last=np.array([1.5, 1.6]), volume=np.array([0.01, float("nan")]))
    feed.write(1)
    project()

    assert [row[4] for row in ask(TICKS, listing)] == [None, 1.5, 1.6, None]
    assert [str(row[5]) for row in ask(TICKS, listing)] == ["None", "0.01", "nan", "None"]


def test_a_block_is_found_by_its_ticks(log: Log, listing: str, project: Callable[[], None], ask: Ask) -> None:
    feed = Feed(log, listing)
    feed.open()
    feed.write(3)
    second = feed.write(2, gap=True)
    heartbeat = feed.write(0, watermark_ms=START_MS + 60_000)
    project()

    blocks = ask(
        "select first_n, count, log_offset, gap, encode(mac, 'hex') from tickledger.tick_blocks "
        "join tickledger.listings on id = listing_id where name = %s order by seq",
        listing,
    )

    assert [block[:2] for block in blocks] == [(0, 3), (3, 2), (5, 0)]
    assert blocks[1][2:4] == (second, True)
    assert blocks[2][2] == heartbeat
    assert blocks[2][4] == feed.mac.hex()


def test_a_broken_clock_makes_no_partition_and_keeps_its_milliseconds(
    log: Log, listing: str, project: Callable[[], None], ask: Ask
) -> None:
    feed = Feed(log, listing)
    feed.open()
    ten_million_years = 300_000_000_000_000_000
    times = np.array([START_MS, 7_000_000_000_000, ten_million_years, -(2**63)])
    feed.write(4, time_ms=times, quality=np.array([0, 64, 64, 8], np.int32))
    project()

    assert ask(
        "select n, time::text, time_ms, relname from tickledger.ticks join tickledger.listings on id = listing_id "
        "join pg_class on pg_class.oid = ticks.tableoid where name = %s order by n",
        listing,
    ) == [
        (0, "2014-05-06 00:00:00+00", None, "ticks_2014_05"),
        (1, "2191-10-27 12:26:40+00", None, "ticks_default"),
        (2, "infinity", ten_million_years, "ticks_default"),
        (3, "-infinity", -(2**63), "ticks_default"),
    ]


def test_a_month_that_comes_takes_what_waited_in_the_default_partition(
    log: Log, listing: str, project: Callable[[], None], ask: Ask
) -> None:
    feed = Feed(log, listing)
    feed.open()
    june = START_MS + 40 * 86_400_000
    feed.write(1, time_ms=np.array([june]), quality=np.array([64], np.int32))
    project()
    before = ask(IN_JUNE)
    feed.write(1, time_ms=np.array([june + 1]))
    project()
    after = ask(IN_JUNE)

    assert before == [("ticks_default",)]
    assert after == [("ticks_2014_06",)]


def _alerts(ask: Ask, position: Position) -> list[Any]:
    return ask(
        "select code, severity from tickledger.alerts where about_topic = %s and about_partition = %s "
        "and about_offset = %s",
        *position,
    )


def test_a_changed_byte_is_told_and_stops_its_chain_at_the_next_link_only(
    log: Log, listing: str, project: Callable[[], None], ask: Ask
) -> None:
    from schemas.catalogue import partition_of

    feed, other = Feed(log, listing), Feed(log, listing + "x")
    feed.open()
    other.open()
    feed.write(3)
    damaged = bytearray(feed.block(2))
    damaged[60] ^= 1
    forged = log.send("ticks", listing, bytes(damaged))
    stopped = feed.write(2)
    feed.write(2)
    other.write(4)
    project()
    project()

    partition = partition_of("ticks", listing)
    assert len(ask(TICKS, listing)) == 3
    assert len(ask(TICKS, listing + "x")) == 4
    assert _alerts(ask, Position("ticks", partition, forged)) == [("forged_record", "CRITICAL")]
    assert _alerts(ask, Position("ticks", partition, stopped)) == [("chain_stopped", "CRITICAL")]
    assert ask(
        "select stopped_at, seq, forged, stopped from tickledger.heads join tickledger.marks using (topic, partition) "
        "where chain = %s",
        listing,
    )[0][:2] == (stopped, 1)


def test_a_fenced_writer_is_void_and_counted(log: Log, listing: str, project: Callable[[], None], ask: Ask) -> None:
    feed = Feed(log, listing)
    feed.open()
    feed.write(2)
    stale = Feed(log, listing)
    stale.__dict__.update(feed.__dict__)
    feed.open()
    stale.write(2)
    feed.write(1)
    project()

    assert [row[0] for row in ask(TICKS, listing)] == [0, 1, 2]
    assert ask("select sum(void) from tickledger.marks where topic = 'ticks'") >= [(1,)]


def test_an_output_sent_twice_is_there_once_and_a_hole_waits_for_what_is_missing(
    log: Log, listing: str, project: Callable[[], None], ask: Ask
) -> None:
    query = "select out_seq from tickledger.bars join tickledger.listings on id = listing_id where name = %s order by 1"
    for number in (0, 1, 1, 0, 2, 4, 5):
        log.send("bars", listing, value_of(bar(listing, number)))
    project()
    project()

    assert ask(query, listing) == [(0,), (1,), (2,)]
    assert ask("select code, alert_id from tickledger.alerts where subject = %s", f"bars@1/{listing}") == [
        ("output_missing", f"output_missing/bars/bars@1/{listing}/3")
    ]

    for number in (2, 3, 4, 5):
        log.send("bars", listing, value_of(bar(listing, number)))
    project()

    assert ask(query, listing) == [(0,), (1,), (2,), (3,), (4,), (5,)]


def test_signals_keep_what_they_have_not_as_null_and_a_forged_one_is_not_taken(
    log: Log, listing: str, project: Callable[[], None], ask: Ask
) -> None:
    log.send("signals", listing, value_of(signal(listing, 0)))
    value = value_of(signal(listing, 1))
    forged = log.send("signals", listing, value[:-1] + bytes([value[-1] ^ 1]))
    taken = log.send("signals", listing, value)
    project()

    assert ask(
        "select out_seq, kind, side, stop_distance, target_distance, from_n, n, log_offset, length(mac) "
        "from tickledger.signals join tickledger.listings on id = listing_id where name = %s and out_seq = 1",
        listing,
    ) == [(1, "ENTER", "LONG", 0.001, None, 10, 19, taken, 16)]
    assert forged == taken - 1
    assert ask("select count(*) from tickledger.alerts where about_topic = 'signals' and about_offset = %s", forged)
