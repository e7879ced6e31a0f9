"""A stack that runs: what listens where, as whom, with which secrets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import psycopg
import pytest

from tests.conftest import TestStack

pytestmark = pytest.mark.stack


def test_the_broker_has_the_topics(stack: TestStack) -> None:
    from infra.kafka import check_topics

    check_topics(stack.kafka)


def test_the_database_answers_and_wants_its_password(stack: TestStack) -> None:
    with psycopg.connect(stack.postgres_dsn) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("tickledger",)
    password = stack.postgres_dsn.split(":")[2].partition("@")[0]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(stack.postgres_dsn.replace(password, "wrong"))


def test_every_test_may_have_a_database_of_its_own(database: str) -> None:
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone() == (0,)


def test_nothing_in_the_home_is_open_to_others(stack: TestStack) -> None:
    assert stat.S_IMODE(stack.home.stat().st_mode) == 0o700
    for secret in (stack.home / "postgres" / "password",):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_the_database_does_not_run_as_root(stack: TestStack) -> None:
    pid = int((stack.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    owner = Path(f"/proc/{pid}").stat().st_uid
    assert owner != 0
    assert owner == os.geteuid() or os.geteuid() == 0
