"""The Faust worker: one agent for `ticks` runs bars and all strategies; a service, `python -m streams.worker`.

Faust's part is the group: who reads which partition, and how far it got. States are ours: snapshots on a topic of
their own, each with its position. Outputs go first, then the snapshot, then the acknowledgement; a failed output, a
missing record or an error ends the process, since Faust would otherwise go on with the next record.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import faust

from infra import anchors, log
from infra.clock import Clock, SystemClock
from infra.errors import TickledgerError
from infra.kafka import DeliveryFailed, new_producer
from infra.keys import load_or_create
from infra.settings import Settings, load_settings
from infra.stack.addresses import kafka_address
from infra.stack.services import announce
from schemas.catalogue import TOPICS
from schemas.chains import REFERENCE_CHAIN
from schemas.integrity import KeyRing
from streams import snapshots
from streams.partition import Surroundings, TickPartition
from streams.reference_follower import ReferenceFollower

logger = log.get(__name__)

GROUP = "tickledger-worker"
ANCHOR_INTERVAL_S = 60.0
SNAPSHOT_BYTES_PER_S = 1_000_000
"""The interval between snapshots stretches so that a worker writes no more."""

T = TypeVar("T")


class Worker:
    """The partitions that this process has, and what is due for them: checkpoints and anchors."""

    def __init__(self, settings: Settings, bootstrap: str, keys: KeyRing, clock: Clock) -> None:
        self._settings, self._bootstrap, self._keys, self._clock = settings, bootstrap, keys, clock
        self._producer = new_producer(bootstrap, on_delivery=self._delivered)
        self._failure: Exception | None = None
        self._incarnation = clock.now_us()
        self._world = Surroundings(bootstrap, keys, clock, self._producer, ReferenceFollower(bootstrap, keys))
        self._loading: dict[int, asyncio.Future[TickPartition]] = {}
        self._done: list[Any] = []
        self._superseded: dict[tuple[str, str], tuple[bytes, ...]] = {}
        self._written: dict[tuple[str, str], tuple[bytes, ...]] = {}
        self._next_checkpoint = 0.0
        self._next_anchors = time.monotonic() + ANCHOR_INTERVAL_S
        self._busy = asyncio.Lock()

    def assigned(self, partitions: Iterable[int]) -> None:
        """Starts to load the snapshots of all new partitions at once, off the event loop."""
        new = sorted(set(partitions) - set(self._loading))
        if not new:
            return
        loaded = asyncio.ensure_future(_off_loop(functools.partial(snapshots.load, self._bootstrap, self._keys, new)))
        for partition in new:
            self._loading[partition] = asyncio.ensure_future(self._load(partition, loaded))

    def revoked(self, partitions: Iterable[int]) -> None:
        """Forgets the partitions: whoever has them next starts from the snapshots."""
        for partition in partitions:
            self._loading.pop(partition, None)
        self._done = [event for event in self._done if event.message.partition not in set(partitions)]

    async def take(self, event: Any) -> None:
        """Folds one record of `ticks`."""
        message = event.message
        if message.partition not in self._loading:
            self.assigned([message.partition])
        part = await self._loading[message.partition]
        async with self._busy:
            read = part.read(message.offset, message.key, message.value)
            if part.is_quick(read):
                part.take(read)
            else:
                await _off_loop(functools.partial(part.take, read))
            self._done.append(event)
            self._producer.poll(0)
            due = len(self._done) >= self._settings.worker.snapshot_records
        if due or time.monotonic() >= self._next_checkpoint:
            await self.checkpoint()

    async def quiet(self) -> None:
        """Called now and then: checkpoints what is left when the input is quiet, and moves the anchors on."""
        self._check()
        if self._done and time.monotonic() >= self._next_checkpoint:
            await self.checkpoint()
        if time.monotonic() >= self._next_anchors:
            self._next_anchors = time.monotonic() + ANCHOR_INTERVAL_S
            async with self._busy:
                await self._anchor()

    async def checkpoint(self) -> None:
        """Outputs, then the snapshots of what changed, then the acknowledgements."""
        async with self._busy:
            done, self._done = self._done, []
            if not done:
                return
            states = [s for part in await self._partitions() for s in part.changed()]
            await self._flush()
            sent = 0
            for state in states:
                size, written = snapshots.write(self._producer, self._keys, self._incarnation, state)
                sent += size
                self._tidy(state, written)
            await self._flush()
            for event in done:
                event.ack()
            interval = max(self._settings.worker.snapshot_interval_s, sent / SNAPSHOT_BYTES_PER_S)
            self._next_checkpoint = time.monotonic() + interval

    async def close(self) -> None:
        """A last checkpoint and the anchors, so that the next start has nothing to fold again."""
        await self.checkpoint()
        async with self._busy:
            await self._anchor()

    async def _load(self, partition: int, loaded: asyncio.Future[dict[int, list[snapshots.Stored]]]) -> TickPartition:
        stored = (await loaded)[partition]
        for found in stored:
            self._superseded[found.state.operator, found.state.listing] = found.keys
        return TickPartition(partition, self._world, stored)

    async def _partitions(self) -> list[TickPartition]:
        return [await loading for _, loading in sorted(self._loading.items()) if loading.done()]

    def _tidy(self, state: snapshots.State, written: tuple[bytes, ...]) -> None:
        """Removes records of an earlier incarnation, or of a larger state, that the ones just written replace."""
        whose = (state.operator, state.listing)
        old = (*self._superseded.pop(whose, ()), *self._written.get(whose, ()))
        snapshots.remove(self._producer, state.listing, [k for k in dict.fromkeys(old) if k not in written])
        self._written[whose] = written

    async def _anchor(self) -> None:
        made = []
        now, key_id = self._clock.now_us(), self._keys.current
        for part in await self._partitions():
            for listing, (head, offset) in sorted(part.heads.items()):
                if offset >= 0:
                    scanned = part.position + 1
                    made.append(
                        anchors.make_anchor("ticks", listing, part.partition, head, offset, scanned, now, key_id)
                    )
        follower = self._world.reference
        made.append(
            anchors.make_anchor(
                "reference", REFERENCE_CHAIN, 0, follower.head, follower.head_offset, follower.scanned_to, now, key_id
            )
        )
        anchors.send(self._producer, self._keys, made)
        await self._flush()

    async def _flush(self) -> None:
        """Returns once the broker has everything; for as long as that takes, the broker may be away."""
        while self._producer.flush(0) > 0:
            await _off_loop(functools.partial(self._producer.flush, 0.5))
            self._check()
        self._check()

    def _check(self) -> None:
        self._producer.poll(0)
        if self._failure is not None:
            raise self._failure

    def _delivered(self, error: object, message: Any) -> None:
        if error is not None:
            self._failure = DeliveryFailed(f"the broker refused an output on {message.topic()}: {error}")


def make_app(settings: Settings, bootstrap: str, worker: Callable[[], Worker], ready: Callable[[], None]) -> faust.App:
    """The Faust app: one agent that hands every record of `ticks` to the worker."""
    app = faust.App(
        GROUP,
        broker=";".join(f"kafka://{address}" for address in bootstrap.split(",")),
        store="memory://",
        datadir=str(settings.home / "worker"),
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=_instance(settings),
        broker_session_timeout=settings.worker.session_timeout_s,
        broker_heartbeat_interval=min(1.0, settings.worker.session_timeout_s / 3),
        broker_commit_interval=0.5,
        broker_max_poll_interval=3600.0,
        producer_acks=-1,
        producer_linger=0,
        stream_wait_empty=False,
        stream_buffer_maxsize=4_096,
        consumer_max_fetch_size=8 * 1024 * 1024,
        worker_redirect_stdouts=False,
        logging_config=None,
    )
    ticks = app.topic(
        "ticks",
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        partitions=TOPICS["ticks"].partitions,
        internal=False,
    )

    async def fold_ticks(stream: Any) -> None:
        async for event in stream.noack().events():
            await _or_end(worker().take(event))

    async def when_quiet() -> None:
        await _or_end(worker().quiet())

    async def on_assigned(_: Any, assigned: Any, **__: Any) -> None:
        worker().assigned(tp.partition for tp in assigned if tp.topic == "ticks")
        ready()

    async def on_revoked(_: Any, revoked: Any, **__: Any) -> None:
        worker().revoked([tp.partition for tp in revoked if tp.topic == "ticks"])

    async def on_shutdown(_: Any, **__: Any) -> None:
        await _or_end(worker().close())

    app.agent(ticks)(fold_ticks)
    app.timer(0.25)(when_quiet)
    app.on_partitions_assigned.connect(on_assigned)
    app.on_partitions_revoked.connect(on_revoked)
    app.on_before_shutdown.connect(on_shutdown)
    return app


def _instance(settings: Settings) -> str:
    """The same for each start of a home's worker: so the group takes it back at once, also after a kill."""
    place = f"{socket.gethostname()} {settings.home.resolve()}"
    return f"worker-{hashlib.sha256(place.encode()).hexdigest()[:16]}"


