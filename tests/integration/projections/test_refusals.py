"""What the database refuses is said in words, with the way out; what passes is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest

from infra.clock import FixedClock
from infra.errors import HomeUnusable, NotReady, PasswordRefused, Unreachable
from infra.reference_log import append_reference
from projections.database import connect, explain
from projections.derived import wait_until_derived, wait_until_projected
from projections.projector import Projector
from schemas.catalogue import partition_of
from schemas.events import OperatorActivation, ProgramKind, ReferenceRecord, Snapshot
from schemas.integrity import ZERO_MAC
from schemas.registry import seal
from tests.conftest import TestStack
from tests.integration.projections.conftest import Ask
from tests.integration.projections.scripted import KEYS, START_MS, Feed, Log, bar, value_of

pytestmark = pytest.mark.stack


@pytest.fixture
def person(own_stack: TestStack) -> Iterator[tuple[str, Callable[[str], None]]]:
    """A DSN with a role of its own, and what changes that role's password by hand."""
    role = f"role_{uuid4().hex[:8]}"
    with psycopg.connect(own_stack.postgres_dsn, autocommit=True) as connection:
        connection.execute(f"create role {role} login superuser password 'before'".encode())

        def change(password: str) -> None:
            connection.execute(f"alter role {role} password '{password}'".encode())

        where = own_stack.postgres_dsn.rpartition("@")[2]
        yield f"postgresql://{role}:before@{where}", change
        connection.execute(f"drop role {role}".encode())


def test_a_password_changed_by_hand_is_named_with_the_way_out(
    own_stack: TestStack, person: tuple[str, Callable[[str], None]]
) -> None:
    dsn, change = person
    connect(dsn, "test").close()
    change("after")

    with pytest.raises(
        PasswordRefused, match=r"127\.0\.0\.1:\d+/tickledger refuses the password.*postgres\.dsn"
    ) as caught:
        Projector(dsn, own_stack.kafka, KEYS, FixedClock(0)).run()

    assert "before" not in str(caught.value)


@pytest.mark.parametrize(
    ("end", "error", "said"),
    [
        ("@127.0.0.1:1/tickledger", Unreachable, "127.0.0.1:1/tickledger does not answer.*tickledger status"),
        (None, Unreachable, "does not exist: create that database, or correct postgres.dsn; the embedded one is made"),
    ],
)
def test_a_server_or_database_that_is_not_there(
    own_stack: TestStack, end: str | None, error: type[Exception], said: str
) -> None:
    user, _, where = own_stack.postgres_dsn.rpartition("@")
    dsn = user + (end or f"@{where.partition('/')[0]}/nowhere")

    with pytest.raises(error, match=said):
        connect(dsn, "test")


def test_a_full_disk_is_named_and_what_it_stopped_goes_on_once_there_is_room(
    own_stack: TestStack, log: Log, listing: str, dsn: str, project: Callable[[], None], ask: Ask
) -> None:
    project()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "create function full_disk() returns trigger language plpgsql as $$ begin raise exception using "
            "errcode = '53100', message = 'could not extend file \"base/1/2\": No space left on device'; end $$"
        )
        connection.execute(
            "create trigger full_disk before insert on tickledger.tick_blocks for each row execute function full_disk()"
        )
    feed = Feed(log, listing)
    feed.open()
    feed.write(50)

    with pytest.raises(HomeUnusable, match="no room left on its disk: free some space there; nothing is lost"):
        project()

    projector = Projector(dsn, own_stack.kafka, KEYS, FixedClock(START_MS * 1000))
    thread = threading.Thread(target=projector.run)
    thread.start()
    try:
        time.sleep(1)
        feed.write(50)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("drop function full_disk() cascade")
        wait_until_projected(own_stack.kafka, dsn, stalled_s=20)
    finally:
        projector.stop()
        thread.join()

    assert ask(
        "select count(*), count(distinct n) from tickledger.ticks join tickledger.listings on id = listing_id "
        "where name = %s",
        listing,
    ) == [(100, 100)]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (psycopg.errors.DiskFull("could not write"), HomeUnusable, "free some space"),
        (psycopg.errors.TooManyConnections("sorry, too many clients already"), NotReady, "postgres.max_connections"),
        (psycopg.errors.AdminShutdown("terminating connection"), NotReady, "does not take sessions now"),
        (psycopg.errors.InsufficientPrivilege("permission denied"), Unreachable, "give the role the right"),
        (psycopg.errors.UniqueViolation("duplicate key"), Exception, "refuses: duplicate key"),
        (psycopg.OperationalError(""), Unreachable, "does not answer: OperationalError"),
    ],
)
def test_each_refusal_has_its_words(error: psycopg.Error, kind: type[Exception], said: str) -> None:
    explained = explain(error, "postgresql://me:secret@db:5432/there")

    assert isinstance(explained, kind)
    assert said in str(explained)
    assert "db:5432/there" in str(explained)
    assert "secret" not in str(explained)


