"""An account's chains of `journal`, `executions` and `commands`: who writes them, and who reads them through accept().

A writer opens first and reads second, as one of ticks does (docs/protocol.md, Chains): a record counts as written once
`accept()` took it from the log, and one that sees a higher epoch, or lost its own OPEN to another, ends with Fenced.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from confluent_kafka import Consumer, Message, TopicPartition

from infra import anchors
from infra.chain_follower import ChainStopped, Fenced, Standing, read_repairs, standing_of, stopped_message
from infra.clock import Clock
from infra.errors import Refused
from infra.kafka import (
    end_of,
    new_consumer,
    new_producer,
    read_range,
    send_and_wait,
    split_batch,
    take,
)
from infra.outbox import Outbox
from infra.reference_log import read_reference
from schemas.accept import Head, Verdict
from schemas.chains import Chains, Judged, Position
from schemas.configuration import AccountConfig
from schemas.events import Repair
from schemas.executions import AccountOpen, Command, Execution
from schemas.integrity import MAC_BYTES, ZERO_MAC, KeyRing
from schemas.registry import encode, seal

WINDOW_RECORDS: Final = 256
"""Records that may be on their way before a writer waits for the log to give them back."""
_BEGINNING: Final = Standing(Head(), 0, 0)


class UnknownAccount(Refused):
    """`reference` has no AccountConfig of an account."""


class Taken(NamedTuple):
    """A record of an account's chain with its verdict, and its bytes."""

    judged: Judged
    value: bytes


