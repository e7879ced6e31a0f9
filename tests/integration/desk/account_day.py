"""An account with a day made at random, on a real broker: its inputs on their topics, and a journal that takes them."""

from __future__ import annotations

import dataclasses
import hashlib
from itertools import count
from typing import Any, NamedTuple
from uuid import uuid4

from infra.account_log import AccountFollower, AccountWriter
from infra.clock import FixedClock
from infra.kafka import end_of, new_producer, read_range
from infra.reference_log import append_reference
from schemas.accept import Verdict
from schemas.catalogue import partition_of
from schemas.events import Alert, ReferenceRecord, Repair, Signal
from schemas.executions import Command
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.journal import EntryKind, JournalEntry, JournalSource
from schemas.journal_codec import Head, encode_clock, encode_taken
from schemas.journal_columns import ClockRows
from schemas.registry import decode, encode, seal
from streams.desk_program import desk_activation
from streams.operators.desk import Desk
from streams.outputs import topic_of, value_of
from streams.sequencer.scope import Scope
from tests.integration.projections.scripted import KEYS
from tests.property.desk_days import entries, make_day

CLOCK = FixedClock(1_790_000_000_000_000)
TOPICS = ("orders", "fills", "risk", "portfolio")
_PARTITIONS = count()


def next_partition() -> int:
    """A partition that no other account of these tests has."""
    return next(_PARTITIONS)


class Step(NamedTuple):
    """What the journal takes next: an input of a stream, or rows of a clock."""

    us: int
    kind: EntryKind
    stream: str
    number: int
    what: bytes | ClockRows


