"""Following one chain of the log, record by record, through accept()."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Message, TopicPartition

from infra import anchors
from infra.errors import TickledgerError
from infra.kafka import end_of, new_consumer, read_range, split_batch, take
from schemas.accept import Forgery, Head, Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains, repairs_in
from schemas.events import Anchor, Repair
from schemas.integrity import KeyRing
from schemas.ticks import TickBlock

Seen = Callable[[Any, Verdict], None]
"""What a follower hands each readable record of its chain to."""


class Fenced(TickledgerError):
    """Another writer opened the chain: this one has ended and wrote nothing after it."""

    exit_code = 1


class ChainStopped(TickledgerError):
    """The chain has a damaged record; nobody writes to it until a Repair is on the log."""


class Standing(NamedTuple):
    """Where a chain stands on the log: its head, and the offset up to which the partition was read."""

    head: Head
    scanned_to: int
    highest_epoch: int


class ChainFollower:
    """Reads one chain of a partition forwards, record by record, through accept()."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        key: str,
        keys: KeyRing,
        start: Standing,
        repairs: Sequence[Repair],
        partition: int | None = None,
    ) -> None:
        """`partition`: an account's, by its AccountConfig; of a listing it is known."""
        self.partition = partition_of(topic, key) if partition is None else partition
        self.scanned_to = start.scanned_to
        self.highest_epoch = start.highest_epoch
        self.head_offset = -1
        self._topic, self._key, self._bootstrap = topic, key, bootstrap
        self._key_bytes = None if topic == "reference" else key.encode()
        self._chains = Chains(topic, keys, repairs, {key: self.partition})
        self._chains.heads[key] = start.head
        self._consumer: Consumer | None = None

    @property
    def head(self) -> Head:
        """Where the chain stands by what was read."""
        return self._chains.heads[self._key]

    def standing(self) -> Standing:
        """As a value, to start another follower from."""
        return Standing(self.head, self.scanned_to, self.highest_epoch)

    def read_to(self, end: int, seen: Seen) -> None:
        """Reads on until the partition's offset `end`; `seen` gets each record of the chain that could be read."""
        self.close()
        for batch in read_range(self._bootstrap, self._topic, self.partition, self.scanned_to, end):
            self.take(batch, seen)
        self.scanned_to = max(self.scanned_to, end)

    def poll(self, seen: Seen, timeout: float, most: int = 500) -> bool:
        """Reads what has come since, up to `most` records; whether anything did."""
        if self._consumer is None:
            self._consumer = new_consumer(self._bootstrap)
            self._consumer.assign([TopicPartition(self._topic, self.partition, self.scanned_to)])
        records, _ = split_batch(take(self._consumer, most, timeout))
        self.take(records, seen)
        return bool(records)

    def close(self) -> None:
        """Ends its consumer."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def take(self, batch: Sequence[Message], seen: Seen) -> None:
        """Records of its partition in order, read by somebody else; those that it has read already are passed over."""
        for message in batch:
            offset = message.offset() or 0
            if offset < self.scanned_to:
                continue
            self.scanned_to = offset + 1
            if self._key_bytes is not None and message.key() != self._key_bytes:
                continue
            judged = self._chains.judge(self.partition, offset, message.key(), message.value())
            if judged.verdict is Verdict.FORGED or judged.record is None:
                continue
            if judged.verdict is not Verdict.REPAIRED:
                self.highest_epoch = max(self.highest_epoch, judged.record.epoch)
            if judged.verdict is Verdict.TAKE:
                self.head_offset = offset
            seen(judged.record, judged.verdict)


def read_repairs(bootstrap: str, keys: KeyRing) -> list[Repair]:
    """The Repairs on `reference`, read ahead of everything."""
    values = (m.value() or b"" for batch in read_range(bootstrap, "reference", 0) for m in batch)
    return repairs_in(values, keys)


def standing_of(
    bootstrap: str, keys: KeyRing, key: str, topic: str = "ticks", partition: int | None = None
) -> Standing:
    """Where an opener of a chain starts to read: at its last anchor, else at the partition's start.

    `key` is the listing, or the account, whose `partition` has to be told. Raises ChainStopped as `standing_at`.
    """
    return standing_at(bootstrap, keys, key, anchors.last_anchor(bootstrap, keys, topic, key), topic, partition)


def standing_at(
    bootstrap: str, keys: KeyRing, key: str, anchor: Anchor | None, topic: str = "ticks", partition: int | None = None
) -> Standing:
    """`standing_of` a chain whose last anchor is known.

    Raises ChainStopped if the log doesn't have what the anchor witnesses: to go on from there would leave a hole.
    """
    if anchor is None:
        return Standing(Head(), 0, 0)
    if not _is_met(bootstrap, keys, key, anchor, partition_of(topic, key) if partition is None else partition):
        raise ChainStopped(
            f"the log of {key} has not the record at {topic}/{anchor.partition}/{anchor.offset} that an anchor "
            "witnesses: its tail was cut, or the record was changed; `tickledger verify` names the place"
        )
    return Standing(anchors.head_of(anchor), anchor.scanned_to, anchor.epoch)


def _is_met(bootstrap: str, keys: KeyRing, key: str, anchor: Anchor, partition: int) -> bool:
    """Whether the record at the anchor's offset is its head, the OPEN that holds, or one that a Repair led past."""
    topic, offset = anchor.topic, anchor.offset
    if anchor.partition != partition or anchor.scanned_to > end_of(bootstrap, topic, partition):
        return False
    chains = Chains(topic, keys, (), {key: partition})
    for batch in read_range(bootstrap, topic, partition, offset, offset + 1):
        read = chains.read(partition, batch[0].offset() or 0, batch[0].key(), batch[0].value())
        if not isinstance(read.link, Forgery) and read.position.offset == offset and read.chain == key:
            if read.link.opens:
                return (read.link.epoch, read.link.nonce) == (anchor.epoch, anchor.nonce)
            return read.link.mac == anchor.head_mac
    repairs = read_repairs(bootstrap, keys)
    return any((r.topic, r.partition, r.offset, r.chain) == (topic, partition, offset, key) for r in repairs)


def read_tail(bootstrap: str, keys: KeyRing, listing: str, standing: Standing, ticks: int) -> list[TickBlock]:
    """The last blocks of a listing's chain before `standing`, in order, with `ticks` ticks at least where it has them.

    Reads backwards in growing steps; only links on the way to the head count, so a fenced writer's blocks don't.
    """
    partition = partition_of("ticks", listing)
    key = listing.encode()
    step, start = 64, standing.scanned_to
    found: list[TickBlock] = []
    wanted = standing.head.mac
    while start > 0 and standing.head.seq:
        end, start = start, max(0, start - step)
        step *= 4
        part: list[TickBlock] = []
        chains = Chains("ticks", keys)
        for batch in read_range(bootstrap, "ticks", partition, start, end):
            for message in batch:
                if message.key() == key:
                    judged = chains.judge(partition, message.offset() or 0, key, message.value())
                    if judged.verdict is not Verdict.FORGED:
                        part.append(judged.record)
        for block in reversed(part):
            if block.mac == wanted and block.seq:
                found.append(block)
                wanted = block.prev
        if sum(block.size for block in found) >= ticks or (found and found[-1].seq == 1):
            break
    return found[::-1]


def stopped_message(chain: str, head: Head) -> str:
    """What to say of a chain that stands still."""
    return f"the chain of {chain} stands still: {head.stopped}; `tickledger verify` names the place"
