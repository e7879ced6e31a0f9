"""Waiting until what was added to the log is folded by the worker and stands in the database, outputs and all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Self

import psycopg
from confluent_kafka import Message, TopicPartition

from infra.clock import Stopwatch
from infra.errors import NotReady, Unreachable
from infra.kafka import new_consumer, split_batch
from infra.reference_log import read_reference
from projections.database import Connection, connect
from projections.extents import extents
from schemas.catalogue import partition_of
from schemas.events import OperatorActivation, ReferenceRecord, Snapshot
from schemas.identity import operator_id
from schemas.integrity import KeyRing
from schemas.registry import UnreadableRecord, decode

STALLED_S: Final = 120.0
"""How long nothing may move before waiting is given up."""

_POLL_S: Final = 0.05


def wait_until_derived(
    bootstrap: str,
    keys: KeyRing,
    dsn: str,
    listing: str,
    n: int,
    progress: Callable[[int], None] = lambda _: None,
    check: Callable[[], None] = lambda: None,
    stalled_s: float = STALLED_S,
) -> None:
    """Returns once the first `n` ticks of `listing` and everything that its operators make of them are in the database.

    The worker says how far it has folded by its snapshots, which it writes only when their outputs are on the topics.
    `progress` gets the ticks that are through; `check` is called all along and may raise. Raises NotReady when the
    chain stands still or nothing moves any more.
    """
    stall = _Stall(stalled_s)
    with _Database(dsn) as database, _Snapshots(bootstrap, keys, listing) as snapshots:
        while True:
            projected, ref_no, stopped = _head(database, listing)
            folds = snapshots.poll(ref_no)
            done = min(n, projected, *(fold.n for fold in folds.values()))
            progress(done)
            lacking = _lacking(database, listing, folds) if done == n else []
            if done == n and not lacking:
                return
            if stopped and projected < n:
                raise NotReady(
                    f"the chain of {listing} stands still at n {projected}: {stopped}; see tickledger verify"
                )
            behind = sorted(operator for operator, fold in folds.items() if fold.n < n)
            stall.look(
                (projected, folds, tuple(lacking)),
                f"{projected} of {n} ticks of {listing} are in the database"
                + (f", not folded that far by {', '.join(behind)}" if behind else "")
                + (f", outputs are missing of {', '.join(lacking)}" if lacking else ""),
            )
            check()


def wait_until_projected(
    bootstrap: str, dsn: str, check: Callable[[], None] = lambda: None, stalled_s: float = STALLED_S
) -> None:
    """Returns once all that is on the log now is in the database. Raises NotReady when nothing moves any more."""
    wanted = {p: end.high for p, end in extents(bootstrap).items() if end.high > end.low}
    stall = _Stall(stalled_s)
    with _Database(dsn) as database:
        while True:
            marks = {(topic, partition): offset for topic, partition, offset in database.rows(_MARKS)}
            left = sum(max(0, high - marks.get(p, 0)) for p, high in wanted.items())
            if not left:
                return
            stall.look(left, f"{left} records of the log are not in the database yet")
            check()
            time.sleep(_POLL_S)


class _Database:
    """Asks a database that may be set up, or come back, only later: until then it has no rows."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Raises PasswordRefused."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = connect(self._dsn, "tickledger wait")
            return self._connection.execute(query.encode(), parameters).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.OperationalError, NotReady, Unreachable):
            return []


class _Stall:
    """Gives up when what it looks at hasn't changed for a while."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._seen: object = None
        self._watch = Stopwatch()

    def look(self, state: object, what: str) -> None:
        if state != self._seen:
            self._seen = state
            self._watch.restart()
        elif self._watch.seconds() > self._patience_s:
            raise NotReady(
                f"{what}, and nothing has moved for {self._patience_s:.0f} s: see tickledger status and the logs of "
                "worker and projector"
            )


class _Fold(NamedTuple):
    """How far an operator has folded the listing, and how many outputs it has sent by then."""

    n: int
    out_seq: int


class _Snapshots:
    """The worker's snapshots of one listing, followed as they are written."""

    def __init__(self, bootstrap: str, keys: KeyRing, listing: str) -> None:
        self._bootstrap, self._keys, self._listing = bootstrap, keys, listing
        self._found: dict[str, _Fold] = {}
        self._records: list[ReferenceRecord] = []
        self._last_ref = -1
        partition = partition_of("ticks", listing)
        low = extents(bootstrap, ("snapshots",))["snapshots", partition].low
        self._consumer = new_consumer(bootstrap)
        self._consumer.assign([TopicPartition("snapshots", partition, low)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def poll(self, ref_no: int) -> dict[str, _Fold]:
        """Where each operator stands that runs on blocks of `ref_no`; waits a moment for news."""
        if ref_no > self._last_ref:
            self._records, self._last_ref = read_reference(self._bootstrap, self._keys)[0], ref_no
        messages, _ = split_batch(self._consumer.consume(100, timeout=_POLL_S))
        for message in messages:
            snapshot = _snapshot(message, self._keys)
            if snapshot is not None and snapshot.listing == self._listing:
                fold = _Fold(snapshot.n, snapshot.out_seq)
                self._found[snapshot.operator] = max(fold, self._found.get(snapshot.operator, fold))
        return {o: self._found.get(o, _Fold(0, 0)) for o in _operators(self._records, self._listing, ref_no)}


def _operators(records: list[ReferenceRecord], listing: str, ref_no: int) -> set[str]:
    """The operators that fold the listing's blocks of `ref_no`: of each instance the last activation up to there, if it
    is active and runs on the listing."""
    latest: dict[str, OperatorActivation] = {}
    for record in records:
        if isinstance(record, OperatorActivation) and record.ref_no <= ref_no:
            latest[record.instance] = record
    running = [a for a in latest.values() if a.active and (not a.listings or listing in a.listings)]
    return {operator_id(a.instance, a.ref_no) for a in running}


def _snapshot(message: Message, keys: KeyRing) -> Snapshot | None:
    value = message.value()
    if not value:
        return None
    try:
        record = decode(value)
    except UnreadableRecord:
        return None
    return record if isinstance(record, Snapshot) and keys.holds("snapshots", record.key_id, value) else None


def _head(database: _Database, listing: str) -> tuple[int, int, str]:
    """(n, ref_no, why it is stopped) of a listing's chain as projected."""
    for n, ref_no, stopped in database.rows(_HEAD, listing):
        return n, ref_no, stopped
    return 0, 0, ""


def _lacking(database: _Database, listing: str, folds: dict[str, _Fold]) -> list[str]:
    """Operators of which the database has fewer outputs than were sent."""
    there: dict[str, int] = dict(database.rows(_OUTPUTS, listing))
    return sorted(operator for operator, fold in folds.items() if there.get(operator, 0) < fold.out_seq)


_MARKS: Final = "select topic, partition, next_offset from tickledger.marks"
_HEAD: Final = "select n, ref_no, stopped_why from tickledger.heads where topic = 'ticks' and chain = %s"
_OUTPUTS: Final = """
select operators.name, sum(next_out)::bigint from tickledger.out_marks
join tickledger.operators on operators.id = operator_id join tickledger.listings on listings.id = listing_id
where listings.name = %s group by operators.name
"""
