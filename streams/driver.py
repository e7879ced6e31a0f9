"""What the worker does between Kafka's group and the partitions: loads, checkpoints, anchors, and what is due when.

Outputs go first, then the snapshots, then the acknowledgements; a failed output ends the process.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from infra import anchors, log
from infra.clock import Clock
from infra.errors import TickledgerError
from infra.kafka import DeliveryFailed, new_producer
from infra.settings import WorkerSettings
from schemas.chains import REFERENCE_CHAIN
from schemas.events import Anchor
from schemas.integrity import KeyRing
from streams import snapshots
from streams.partition import Surroundings, TickPartition
from streams.reference_follower import ReferenceFollower

logger = log.get(__name__)

ANCHOR_INTERVAL_S = 60.0
SNAPSHOT_BYTES_PER_S = 1_000_000
"""The interval between snapshots stretches so that a worker writes no more."""

WAITING_RECORDS = 20_000
"""Outputs that may wait for the broker before the input has to."""

Loading = asyncio.Future[TickPartition]
T = TypeVar("T")


class Done(NamedTuple):
    """A record that was folded and is to be acknowledged by whoever still has its partition."""

    loading: Loading
    event: Any


class Found(NamedTuple):
    """What is known of partitions before their first record."""

    stored: dict[int, list[snapshots.Stored]]
    newest: list[Anchor]


class Driver:
    """The partitions that this process has, and what is due for them. Raises Unreachable when it is made."""

    def __init__(self, settings: WorkerSettings, bootstrap: str, keys: KeyRing, clock: Clock) -> None:
        self._settings, self._bootstrap, self._keys, self._clock = settings, bootstrap, keys, clock
        self._producer = new_producer(bootstrap, on_delivery=self._delivered)
        self._failure: Exception | None = None
        self._incarnation = clock.now_us()
        self._world = Surroundings(bootstrap, keys, clock, self._producer, ReferenceFollower(bootstrap, keys))
        self._loading: dict[int, Loading] = {}
        self._levelling: dict[Loading, asyncio.Future[None]] = {}
        self._done: list[Done] = []
        self._is_dirty = False
        self._superseded: dict[tuple[str, str], tuple[bytes, ...]] = {}
        self._anchored: dict[str, Anchor] = {}
        self._next_checkpoint = self._no_checkpoint_before = 0.0
        self._next_anchors = time.monotonic() + ANCHOR_INTERVAL_S
        self._busy = asyncio.Lock()

    def assigned(self, partitions: Iterable[int]) -> None:
        """Starts to load the snapshots of all new partitions at once, off the event loop."""
        new = sorted(set(partitions) - set(self._loading))
        if not new:
            return
        found = asyncio.ensure_future(_off_loop(functools.partial(find, self._bootstrap, self._keys, new)))
        for partition in new:
            self._loading[partition] = asyncio.ensure_future(self._load(partition, found))

    def revoked(self, partitions: Iterable[int]) -> None:
        """Forgets the partitions: whoever has them next starts from the snapshots."""
        for partition in partitions:
            self._loading.pop(partition, None)

    async def take(self, event: Any) -> None:
        """Folds one record of `ticks`."""
        message = event.message
        if message.partition not in self._loading:
            self.assigned([message.partition])
        loading = self._loading[message.partition]
        part = await loading
        async with self._busy:
            if not self._has(message.partition, loading):
                return
            read = part.read(message.offset, message.key, message.value)
            if part.is_quick(read):
                part.take(read)
            else:
                await _off_loop(functools.partial(part.take, read))
            # Acknowledged only at the next checkpoint: until then it need not keep its ticks.
            event.value = message.value = None
            self._done.append(Done(loading, event))
            await self._folded()
        if part.behind and loading not in self._levelling:
            self._levelling[loading] = asyncio.ensure_future(or_end(self._level(message.partition, loading)))
        await self._checkpoint_if_due()

    async def quiet(self) -> None:
        """Called now and then: checkpoints what is left when the input is quiet, and moves the anchors on."""
        self._check()
        await self._partitions()
        await self._checkpoint_if_due()
        if time.monotonic() >= self._next_anchors:
            self._next_anchors = time.monotonic() + ANCHOR_INTERVAL_S
            async with self._busy:
                await self._anchor()

    async def checkpoint(self) -> None:
        """Outputs, then the snapshots of what changed, then the acknowledgements."""
        async with self._busy:
            if not self._is_dirty:
                return
            self._is_dirty = False
            done, self._done = self._done, []
            states = [s for part in await self._partitions() for s in part.changed()]
            await self._flush()
            sent = 0
            for state in states:
                size, written = snapshots.write(self._producer, self._keys, self._incarnation, state)
                sent += size
                self._tidy(state, written)
            await self._flush()
            for loading, event in done:
                if self._has(event.message.partition, loading):
                    event.ack()
            now = time.monotonic()
            self._next_checkpoint = now + self._settings.snapshot_interval_s
            self._no_checkpoint_before = now + sent / SNAPSHOT_BYTES_PER_S

    async def close(self) -> None:
        """A last checkpoint and the anchors, so that the next start has nothing to fold again."""
        await self.checkpoint()
        async with self._busy:
            await self._anchor()

    async def _load(self, partition: int, found: asyncio.Future[Found]) -> TickPartition:
        stored, newest = await found
        here = stored[partition]
        for one in here:
            self._superseded[one.state.operator, one.state.listing] = one.keys
        return TickPartition(
            partition, self._world, [s.state for s in here], [a for a in newest if a.partition == partition]
        )

    async def _partitions(self) -> list[TickPartition]:
        return [await loading for _, loading in sorted(self._loading.items()) if loading.done()]

    def _has(self, partition: int, loading: Loading) -> bool:
        """Whether the group hasn't taken the partition away since it was loaded."""
        return self._loading.get(partition) is loading

    async def _level(self, partition: int, loading: Loading) -> None:
        """Lets listings that are behind catch up, in steps between the records of the others."""
        part = await loading
        while part.behind and self._has(partition, loading):
            async with self._busy:
                await _off_loop(part.catch_up)
                await self._folded()
            await self._checkpoint_if_due()
        del self._levelling[loading]

    async def _folded(self) -> None:
        """After each step: takes delivery reports, and waits while too many outputs wait."""
        self._is_dirty = True
        self._check()
        while len(self._producer) > WAITING_RECORDS:
            await _off_loop(functools.partial(self._producer.flush, 0.2))
            self._check()

    async def _checkpoint_if_due(self) -> None:
        now = time.monotonic()
        many = len(self._done) >= self._settings.snapshot_records
        if self._is_dirty and now >= self._no_checkpoint_before and (many or now >= self._next_checkpoint):
            await self.checkpoint()

    def _tidy(self, state: snapshots.State, written: tuple[bytes, ...]) -> None:
        """Removes records of an earlier incarnation, or of a larger state, that the ones just written replace."""
        whose = (state.operator, state.listing)
        old = self._superseded.get(whose, ())
        snapshots.remove(self._producer, state.listing, [key for key in old if key not in written])
        self._superseded[whose] = written

    async def _anchor(self) -> None:
        """Moves the anchors of all chains on that have moved, or were read further, since the last time."""
        now, key_id = self._clock.now_us(), self._keys.current
        made = [
            anchors.make_anchor("ticks", listing, part.partition, head, offset, part.position + 1, now, key_id)
            for part in await self._partitions()
            for listing, (head, offset) in sorted(part.heads.items())
        ]
        follower = self._world.reference
        await _off_loop(follower.read_on)
        if follower.head_offset >= 0 and not follower.head.stopped:
            place = (follower.head, follower.head_offset, follower.scanned_to)
            made.append(anchors.make_anchor("reference", REFERENCE_CHAIN, 0, *place, now, key_id))
        moved = [anchor for anchor in made if _place(anchor) != _place(self._anchored.get(anchor.chain))]
        anchors.send(self._producer, self._keys, moved)
        self._anchored |= {anchor.chain: anchor for anchor in moved}
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


async def or_end(step: Awaitable[None]) -> None:
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


def find(bootstrap: str, keys: KeyRing, partitions: list[int]) -> Found:
    """The snapshots of the partitions, and of each chain of ticks the anchor that witnesses most."""
    newest: dict[str, Anchor] = {}
    for found in anchors.read_anchors(bootstrap, keys)[0].values():
        best = max(found, key=lambda a: (a.epoch, a.seq, a.scanned_to))
        if best.topic == "ticks":
            newest[best.chain] = best
    return Found(snapshots.load(bootstrap, keys, partitions), list(newest.values()))


def _place(anchor: Anchor | None) -> tuple[object, ...]:
    return () if anchor is None else (anchors.head_of(anchor), anchor.offset, anchor.scanned_to)


async def _off_loop(function: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, function)
