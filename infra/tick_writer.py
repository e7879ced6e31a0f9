"""The writer of a listing's chain of ticks: it opens first and reads second, so that a stalled twin can't fork the log.

A writer follows its own chain: a block counts as written once `accept()` took it from the log. One that sees a higher
epoch, or lost its own OPEN to another, ends with Fenced.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from confluent_kafka import Message, TopicPartition

from infra import anchors
from infra.chain_follower import ChainFollower, ChainStopped, Fenced, Standing, read_repairs, stopped_message
from infra.clock import Clock
from infra.kafka import (
    GATHERED,
    end_of,
    new_consumer,
    new_producer,
    send_and_wait,
    split_batch,
    take,
)
from infra.outbox import Outbox
from schemas.accept import Head, Verdict
from schemas.catalogue import partition_of
from schemas.events import ReferenceOpen, ReferenceRecord
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.ticks import BlockKind, TickBlock, TickSource, open_block, seal_block

WINDOW_BLOCKS = 256
"""Blocks that may be on their way before a writer waits for the log to give them back."""

LINGER_MS = 2
"""How long shared clients keep a block, for one of another listing of the partition that is written right after it."""


class TickClients:
    """One producer and one consumer that the writers of many listings share."""

    def __init__(self, bootstrap: str, keys: KeyRing) -> None:
        self.producer = new_producer(bootstrap, **{"linger.ms": LINGER_MS})
        self.repairs = read_repairs(bootstrap, keys)
        self._consumer = new_consumer(bootstrap, **{**GATHERED, "enable.partition.eof": False})
        self._writers: dict[int, list[TickWriter]] = {}
        self._assigned = True

    def join(self, writer: TickWriter) -> None:
        """What comes of the writer's partition goes to it from now on."""
        self._writers.setdefault(writer.partition, []).append(writer)
        self._assigned = False

    def leave(self, writer: TickWriter) -> None:
        """The writer wants nothing more."""
        if writer in self._writers.get(writer.partition, []):
            self._writers[writer.partition].remove(writer)
            self._assigned = False

    def poll(self, timeout: float) -> None:
        """Gives what has come to the writers; waits up to `timeout` seconds only while there is nothing."""
        self.producer.poll(0)
        if not self._assigned:
            starts = {p: min(w.scanned_to for w in writers) for p, writers in self._writers.items() if writers}
            self._consumer.assign([TopicPartition("ticks", p, start) for p, start in starts.items()])
            self._assigned = True
        found: dict[int, list[Message]] = {}
        for message in split_batch(take(self._consumer, 1_000, timeout))[0]:
            found.setdefault(message.partition() or 0, []).append(message)
        for partition, batch in found.items():
            for writer in self._writers.get(partition, ()):
                writer.take(batch)

    def close(self) -> None:
        """Ends the clients. What isn't drained may or may not reach the log."""
        self.producer.flush(5)
        self._consumer.close()


