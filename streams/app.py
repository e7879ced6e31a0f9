"""The Faust app of a service: a group that shares the partitions of a topic, and one agent that hands over each record.

Records come to the agent in batches, as they were fetched: Faust's own way takes each of them through a lock, two tasks
and a queue, longer than a block takes to be folded.

An error in a step ends the process at once: Faust would otherwise go on with the next record.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import faust
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport

from infra.clock import STANDING_WAIT_S, Stopwatch, SystemClock
from infra.errors import NotReady
from infra.market_clock import MarketClock, service_clock
from infra.pauses import shorten_pauses
from infra.settings import Settings
from schemas.catalogue import TOPICS
from streams.outbox import or_end

BUFFERED_RECORDS = 256
"""Records that Faust holds ready; one of an import has up to 180 kB."""
BATCH_RECORDS = 16
"""Records at most that are taken in one turn of the event loop."""
FETCH_PAUSE_S = 0.005
"""From one fetch to the next, at least. Under load it brings all that came meanwhile, where each record would cost a
fetch of its own; one that comes after a pause is brought at once."""
FETCH_WAIT_MS = 20
"""How long the broker waits for records that a fetch asks for. A fetch leaves out partitions whose last records Faust
hasn't taken yet, and their next ones wait until it has ended: with Faust's own 1,500 ms a second or more."""


Fetch = Callable[[Any, int, Any], Awaitable[bool]]
"""Sends a fetch request for an assignment to a broker, by its number; whether anything came."""


class Service(NamedTuple):
    """What a service is to Faust: its name in the stack, its group, and the topic that it reads."""

    name: str
    group: str
    topic: str


class Steps(Protocol):
    """What a service does with what its group gives it."""

    def assigned(self, partitions: Iterable[int]) -> None: ...

    def revoked(self, partitions: Iterable[int]) -> None: ...

    async def take(self, event: Any) -> None: ...

    async def quiet(self) -> None: ...

    async def close(self) -> None: ...


def make_app(
    settings: Settings, bootstrap: str, service: Service, steps: Steps, ready: Callable[[], None]
) -> faust.App:
    """The app; `ready` is called whenever the group has given this process its partitions."""
    app = faust.App(
        service.group,
        broker=";".join(f"kafka://{address}" for address in bootstrap.split(",")),
        store="memory://",
        datadir=str(settings.home / service.name),
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=_instance(settings, service.name),
        broker_session_timeout=settings.worker.session_timeout_s,
        broker_heartbeat_interval=min(1.0, settings.worker.session_timeout_s / 3),
        broker_commit_interval=0.5,
        broker_max_poll_interval=3600.0,
        producer_acks=-1,
        producer_linger=0,
        stream_wait_empty=False,
        stream_buffer_maxsize=BUFFERED_RECORDS // BATCH_RECORDS,
        consumer_max_fetch_size=8 * 1024 * 1024,
        worker_redirect_stdouts=False,
        logging_config=None,
    )
    app.transport = _Transport(app.conf.broker_consumer, app)
    topic = app.topic(
        service.topic,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        partitions=TOPICS[service.topic].partitions,
        internal=False,
    )

    async def take_all(stream: Any) -> None:
        async for batch in stream:
            for event in batch:
                # What was fetched before the group shared anew comes once more, from where it was acknowledged.
                if app.flow_control.is_active() and event.message.generation_id == app.consumer_generation_id:
                    await or_end(steps.take(event), service.name)

    async def when_quiet() -> None:
        await or_end(steps.quiet(), service.name)

    async def on_assigned(_: Any, assigned: Any, **__: Any) -> None:
        steps.assigned(tp.partition for tp in assigned if tp.topic == service.topic)
        ready()

    async def on_revoked(_: Any, revoked: Any, **__: Any) -> None:
        steps.revoked([tp.partition for tp in revoked if tp.topic == service.topic])

    async def on_shutdown(_: Any, **__: Any) -> None:
        await or_end(steps.close(), service.name)

    app.agent(topic)(take_all)
    app.timer(0.25)(when_quiet)
    app.on_partitions_assigned.connect(on_assigned)
    app.on_partitions_revoked.connect(on_revoked)
    app.on_before_shutdown.connect(on_shutdown)
    return app


def run(app: faust.App) -> None:
    """Runs the app until SIGTERM."""
    shorten_pauses()
    with Path(os.devnull).open("w") as nowhere:
        # Its spinner and cursor codes go nowhere, and its logs through ours.
        _Worker(app, redirect_stdouts=False, quiet=True, stdout=nowhere).execute_from_commandline()


def clock_of(settings: Settings) -> MarketClock | SystemClock:
    """The clock of a service's records, once it is there. Raises NotReady if no terminal has set it in time."""
    waited = Stopwatch()
    while True:
        try:
            return service_clock(settings)
        except NotReady:
            if waited.seconds() > settings.stack.start_timeout_s:
                raise
            time.sleep(STANDING_WAIT_S)


