"""How a service's app reads from the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from infra.settings import load_settings
from streams.app import Fetch, Service, make_app
from streams.worker import GATHERED


class Nothing:
    """A service that does nothing with what it is given."""

    def assigned(self, partitions: Iterable[int]) -> None: ...

    def revoked(self, partitions: Iterable[int]) -> None: ...

    async def take(self, event: Any) -> None: ...

    async def quiet(self) -> None: ...

    async def close(self) -> None: ...


@pytest.mark.parametrize("fetch", [Fetch(), GATHERED])
def test_a_fetch_is_answered_as_its_service_needs_it(tmp_path: Path, fetch: Fetch) -> None:
    async def fetches() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """As the consumer of an app keeps it, and as one does that is made with it."""
        service = Service("a service", "a group", "ticks", fetch)
        app = make_app(load_settings(home=tmp_path), "localhost:9", service, Nothing(), lambda: None)
        thread = app.consumer._thread
        # It never starts, so it doesn't close the loop that it has made.
        thread.thread_loop.close()
        found = thread._create_consumer(asyncio.get_running_loop())
        made = AIOKafkaConsumer(
            bootstrap_servers="localhost:9", fetch_min_bytes=fetch.least_bytes, fetch_max_wait_ms=fetch.wait_ms
        )
        for one in (found, made):
            await one.stop()
        return _fetch_of(found), _fetch_of(made)

    kept, told = asyncio.run(fetches())
    assert kept == told == fetch


def _fetch_of(consumer: Any) -> tuple[Any, Any]:
    return vars(consumer)["_fetch_min_bytes"], vars(consumer)["_fetch_max_wait_ms"]
