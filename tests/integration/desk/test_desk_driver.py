"""The desk's steps between its group and its partitions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.clock import SystemClock
from infra.kafka import end_of, new_producer
from infra.settings import load_settings
from streams.desk_service.driver import DeskDriver
from tests.conftest import TestStack
from tests.integration.desk.account_day import AccountDay
from tests.integration.projections.scripted import KEYS

pytestmark = pytest.mark.stack


def test_while_a_partition_loads_no_more_than_a_snapshots_records_are_held(
    broker: TestStack, day: AccountDay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition, name = day.partition, day.account
    first = end_of(broker.kafka, "journal", partition)
    producer = new_producer(broker.kafka)
    for _ in range(3):
        producer.produce("journal", key=name, value=b"junk", partition=partition)
    assert producer.flush(30) == 0
    monkeypatch.setenv("TICKLEDGER_WORKER__SNAPSHOT_RECORDS", "3")
    driver = DeskDriver(load_settings(home=tmp_path), broker.kafka, KEYS, SystemClock())
    acknowledged: list[int] = []

    def event(offset: int) -> Any:
        message = SimpleNamespace(partition=partition, offset=offset, key=name.encode(), value=b"junk")
        return SimpleNamespace(message=message, value=b"junk", ack=lambda: acknowledged.append(offset))

    found = threading.Event()
    find: Callable[[list[int]], Any] = driver._find

    def slow(partitions: list[int]) -> Any:
        found.wait(30)
        return find(partitions)

    monkeypatch.setattr(driver, "_find", slow)

    async def run() -> None:
        await driver.take(event(first))
        await driver.take(event(first + 1))
        last = asyncio.ensure_future(driver.take(event(first + 2)))
        await asyncio.sleep(0.1)
        assert not last.done()
        found.set()
        await last
        await driver.close()

    asyncio.run(run())
    assert acknowledged == [first, first + 1, first + 2]
