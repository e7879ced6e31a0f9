"""The projector's session of the database: fenced, loaded from it, and written in whole batches or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import psycopg
from psycopg import sql

from infra.errors import TickledgerError
from projections import migrate, rows
from projections.batch import Batch
from projections.book import Book
from projections.copy import BARS, TICK_BLOCKS, TICKS, copy_rows
from projections.database import Connection, address, connect, table
from projections.moments import use_moments
from projections.partitions import Partitions
from schemas.accept import Head, Mark, Verdict
from schemas.chains import Position
from schemas.events import Bar, Signal
from schemas.identity import split_operator

FENCE: Final = 0x7469636B_0002
"""Advisory lock of the one projector of a database."""

FENCE_WAIT_S: Final = 3.0
"""How long a projector waits for the one before it: a killed one's session ends when the server sees its socket end."""


class Fenced(TickledgerError):
    """Another projector holds the database."""


class Store:
    """A session that holds the fence. Any error leaves it useless: close it, open another, load the book again."""

    def __init__(self, dsn: str, *, fresh: bool = False, wait_s: float = FENCE_WAIT_S) -> None:
        """`fresh` drops everything first. Raises Fenced, WrongShape, or what `connect` raises."""
        self.connection = connect(dsn, "tickledger projector")
        try:
            use_moments(self.connection)
            _fence(self.connection, dsn, wait_s)
            # What a crash of the server takes back is read again from the log: waiting for its disk buys nothing.
            self.connection.execute("set synchronous_commit = off")
            if fresh:
                migrate.drop(self.connection)
            migrate.migrate(self.connection)
            self._partitions = Partitions()
            self.listings = self._ids("listings")
            self.operators = self._ids("operators")
            self.accounts = self._ids("accounts")
        except BaseException:
            self.connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.connection.close()

    def cluster_id(self) -> str | None:
        """Id of the Kafka cluster that the database is made from; None while it is empty."""
        row = self.connection.execute("select cluster_id from tickledger.log").fetchone()
        return None if row is None else str(row[0])

    def set_cluster_id(self, cluster_id: str) -> None:
        """Names the log that the database is made from, once."""
        self.connection.execute("insert into tickledger.log (cluster_id) values (%s)", (cluster_id,))

    def load(self, book: Book) -> Book:
        """The book as of the last transaction."""
        run = self.connection.execute
        for topic, partition, offset in run("select topic, partition, next_offset from tickledger.marks").fetchall():
            book.offsets[topic, partition] = offset
        for topic, chain, partition, at, newest, stopped_at, *head in run(_SELECT_HEADS).fetchall():
            book.facts[topic].heads[chain] = Head(*head)
            book.at[topic, chain] = Position(topic, partition, at)
            if newest is not None:
                book.newest_ms[chain] = newest
            if stopped_at is not None:
                book.stopped_at[topic, chain] = stopped_at
        for topic, operator, listing, due in run(_SELECT_OUT_MARKS).fetchall():
            book.derived[topic].marks[operator, listing] = Mark(due)
        for topic, operator, account, due in run(_SELECT_ACCOUNT_MARKS).fetchall():
            book.derived[topic].marks[operator, account] = Mark(due)
        return book

    def write(self, batch: Batch, book: Book) -> None:
        """The batch's rows and where they bring the book, in one transaction: exactly once."""
        self._make_partitions(batch)
        with self.connection.transaction():
            self._write(batch, book)

    def write_together(self, batches: Iterable[Batch], book: Book) -> None:
        """Several batches, each judged only when the one before is written, in one transaction."""
        with self.connection.transaction():
            for batch in batches:
                self._make_partitions(batch)
                self._write(batch, book)

    def _write(self, batch: Batch, book: Book) -> None:
        with self.connection.cursor() as cursor:
            self._name(cursor, batch)
            if batch.blocks:
                copy_rows(cursor, TICKS, rows.tick_rows(batch, self.listings))
                copy_rows(cursor, TICK_BLOCKS, rows.block_rows(batch, self.listings, book.newest_ms))
            if batch.bars:
                copy_rows(cursor, BARS, [rows.bar_rows(batch.bars, self.listings, self.operators)])
            if batch.signals:
                signals = rows.signal_rows(batch.signals, self.listings, self.operators)
                _copy(cursor, "signals", rows.SIGNAL_COLUMNS, signals)
            if batch.account:
                found = rows.account_rows(batch.account, self.accounts, self.operators)
                _copy(cursor, "account_records", rows.ACCOUNT_COLUMNS, found)
            for statement, values in (
                (_SOURCE, [rows.source_row(*s) for s in batch.sources]),
                (_ALERT, [rows.alert_row(*a) for a in batch.alerts]),
                (_REFERENCE, [rows.reference_row(*r) for r in batch.reference]),
            ):
                if values:
                    cursor.executemany(statement, values)
            _move_marks(cursor, batch, book)
            _move_heads(cursor, batch, book)
            self._move_out_marks(cursor, batch, book)

    def _make_partitions(self, batch: Batch) -> None:
        make = self._partitions.make
        if batch.ticks:
            good = rows.good_times(batch)
            make(self.connection, "ticks", "month", good)
            make(self.connection, "tick_blocks", "month", good)
        make(self.connection, "bars", "year", np.array([bar.time_ms for bar in batch.bars], np.int64))
        make(self.connection, "signals", "year", np.array([s.time_ms for s, _ in batch.signals], np.int64))
        taken = np.array([rows.account_time_us(record) // 1000 for record, _ in batch.account], np.int64)
        make(self.connection, "account_records", "month", taken)

    def _name(self, cursor: psycopg.Cursor[Any], batch: Batch) -> None:
        """Gives ids to listings, accounts and operators that are met for the first time."""
        derived: list[Bar | Signal] = [*batch.bars, *(signal for signal, _ in batch.signals)]
        named = [*(block.listing for block, _ in batch.blocks), *(record.listing for record in derived)]
        for listing in dict.fromkeys(named):
            if listing not in self.listings:
                cursor.execute("insert into tickledger.listings (name) values (%s) returning id", (listing,))
                self.listings[listing] = _one(cursor)
        for account in dict.fromkeys(record.account for record, _ in batch.account):
            if account not in self.accounts:
                cursor.execute("insert into tickledger.accounts (name) values (%s) returning id", (account,))
                self.accounts[account] = _one(cursor)
        decided = [record.operator for record, _ in batch.account if hasattr(record, "operator")]
        for operator in dict.fromkeys([*(record.operator for record in derived), *decided]):
            if operator not in self.operators:
                cursor.execute(
                    "insert into tickledger.operators (name, instance, ref_no) values (%s, %s, %s) returning id",
                    (operator, *split_operator(operator)),
                )
                self.operators[operator] = _one(cursor)

    def _move_out_marks(self, cursor: psycopg.Cursor[Any], batch: Batch, book: Book) -> None:
        moved = {("bars", bar.operator, bar.listing) for bar in batch.bars}
        moved |= {("signals", signal.operator, signal.listing) for signal, _ in batch.signals}
        cursor.executemany(
            "insert into tickledger.out_marks (operator_id, topic, listing_id, next_out) values (%s, %s, %s, %s) "
            "on conflict (operator_id, topic, listing_id) do update set next_out = excluded.next_out",
            [
                (self.operators[o], topic, self.listings[k], book.derived[topic].marks[o, k].next)
                for topic, o, k in sorted(moved)
            ],
        )

        decided = {
            (position.topic, record.operator, record.account)
            for record, position in batch.account
            if hasattr(record, "operator")
        }
        cursor.executemany(
            "insert into tickledger.account_marks (operator_id, topic, account_id, next_out) values (%s, %s, %s, %s) "
            "on conflict (operator_id, topic, account_id) do update set next_out = excluded.next_out",
            [
                (self.operators[o], topic, self.accounts[a], book.derived[topic].marks[o, a].next)
                for topic, o, a in sorted(decided)
            ],
        )

    def _ids(self, name: str) -> dict[str, int]:
        query = sql.SQL("select name, id from {}").format(table(name))
        return dict(self.connection.execute(query).fetchall())


def _fence(connection: Connection, dsn: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        row = connection.execute("select pg_try_advisory_lock(%s)", (FENCE,)).fetchone()
        if row is not None and row[0]:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    holder = connection.execute(_HOLDER, (FENCE >> 32, FENCE & 0xFFFFFFFF)).fetchone()
    who = f"session {holder[0]} ({holder[1]}, since {holder[2]:%Y-%m-%d %H:%M:%S} UTC)" if holder else "its session"
    raise Fenced(
        f"another projector writes the database at {address(dsn)}: {who}. One is enough; end that one first "
        "(tickledger down), or give this one a database of its own by postgres.dsn"
    )


def _copy(cursor: psycopg.Cursor[Any], name: str, columns: Mapping[str, str], found: Iterable[tuple[Any, ...]]) -> None:
    """Copies rows of `columns`, each with its type, into a table."""
    statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(
        table(name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with cursor.copy(statement) as copy:
        copy.set_types(list(columns.values()))
        for row in found:
            copy.write_row(row)


def _insert(name: str, columns: tuple[str, ...], key: str = "") -> sql.Composed:
    """An insert of `columns`; with a `key`, of two rows that have it the one stays that was written first."""
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        table(name),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )
    if not key:
        return statement
    return statement + sql.SQL(
        " on conflict ({}) do update set ({}) = row ({}) where (excluded.time, excluded.log_partition, "
        "excluded.log_offset) < ({}.time, {}.log_partition, {}.log_offset)"
    ).format(
        sql.Identifier(key),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(sql.Identifier("excluded", column) for column in columns),
        *[sql.Identifier(name)] * 3,
    )


def _move_marks(cursor: psycopg.Cursor[Any], batch: Batch, book: Book) -> None:
    moved = []
    for (topic, partition), first in batch.firsts.items():
        counts = [batch.verdicts[topic, partition, verdict] for verdict in _COUNTED]
        moved.append((topic, partition, book.offsets[topic, partition], *counts, first))
    # All on their way at once: a live market's batch has a mark a listing or two, and each would wait for its answer.
    cursor.executemany(_MOVE_MARK, moved)
    if cursor.rowcount != len(moved):
        places = ", ".join(
            f"{topic}/{partition} from offset {first}" for (topic, partition), first in batch.firsts.items()
        )
        raise Fenced(f"another projector took some of {places} on: end one of the two")


def _move_heads(cursor: psycopg.Cursor[Any], batch: Batch, book: Book) -> None:
    changed = []
    for topic, chain in sorted(batch.chains):
        head, at = book.facts[topic].heads[chain], book.at.get((topic, chain), Position(topic, -1, -1))
        newest = book.newest_ms.get(chain) if topic == "ticks" else None
        stopped_at = book.stopped_at.get((topic, chain))
        changed.append((topic, chain, at.partition, at.offset, newest, stopped_at, *head))
    if changed:
        cursor.executemany(_MOVE_HEAD, changed)


def _one(cursor: psycopg.Cursor[Any]) -> int:
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


_COUNTED: Final = (
    Verdict.TAKE,
    Verdict.SEEN,
    Verdict.VOID,
    Verdict.FORGED,
    Verdict.STOP,
    Verdict.AHEAD,
    Verdict.REPAIRED,
)
_COUNTS: Final = ("taken", "seen", "void", "forged", "stopped", "ahead", "repaired")
_MOVE_MARK: Final = (
    f"insert into tickledger.marks (topic, partition, next_offset, {', '.join(_COUNTS)}) values (%s, %s, %s"
    + ", %s" * len(_COUNTS)
    + ") on conflict (topic, partition) do update set next_offset = excluded.next_offset, "
    + ", ".join(f"{c} = marks.{c} + excluded.{c}" for c in _COUNTS)
    + " where marks.next_offset <= %s"
).encode()
_HEAD: Final = (
    *("topic", "chain", "partition", "log_offset", "newest_ms", "stopped_at"),
    *("epoch", "nonce", "seq", "n", "ref_no", "mac", "stopped_why"),
)
_MOVE_HEAD: Final = (
    f"insert into tickledger.heads ({', '.join(_HEAD)}) values (%s{', %s' * (len(_HEAD) - 1)}) "
    f"on conflict (topic, chain) do update set {', '.join(f'{c} = excluded.{c}' for c in _HEAD[2:])}"
).encode()
_SELECT_HEADS: Final = (
    "select topic, chain, partition, log_offset, newest_ms, stopped_at, epoch, nonce, seq, n, ref_no, mac, stopped_why "
    "from tickledger.heads"
)
_SELECT_OUT_MARKS: Final = """
select topic, operators.name, listings.name, next_out from tickledger.out_marks
join tickledger.operators on operators.id = operator_id join tickledger.listings on listings.id = listing_id
"""
_SELECT_ACCOUNT_MARKS: Final = """
select topic, operators.name, accounts.name, next_out from tickledger.account_marks
join tickledger.operators on operators.id = operator_id join tickledger.accounts on accounts.id = account_id
"""
_HOLDER: Final = """
select a.pid, a.application_name, a.backend_start from pg_locks l join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.classid = %s and l.objid = %s and l.objsubid = 1 and l.granted
  and a.datname = current_database()
"""
_SOURCE: Final = _insert("sources", rows.SOURCE_COLUMNS, "event_id")
_ALERT: Final = _insert("alerts", rows.ALERT_COLUMNS, "alert_id")
_REFERENCE: Final = _insert("reference", rows.REFERENCE_COLUMNS)