async def _or_end(step: Any) -> None:
    """Runs one step; an error in it ends the process at once, before anything later is acknowledged."""
    try:
        await step
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        if isinstance(error, TickledgerError):
            logger.error("worker ends", reason=str(error))
        else:
            logger.error("worker ends", reason=repr(error), exc_info=error)
        sys.stderr.flush()
        os._exit(1)


async def _off_loop(function: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, function)


def main() -> int:
    """Runs the service until SIGTERM; returns the exit code."""
    settings = load_settings()
    log.configure("worker", settings.log.level)
    log.calm()
    try:
        bootstrap = kafka_address(settings)
        keys = load_or_create(settings)
    except TickledgerError as error:
        logger.error("worker can't start", reason=str(error))
        return error.exit_code

    @functools.cache
    def worker() -> Worker:
        return Worker(settings, bootstrap, keys, SystemClock())

    def ready() -> None:
        announce(settings.home, "worker", ready=True)

    app = make_app(settings, bootstrap, worker, ready)
    with Path(os.devnull).open("w") as nowhere:
        # Its spinner and cursor codes go nowhere, and its logs through ours.
        _Worker(app, redirect_stdouts=False, quiet=True, stdout=nowhere).execute_from_commandline()
    return 0


class _Worker(faust.Worker):  # type: ignore[misc]
    def _setup_logging(self) -> None:
        self.spinner = None


if __name__ == "__main__":
    sys.exit(main())
