"""Brings the database to the shape that this release wants, by numbered files that are applied once.

What was applied is kept with its SHA-256: a file changed afterwards, or a database of a later release, is refused.
Everything in the database can be made again from the log, so the way out is always ``tickledger rebuild``.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from typing import NamedTuple

import psycopg

from infra.errors import TickledgerError
from projections.database import SCHEMA, Connection

_LOCK = 0x7469636B_0001
_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


class WrongShape(TickledgerError):
    """The database was made by other migrations than this release has: somebody has to take the other release, or make
    the database again."""

    final = True


class NotYetInShape(TickledgerError):
    """The database isn't set up, or is of an older release: the projector brings it up to date when it starts."""


class Migration(NamedTuple):
    """One numbered file."""

    version: int
    name: str
    sql: str
    sha256: str


def migrations() -> list[Migration]:
    """All migrations of this release, lowest first; numbered densely from 1."""
    found = []
    for file in files("projections.migrations").iterdir():
        if match := _NAME.fullmatch(file.name):
            text = file.read_text(encoding="utf-8")
            digest = hashlib.sha256(text.encode()).hexdigest()
            found.append(Migration(int(match[1]), match[2], text, digest))
    found.sort()
    if [m.version for m in found] != list(range(1, len(found) + 1)):
        raise WrongShape(f"migrations are not numbered densely: {[m.version for m in found]}")
    return found


def migrate(connection: Connection, wanted: list[Migration] | None = None) -> list[Migration]:
    """Applies what is missing, each file in a transaction of its own, and returns it; several callers may race.

    Raises WrongShape if what was applied is not what ``wanted`` (default: this release's) has.
    """
    wanted = migrations() if wanted is None else wanted
    connection.execute("select pg_advisory_lock(%s)", (_LOCK,))
    try:
        connection.execute(_VERSIONS)
        done = _applied(connection)
        _check(done, wanted)
        missing = wanted[len(done) :]
        for migration in missing:
            with connection.transaction():
                connection.execute(migration.sql.encode())
                connection.execute(
                    "insert into tickledger.schema_version (version, name, sha256) values (%s, %s, %s)",
                    (migration.version, migration.name, migration.sha256),
                )
        return missing
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(%s)", (_LOCK,))


def check(connection: Connection) -> None:
    """Raises WrongShape or NotYetInShape unless the database has exactly the shape of this release; for readers, which
    never migrate."""
    try:
        done = _applied(connection)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        done = []
    wanted = migrations()
    _check(done, wanted)
    if len(done) < len(wanted):
        raise NotYetInShape(
            "the database is not set up yet: start the projector (tickledger up), which makes its tables and fills them"
            if not done
            else f"the database is of an older release (migration {len(done)} of {len(wanted)}): start tickledger up"
        )


def drop(connection: Connection) -> None:
    """Removes everything of ours, a partition a transaction, so that no lock table overflows. Idempotent."""
    partitions = connection.execute(
        "select format('%%I.%%I', nspname, relname) from pg_class join pg_namespace on pg_namespace.oid = relnamespace "
        "where nspname = %s and relispartition and relkind = 'r'",
        (SCHEMA,),
    ).fetchall()
    for (name,) in partitions:
        connection.execute(f"drop table if exists {name}".encode())
    connection.execute(f"drop schema if exists {SCHEMA} cascade".encode())


def _applied(connection: Connection) -> list[tuple[int, str, str]]:
    rows = connection.execute("select version, name, sha256 from tickledger.schema_version order by version").fetchall()
    return [(version, name, digest) for version, name, digest in rows]


def _check(done: list[tuple[int, str, str]], wanted: list[Migration]) -> None:
    way_out = "take the release that made it, or make it again from the log: tickledger rebuild"
    if len(done) > len(wanted):
        raise WrongShape(f"the database is of a later release (migration {done[-1][0]} of {len(wanted)}): {way_out}")
    for (version, name, digest), migration in zip(done, wanted, strict=False):
        if (version, name, digest) != (migration.version, migration.name, migration.sha256):
            raise WrongShape(f"migration {version} ({name}) of the database is not this release's: {way_out}")


_VERSIONS = """
create schema if not exists tickledger;
create table if not exists tickledger.schema_version (
    version    integer     primary key,
    name       text        not null,
    sha256     text        not null,
    applied_at timestamptz not null default now()
);
comment on schema tickledger is 'Made from the log by the projector: deleting it loses nothing.';
comment on table tickledger.schema_version is 'Migrations applied.';
comment on column tickledger.schema_version.version is 'Number of the file.';
comment on column tickledger.schema_version.name is 'Its name.';
comment on column tickledger.schema_version.sha256 is 'Hex SHA-256 of its text: an applied file may not change.';
comment on column tickledger.schema_version.applied_at is 'When it was applied, UTC.';
"""