class AccountDay:
    """The account `account`, whose records lie on `partition`, with the day of a seed. Nothing of it is taken yet."""

    def __init__(self, kafka: str, seed: int = 3, seconds: int = 150, keys: KeyRing = KEYS) -> None:
        self.kafka, self.keys = kafka, keys
        self.account = f"a{uuid4().hex[:8]}"
        self.partition = next_partition()
        self.steps: list[Step] = []
        self.epoch = 0
        self._producer = new_producer(kafka)
        self._next = 0
        self._marks: dict[str, int] = {}
        self._damaged: list[bytes] = []
        self._alerts_from = [end_of(kafka, "alerts", p) for p in range(4)]
        self._make(seed, seconds)

    def journal(self, most: int = 10**9) -> AccountDay:
        """Takes the next `most` steps into the journal, in an epoch of their own."""
        with self._writer() as writer:
            writer.open()
            for step in self.steps[self._next : self._next + most]:
                writer.write(self._entry(writer, step))
                self._next += 1
            writer.drain()
        return self

    @property
    def done(self) -> bool:
        """Whether all steps are taken."""
        return self._next >= len(self.steps)

    def values(self) -> list[bytes]:
        """The records of the journal, as they lie there, without the damaged ones."""
        return [value for value in self.on("journal") if value not in self._damaged]

    def on(self, topic: str) -> list[bytes]:
        """Every record of the account on a topic of accounts."""
        batches = read_range(self.kafka, topic, self.partition)
        return [m.value() or b"" for batch in batches for m in batch if m.key() == self.account.encode()]

    def expected(self) -> dict[str, list[bytes]]:
        """What one fold of the journal gives, by topic, in order."""
        desk = Desk()
        state = desk.initial(self.account)
        found: dict[str, list[bytes]] = {topic: [] for topic in TOPICS}
        for value in self.values():
            entry = decode(value)
            assert isinstance(entry, JournalEntry)
            for record in desk.fold(state, entry):
                found[topic_of(record)].append(value_of(record, self.keys, self.keys.current))
        return found

    def found(self) -> dict[str, list[bytes]]:
        """What lies on the topics: copies, which must be the same to the byte, once, and nothing missing between."""
        return {topic: self._once(topic) for topic in TOPICS}

    def alerts(self) -> list[tuple[str, int]]:
        """Code and offset of the alerts about this account, each once."""
        found: dict[str, Alert] = {}
        for partition, start in enumerate(self._alerts_from):
            for batch in read_range(self.kafka, "alerts", partition, start):
                for message in batch:
                    record = decode(message.value() or b"")
                    assert isinstance(record, Alert)
                    if self.account in record.subject or record.subject.endswith(f"/{self.partition}"):
                        found.setdefault(record.alert_id, record)
        return [(alert.code, alert.offset) for alert in found.values()]

    def put(self, topic: str, *values: bytes) -> int:
        """Puts records onto a topic of accounts, as they are; the offset of the first."""
        first = end_of(self.kafka, topic, self.partition)
        for value in values:
            self._producer.produce(topic, key=self.account, value=value, partition=self.partition)
        assert self._producer.flush(30) == 0
        return first

    def skip_a_link(self) -> tuple[int, bytes]:
        """Puts a link onto the journal that has one missing before it, sealed rightly: its offset and value."""
        with self._writer() as writer:
            writer.open()
            writer._next = writer.head._replace(seq=writer.head.seq + 1, n=writer.head.n + 1)
            value = self.keys.seal("journal", self.keys.current, self._entry(writer, self.steps[self._next]))
        self._damaged.append(value)
        return self.put("journal", value), value

    def repair(self, offset: int, value: bytes, last: JournalEntry) -> None:
        """Puts a Repair of the journal's record at `offset` onto reference: the chain goes on from `last`."""
        self._configure(
            Repair(
                epoch=0, nonce=bytes(8), seq=0, ref_no=0, effective_from_us=0, written_us=0, topic="journal",
                partition=self.partition, offset=offset, value_sha256=hashlib.sha256(value).digest(),
                chain=self.account, head_epoch=last.epoch, head_nonce=last.nonce, head_seq=last.seq, head_n=last.seq,
                head_ref_no=0, head_mac=last.mac, reason="a test", who="a tester", key_id="", prev=ZERO_MAC,
                mac=ZERO_MAC,
            )
        )  # fmt: skip

    def _make(self, seed: int, seconds: int) -> None:
        day = make_day(seed, seconds)
        wanted: list[Any] = [desk_activation(self.account)]
        wanted += [self._own(r) for _, r in day.inputs if isinstance(r, ReferenceRecord)]
        scope = Scope(self.account)
        us = day.start_us - 20_000_000
        for record in self._configure(*wanted):
            for one in scope.take(record):
                us += 1
                self.steps.append(Step(us, EntryKind.REFERENCE, "reference", one.ref_no, encode(one)))
        reports: dict[str, list[Any]] = {"executions": [], "commands": []}
        taken: list[tuple[int, str, Any]] = []
        numbers: dict[tuple[str, str], int] = {}
        for at, what in entries(day):
            if isinstance(what, ClockRows):
                names = tuple(self._listing(name) for name in what.names)
                taken.append((at, "clock", what._replace(names=names)))
            elif isinstance(what, Signal):
                signal = self._own(what)
                place = signal.operator, signal.listing
                numbers[place] = numbers.get(place, -1) + 1
                taken.append((at, "signals", dataclasses.replace(signal, out_seq=numbers[place])))
            elif not isinstance(what, ReferenceRecord):
                topic = "commands" if isinstance(what, Command) else "executions"
                reports[topic].append(self._own(what))
                taken.append((at, topic, None))
        facts = {topic: iter(self._write_facts(topic, some)) for topic, some in reports.items()}
        for at, topic, what in taken:
            if topic == "clock":
                self.steps.append(Step(at, EntryKind.CLOCK, "", -1, what))
            elif topic == "signals":
                value = seal(dataclasses.replace(what, key_id=self.keys.current), "signals", self.keys)
                self._producer.produce(
                    "signals", key=what.listing, value=value, partition=partition_of("signals", what.listing)
                )
                stream = f"signals/{what.operator}/{what.listing}"
                self.steps.append(Step(at, EntryKind.INPUT, stream, what.out_seq, value))
            else:
                number, value = next(facts[topic])
                self.steps.append(Step(at, EntryKind.INPUT, topic, number, value))
        assert self._producer.flush(30) == 0

    def _own(self, record: Any) -> Any:
        """The record with the names of this account."""
        names = {f.name for f in dataclasses.fields(record)}
        changes: dict[str, Any] = {}
        if "account" in names:
            changes["account"] = self.account
        if "listing" in names and record.listing:
            changes["listing"] = self._listing(record.listing)
        if "instance" in names:
            changes["instance"] = f"{record.instance}-{self.account}"
        if "operator" in names:
            changes["operator"] = record.operator.replace("@", f"-{self.account}@")
        if "feed" in names:
            changes |= {"feed": self.account, "partition": self.partition}
        return dataclasses.replace(record, **changes)

    def _listing(self, name: str) -> str:
        return name.replace("test/", f"{self.account}/")

    def _configure(self, *records: ReferenceRecord) -> list[ReferenceRecord]:
        asked: list[bool] = []

        def wanted(_: list[ReferenceRecord]) -> list[ReferenceRecord]:
            asked.append(True)
            return list(records) if len(asked) <= 2 else []

        return append_reference(self.kafka, self.keys, CLOCK, wanted)

    def _write_facts(self, topic: str, records: list[Any]) -> list[tuple[int, bytes]]:
        with AccountWriter(self.kafka, self.keys, CLOCK, topic, self.account, self.partition) as writer:
            writer.open()
            for record in records:
                writer.write(record)
            writer.drain()
        follower = AccountFollower(self.kafka, self.keys, topic, self.account, self.partition)
        taken = [t for t in follower.read_to() if t.judged.verdict is Verdict.TAKE]
        return [(t.judged.record.seq, t.value) for t in taken if t.judged.record.seq]

    def _writer(self) -> AccountWriter:
        def opening(epoch: int, nonce: bytes) -> bytes:
            us = self.steps[self._next].us - 1 if not self.done else self.steps[-1].us + 1
            head = Head(JournalSource.PAPER, self.account, epoch, nonce, 0, self.keys.current, ZERO_MAC)
            return encode_taken(EntryKind.OPEN, head, us, "", -1, b"", self._marks or {"executions": 0})

        return AccountWriter(
            self.kafka, self.keys, CLOCK, "journal", self.account, self.partition, opening=opening
        )  # fmt: skip

    def _entry(self, writer: AccountWriter, step: Step) -> bytes:
        at = writer.head
        head = Head(
            JournalSource.PAPER, self.account, at.epoch, at.nonce, at.seq + 1, self.keys.current, at.mac
        )  # fmt: skip
        if isinstance(step.what, ClockRows):
            return encode_clock(head, *step.what)
        self._marks[step.stream] = step.number
        marks = self._marks if step.kind is EntryKind.REFERENCE else None
        return encode_taken(step.kind, head, step.us, step.stream, step.number, step.what, marks)

    def _once(self, topic: str) -> list[bytes]:
        by_number: dict[tuple[str, int], bytes] = {}
        for value in self.on(topic):
            record: Any = decode(value)
            place = record.operator, record.out_seq
            assert by_number.setdefault(place, value) == value, "a copy differs"
        numbers: dict[str, int] = {}
        for operator, number in sorted(by_number):
            assert number == numbers.get(operator, 0), f"{operator} has a hole before {number}"
            numbers[operator] = number + 1
        return [by_number[place] for place in sorted(by_number)]
