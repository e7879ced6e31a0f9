"""What the worker does when: order of a checkpoint, its share of the broker, revocations, errors."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from infra.anchors import head_of, read_anchors
from infra.clock import SystemClock
from infra.errors import Unreachable
from infra.kafka import DeliveryFailed, read_range
from infra.settings import WorkerSettings
from streams import driver as module
from streams import snapshots
from streams.driver import Driver
from streams.outbox import or_end
from streams.partition import TickPartition
from streams.reference_follower import ReferenceFollower
from streams.snapshots import State
from tests.integration.streams.line import KEYS, Line, lively

pytestmark = pytest.mark.stack

NewLine = Callable[..., Line]
BLOCKS = lively()


class Event:
    """A record as Faust hands it over."""

    def __init__(self, partition: int, offset: int, key: bytes | None, value: bytes | None) -> None:
        self.message = SimpleNamespace(partition=partition, offset=offset, key=key, value=value)
        self.value = value
        self.acked: list[int] = []

    def ack(self) -> None:
        self.acked.append(self.message.offset)


def events(line: Line, start: int | None = None) -> list[Event]:
    batches = read_range(line.kafka, "ticks", line.partition, line._from["ticks"] if start is None else start)
    return [Event(line.partition, m.offset() or 0, m.key(), m.value()) for b in batches for m in b]


def driver(line: Line, **settings: Any) -> Driver:
    return Driver(WorkerSettings(**settings), line.kafka, KEYS, SystemClock())


def run(step: Awaitable[None]) -> None:
    async def running() -> None:
        await step

    asyncio.run(running())


def stored(line: Line) -> list[State]:
    found = snapshots.load(line.kafka, KEYS, [line.partition])[line.partition]
    return [s.state for s in found if s.state.listing == line.listing]


def test_outputs_then_snapshots_then_acknowledgements(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.usual().write(BLOCKS)
    given = events(line)
    order: list[str] = []
    write = snapshots.write

    def watched(*args: Any) -> Any:
        assert line.found("bars") == line.expected("bars"), "all outputs are on the topic by now"
        order.append("snapshot")
        return write(*args)

    async def steps() -> None:
        one = driver(line, snapshot_interval_s=600)
        one._next_checkpoint = one._no_checkpoint_before = 2**40
        for event in given:
            await one.take(event)
        assert not any(event.acked for event in given)
        assert all(event.message.value is None for event in given), "their ticks are not kept"
        monkeypatch.setattr(snapshots, "write", watched)
        given[0].ack = lambda: order.append("acknowledged")  # type: ignore[method-assign]
        await one.checkpoint()
        assert len(stored(line)) == 2
        await one.checkpoint()

    run(steps())
    assert order == ["snapshot", "snapshot", "acknowledged"]
    assert [event.acked for event in given[1:]] == [[e.message.offset] for e in given[1:]]


def test_nothing_is_acknowledged_when_an_output_failed(line: Line) -> None:
    line.usual().write(BLOCKS)
    given = events(line)

    async def steps() -> None:
        one = driver(line)
        one._no_checkpoint_before = 2**40
        for event in given:
            await one.take(event)
        one._outbox.refused("bars", "MSG_SIZE_TOO_LARGE")
        with pytest.raises(DeliveryFailed, match="refused an output on bars: MSG_SIZE"):
            await one.checkpoint()

    run(steps())
    assert not any(event.acked for event in given)
    assert stored(line) == []


def test_what_is_revoked_during_a_checkpoint_is_not_acknowledged(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.usual().write(BLOCKS)
    given = events(line)

    async def steps() -> None:
        one = driver(line)
        one._no_checkpoint_before = 2**40
        for event in given:
            await one.take(event)
        flush = one._outbox.flush

        async def revoked_meanwhile(_: float) -> bool:
            one.revoked([line.partition])
            return await flush()

        monkeypatch.setattr(one._outbox, "flush", revoked_meanwhile)
        await one.checkpoint()
        monkeypatch.setattr(one._outbox, "flush", flush)
        # The next owner may be this process again, from the group's place.
        again = events(line)
        for event in again:
            await one.take(event)
        await one.checkpoint()
        assert all(event.acked for event in again)

    run(steps())
    assert not any(event.acked for event in given)
    assert line.found("bars") == line.expected("bars")
    assert line.alerts() == []


def test_a_record_in_hand_when_its_partition_is_revoked_is_left_to_the_next_owner(line: Line) -> None:
    line.usual().write(BLOCKS)
    given = events(line)

    async def steps() -> None:
        one = driver(line)
        one.assigned([line.partition])
        async with one._busy:
            taking = asyncio.ensure_future(one.take(given[0]))
            await asyncio.sleep(0.5)
            one.revoked([line.partition])
        await taking
        assert one._done == []

    run(steps())
    assert line.records("bars") == []


def test_what_is_revoked_does_not_say_any_more_how_far_it_is(line: Line) -> None:
    line.usual().write(BLOCKS[:5])
    own, records = driver(line), events(line)

    async def steps() -> None:
        for record in records:
            await own.take(record)
        assert own.folded() == {line.partition: records[-1].message.offset + 1}
        own.revoked([line.partition])
        assert own.folded() is None
        own.assigned([])
        assert own.folded() == {}

    run(steps())


def test_how_far_it_is_is_not_known_before_its_partitions_are_loaded(line: Line) -> None:
    async def steps() -> None:
        one = driver(line)
        assert one.folded() is None
        one.assigned([line.partition])
        assert one.folded() is None
        await asyncio.wait(one._loading.values())
        assert one.folded() == {}

    run(steps())


def test_the_interval_stretches_so_that_snapshots_take_a_megabyte_a_second(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.usual().write(BLOCKS)
    now = [1000.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    written: list[float] = []

    def large(*_: Any) -> tuple[int, tuple[bytes, ...]]:
        written.append(now[0])
        return 2_500_000, ()

    monkeypatch.setattr(snapshots, "write", large)

    async def steps() -> None:
        one = driver(line, snapshot_records=1, snapshot_interval_s=1)
        for event in events(line):
            await one.take(event)
            await one.quiet()
            if one._checkpointing is not None:
                await one._checkpointing
            now[0] += 1.0

    run(steps())
    times = sorted(set(written))
    assert len(times) > 3
    assert {b - a for a, b in pairwise(times[1:])} == {5.0}, "two operators, 5 MB each time"


def test_anchors_move_on_for_every_chain_and_only_then(new_line: NewLine, monkeypatch: pytest.MonkeyPatch) -> None:
    line = new_line().usual()
    silent = new_line(line).usual()
    stopped = new_line(line).usual()
    silent.write(BLOCKS[:5])
    stopped.put(stopped.opened())
    first, second = stopped.sealed(BLOCKS[0]), stopped.sealed(BLOCKS[1])
    third = stopped.sealed(BLOCKS[2])
    stopped.put(first, third)
    assert second

    async def life(start: int) -> None:
        one = driver(line)
        for event in events(line, start):
            await one.take(event)
        await one.close()
        at = len(anchors_of(line.listing))
        await one.close()
        assert len(anchors_of(line.listing)) == at, "nothing has moved"

    def anchors_of(listing: str) -> list[Any]:
        return read_anchors(line.kafka, KEYS)[0].get(f"ticks/{listing}", [])

    start = min(e.message.offset for e in events(silent))
    run(life(start))
    assert head_of(anchors_of(silent.listing)[-1]) == silent.head
    assert anchors_of(stopped.listing) == []

    group = max(e.message.offset for e in events(silent)) + 1
    line.write(BLOCKS)
    run(life(group))
    assert head_of(anchors_of(line.listing)[-1]) == line.head
    newest = anchors_of(silent.listing)[-1]
    assert (head_of(newest), newest.offset) == (silent.head, silent.offsets[-1])
    assert newest.scanned_to == line.offsets[-1] + 1, "also of one that says nothing any more"
    assert anchors_of(stopped.listing) == []
    assert read_anchors(line.kafka, KEYS)[0]["reference/reference"]


def test_records_are_folded_while_anchors_wait_for_the_broker(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.usual().write(BLOCKS)
    asked, answered = threading.Event(), threading.Event()
    end = ReferenceFollower.end

    def late(follower: ReferenceFollower) -> int:
        asked.set()
        assert answered.wait(60)
        return end(follower)

    async def steps() -> None:
        one = driver(line)
        first, *others = events(line)
        await one.take(first)
        monkeypatch.setattr(ReferenceFollower, "end", late)
        one._next_anchors = 0.0
        moving = asyncio.ensure_future(one.quiet())
        while not asked.is_set():
            await asyncio.sleep(0.01)
        try:
            for event in others:
                await asyncio.wait_for(one.take(event), 30)
        finally:
            answered.set()
        await moving

    run(steps())
    assert line.found("bars") == line.expected("bars")
    assert head_of(read_anchors(line.kafka, KEYS)[0][f"ticks/{line.listing}"][-1]) == line.head


def test_a_new_incarnation_removes_what_it_supersedes(line: Line) -> None:
    line.usual().write(BLOCKS[:20])

    async def life(start: int) -> None:
        one = driver(line)
        for event in events(line, start):
            await one.take(event)
        await one.close()

    run(life(line._from["ticks"]))
    line.write(BLOCKS[20:])
    run(life(line.offsets[20]))
    last: dict[bytes, bytes | None] = {}
    for batch in read_range(line.kafka, "snapshots", line.partition):
        for message in batch:
            if line.listing.encode() in (message.key() or b""):
                last[message.key() or b""] = message.value()
    assert len(last) == 4
    assert sum(value is not None for value in last.values()) == 2
    assert {s.head.seq for s in stored(line)} == {len(BLOCKS)}


def test_listings_level_in_the_background_while_others_are_taken(new_line: NewLine) -> None:
    line = new_line().usual()
    other = new_line(line).usual()
    line.write(lively(7) + lively(8) + lively(9))
    start = line.offsets[-1]
    other.write(BLOCKS)

    async def steps() -> None:
        one = driver(line, snapshot_interval_s=0.01)
        given = events(line, start)
        for event in given:
            await one.take(event)
        while any(p.behind for p in await one._partitions()):
            await asyncio.sleep(0.01)
        await one.checkpoint()
        assert all(event.acked for event in given)
        assert one._levelling == {}

    run(steps())
    for one in (line, other):
        assert one.found("bars") == one.expected("bars")
        assert {s.head for s in stored(one)} == {one.head}


def test_records_are_folded_between_the_states_of_two_listings(
    new_line: NewLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = new_line().usual()
    other = new_line(line).usual()
    line.write(BLOCKS)
    other.write(BLOCKS)
    line.write(lively(7) + lively(8))
    done: list[str] = []

    def noted(name: str) -> None:
        does = getattr(TickPartition, name)

        def noting(part: TickPartition, *what: Any) -> Any:
            done.append(name)
            return does(part, *what)

        monkeypatch.setattr(TickPartition, name, noting)

    async def steps() -> None:
        one = driver(line, snapshot_interval_s=600, snapshot_records=1_000_000)
        # The first checkpoint is due at once: here the one that is asked for is to be the first.
        one._no_checkpoint_before = math.inf
        given = events(line)
        late = len(lively(7) + lively(8))
        for event in given[:-late]:
            await one.take(event)
        while any(p.behind for p in await one._partitions()):
            await asyncio.sleep(0.01)
        for name in ("states", "take"):
            noted(name)
        saving = asyncio.ensure_future(one.checkpoint())
        for event in given[-late:]:
            await one.take(event)
            await asyncio.sleep(0)
        await saving
        assert all(event.acked for event in given[:-late])
        await one.checkpoint()
        assert all(event.acked for event in given)

    run(steps())
    first, last = done.index("states"), done.index("states", done.index("states") + 1)
    assert "take" in done[first:last]
    for one in (line, other):
        assert one.found("bars") == one.expected("bars")
        assert {s.head for s in stored(one)} == {one.head}


def test_a_broker_that_is_away_when_snapshots_are_wanted_ends_it(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps() -> None:
        one = driver(line)
        monkeypatch.setattr(snapshots, "load", lambda *_: (_ for _ in ()).throw(Unreachable("away")))
        one.assigned([line.partition])
        await asyncio.wait(one._loading.values(), timeout=10)
        with pytest.raises(Unreachable, match="away"):
            await one.quiet()

    run(steps())


@pytest.mark.parametrize("error", [MemoryError(), OSError("no space"), RuntimeError("a bug"), Unreachable("away")])
def test_an_error_in_a_step_ends_the_process(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)

    async def step() -> None:
        raise error

    run(or_end(step(), "worker"))
    assert ended == [1]


def test_a_step_that_is_cancelled_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os._exit", lambda _: pytest.fail("it ended"))

    async def steps() -> None:
        task = asyncio.ensure_future(or_end(asyncio.sleep(60), "worker"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(steps())
