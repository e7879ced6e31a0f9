"""Migrations are applied once, by one of several; what was applied may not differ."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from infra.keys import load_or_create
from infra.settings import load_settings
from infra.stack.services import REFUSED
from projections import migrate
from projections.database import Connection, connect
from tests.conftest import TestStack

pytestmark = pytest.mark.stack


@pytest.fixture
def session(dsn: str) -> Connection:
    return connect(dsn, "test")


def test_each_file_is_applied_once(session: Connection) -> None:
    assert [m.version for m in migrate.migrate(session)] == [m.version for m in migrate.migrations()]
    assert migrate.migrate(session) == []
    migrate.check(session)
    session.close()


def test_several_at_once_apply_each_file_once(dsn: str) -> None:
    done: list[migrate.Migration] = []

    def run() -> None:
        with connect(dsn, "test") as session:
            done.extend(migrate.migrate(session))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == migrate.migrations()


def test_a_changed_file_is_refused(session: Connection) -> None:
    migrate.migrate(session)
    newest = migrate.migrations()[-1]
    changed = [*migrate.migrations()[:-1], newest._replace(sha256="0" * 64)]

    with pytest.raises(migrate.WrongShape, match=rf"migration {newest.version} \({newest.name}\).*tickledger rebuild"):
        migrate.migrate(session, changed)
    session.close()


def test_a_database_of_a_later_release_is_refused(session: Connection) -> None:
    migrate.migrate(session)

    with pytest.raises(migrate.WrongShape, match="later release"):
        migrate.migrate(session, migrate.migrations()[:-1])
    session.close()


def test_a_projector_of_a_database_of_a_later_release_is_refused_and_not_started_again(
    own_stack: TestStack, dsn: str, session: Connection, tmp_path: Path
) -> None:
    migrate.migrate(session)
    session.execute("insert into tickledger.schema_version (version, name, sha256) values (9999, 'later', '')")
    session.close()
    environment = {
        **os.environ,
        "TICKLEDGER_HOME": str(tmp_path),
        "TICKLEDGER_KAFKA__BOOTSTRAP_SERVERS": own_stack.kafka,
        "TICKLEDGER_POSTGRES__DSN": dsn,
    }
    load_or_create(load_settings(tmp_path))

    ended = subprocess.run(
        [sys.executable, "-P", "-m", "projections.projector"],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert "the database is of a later release" in ended.stderr
    assert ended.returncode == REFUSED


def test_a_reader_says_that_nothing_is_set_up(session: Connection) -> None:
    with pytest.raises(migrate.NotYetInShape, match="tickledger up"):
        migrate.check(session)
    session.close()


def test_a_file_that_fails_leaves_nothing_of_itself(session: Connection) -> None:
    broken = migrate.Migration(5, "broken", "create table tickledger.half (a int); select 1/0;", "x")

    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate.migrate(session, [*migrate.migrations(), broken])

    assert session.execute("select to_regclass('tickledger.half')").fetchone() == (None,)
    migrate.check(session)
    session.close()


def test_dropping_leaves_nothing(session: Connection) -> None:
    migrate.migrate(session)
    session.execute(
        "select tickledger.make_partition('ticks', 'ticks_2014_05', '2014-05-01 00:00+00', '2014-06-01 00:00+00')"
    )
    migrate.drop(session)
    migrate.drop(session)

    assert session.execute("select count(*) from pg_namespace where nspname = 'tickledger'").fetchone() == (0,)
    session.close()


def test_every_column_in_the_database_is_described(session: Connection) -> None:
    migrate.migrate(session)
    missing = session.execute(
        "select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid "
        "where c.relnamespace = 'tickledger'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition "
        "and a.attnum > 0 and not a.attisdropped and col_description(c.oid, a.attnum) is null"
    ).fetchall()

    assert missing == []
    session.close()