def activation(instance: str) -> OperatorActivation:
    return OperatorActivation(
        epoch=0,
        nonce=bytes(8),
        seq=0,
        ref_no=0,
        effective_from_us=0,
        written_us=0,
        instance=instance,
        operator="bars",
        version=1,
        parameters="{}",
        program_kind=ProgramKind.BUILTIN,
        program="",
        program_sha256="",
        listings=(),
        warm_from_us=0,
        emit_all=False,
        active=True,
        key_id="",
        prev=ZERO_MAC,
        mac=ZERO_MAC,
    )


def snapshot(feed: Feed, operator: str, n: int, out_seq: int) -> Snapshot:
    return Snapshot(
        operator=operator,
        listing=feed.listing,
        incarnation=1,
        part=0,
        parts=1,
        partition=0,
        offset=0,
        epoch=1,
        nonce=bytes(8),
        seq=0,
        n=n,
        head_ref_no=0,
        head_mac=ZERO_MAC,
        out_seq=out_seq,
        digest="",
        state=b"",
        key_id="k-test",
        mac=ZERO_MAC,
    )


def test_waiting_ends_when_the_worker_has_folded_and_its_outputs_are_in_the_database(
    own_stack: TestStack, log: Log, listing: str, dsn: str
) -> None:
    instance = f"x{uuid4().hex[:6]}"

    def wanted(known: list[ReferenceRecord]) -> list[ReferenceRecord]:
        there = any(isinstance(r, OperatorActivation) and r.instance == instance for r in known)
        return [] if there else [activation(instance)]

    records = append_reference(own_stack.kafka, KEYS, FixedClock(START_MS * 1000), wanted)
    number = records[-1].ref_no  # type: ignore[union-attr]
    operator = f"{instance}@{number}"
    others = {r.instance: r.ref_no for r in records if isinstance(r, OperatorActivation)}
    feed = Feed(log, listing)
    feed.open()
    feed.write(10, ref_no=number)
    projector = Projector(dsn, own_stack.kafka, KEYS, FixedClock(START_MS * 1000))
    thread = threading.Thread(target=projector.run)
    thread.start()
    seen: list[int] = []

    def fold(n: int, out_seq: int) -> None:
        for name, ref_no in others.items():
            value = seal(snapshot(feed, f"{name}@{ref_no}", n, out_seq if name == instance else 0), "snapshots", KEYS)
            log.send("snapshots", f"{name}|{listing}", value, partition_of("ticks", listing))

    def wait(stalled_s: float) -> None:
        wait_until_derived(own_stack.kafka, KEYS, dsn, listing, 10, seen.append, lambda: None, stalled_s)

    try:
        wait_until_projected(own_stack.kafka, dsn, stalled_s=20)
        fold(5, 0)
        with pytest.raises(NotReady, match=rf"not folded that far by .*{operator}"):
            wait(5)
        assert seen[-1] == 5
        fold(10, 2)
        log.send("bars", listing, value_of(bar(listing, 0, operator=operator)))
        with pytest.raises(NotReady, match=f"outputs are missing of {operator}"):
            wait(5)
        log.send("bars", listing, value_of(bar(listing, 1, operator=operator)))
        wait(20)
        assert seen[-1] == 10
    finally:
        projector.stop()
        thread.join()


def test_waiting_for_a_chain_that_stands_still_ends_at_once(
    own_stack: TestStack, log: Log, listing: str, dsn: str, project: Callable[[], None]
) -> None:
    feed = Feed(log, listing)
    feed.open()
    feed.write(10)
    feed.block(1)
    feed.write(1)
    project()

    with pytest.raises(NotReady, match=f"the chain of {listing} stands still at n 10"):
        wait_until_derived(own_stack.kafka, KEYS, dsn, listing, 12)


def test_waiting_for_a_projector_that_is_not_there_ends(
    own_stack: TestStack, log: Log, listing: str, dsn: str, project: Callable[[], None]
) -> None:
    project()
    feed = Feed(log, listing)
    feed.open()

    with pytest.raises(NotReady, match=r"\d+ records of the log are not in the database yet"):
        wait_until_projected(own_stack.kafka, dsn, stalled_s=0.3)