def paced(fetch: Fetch) -> Fetch:
    """The same, but a broker is asked no sooner than FETCH_PAUSE_S after it was the last time."""
    not_before: dict[int, float] = {}

    async def fetch_then(assignment: Any, node: int, request: Any) -> bool:
        try:
            await asyncio.sleep(not_before.get(node, 0.0) - time.monotonic())
        except asyncio.CancelledError:
            # As if the fetch itself had been: its partitions were taken away.
            return False
        not_before[node] = time.monotonic() + FETCH_PAUSE_S
        return await fetch(assignment, node, request)

    return fetch_then


class _ConsumerThread(AIOKafkaConsumerThread):
    def _create_consumer(self, loop: Any) -> Any:
        consumer = super()._create_consumer(loop)
        # Faust has no setting for it; the consumer hands it to its fetcher when it starts.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def on_start(self) -> None:
        await super().on_start()
        fetcher: Any = self._ensure_consumer()._fetcher
        fetcher._proc_fetch_request = paced(fetcher._proc_fetch_request)

    async def getmany(self, active_partitions: Any, timeout: float) -> Any:
        # Faust's own takes each call through a queue and further tasks of the thread.
        consumer = self._ensure_consumer()
        fetched = self._fetch_records(consumer, active_partitions, timeout, consumer._max_poll_records)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(fetched, self.thread_loop))


class _Consumer(Consumer):
    async def _drain_messages(self, fetcher: Any) -> None:
        """Puts what comes before the agent until the app ends, in the order of each partition."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                await asyncio.sleep(0)
                batch: list[faust.Event] = []
                async for tp, message in self.getmany(timeout=1.0):
                    if await self._is_next(tp, message.offset):
                        message.incref()
                        batch.append(faust.Event(self.app, message.key, message.value, message.headers, message))
                    if len(batch) == BATCH_RECORDS:
                        await self._put(batch)
                        batch = []
                if batch:
                    await self._put(batch)
        except (asyncio.CancelledError, *self.consumer_stopped_errors):
            if not self.app.should_stop:
                raise

    async def _is_next(self, tp: Any, offset: int) -> bool:
        """Whether the record is one to hand over; keeps what Faust's commits and its watch for stalls go by."""
        read = self._read_offset[tp]
        if read is not None and offset < read:
            return False
        if read and offset > read + 1:
            await self._add_gap(tp, read + 1, offset - 1)
        self._read_offset[tp] = offset
        self.app.monitor.stream_inbound_time[tp] = time.monotonic()
        return True

    async def _put(self, batch: list[faust.Event]) -> None:
        for channel in list(self.app.topics):
            await channel.put(batch)

    def _new_consumer_thread(self) -> Any:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class _Transport(Transport):
    Consumer = _Consumer


class _Worker(faust.Worker):
    def _setup_logging(self) -> None:
        self.spinner = None


def _instance(settings: Settings, name: str) -> str:
    """The same for each start of a home's service: so the group takes it back at once, also after a kill."""
    place = f"{socket.gethostname()} {settings.home.resolve()}"
    return f"{name}-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
