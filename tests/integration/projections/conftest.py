"""A broker that only these tests write to, and projectors on databases of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from infra.clock import FixedClock
from projections.database import Connection, connect
from projections.moments import use_moments
from projections.projector import Projector
from tests.conftest import StartStack, TestStack
from tests.integration.projections.scripted import KEYS, START_MS, Log

Rows = list[tuple[Any, ...]]
Ask = Callable[..., Rows]


@pytest.fixture(scope="package")
def own_stack(start_stack: StartStack) -> Iterator[TestStack]:
    with start_stack() as running:
        yield running


@pytest.fixture(scope="package")
def log(own_stack: TestStack) -> Log:
    return Log(own_stack.kafka)


@contextmanager
def new_database(stack: TestStack) -> Iterator[str]:
    """An empty database."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(stack.postgres_dsn, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    yield stack.postgres_dsn.rpartition("/")[0] + "/" + name
    with psycopg.connect(stack.postgres_dsn, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


def projecting(stack: TestStack, dsn: str) -> Callable[[], None]:
    """What brings the database to the end of the log."""
    return lambda: Projector(dsn, stack.kafka, KEYS, FixedClock(START_MS * 1000)).run_to_end()  # type: ignore[return-value]


@pytest.fixture
def dsn(own_stack: TestStack) -> Iterator[str]:
    """An empty database of this test alone."""
    with new_database(own_stack) as found:
        yield found


@pytest.fixture
def project(own_stack: TestStack, dsn: str) -> Callable[[], None]:
    """Brings the database to the end of the log."""
    return projecting(own_stack, dsn)


@pytest.fixture
def ask(dsn: str) -> Ask:
    def run(query: str, *parameters: Any) -> Rows:
        with psycopg.connect(dsn) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    return run


@pytest.fixture
def session(dsn: str) -> Iterator[Connection]:
    """A reader's connection."""
    with connect(dsn, "test") as connection:
        use_moments(connection)
        yield connection


@pytest.fixture
def listing() -> str:
    return f"test/S{uuid4().hex[:8]}"
