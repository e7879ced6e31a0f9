"""What reaches an account: signals of its strategies, executions, commands and reference, through accept()."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, Message, TopicPartition

from infra.chain_follower import read_repairs
from infra.kafka import new_consumer, read_range, split_batch, take
from schemas.accept import Forgery, Head, Mark, Verdict
from schemas.catalogue import TOPICS
from schemas.chains import REFERENCE_CHAIN, Chains, Derivations, Judged
from schemas.events import ReferenceOpen, Repair
from schemas.integrity import KeyRing
from schemas.journal import EntryKind
from schemas.registry import encode
from streams.alarms import Alarms
from streams.sequencer.place import OFFSETS
from streams.sequencer.scope import Scope

CHAINED: Final = ("commands", "executions")
REFERENCE: Final = (REFERENCE_CHAIN, 0)
SIGNALS: Final = "signals"
_READ: Final = ("ticks", *CHAINED)


class RepairCame(Exception):
    """A Repair of what is read here is on the log: all has to be read again with it."""


class Input(NamedTuple):
    """What is to be taken: its kind, stream and number there, its bytes, and the record in them."""

    kind: EntryKind
    stream: str
    number: int
    value: bytes
    record: Any


class Inputs:
    """Reads all sources of one account but ticks, from its journal's marks on.

    `marks` grow with what is handed out, once its taker is back for more; signals that the account doesn't trade are
    passed by, and marked too. The first `poll` gives what `reference`, `commands` and `executions` have, in that order,
    before any signal: so a halt that was asked for meanwhile comes first.
    """

    def __init__(
        self, bootstrap: str, keys: KeyRing, scope: Scope, marks: Mapping[str, int], alarms: Alarms, partition: int
    ) -> None:
        self.marks = dict(marks)
        self.scope = scope
        self._bootstrap, self._keys, self._alarms, self._partition = bootstrap, keys, alarms, partition
        repairs = read_repairs(bootstrap, keys)
        self._reference = Chains(REFERENCE_CHAIN, keys, repairs)
        at = {scope.account: partition}
        self._chains = {topic: Chains(topic, keys, repairs, at) for topic in CHAINED}
        self._signals = Derivations(SIGNALS, keys)
        self._offsets: dict[tuple[str, int], int] = {REFERENCE: 0}
        self._consumer: Consumer | None = None
        for topic in CHAINED:
            self._offsets[topic, partition] = self._resume(topic)
        for name, number in self.marks.items():
            topic, _, rest = name.partition("/")
            if topic == SIGNALS:
                operator, _, listing = rest.partition("/")
                self._signals.marks[operator, listing] = Mark(number + 1)
        for number in range(TOPICS[SIGNALS].partitions):
            self._offsets[SIGNALS, number] = self.marks.get(f"{OFFSETS}{SIGNALS}/{number}", 0)

    def poll(self, timeout: float, most: int = 500) -> Iterator[Input]:
        """What has come since, in the order of arrival. Raises RepairCame, Unreachable."""
        if self._consumer is None:
            for topic, partition in (REFERENCE, *((topic, self._partition) for topic in CHAINED)):
                yield from self._read_on(topic, partition)
            self._consumer = new_consumer(self._bootstrap)
            self._consumer.assign([TopicPartition(*place, offset) for place, offset in self._offsets.items()])
        records, _ = split_batch(take(self._consumer, most, timeout))
        for message in records:
            yield from self._take(message)

    def close(self) -> None:
        """Ends its consumer."""
        if self._consumer is not None:
            self._consumer.close()

    def _take(self, message: Message) -> Iterator[Input]:
        topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
        if offset < self._offsets[topic, partition]:
            return
        self._offsets[topic, partition] = offset + 1
        if topic == SIGNALS:
            yield from self._signal(message, partition, offset)
            self.marks[f"{OFFSETS}{SIGNALS}/{partition}"] = offset + 1
        elif topic == REFERENCE_CHAIN:
            yield from self._configured(message, offset)
        elif message.key() == self.scope.account.encode():
            yield from self._fact(topic, message, offset)

    def _signal(self, message: Message, partition: int, offset: int) -> Iterator[Input]:
        key, value = message.key() or b"", message.value() or b""
        if not self.scope.has_feed(key.decode(errors="replace")):
            return
        judged = self._signals.judge(partition, offset, key, value)
        self._alarms.note(judged)
        if judged.verdict is not Verdict.TAKE:
            return
        signal = judged.record
        if signal.ref_no > self._reference.heads[REFERENCE_CHAIN].ref_no:
            # Its activation may have come with the configuration that has it traded.
            yield from self._read_on(*REFERENCE)
        stream = f"{SIGNALS}/{signal.operator}/{signal.listing}"
        if self.scope.wants(signal):
            yield Input(EntryKind.INPUT, stream, signal.out_seq, value, signal)
        self.marks[stream] = signal.out_seq

    def _fact(self, topic: str, message: Message, offset: int) -> Iterator[Input]:
        judged = self._chains[topic].judge(self._partition, offset, message.key(), message.value())
        self._alarms.note(judged)
        if judged.verdict is Verdict.TAKE and judged.record.seq > self.marks.get(topic, 0):
            yield Input(EntryKind.INPUT, topic, judged.record.seq, message.value() or b"", judged.record)
            self.marks[topic] = judged.record.seq
            self.marks[OFFSETS + topic] = offset

    def _read_on(self, topic: str, partition: int) -> Iterator[Input]:
        """What a topic has up to its end now."""
        for batch in read_range(self._bootstrap, topic, partition, self._offsets[topic, partition]):
            for message in batch:
                yield from self._take(message)

    def _configured(self, message: Message, offset: int) -> Iterator[Input]:
        judged = self._reference.judge(0, offset, message.key(), message.value())
        self._alarms.note(judged)
        record = judged.record
        if judged.verdict is not Verdict.TAKE or isinstance(record, ReferenceOpen):
            return
        if isinstance(record, Repair) and record.topic in _READ and self._consumer is not None:
            raise RepairCame
        left_out = len(self.scope.left_out)
        found = self.scope.take(record)
        if record.ref_no <= self.marks.get(REFERENCE_CHAIN, 0):
            return
        for one in found:
            yield Input(EntryKind.REFERENCE, REFERENCE_CHAIN, one.ref_no, encode(one), one)
        self.marks[REFERENCE_CHAIN] = record.ref_no
        if len(self.scope.left_out) > left_out:
            self._say_left_out(judged)

    def _say_left_out(self, judged: Judged) -> None:
        self._alarms.tell(
            "account_moved",
            self.scope.account,
            f"record {judged.record.ref_no} of reference gives the account another feed or partition, where its "
            "journal doesn't lie: it is left out; configure another account for it",
            judged.position,
        )

    def _resume(self, topic: str) -> int:
        """Where to begin reading a chain: behind the last link that was taken, which is its head; else at the start."""
        mark, offset = self.marks.get(topic, 0), self.marks.get(OFFSETS + topic, -1)
        if mark and offset >= 0:
            chains = self._chains[topic]
            for batch in read_range(self._bootstrap, topic, self._partition, offset, offset + 1):
                read = chains.read(self._partition, batch[0].offset() or 0, batch[0].key(), batch[0].value())
                link = read.link
                if not isinstance(link, Forgery) and read.chain == self.scope.account and 0 < link.seq <= mark:
                    chains.heads[read.chain] = Head(link.epoch, link.nonce, link.seq, link.seq, 0, link.mac)
                    return offset + 1
        return 0


def signals_so_far(bootstrap: str, keys: KeyRing) -> dict[str, int]:
    """Marks of all signals that are on the log, for an account's first OPEN: what lies before it isn't traded."""
    marks: dict[str, int] = {}
    signals = Derivations(SIGNALS, keys)
    for partition in range(TOPICS[SIGNALS].partitions):
        end = 0
        for batch in read_range(bootstrap, SIGNALS, partition):
            for message in batch:
                end = (message.offset() or 0) + 1
                signals.judge(partition, end - 1, message.key(), message.value())
        marks[f"{OFFSETS}{SIGNALS}/{partition}"] = end
    for (operator, listing), mark in signals.marks.items():
        marks[f"{SIGNALS}/{operator}/{listing}"] = mark.next - 1
    return marks
