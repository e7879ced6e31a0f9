"""What all tests share: one embedded stack a session, and a clean environment."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest

from infra.settings import Settings, load_settings
from tests.browser import browser

# Settings of the person who runs the tests are not the tests' settings; a cache that set-up has filled is shared.
for _name in [name for name in os.environ if name.startswith("TICKLEDGER_") and name != "TICKLEDGER_CACHE"]:
    del os.environ[_name]
# A test's broker lives for seconds: nothing that is optimized meanwhile pays for itself.
os.environ["TICKLEDGER_KAFKA__OPTIMIZE"] = "false"


@dataclass(frozen=True)
class TestStack:
    """A running Kafka broker and PostgreSQL; ``settings`` are those of its home, so programs of ours find both."""

    __test__ = False

    home: Path
    settings: Settings
    kafka: str
    postgres_dsn: str = field(repr=False)


StartStack = Callable[..., AbstractContextManager[TestStack]]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n`: a room's integration tests share a broker, so one process runs them; of the others it runs a file.

    In the order of the folders, in which those that start services and mostly wait come first: what is left for the
    end are many small files, so that no process waits long for another.
    """
    from xdist.scheduler import LoadScopeScheduling

    class RoomsTogether(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            folder, _, _ = file.rpartition("/")
            alone = folder in ("tests/integration", "tests/integration/stack")
            return folder if folder.startswith("tests/integration/") and not alone else file

    config.option.loadscopereorder = False
    return RoomsTogether(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The embedded stack runs on Linux, and a page needs a browser: tests without are deselected, which is counted."""
    here = platform.system() == "Linux"
    lacking = () if here else ("stack", "kill")
    lacking = lacking if browser() is not None else (*lacking, "browser")
    needing = [item for item in items if any(map(item.get_closest_marker, lacking))]
    if needing:
        config.hook.pytest_deselected(items=needing)
        items[:] = [item for item in items if item not in needing]


@pytest.fixture(scope="session")
def start_stack(tmp_path_factory: pytest.TempPathFactory) -> StartStack:
    """``with start_stack() as stack``: a stack of its own (some 4 s), for tests that need empty topics or kill it.

    ``services`` (default broker and database), ``home`` (to start an existing one again), ``topics=False`` to leave
    the broker empty.
    """

    @contextmanager
    def start(
        services: frozenset[str] | set[str] = frozenset({"kafka", "postgres"}),
        home: Path | None = None,
        topics: bool = True,
    ) -> Iterator[TestStack]:
        from infra.kafka import ensure_topics
        from infra.stack.stack import Running, attach_or_start

        def prepare(running: Running) -> None:
            if topics and running.kafka:
                ensure_topics(running.kafka)

        settings = load_settings(home=home or tmp_path_factory.mktemp("home") / "a home")
        with attach_or_start(settings, services, on_start=prepare) as running:
            yield TestStack(running.home, settings, running.kafka, running.postgres_dsn)

    return start


@pytest.fixture(scope="session")
def stack(start_stack: StartStack) -> Iterator[TestStack]:
    """The session's broker (with all topics) and database, shared: use a listing and a database of your own."""
    with start_stack() as running:
        yield running


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, unlike `tmp_path`."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def database(stack: TestStack) -> Iterator[str]:
    """The DSN of an empty database of this test alone."""
    import psycopg

    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(stack.postgres_dsn, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield stack.postgres_dsn.rpartition("/")[0] + "/" + name
    with psycopg.connect(stack.postgres_dsn, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
