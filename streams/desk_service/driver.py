"""What the desk does between Kafka's group and its partitions: loads, catches up, snapshots, acknowledges.

Outputs go first, then the snapshots, then the acknowledgements; a failed output ends the process. Folding goes on while
a snapshot is on its way: an order doesn't wait for it.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from infra.clock import Clock, SystemClock
from infra.kafka import ends, new_consumer
from infra.marks import Mark
from infra.settings import Settings
from infra.stack.home import Home
from schemas.integrity import KeyRing
from streams import snapshots
from streams.desk_program import DESK
from streams.desk_service.partition import JournalPartition, Surroundings
from streams.driver import SNAPSHOT_BYTES_PER_S
from streams.journal_reader import TOPIC
from streams.outbox import Outbox, off_loop, or_end
from streams.reference_follower import ReferenceFollower

POLL_S: Final = 0.1
"""How long the thread that takes delivery reports waits for one."""


class Held:
    """A partition that the group has given: `loading` is done while nothing has to be read from the broker for it;
    `handed`: the offset of the last record that was handed over."""

    __slots__ = ("handed", "loading")

    def __init__(self, loading: asyncio.Future[JournalPartition]) -> None:
        self.loading, self.handed = loading, -1


class Done(NamedTuple):
    """A record that was handed over, to be acknowledged by whoever still has its partition once it is in a snapshot."""

    held: Held
    event: Any


class Found(NamedTuple):
    """What is known of partitions before their first record: states, and where each journal ends."""

    stored: dict[int, list[snapshots.Stored]]
    ends: dict[int, int]


class DeskDriver:
    """The partitions that this process has, and what is due for them. Raises Unreachable when it is made."""

    def __init__(self, settings: Settings, bootstrap: str, keys: KeyRing, clock: Clock) -> None:
        self._settings, self._bootstrap, self._keys = settings.worker, bootstrap, keys
        self._outbox = Outbox(bootstrap, **{"linger.ms": 0})
        self._incarnation = SystemClock().now_us()
        home = Home(settings.home)
        self._world = Surroundings(
            bootstrap,
            keys,
            clock,
            self._outbox,
            ReferenceFollower(bootstrap, keys),
            lambda account: Mark.of(home, f"{DESK}-{account}").set,
        )
        self._held: dict[int, Held] = {}
        self._done: list[Done] = []
        self._superseded: dict[str, tuple[bytes, ...]] = {}
        self._is_dirty = False
        self._saving: asyncio.Future[None] | None = None
        self._next_save = self._no_save_before = 0.0
        # Delivery reports are taken as they come: the mark that a market waits for depends on them.
        threading.Thread(target=self._take_reports, daemon=True).start()

    def assigned(self, partitions: Iterable[int]) -> None:
        """Starts to load the states of all new partitions at once, off the event loop."""
        new = sorted(set(partitions) - set(self._held))
        if not new:
            return
        found = asyncio.ensure_future(off_loop(functools.partial(self._find, new)))
        for partition in new:
            self._held[partition] = held = Held(asyncio.get_running_loop().create_future())
            held.loading = asyncio.ensure_future(self._load(partition, held, found))

    def revoked(self, partitions: Iterable[int]) -> None:
        """Forgets the partitions: whoever has them next starts from the snapshots."""
        for partition in partitions:
            self._held.pop(partition, None)

    async def take(self, event: Any) -> None:
        """Folds one record of `journal`."""
        message = event.message
        partition, offset, key, value = message.partition, message.offset, message.key, message.value
        if partition not in self._held:
            self.assigned([partition])
        held = self._held[partition]
        # Acknowledged only once it is in a snapshot: until then it need not keep its bytes.
        event.value = message.value = None
        self._done.append(Done(held, event))
        held.handed = max(held.handed, offset)
        self._is_dirty = True
        if not held.loading.done():
            # Who is catching up reads it from the broker; no more than a snapshot's worth is to be acknowledged then.
            if len(self._done) >= self._settings.snapshot_records:
                await asyncio.shield(held.loading)
            return
        part = held.loading.result()
        if offset == part.position + 1:
            part.take(offset, key, value)
        if part.position < offset:
            held.loading = asyncio.ensure_future(self._catch_up(part, held))
        await self._outbox.make_room()
        self._save_if_due()

    async def quiet(self) -> None:
        """Called now and then: snapshots what is left when the input is quiet."""
        self._outbox.check()
        self._ready()
        self._save_if_due()

    async def close(self) -> None:
        """A last snapshot, so that the next start has nothing to fold again."""
        if self._saving is not None:
            await self._saving
        await self.save()

    async def save(self) -> None:
        """Outputs, then the snapshots of what changed, then the acknowledgements."""
        if not self._is_dirty:
            return
        self._is_dirty = False
        ready = self._ready()
        saved = [done for done in self._done if done.held.loading.done()]
        self._done = [done for done in self._done if not done.held.loading.done()]
        states = [state for part in ready for state in part.changed()]
        await self._outbox.flush()
        sent = 0
        for state in states:
            size, written = snapshots.write(self._outbox.producer, self._keys, self._incarnation, state)
            sent += size
            old = self._superseded.get(state.listing, ())
            snapshots.remove(self._outbox.producer, state, [key for key in old if key not in written])
            self._superseded[state.listing] = written
        await self._outbox.flush()
        for held, event in saved:
            if self._held.get(event.message.partition) is held:
                event.ack()
        now = time.monotonic()
        self._next_save = now + self._settings.snapshot_interval_s
        self._no_save_before = now + sent / SNAPSHOT_BYTES_PER_S

    def _save_if_due(self) -> None:
        now = time.monotonic()
        many = len(self._done) >= self._settings.snapshot_records
        is_idle = self._saving is None or self._saving.done()
        if self._is_dirty and is_idle and now >= self._no_save_before and (many or now >= self._next_save):
            self._saving = asyncio.ensure_future(or_end(self.save(), DESK))

    def _ready(self) -> list[JournalPartition]:
        """The partitions at which nothing is being read; raises what went wrong while loading one."""
        return [held.loading.result() for _, held in sorted(self._held.items()) if held.loading.done()]

    def _find(self, partitions: list[int]) -> Found:
        stored = snapshots.load(self._bootstrap, self._keys, partitions, TOPIC)
        accounts = {config.partition for config in self._world.reference.view.accounts.values()}
        some = [p for p in partitions if stored[p] or p in accounts]
        consumer = new_consumer(self._bootstrap)
        try:
            return Found(stored, {partition: ends(consumer, TOPIC, partition).high for partition in some})
        finally:
            consumer.close()

    async def _load(self, partition: int, held: Held, found: asyncio.Future[Found]) -> JournalPartition:
        stored, last = await found
        for one in stored[partition]:
            self._superseded[one.state.listing] = one.keys
        part = JournalPartition(partition, self._world, [one.state for one in stored[partition]])
        held.handed = max(held.handed, last.get(partition, 0) - 1)
        return await self._catch_up(part, held)

    async def _catch_up(self, part: JournalPartition, held: Held) -> JournalPartition:
        """The partition once it has all that was handed over meanwhile."""
        while part.position < held.handed:
            await off_loop(functools.partial(part.catch_up, held.handed + 1))
            self._is_dirty = True
        return part

    def _take_reports(self) -> None:
        while True:
            self._outbox.producer.poll(POLL_S)