class AccountFollower:
    """Reads an account's chain forwards through accept(): every record under its key, whatever the verdict.

    `start` is where a reader stood before; its repairs are those on `reference`, read ahead.
    """

    def __init__(
        self,
        bootstrap: str,
        keys: KeyRing,
        topic: str,
        account: str,
        partition: int,
        start: Standing = _BEGINNING,
        repairs: Sequence[Repair] = (),
    ) -> None:
        self.topic, self.account, self.partition = topic, account, partition
        self.scanned_to = start.scanned_to
        self.highest_epoch = start.highest_epoch
        self.head_offset = -1
        self._bootstrap, self._key = bootstrap, account.encode()
        self._chains = Chains(topic, keys, repairs, {account: partition})
        self._chains.heads[account] = start.head
        self._consumer: Consumer | None = None

    @property
    def head(self) -> Head:
        """Where the chain stands by what was read."""
        return self._chains.heads[self.account]

    def standing(self) -> Standing:
        """As a value, to start another follower from."""
        return Standing(self.head, self.scanned_to, self.highest_epoch)

    def read_to(self, end: int | None = None) -> Iterator[Taken]:
        """The records up to the partition's offset `end`, by default its end now. Raises Unreachable."""
        self.close()
        stop = end_of(self._bootstrap, self.topic, self.partition) if end is None else end
        for batch in read_range(self._bootstrap, self.topic, self.partition, self.scanned_to, stop):
            yield from self._judge(batch)
        self.scanned_to = max(self.scanned_to, stop)

    def poll(self, timeout: float, most: int = 500) -> list[Taken]:
        """What has come since; waits up to `timeout` seconds only while there is nothing. Raises Unreachable."""
        if self._consumer is None:
            self._consumer = new_consumer(self._bootstrap)
            self._consumer.assign([TopicPartition(self.topic, self.partition, self.scanned_to)])
        records, _ = split_batch(take(self._consumer, most, timeout))
        return list(self._judge(records))

    def close(self) -> None:
        """Ends its consumer."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _judge(self, batch: list[Message]) -> Iterator[Taken]:
        for message in batch:
            offset, value = message.offset() or 0, message.value() or b""
            self.scanned_to = offset + 1
            if message.key() != self._key:
                continue
            judged = self._chains.judge(self.partition, offset, self._key, value)
            if judged.verdict is Verdict.TAKE:
                self.head_offset = offset
            if judged.verdict not in (Verdict.FORGED, Verdict.REPAIRED):
                self.highest_epoch = max(self.highest_epoch, judged.record.epoch)
            yield Taken(judged, value)


class AccountWriter:
    """Writes an account's chain on one topic.

    `open()` fences every writer before it and reads the chain, from its last anchor on; `write()` adds a record;
    `drain()` returns once `accept()` has taken all of them from the log. `opening` makes the OPEN's value, unsealed, of
    (epoch, nonce); without it an AccountOpen is written. `on_record` gets what is read while opening, `on_written` what
    was written once it is read back. Raises Fenced, ChainStopped, DeliveryFailed, Unreachable.
    """

    def __init__(
        self,
        bootstrap: str,
        keys: KeyRing,
        clock: Clock,
        topic: str,
        account: str,
        partition: int,
        *,
        start: Standing | None = None,
        opening: Callable[[int, bytes], bytes] | None = None,
        on_record: Callable[[Taken], None] | None = None,
        on_written: Callable[[Taken], None] | None = None,
    ) -> None:
        self.topic, self.account, self.partition = topic, account, partition
        self._bootstrap, self._keys, self._clock = bootstrap, keys, clock
        self._opening = opening or self._account_open
        self._on_record, self._on_written = on_record, on_written
        self._producer = new_producer(bootstrap, **{"linger.ms": 0})
        self._follower = AccountFollower(
            bootstrap,
            keys,
            topic,
            account,
            partition,
            standing_of(bootstrap, keys, account, topic, partition) if start is None else start,
            read_repairs(bootstrap, keys),
        )
        self._next = Head()
        self._outbox = Outbox(self._producer, topic, partition, account, self._chain, "records")

    @property
    def head(self) -> Head:
        """Where the chain will stand when all that was handed to `write` is on the log."""
        return self._next

    @property
    def written(self) -> Head:
        """Where the chain stands on the log."""
        return self._follower.head

    @property
    def position(self) -> Position:
        """Where on the log its reading stands."""
        return Position(self.topic, self.partition, self._follower.scanned_to)

    @property
    def pending(self) -> int:
        """How many records are on their way."""
        return len(self._outbox)

    def open(self) -> Head:
        """Opens an epoch, then reads the chain up to its own OPEN; the head that writing goes on from."""
        for _ in range(2):
            self._read_to(None)
            epoch, nonce = self._follower.highest_epoch + 1, secrets.token_bytes(8)
            value = self._sealed(self._opening(epoch, nonce))
            offset = send_and_wait(self._producer, self.topic, self.partition, self.account, value)
            self._read_to(offset + 1)
            head = self._follower.head
            if head.stopped:
                raise ChainStopped(stopped_message(self._chain, head))
            if (head.epoch, head.nonce) == (epoch, nonce):
                self._next = head
                return head
            if head.epoch == epoch:
                break
        raise Fenced(f"another writer opened {self._chain} at the same moment: this one has ended and wrote nothing")

    def write(self, record: Execution | Command | bytes) -> int:
        """Adds one record; its number. Waits while too many are on their way.

        A record's chain fields and `written_us` are filled in here. Bytes are an unsealed value that was made for the
        link after `head`, by this writer's epoch, nonce and current key.
        """
        self._outbox.wait_for(WINDOW_RECORDS - 1, self.follow)
        head = self._next
        if isinstance(record, bytes):
            value = self._sealed(record)
        else:
            linked = dataclasses.replace(
                record,
                epoch=head.epoch,
                nonce=head.nonce,
                seq=head.seq + 1,
                account=self.account,
                written_us=self._clock.now_us(),
                key_id=self._keys.current,
                prev=head.mac,
                mac=ZERO_MAC,
            )
            value = seal(linked, self.topic, self._keys)
        self._outbox.send(value)
        self._next = head._replace(seq=head.seq + 1, n=head.n + 1, mac=value[-MAC_BYTES:])
        self.follow(0)
        return self._next.seq

    def drain(self) -> None:
        """Returns once every record is taken from the log."""
        self._outbox.wait_for(0, self.follow)

    def follow(self, timeout: float = 0) -> None:
        """Reads back what is on the log; raises if this writer was fenced or the chain stands still."""
        self._producer.poll(0)
        for taken in self._follower.poll(timeout):
            is_next = taken.judged.verdict is Verdict.TAKE and self._outbox.arrived(taken.value[-MAC_BYTES:])
            if is_next and self._on_written is not None:
                self._on_written(taken)
        self._outbox.check(self._follower.head, self._next.epoch)

    def anchor(self, link: Taken | None = None) -> None:
        """Witnesses the head that was reached on `anchors`, or a link that was the head when it was written."""
        head, offset, scanned_to = self.written, self._follower.head_offset, self._follower.scanned_to
        if link is not None:
            record = link.judged.record
            head = Head(record.epoch, record.nonce, record.seq, record.seq, 0, record.mac)
            offset = link.judged.position.offset
            scanned_to = offset + 1
        if offset >= 0 and not head.stopped:
            now_us, key_id = self._clock.now_us(), self._keys.current
            made = anchors.make_anchor(
                self.topic, self.account, self.partition, head, offset, scanned_to, now_us, key_id
            )
            anchors.send(self._producer, self._keys, [made])

    def close(self) -> None:
        """Ends its clients. What isn't drained may or may not reach the log."""
        self._producer.flush(5)
        self._follower.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def _chain(self) -> str:
        return anchors.chain_name(self.topic, self.account)

    def _account_open(self, epoch: int, nonce: bytes) -> bytes:
        return encode(
            AccountOpen(
                epoch=epoch,
                nonce=nonce,
                seq=0,
                account=self.account,
                written_us=self._clock.now_us(),
                key_id=self._keys.current,
                prev=ZERO_MAC,
                mac=ZERO_MAC,
            )
        )

    def _sealed(self, value: bytes) -> bytes:
        return self._keys.seal(self.topic, self._keys.current, value)

    def _read_to(self, end: int | None) -> None:
        for taken in self._follower.read_to(end):
            if self._on_record is not None:
                self._on_record(taken)


def partition_of_account(bootstrap: str, keys: KeyRing, account: str) -> int:
    """The partition of an account's topics, by its first AccountConfig: a later one moves nothing.

    Raises UnknownAccount with those that there are.
    """
    records, _ = read_reference(bootstrap, keys)
    configs = [record for record in records if isinstance(record, AccountConfig)]
    for config in configs:
        if config.account == account:
            return config.partition
    known = ", ".join(sorted({config.account for config in configs}))
    raise UnknownAccount(
        f"there is no account {account!r} on this log: " + (f"it has {known}" if known else "it has none")
    )


def read_account(bootstrap: str, keys: KeyRing, topic: str, account: str, partition: int) -> tuple[list[Any], Head]:
    """All taken links of an account's chain in order, without its OPENs, and the head."""
    follower = AccountFollower(bootstrap, keys, topic, account, partition, repairs=read_repairs(bootstrap, keys))
    records = [t.judged.record for t in follower.read_to() if t.judged.verdict is Verdict.TAKE and t.judged.record.seq]
    return records, follower.head
