"""Snapshots: states of operators on a compacted topic, to start from. A cache: without them the worker folds anew.

A snapshot is a record an (operator, listing, incarnation); one above 512 KiB is cut into numbered parts. It carries
its own position: the offset of the last block folded and the chain's head there. On start the greatest position wins,
and a new incarnation removes the records that it supersedes. A listing's lie on the partition that it has on `ticks`;
an account's desk is one too, with the account in the listing's place, by its partition of `journal`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import cramjam
from confluent_kafka import KafkaException, Producer, TopicPartition

from infra.errors import Unreachable
from infra.kafka import ends, hand_over, new_consumer, split_batch, take, unreachable
from schemas.accept import Head
from schemas.catalogue import TOPICS, partition_of
from schemas.events import Snapshot
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.registry import UnreadableRecord, decode, seal

TOPIC = "snapshots"
PART_BYTES = 512 * 1024
_SEPARATOR = "|"
Folded = Literal["ticks", "journal"]
"""What a state was folded from."""


class State(NamedTuple):
    """The state of one operator for one listing after the block at `offset`, whose link is `head`.

    `partition`: for a desk, whose `listing` is an account, that of its journal; -1 for a listing, which tells its own.
    """

    operator: str
    listing: str
    offset: int
    head: Head
    out_seq: int
    data: bytes
    partition: int = -1

    @property
    def home(self) -> int:
        """The partition of `ticks` or `journal` that it was folded from."""
        return partition_of("ticks", self.listing) if self.partition < 0 else self.partition

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the state."""
        return hashlib.sha256(self.data).hexdigest()


class Stored(NamedTuple):
    """A state as found on the topic, and the keys of its records."""

    state: State
    incarnation: int
    keys: tuple[bytes, ...]


def write(producer: Producer, keys: KeyRing, incarnation: int, state: State) -> tuple[int, tuple[bytes, ...]]:
    """Hands the records of one state to the producer; (bytes sent, their keys)."""
    packed = bytes(cramjam.zstd.compress(state.data, 3))
    pieces = [packed[i : i + PART_BYTES] for i in range(0, len(packed), PART_BYTES)] or [b""]
    sent = 0
    written = []
    for part, piece in enumerate(pieces):
        record = Snapshot(
            operator=state.operator,
            listing=state.listing,
            incarnation=incarnation,
            part=part,
            parts=len(pieces),
            partition=state.home,
            offset=state.offset,
            epoch=state.head.epoch,
            nonce=state.head.nonce,
            seq=state.head.seq,
            n=state.head.n,
            head_ref_no=state.head.ref_no,
            head_mac=state.head.mac,
            out_seq=state.out_seq,
            digest=state.digest,
            state=piece,
            key_id=keys.current,
            mac=ZERO_MAC,
        )
        value = seal(record, TOPIC, keys)
        key = _key(state.operator, state.listing, incarnation, part)
        hand_over(producer, TOPIC, _place(state.home), key, value)
        sent += len(value)
        written.append(key)
    return sent, tuple(written)


def remove(producer: Producer, state: State, keys: Iterable[bytes]) -> None:
    """Hands tombstones for records that those of `state` supersede to the producer."""
    for key in keys:
        hand_over(producer, TOPIC, _place(state.home), key, None)


