"""What the worker does with one partition of `ticks`: judge each record, fold it, send what it proves, remember where.

Nothing here knows Faust: the worker hands over records in order and asks now and then for the states to snapshot.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from confluent_kafka import Producer

from infra.clock import Clock
from infra.kafka import read_range
from infra.log import get
from infra.notices import alert_about, alert_of, raise_alert
from schemas.accept import Forgery, Head, Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains, Judged, Position, Read
from schemas.events import Severity, Signal
from schemas.integrity import KeyRing
from schemas.registry import encode, seal
from schemas.ticks import BlockKind, TickBlock
from streams.fold import Behind, InstanceState, ListingFold, Output
from streams.operators.base import BadState, OperatorError
from streams.reference_follower import ReferenceFollower
from streams.snapshots import State, Stored

log = get(__name__)

SOURCE = "worker"


class OutOfOrder(Exception):
    """A record came that isn't the next of its partition: the process must end and start from its snapshots."""


class Surroundings(NamedTuple):
    """What a partition's worker needs of the world."""

    bootstrap: str
    keys: KeyRing
    clock: Clock
    producer: Producer
    reference: ReferenceFollower


class TickPartition:
    """One partition of `ticks` in this worker. `position`: the offset of the last record done, -1 at first."""

    def __init__(self, partition: int, world: Surroundings, stored: list[Stored]) -> None:
        self.partition = partition
        self.position = -1
        self.records = 0
        self.ticks = 0
        self._world = world
        self._chains = Chains("ticks", world.keys, world.reference.view.repairs)
        self._folds: dict[str, ListingFold] = {}
        self._applied: dict[str, int] = {}
        self._parked: dict[str, str] = {}
        self._head_offset: dict[str, int] = {}
        self._changed: set[str] = set()
        self._stored: dict[str, list[State]] = {}
        for found in stored:
            self._stored.setdefault(found.state.listing, []).append(found.state)

    @property
    def heads(self) -> dict[str, tuple[Head, int]]:
        """Of each listing met so far: the chain's head and the offset of its record."""
        return {name: (self._chains.heads[name], at) for name, at in self._head_offset.items()}

    def read(self, offset: int, key: bytes | None, value: bytes | None) -> Read:
        """The record at `offset` with MAC and encoding checked."""
        return self._chains.read(self.partition, offset, key, value)

    def is_quick(self, read: Read) -> bool:
        """Whether `take` will do without reading from the broker, so that an event loop need not fear it."""
        if isinstance(read.link, Forgery):
            return True
        return read.chain in self._folds and read.link.ref_no <= self._applied[read.chain]

    def take(self, read: Read) -> None:
        """Folds the record and hands what it proves to the producer. Raises OutOfOrder."""
        offset = read.position.offset
        if offset <= self.position:
            return
        if self.position >= 0 and offset != self.position + 1:
            raise OutOfOrder(f"ticks/{self.partition}: offset {offset} came after {self.position}")
        if not isinstance(read.link, Forgery) and read.chain not in self._parked:
            self._prepare(read.chain, read.record, offset)
        judged = self._chains.settle(read)
        if judged.alert:
            alert = alert_of(judged, SOURCE, self._world.clock.now_us())
            log.warning("record not taken", alert_id=alert.alert_id, reason=judged.reason, chain=judged.chain)
            raise_alert(self._world.producer, alert)
        self._fold(judged)
        self.position = offset
        self.records += 1

    def changed(self) -> list[State]:
        """The states of what was folded since the last call, to snapshot."""
        states = [s for name in sorted(self._changed) for s in self._states(name)]
        self._changed.clear()
        return states

    def _states(self, listing: str) -> list[State]:
        fold, head = self._folds[listing], self._chains.heads[listing]
        return [
            State(operator, listing, self._head_offset[listing], head, saved.out_seq, saved.state)
            for operator, position in fold.positions().items()
            if not position.done and position.seq == head.seq
            for saved in (fold.dump(operator),)
        ]

    def _prepare(self, listing: str, block: TickBlock, offset: int) -> None:
        """Has the listing's operators stand right before `block`: from snapshots, or by folding what lies before."""
        reference = self._world.reference
        if block.ref_no > reference.view.last:
            reference.read_until(block.ref_no)
        fold = self._folds.get(listing)
        if fold is None:
            fold, start = self._restore(listing)
            self._folds[listing] = fold
            self._take_up(listing, fold)
            if not _follows(block, self._chains.heads[listing], fold):
                self._catch_up(listing, fold, start, offset)
        elif self._applied[listing] < reference.view.last and self._take_up(listing, fold):
            self._chains.add_repairs(reference.view.repairs)
            self._catch_up(listing, fold, 0, offset)

    def _take_up(self, listing: str, fold: ListingFold) -> bool:
        """Takes up activations that the fold has not; whether there was one."""
        view = self._world.reference.view
        self._chains.add_repairs(view.repairs)
        new = fold.sync()
        first = self._applied.get(listing, 0)
        self._applied[listing] = view.last
        for activation, reason in fold.unrunnable:
            if activation.ref_no > first:
                self._alert("activation_refused", listing, f"{activation.instance}@{activation.ref_no}: {reason}", -1)
        return bool(new)

    def _restore(self, listing: str) -> tuple[ListingFold, int]:
        """(a fold with the snapshots that are whole, the offset after the lowest one; 0 if one is missing)."""
        fold = ListingFold(listing, self._world.reference.view)
        fold.sync()
        states = {s.operator: s for s in self._stored.pop(listing, [])}
        wanted = [operator for operator, position in fold.positions().items() if not position.done]
        found = [states[operator] for operator in wanted if operator in states]
        try:
            for s in found:
                fold.load(s.operator, InstanceState(s.data, s.out_seq, s.digest, s.head.seq, s.head.n))
        except BadState as error:
            log.warning("snapshot refused", listing=listing, reason=str(error))
            return ListingFold(listing, self._world.reference.view), 0
        self._chains.heads[listing] = Head()
        self._head_offset[listing] = -1
        if not found or len(found) < len(wanted):
            return fold, 0
        lowest = min(found, key=lambda s: s.offset)
        self._chains.heads[listing] = lowest.head
        self._head_offset[listing] = lowest.offset
        return fold, lowest.offset + 1

    def _catch_up(self, listing: str, fold: ListingFold, start: int, end: int) -> None:
        """Folds the listing's records in [start, end), each instance what it lacks; what they prove is sent again."""
        log.info("catching up", listing=listing, partition=self.partition, start=start, end=end)
        if start == 0:
            self._chains.heads[listing] = Head()
        key = listing.encode()
        for batch in read_range(self._world.bootstrap, "ticks", self.partition, start, end):
            for message in batch:
                if message.key() == key:
                    self._fold(self._chains.judge(self.partition, message.offset() or 0, key, message.value()))

    def _fold(self, judged: Judged) -> None:
        listing, verdict = judged.chain, judged.verdict
        if verdict not in (Verdict.TAKE, Verdict.REPAIRED) or listing in self._parked:
            return
        head, fold = self._chains.heads[listing], self._folds[listing]
        self._changed.add(listing)
        self._head_offset[listing] = judged.position.offset
        block = judged.record
        if verdict is Verdict.TAKE and block.kind == BlockKind.DATA:
            try:
                outputs = fold.fold([block])
            except (OperatorError, Behind) as error:
                self._parked[listing] = str(error)
                self._alert("listing_parked", listing, f"{listing} is not folded: {error}", judged.position.offset)
                return
            self.ticks += block.size
            for output in outputs:
                self._send(output)
        if verdict is Verdict.REPAIRED or (block.kind == BlockKind.DATA and head.seq != block.seq):
            fold.repaired(head.seq, head.n)

    def _send(self, output: Output) -> None:
        topic, key = output.topic, output.listing.encode()
        partition = partition_of(topic, output.listing)
        for record in output.records():
            if isinstance(record, Signal):
                value = seal(_signed(record, self._world.keys), topic, self._world.keys)
            else:
                value = encode(record)
            produce(self._world.producer, topic, key, value, partition)

    def _alert(self, code: str, listing: str, message: str, offset: int) -> None:
        log.error(code, listing=listing, message=message)
        position = Position("ticks", self.partition, offset)
        now = self._world.clock.now_us()
        raise_alert(self._world.producer, alert_about(code, Severity.CRITICAL, SOURCE, listing, position, now, message))


def produce(producer: Producer, topic: str, key: bytes, value: bytes, partition: int) -> None:
    """Hands a record to the producer, waiting while its queue is full."""
    while True:
        try:
            producer.produce(topic, key=key, value=value, partition=partition)
            return
        except BufferError:
            producer.poll(0.05)


def _signed(signal: Signal, keys: KeyRing) -> Signal:
    return dataclasses.replace(signal, key_id=keys.current)


def _follows(block: TickBlock, head: Head, fold: ListingFold) -> bool:
    """Whether `block` is right the next for the chain's head and for every instance: nothing lies between."""
    if any(position.seq != head.seq for position in fold.positions().values() if not position.done):
        return False
    if block.kind == BlockKind.OPEN:
        return block.epoch == 1 and head.seq == 0
    return block.seq == head.seq + 1 and block.prev == head.mac and block.epoch == head.epoch
