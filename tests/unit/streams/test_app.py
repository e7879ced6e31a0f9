"""How a service's app reads from the broker, and what its agent is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from infra.settings import load_settings
from streams import app as module
from streams.app import BATCH_RECORDS, FETCH_PAUSE_S, FETCH_WAIT_MS, Service, make_app, paced


class Noting:
    """A service that notes partition and offset of what it is given."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, int]] = []

    def assigned(self, partitions: Iterable[int]) -> None: ...

    def revoked(self, partitions: Iterable[int]) -> None: ...

    async def take(self, event: Any) -> None:
        self.taken.append((event.message.partition, event.message.offset))

    async def quiet(self) -> None: ...

    async def close(self) -> None: ...


@pytest.fixture
def in_app(tmp_path: Path) -> Callable[[Callable[[faust.App, Noting], Awaitable[Any]]], Any]:
    """Runs steps with the app of a service that never starts."""

    def run(steps: Callable[[faust.App, Noting], Awaitable[Any]]) -> Any:
        async def running() -> Any:
            service, noting = Service("a service", "a group", "ticks"), Noting()
            app = make_app(load_settings(home=tmp_path), "localhost:9", service, noting, lambda: None)
            # It closes the loop that it has made only if it ran.
            app.consumer._thread.thread_loop.close()
            app.consumer_generation_id = 1
            app.flow_control.resume()
            return await steps(app, noting)

        return asyncio.run(running())

    return run


def message(partition: int, offset: int, generation: int = 1) -> ConsumerMessage:
    tp = TP("ticks", partition)
    return ConsumerMessage(
        "ticks", partition, offset, 0.0, 0, (), b"key", b"value", None, 3, 5, tp, generation_id=generation
    )


def event(app: faust.App, partition: int, offset: int, generation: int = 1) -> faust.Event:
    return faust.Event(app, b"key", b"value", (), message(partition, offset, generation))


def test_a_fetch_waits_no_longer_than_ours_for_partitions_that_have_nothing(in_app: Any) -> None:
    async def fetch_waits(app: faust.App, _: Noting) -> tuple[Any, Any]:
        """As the consumer of an app keeps it, and as one does that is made with it."""
        found = app.consumer._thread._create_consumer(asyncio.get_running_loop())
        made = AIOKafkaConsumer(bootstrap_servers="localhost:9", fetch_max_wait_ms=FETCH_WAIT_MS)
        for one in (found, made):
            await one.stop()
        return vars(found)["_fetch_max_wait_ms"], vars(made)["_fetch_max_wait_ms"]

    kept, told = in_app(fetch_waits)
    assert kept == told == FETCH_WAIT_MS


class Times:
    """A clock on which nothing but sleeping takes time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.is_cancelled = False

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if self.is_cancelled:
            raise asyncio.CancelledError
        self.now += max(seconds, 0.0)


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    times = Times()
    monkeypatch.setattr(module, "time", times)
    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=times.sleep, CancelledError=asyncio.CancelledError))
    return times


def test_a_broker_is_asked_at_once_after_a_pause_and_else_when_it_is_over(times: Times) -> None:
    asked: list[tuple[int, float]] = []

    async def fetch(assignment: object, node: int, request: object) -> bool:
        asked.append((node, times.now))
        return True

    async def steps() -> None:
        ask = paced(fetch)
        for node in (1, 1, 2):
            assert await ask("assignment", node, "request")
        times.now = 200.0
        assert await ask("assignment", 1, "request")
        times.is_cancelled = True
        assert not await ask("assignment", 1, "request")

    asyncio.run(steps())
    assert asked == [(1, 100.0), (1, 100.0 + FETCH_PAUSE_S), (2, 100.0 + FETCH_PAUSE_S), (1, 200.0)]


def drained(app: faust.App, came: list[ConsumerMessage]) -> Awaitable[list[list[tuple[int, int]]]]:
    """The batches that come of one fetch, as partitions and offsets."""
    consumer: Any = app.consumer
    fetcher = SimpleNamespace(should_stop=False)

    async def getmany(timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        fetcher.should_stop = True
        for one in came:
            yield one.tp, one

    async def found() -> list[list[tuple[int, int]]]:
        consumer.getmany = getmany
        channel = aiter(app.topic("ticks", key_type=bytes, value_type=bytes))
        await app.topics._update_indices()
        await consumer._drain_messages(fetcher)
        batches = [channel.queue.get_nowait() for _ in range(channel.queue.qsize())]
        for batch in batches:
            for one in batch:
                one.ack()
        return [[(one.message.partition, one.message.offset) for one in batch] for batch in batches]

    return found()


def test_what_a_fetch_brought_comes_in_batches_and_in_order(in_app: Any) -> None:
    async def steps(app: faust.App, _: Noting) -> None:
        came = [(partition, offset) for offset in range(10, 10 + BATCH_RECORDS) for partition in (3, 4)]
        batches = await drained(app, [message(*place) for place in [*came, (5, 7)]])
        assert batches == [came[:BATCH_RECORDS], came[BATCH_RECORDS:], [(5, 7)]]
        assert [app.consumer._new_offset(TP("ticks", p)) for p in (3, 4, 5)] == [
            10 + BATCH_RECORDS, 10 + BATCH_RECORDS, 8
        ]  # fmt: skip

    in_app(steps)


def test_what_was_read_before_does_not_come_again_and_a_hole_of_the_log_is_acknowledged(in_app: Any) -> None:
    async def steps(app: faust.App, _: Noting) -> None:
        app.consumer._read_offset[TP("ticks", 3)] = 11
        assert await drained(app, [message(3, offset) for offset in (10, 11, 14, 15)]) == [[(3, 11), (3, 14), (3, 15)]]
        assert app.consumer._new_offset(TP("ticks", 3)) == 16

    in_app(steps)


def test_a_stopped_consumer_is_an_error_unless_the_app_ends(in_app: Any) -> None:
    async def steps(app: faust.App, _: Noting) -> None:
        consumer: Any = app.consumer
        (stopped,) = consumer.consumer_stopped_errors

        async def getmany(timeout: float) -> AsyncIterator[Any]:
            raise stopped
            yield

        consumer.getmany = getmany
        with pytest.raises(stopped):
            await consumer._drain_messages(SimpleNamespace(should_stop=False))
        app._stopped.set()
        await consumer._drain_messages(SimpleNamespace(should_stop=False))

    in_app(steps)


def test_what_was_fetched_before_the_group_shared_anew_is_passed_over(in_app: Any) -> None:
    async def steps(app: faust.App, noting: Noting) -> None:
        async def batches() -> AsyncIterator[list[faust.Event]]:
            yield [event(app, 3, 10), event(app, 3, 11, generation=0)]
            app.flow_control.suspend()
            yield [event(app, 3, 12)]
            app.flow_control.resume()
            app.consumer_generation_id = 2
            yield [event(app, 3, 13), event(app, 3, 11, generation=2)]

        (agent,) = app.agents.values()
        await agent.fun(batches())
        assert noting.taken == [(3, 10), (3, 11)]

    in_app(steps)
