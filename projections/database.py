"""Connections to the database, and its errors in words that name the way out."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict

from infra.errors import HomeUnusable, NotReady, PasswordRefused, TickledgerError, Unreachable

SCHEMA = "tickledger"

Connection = psycopg.Connection[tuple[Any, ...]]


def connect(dsn: str, application: str) -> Connection:
    """An autocommit session on UTC, named ``application`` in pg_stat_activity; transactions are opened explicitly.

    Raises PasswordRefused, Unreachable or NotReady (the server starts, ends or recovers: trying again helps).
    """
    try:
        connection = psycopg.connect(
            dsn,
            autocommit=True,
            application_name=application,
            connect_timeout=10,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            options="-c TimeZone=UTC -c extra_float_digits=1",
        )
    except psycopg.OperationalError as error:
        raise explain(error, dsn) from error
    return connection


def explain(error: psycopg.Error, dsn: str) -> TickledgerError:
    """What went wrong with the database at ``dsn``, without its password, and what to do."""
    where = address(dsn)
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    state = error.sqlstate or ""
    if state in _PASSWORD or "password authentication failed" in text or "no password supplied" in text:
        return PasswordRefused(
            f"the database at {where} refuses the password that tickledger has for it: if it was changed by hand, set "
            "it back (ALTER ROLE ... PASSWORD) or put the new one into postgres.dsn; everything in the database can be "
            "made again from the log"
        )
    if state == errors.DiskFull.sqlstate or "No space left on device" in text:
        return HomeUnusable(
            f"the database at {where} has no room left on its disk: free some space there; nothing is lost, the "
            "projector goes on from its marks"
        )
    if state == errors.InvalidCatalogName.sqlstate or ("database" in text and "does not exist" in text):
        return Unreachable(
            f"{where}: {text}: create that database, or correct postgres.dsn; the embedded one is made and filled "
            "again by `tickledger down` and the next start"
        )
    if state in _NOT_NOW or "starting up" in text or "shutting down" in text or "recovery mode" in text:
        return NotReady(f"the database at {where} does not take sessions now: {text}")
    if state == errors.TooManyConnections.sqlstate or "too many clients" in text:
        return NotReady(f"the database at {where} has no session free: raise postgres.max_connections, or end some")
    if state in ("42501", "28000"):
        return Unreachable(
            f"the database at {where} does not permit it: {text}: give the role the right, or another dsn"
        )
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return Unreachable(f"the database at {where} does not answer: {text}: is it up (tickledger status)?")
    return TickledgerError(f"the database at {where} refuses: {text}")


def address(dsn: str) -> str:
    """host:port/database of ``dsn``, nothing secret."""
    try:
        known = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "postgres.dsn"
    return f"{known.get('host', 'localhost')}:{known.get('port', 5432)}/{known.get('dbname', '')}"


def table(name: str) -> sql.Identifier:
    """``name`` in our schema, quoted."""
    return sql.Identifier(SCHEMA, name)


_PASSWORD = frozenset({"28P01"})
_NOT_NOW = frozenset({"57P01", "57P02", "57P03"})
