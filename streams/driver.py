"""What the worker does between Kafka's group and the partitions: loads, checkpoints, anchors, and what is due when.

Outputs go first, then the snapshots, then the acknowledgements; a failed output ends the process.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from infra import anchors
from infra.clock import Clock, SystemClock
from infra.settings import WorkerSettings
from schemas.chains import REFERENCE_CHAIN
from schemas.events import Anchor
from schemas.integrity import KeyRing
from streams import snapshots
from streams.outbox import Outbox, off_loop, or_end
from streams.partition import Surroundings, TickPartition
from streams.reference_follower import ReferenceFollower

WORKER = "worker"
ANCHOR_INTERVAL_S = 60.0
DELIVERY_S = 0.1
"""How long a checkpoint waits for outputs to be delivered while more of them come."""

MERGE_PAUSE_S = 0.05
"""How long strategies over several listings wait until they look again whether something has come."""

PAUSE_S = 0.005
"""Between two steps of a checkpoint, or less where so many would take longer than half the time between two snapshots:
a batch takes several turns of the loop to come, and each would have to wait for a step."""

SNAPSHOT_BYTES_PER_S = 1_000_000
"""The interval between snapshots stretches so that a worker writes no more."""

Loading = asyncio.Future[TickPartition]


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
        self._outbox = Outbox(bootstrap, **{"linger.ms": 1})
        self.producer = self._outbox.producer
        # The machine's own clock: a market's may stand, and two incarnations would be one.
        self._incarnation = SystemClock().now_us()
        self._world = Surroundings(bootstrap, keys, clock, self.producer, ReferenceFollower(bootstrap, keys))
        self._loading: dict[int, Loading] = {}
        self._levelling: dict[Loading, asyncio.Future[None]] = {}
        self._done: list[Done] = []
        self._is_dirty = False
        self._superseded: dict[tuple[str, str], tuple[bytes, ...]] = {}
        self._anchored: dict[str, Anchor] = {}
        self._next_checkpoint = self._no_checkpoint_before = 0.0
        self._next_anchors = time.monotonic() + ANCHOR_INTERVAL_S
        self._busy = asyncio.Lock()
        self._saving = asyncio.Lock()
        self._checkpointing: asyncio.Future[None] | None = None
        self._merging: asyncio.Future[None] | None = None
        self._is_closing = False
        self._is_sharing = True

    def assigned(self, partitions: Iterable[int]) -> None:
        """Starts to load the snapshots of all new partitions at once, off the event loop."""
        self._is_sharing = False
        new = sorted(set(partitions) - set(self._loading))
        if not new:
            return
        found = asyncio.ensure_future(off_loop(functools.partial(find, self._bootstrap, self._keys, new)))
        for partition in new:
            self._loading[partition] = asyncio.ensure_future(self._load(partition, found))

    def revoked(self, partitions: Iterable[int]) -> None:
        """Forgets the partitions: whoever has them next starts from the snapshots."""
        self._is_sharing = True
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
                await off_loop(functools.partial(part.take, read))
            # Acknowledged only at the next checkpoint: until then it need not keep its ticks.
            event.value = message.value = None
            self._done.append(Done(loading, event))
            await self._folded()
        if part.behind and loading not in self._levelling:
            self._levelling[loading] = asyncio.ensure_future(or_end(self._level(message.partition, loading), WORKER))
        self._checkpoint_if_due()

    def folded(self) -> Mapping[int, int] | None:
        """By partition the next offset to fold, of those that gave a record; None while a listing catches up, or the
        partitions are being shared or loaded: only then is it known what strategies over several listings have read."""
        loadings = list(self._loading.values())
        if self._is_sharing or not all(loading.done() for loading in loadings):
            return None
        loaded = [loading.result() for loading in loadings]
        if any(part.behind for part in loaded):
            return None
        found = {part.partition: part.next_offset for part in loaded if part.next_offset}
        for partition, offset in (place for part in loaded for place in part.merged_to):
            found[partition] = min(offset, found.get(partition, offset))
        return found

    async def quiet(self) -> None:
        """Called now and then: checkpoints what is left when the input is quiet, and moves the anchors on."""
        self._outbox.check()
        if self._merging is None and any(part.merges for part in await self._partitions()):
            self._merging = asyncio.ensure_future(or_end(self._merge(), WORKER))
        self._checkpoint_if_due()
        if time.monotonic() >= self._next_anchors:
            self._next_anchors = time.monotonic() + ANCHOR_INTERVAL_S
            await self._anchor()

    async def checkpoint(self, pause_s: float = PAUSE_S) -> None:
        """Outputs, then the snapshots of what changed, then the acknowledgements. Folding goes on meanwhile."""
        async with self._saving:
            if not self._is_dirty:
                return
            async with self._busy:
                self._is_dirty = False
                done, self._done = self._done, []
                changed = [(part, listing) for part in await self._partitions() for listing in part.changed()]
            states = []
            for part, listing in changed:
                # All of them take longer than a bar may: records that have come are folded in between.
                async with self._busy:
                    states += part.states(listing)
                await asyncio.sleep(self._share(pause_s, len(changed)))
            await self._deliver()
            sent = 0
            for state in states:
                size, written = snapshots.write(self.producer, self._keys, self._incarnation, state)
                sent += size
                self._tidy(state, written)
                await asyncio.sleep(self._share(pause_s, len(states)))
            await self._deliver()
            for loading, event in done:
                if self._has(event.message.partition, loading):
                    event.ack()
            now = time.monotonic()
            self._next_checkpoint = now + self._settings.snapshot_interval_s
            self._no_checkpoint_before = now + sent / SNAPSHOT_BYTES_PER_S

    async def close(self) -> None:
        """A last checkpoint and the anchors, so that the next start has nothing to fold again."""
        self._is_closing = True
        if self._merging is not None:
            await self._merging
        await self.checkpoint(0)
        await self._anchor()
        async with self._busy:
            for part in await self._partitions():
                part.close()

    def _share(self, pause_s: float, steps: int) -> float:
        """How long to pause after each of so many steps."""
        return min(pause_s, self._settings.snapshot_interval_s / 4 / steps)

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
                await off_loop(part.catch_up)
                await self._folded()
            self._checkpoint_if_due()
        del self._levelling[loading]

    async def _merge(self) -> None:
        """Lets strategies over several listings read on, in steps between the records of the partitions, and ends what
        those of partitions that were taken away read by."""
        parts: list[TickPartition] = []
        while not self._is_closing:
            before, parts = parts, [part for part in await self._partitions() if part.merges]
            is_news = False
            for part in before:
                if part not in parts:
                    async with self._busy:
                        await off_loop(part.close)
            for part in parts:
                async with self._busy:
                    if await off_loop(part.merge):
                        is_news = True
                        await self._folded()
            self._checkpoint_if_due()
            await asyncio.sleep(0 if is_news else MERGE_PAUSE_S)

    async def _deliver(self) -> None:
        """Returns once the broker has all that was handed over; only while outputs never pause does folding wait."""
        if not await self._outbox.flush(DELIVERY_S):
            async with self._busy:
                await self._outbox.flush()

    async def _folded(self) -> None:
        """After each step: takes delivery reports, and waits while too many outputs wait."""
        self._is_dirty = True
        await self._outbox.make_room()

    def _checkpoint_if_due(self) -> None:
        now = time.monotonic()
        many = len(self._done) >= self._settings.snapshot_records
        is_idle = self._checkpointing is None or self._checkpointing.done()
        is_due = now >= self._no_checkpoint_before and (many or now >= self._next_checkpoint)
        if self._is_dirty and is_idle and is_due:
            self._checkpointing = asyncio.ensure_future(or_end(self.checkpoint(), WORKER))

    def _tidy(self, state: snapshots.State, written: tuple[bytes, ...]) -> None:
        """Removes records of an earlier incarnation, or of a larger state, that the ones just written replace."""
        whose = (state.operator, state.listing)
        old = self._superseded.get(whose, ())
        snapshots.remove(self.producer, state, [key for key in old if key not in written])
        self._superseded[whose] = written

    async def _anchor(self) -> None:
        """Moves the anchors of all chains on that have moved, or were read further, since the last time.

        The broker is asked and waited for beside the folding: either may take longer than a bar.
        """
        now, key_id = self._clock.now_us(), self._keys.current
        follower = self._world.reference
        end = await off_loop(follower.end)
        async with self._busy:
            made = [
                anchors.make_anchor("ticks", listing, part.partition, head, offset, part.position + 1, now, key_id)
                for part in await self._partitions()
                for listing, (head, offset) in sorted(part.heads.items())
            ]
            await off_loop(functools.partial(follower.read_on, end))
        if follower.head_offset >= 0 and not follower.head.stopped:
            place = (follower.head, follower.head_offset, follower.scanned_to)
            made.append(anchors.make_anchor("reference", REFERENCE_CHAIN, 0, *place, now, key_id))
        moved = [anchor for anchor in made if _place(anchor) != _place(self._anchored.get(anchor.chain))]
        anchors.send(self.producer, self._keys, moved)
        self._anchored |= {anchor.chain: anchor for anchor in moved}
        await self._outbox.flush()


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