def load(bootstrap: str, keys: KeyRing, partitions: Sequence[int], topic: Folded = "ticks") -> dict[int, list[Stored]]:
    """The states that were folded from each of the partitions of `topic`: of each operator and listing (of `journal`,
    account) the one with the greatest position.

    What can't be read, has a wrong MAC, lacks a part or fails its digest is left out: it is folded anew.
    """
    latest: dict[bytes, Snapshot] = {}
    for partition, key, value in _records(bootstrap, sorted({_place(p) for p in partitions})):
        record = _read(keys, partition, key, value)
        if record is not None and (("/" in record.listing) != (topic == "ticks") or record.partition not in partitions):
            continue
        if record is None:
            latest.pop(key, None)
        else:
            latest[key] = record
    groups: dict[tuple[str, str, int], list[tuple[bytes, Snapshot]]] = {}
    for key, record in latest.items():
        groups.setdefault((record.operator, record.listing, record.incarnation), []).append((key, record))
    best: dict[tuple[str, str], Stored] = {}
    others: dict[tuple[str, str], list[bytes]] = {}
    for (operator, listing, incarnation), records in groups.items():
        stored = _whole(incarnation, records)
        found = best.get((operator, listing))
        loser = stored
        if stored is not None and (found is None or stored.state.offset > found.state.offset):
            best[operator, listing] = stored
            loser = found
        lost = loser.keys if loser is not None else tuple(k for k, _ in records) if stored is None else ()
        others.setdefault((operator, listing), []).extend(lost)
    result: dict[int, list[Stored]] = {p: [] for p in partitions}
    for whose, stored in best.items():
        keys_of = (*stored.keys, *others.get(whose, ()))
        result[stored.state.home].append(stored._replace(keys=keys_of))
    return result


def _whole(incarnation: int, records: list[tuple[bytes, Snapshot]]) -> Stored | None:
    """The state made of the parts that belong together, None if one is missing or was changed."""
    records = sorted(records, key=lambda item: item[1].part)
    first = records[0][1]
    parts = [r for _, r in records if (r.offset, r.parts, r.digest) == (first.offset, first.parts, first.digest)]
    if [r.part for r in parts] != list(range(first.parts)):
        return None
    try:
        data = bytes(cramjam.zstd.decompress(b"".join(r.state for r in parts)))
    except cramjam.DecompressionError:
        return None
    if hashlib.sha256(data).hexdigest() != first.digest:
        return None
    head = Head(first.epoch, first.nonce, first.seq, first.n, first.head_ref_no, first.head_mac)
    partition = -1 if "/" in first.listing else first.partition
    state = State(first.operator, first.listing, first.offset, head, first.out_seq, data, partition)
    return Stored(state, incarnation, tuple(k for k, _ in records))


def _read(keys: KeyRing, partition: int, key: bytes, value: bytes | None) -> Snapshot | None:
    if not value:
        return None
    try:
        record = decode(value)
    except UnreadableRecord:
        return None
    if not isinstance(record, Snapshot) or not keys.holds(TOPIC, record.key_id, value):
        return None
    if key != _key(record.operator, record.listing, record.incarnation, record.part):
        return None
    if "/" in record.listing and record.partition != partition_of("ticks", record.listing):
        return None
    return record if partition == _place(record.partition) else None


def _records(bootstrap: str, partitions: Sequence[int]) -> Iterator[tuple[int, bytes, bytes | None]]:
    """Partition, key and value of every record of the partitions, all read at once."""
    if not partitions:
        return
    consumer = new_consumer(bootstrap)
    try:
        extents = {partition: ends(consumer, TOPIC, partition) for partition in partitions}
        waiting = {partition: extent for partition, extent in extents.items() if extent.low < extent.high}
        consumer.assign([TopicPartition(TOPIC, p, extent.low) for p, extent in waiting.items()])
        quiet = 0
        while waiting:
            messages = take(consumer, 1_000, 0.5)
            quiet = 0 if messages else quiet + 1
            if quiet > 60:
                raise Unreachable("the broker gives nothing of the snapshots: `tickledger status` shows it")
            for message in messages:
                error = message.error()
                partition = message.partition() or 0
                if error is not None:
                    split_batch([message])
                    met = message.offset() or 0
                    if error.code() == _EOF and partition in waiting and met >= waiting[partition].high:
                        del waiting[partition]
                    continue
                yield partition, message.key() or b"", message.value()
    except KafkaException as error:
        raise unreachable(error) from error
    finally:
        consumer.close()


def _place(home: int) -> int:
    """The partition of `snapshots` of states that were folded from partition `home`."""
    return home % TOPICS[TOPIC].partitions


def _key(operator: str, listing: str, incarnation: int, part: int) -> bytes:
    return _SEPARATOR.join((operator, listing, str(incarnation), str(part))).encode()


_EOF = -191
