"""The database is made of the log alone: made anew, it is the same."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from infra.clock import FixedClock
from infra.kafka import read_range
from projections.accounts import AccountPartitions
from projections.book import Book
from projections.projector import Progress, Projector, WrongLog
from projections.rebuild import rebuild
from projections.store import Fenced, Store
from schemas.catalogue import partition_of
from schemas.chains import Position
from schemas.events import Alert, Severity, SourceEvent, SourceKind
from schemas.registry import encode
from tests.conftest import TestStack
from tests.integration.projections.contents import contents
from tests.integration.projections.scripted import KEYS, START_MS, Feed, Log, bar, signal, value_of

pytestmark = pytest.mark.stack


@pytest.fixture
def eventful(log: Log, listing: str) -> str:
    """A listing with good, broken, forged, void and stopped records, outputs twice and out of order, and events."""
    feed = Feed(log, listing)
    feed.open()
    feed.write(100)
    feed.write(0, watermark_ms=START_MS + 60_000)
    void = Feed(log, listing)
    void.__dict__.update(feed.__dict__)
    feed.open()
    void.write(1)
    feed.write(5)
    log.send("ticks", listing, b"\x00\x00\x00\x00\x01nonsense")
    feed.block(1)
    feed.write(1)
    for number in (0, 1, 1, 3, 2, 3):
        log.send("bars", listing, value_of(bar(listing, number)))
        log.send("signals", listing, value_of(signal(listing, number)))
    event = SourceEvent(
        event_id=f"gap/{listing}",
        feed="test",
        kind=SourceKind.GAP,
        time_us=START_MS * 1000,
        listing=listing,
        from_n=-1,
        to_n=-1,
        from_ms=0,
        to_ms=0,
        server_offset_s=0,
        detail="a \x00 in it",
    )
    log.send("sources", "test", encode(event))
    for later, source in ((2, "worker"), (1, "projector"), (3, "worker")):
        alert = Alert(
            alert_id=f"made/{listing}",
            code="made",
            severity=Severity.INFO,
            source=source,
            subject=listing,
            time_us=START_MS * 1000 + later,
            topic="",
            partition=-1,
            offset=-1,
            message="",
        )
        log.send("alerts", source, encode(alert))
    log.send("alerts", "worker", b"not an alert")
    return listing


def test_a_database_made_anew_is_the_same(
    own_stack: TestStack, eventful: str, dsn: str, project: Callable[[], None]
) -> None:
    project()
    project()
    before = contents(dsn)
    seen: list[Progress] = []
    done = rebuild(dsn, own_stack.kafka, KEYS, FixedClock(START_MS * 1000 + 5), seen.append)

    after = contents(dsn)
    assert list(after) == list(before)
    for table, rows in before.items():
        assert after[table] == rows, table
    assert len(before["ticks"]) >= 105
    assert done.left == 0
    assert seen[-1].left == 0


def test_of_an_alert_raised_twice_the_first_stays(
    eventful: str, project: Callable[[], None], ask: Callable[..., list[tuple[object, ...]]]
) -> None:
    project()

    assert ask(
        "select source, extract(epoch from time)::text from tickledger.alerts where alert_id = %s", f"made/{eventful}"
    ) == [("projector", "1399334400.000001")]


def test_a_rebuild_waits_for_no_projector_but_says_who_writes(own_stack: TestStack, dsn: str) -> None:
    with Store(dsn), pytest.raises(Fenced, match=r"another projector writes the database at .*tickledger down"):
        Store(dsn, wait_s=0.2)


def test_what_another_projector_has_taken_is_not_written_again(
    own_stack: TestStack, eventful: str, dsn: str, project: Callable[[], None]
) -> None:
    with Store(dsn) as store:
        behind = store.load(Book(KEYS, FixedClock(0), AccountPartitions(own_stack.kafka, KEYS), quiet=True))
    project()
    before = contents(dsn)
    batch, partition = behind.batch(), partition_of("alerts", "worker")
    for messages in read_range(own_stack.kafka, "alerts", partition):
        for message in messages:
            position = Position("alerts", partition, message.offset() or 0)
            behind.take(batch, position, message.key(), message.value())

    with (
        Store(dsn) as store,
        pytest.raises(Fenced, match=f"took .*alerts/{partition} from offset 0"),
    ):
        store.write(batch, behind)
    assert contents(dsn) == before


def test_a_projector_goes_on_where_the_one_before_ended_at_once(dsn: str) -> None:
    first = Store(dsn)
    first.connection.close()

    with Store(dsn, wait_s=2) as second:
        assert second.connection.execute("select count(*) from tickledger.marks").fetchone() == (0,)


def test_a_database_of_another_log_is_refused(own_stack: TestStack, dsn: str, project: Callable[[], None]) -> None:
    project()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update tickledger.log set cluster_id = 'another'")

    with pytest.raises(WrongLog, match=r"made from the log of Kafka cluster another.*tickledger rebuild"):
        Projector(dsn, own_stack.kafka, KEYS, FixedClock(0)).run()


def test_a_log_that_lost_its_end_is_refused(
    own_stack: TestStack, dsn: str, listing: str, log: Log, project: Callable[[], None]
) -> None:
    feed = Feed(log, listing)
    feed.open()
    project()
    partition = partition_of("ticks", listing)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "update tickledger.marks set next_offset = 1000000 where topic = 'ticks' and partition = %s", (partition,)
        )

    with pytest.raises(WrongLog, match=rf"stands at offset 1000000 of ticks/{partition}, and the log has 0 to"):
        Projector(dsn, own_stack.kafka, KEYS, FixedClock(0)).run()
