"""How a service's app reads from the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer

from infra.settings import load_settings
from streams.app import FETCH_WAIT_MS, Service, make_app


class Nothing:
    """A service that does nothing with what it is given."""

    def assigned(self, partitions: Iterable[int]) -> None: ...

    def revoked(self, partitions: Iterable[int]) -> None: ...

    async def take(self, event: Any) -> None: ...

    async def quiet(self) -> None: ...

    async def close(self) -> None: ...


def test_a_fetch_waits_no_longer_than_ours_for_partitions_that_have_nothing(tmp_path: Path) -> None:
    async def fetch_waits() -> tuple[Any, Any]:
        """As the consumer of an app keeps it, and as one does that is made with it."""
        service = Service("a service", "a group", "ticks")
        app = make_app(load_settings(home=tmp_path), "localhost:9", service, Nothing(), lambda: None)
        thread = app.consumer._thread
        # It never starts, so it doesn't close the loop that it has made.
        thread.thread_loop.close()
        found = thread._create_consumer(asyncio.get_running_loop())
        made = AIOKafkaConsumer(bootstrap_servers="localhost:9", fetch_max_wait_ms=FETCH_WAIT_MS)
        for one in (found, made):
            await one.stop()
        return vars(found)["_fetch_max_wait_ms"], vars(made)["_fetch_max_wait_ms"]

    kept, told = asyncio.run(fetch_waits())
    assert kept == told == FETCH_WAIT_MS