class TickWriter:
    """Writes one listing's chain of `ticks`.

    `open()` fences every writer before it and reads the chain; `write()` adds a block; `drain()` returns once
    `accept()` has taken all of them from the log. Raises Fenced, ChainStopped, DeliveryFailed, Unreachable.
    """

    def __init__(
        self,
        bootstrap: str,
        keys: KeyRing,
        clock: Clock,
        listing: str,
        source: TickSource,
        *,
        start: Standing | None = None,
        on_block: Callable[[TickBlock], None] | None = None,
        clients: TickClients | None = None,
    ) -> None:
        """`clients`: those that it shares with other writers; None: its own."""
        self.listing = listing
        self.partition = partition_of("ticks", listing)
        self._bootstrap, self._keys, self._clock, self._source = bootstrap, keys, clock, source
        self._on_block = on_block
        self._clients = clients
        self._producer = new_producer(bootstrap) if clients is None else clients.producer
        repairs = read_repairs(bootstrap, keys) if clients is None else clients.repairs
        self._follower = ChainFollower(bootstrap, "ticks", listing, keys, start or Standing(Head(), 0, 0), repairs)
        self._nonce = b""
        self._epoch = 0
        self._next = Head()
        self._outbox = Outbox(self._producer, "ticks", self.partition, listing, listing, "blocks")

    @property
    def head(self) -> Head:
        """Where the chain will stand when all that was handed to `write` is on the log."""
        return self._next

    @property
    def written(self) -> Head:
        """Where the chain stands on the log."""
        return self._follower.head

    @property
    def scanned_to(self) -> int:
        """The offset up to which its partition was read."""
        return self._follower.scanned_to

    @property
    def on_their_way(self) -> int:
        """Blocks that the log hasn't given back yet."""
        return len(self._outbox)

    def standing(self) -> Standing:
        """Where the chain stands on the log, as a value."""
        return self._follower.standing()

    def open(self) -> Head:
        """Opens an epoch, then reads the chain up to its own OPEN; the head that writing goes on from."""
        for _ in range(2):
            self._read_to_end()
            self._epoch, self._nonce = self._follower.highest_epoch + 1, secrets.token_bytes(8)
            block = open_block(
                self.listing, self._epoch, self._nonce, self._source, self._clock.now_us(), self._keys.current
            )
            offset = send_and_wait(self._producer, "ticks", self.partition, self.listing, seal_block(block, self._keys))
            self._follower.read_to(offset + 1, self._taken)
            head = self._follower.head
            if head.stopped:
                raise ChainStopped(stopped_message(self.listing, head))
            if (head.epoch, head.nonce) == (self._epoch, self._nonce):
                self._next = head
                if self._clients is not None:
                    self._clients.join(self)
                return head
            if head.epoch == self._epoch:
                break
        raise Fenced(f"another writer opened {self.listing} at the same moment: this one has ended and wrote no tick")

    def write(
        self,
        *,
        ref_no: int,
        received_us: int,
        server_offset_s: int,
        gap: bool,
        watermark_ms: int,
        columns: TickBlock,
    ) -> None:
        """Adds one block with the columns (time_ms … quality) of `columns`; waits while too many are on their way."""
        self._outbox.wait_for(WINDOW_BLOCKS - 1, self._follow)
        head = self._next
        block = columns._replace(
            kind=BlockKind.DATA,
            listing=self.listing,
            epoch=self._epoch,
            nonce=self._nonce,
            seq=head.seq + 1,
            first_n=head.n,
            ref_no=max(ref_no, head.ref_no),
            source=self._source,
            received_us=received_us,
            server_offset_s=server_offset_s,
            gap=gap,
            watermark_ms=watermark_ms,
            key_id=self._keys.current,
            prev=head.mac,
            mac=ZERO_MAC,
        )
        value = seal_block(block, self._keys)
        self._outbox.send(value)
        self._next = Head(self._epoch, self._nonce, block.seq, head.n + block.size, block.ref_no, value[-16:])
        if self._clients is None:
            # Who shares clients reads back for all of their writers at once.
            self._follow(0)

    def drain(self) -> None:
        """Returns once every block is taken from the log."""
        self._outbox.wait_for(0, self._follow)

    def anchor(self) -> None:
        """Witnesses the head that was reached on `anchors`."""
        head, offset = self.written, self._follower.head_offset
        if offset >= 0 and not head.stopped:
            now, key_id = self._clock.now_us(), self._keys.current
            scanned = self._follower.scanned_to
            made = anchors.make_anchor("ticks", self.listing, self.partition, head, offset, scanned, now, key_id)
            anchors.send(self._producer, self._keys, [made])
            if self._clients is None:
                self._producer.flush(10)

    def close(self) -> None:
        """Ends its clients, or leaves those that it shares. What isn't drained may or may not reach the log."""
        if self._clients is not None:
            self._clients.leave(self)
            return
        self._producer.flush(5)
        self._follower.close()

    def take(self, batch: Sequence[Message]) -> None:
        """Records of its partition in order, from shared clients."""
        self._follower.take(batch, self._confirm)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _read_to_end(self) -> None:
        self._follower.read_to(end_of(self._bootstrap, "ticks", self.partition), self._taken)

    def _taken(self, record: TickBlock | ReferenceRecord | ReferenceOpen, verdict: Verdict) -> None:
        if verdict is Verdict.TAKE and isinstance(record, TickBlock) and self._on_block is not None:
            self._on_block(record)

    def _follow(self, timeout: float) -> None:
        """Reads back what is on the log; raises if this writer was fenced or the chain stands still."""
        if self._clients is not None:
            self._clients.poll(timeout)
        else:
            self._producer.poll(0)
            self._follower.poll(self._confirm, timeout)
        self.check()

    def check(self) -> None:
        """Raises if a block was refused, this writer was fenced or the chain stands still, by what was read."""
        self._outbox.check(self._follower.head, self._epoch)

    def _confirm(self, record: TickBlock | ReferenceRecord | ReferenceOpen, verdict: Verdict) -> None:
        if verdict is Verdict.TAKE:
            self._outbox.arrived(record.mac)
