"""One listing on a real broker: its chain as a writer would make it, its operators, and what lies on the topics."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any
from uuid import uuid4

from confluent_kafka import Message

from agents.parameters import canonical
from infra.clock import FixedClock
from infra.kafka import end_of, new_producer, read_range
from infra.reference_log import append_reference, read_reference
from schemas.accept import Head
from schemas.catalogue import partition_of
from schemas.events import Alert, Derived, OperatorActivation, ReferenceRecord, Repair
from schemas.integrity import ZERO_MAC
from schemas.registry import decode
from schemas.ticks import BlockKind, TickBlock, TickSource, open_block, seal_block
from streams import outputs
from streams.class_programs import with_code
from streams.fold import ListingFold
from streams.reference import ReferenceView
from tests.integration.projections.scripted import KEYS
from tests.property.references import built_in, spec
from tests.property.test_block_invariance import EAGER
from tests.property.tick_logs import Knobs, random_log

CLOCK = FixedClock(1_790_000_000_000_000)
LIVELY = Knobs(seed=7, blocks=40, longest=30, pace_ms=2_000, broken=0.1, marks=0.1, deals=True)
"""A log of 40 blocks that gives bars and signals."""


class Line:
    """The listing. `beside`: another one whose partition it shares."""

    def __init__(self, kafka: str, beside: Line | None = None) -> None:
        self.kafka, self.keys = kafka, KEYS
        self.name = uuid4().hex[:8]
        self.listing = f"t{self.name}/EURUSD"
        while beside is not None and partition_of("ticks", self.listing) != beside.partition:
            self.name = uuid4().hex[:8]
            self.listing = f"t{self.name}/EURUSD"
        self.partition = partition_of("ticks", self.listing)
        self.producer = new_producer(kafka)
        self.epoch, self.nonce, self.head = 0, bytes(8), Head()
        self.ref_no = 0
        self.blocks: list[TickBlock] = []
        self.offsets: list[int] = []
        self._from = {topic: end_of(kafka, topic, self.partition) for topic in ("ticks", "bars", "signals")}
        self._alerts_from = [end_of(kafka, "alerts", p) for p in range(4)]

    def configure(self, *records: ReferenceRecord) -> int:
        """Puts records onto `reference`; the number of the last one, which blocks carry from now on."""
        asked: list[bool] = []

        def wanted(_: list[ReferenceRecord]) -> list[ReferenceRecord]:
            asked.append(True)
            return list(records) if len(asked) <= 2 else []

        self.ref_no = append_reference(self.kafka, self.keys, CLOCK, wanted)[-1].ref_no
        return self.ref_no

    def activation(self, operator: str, **changes: Any) -> OperatorActivation:
        """An activation of an instance that only this listing has; signals come of nearly any walk."""
        more = {"parameters": canonical(EAGER)} if operator == "berserker" else {}
        own: dict[str, Any] = {"instance": f"{operator}-{self.name}", "listings": (self.listing,)}
        return dataclasses.replace(built_in(operator), **own | more | changes)

    def usual(self) -> Line:
        """With a spec, bars and signals on `reference`."""
        self.configure(spec(listing=self.listing), self.activation("bars"), self.activation("berserker"))
        return self

    def opened(self, epoch: int = 0) -> bytes:
        """The value of an OPEN."""
        self.epoch = epoch or self.epoch + 1
        self.nonce = self.epoch.to_bytes(8, "big")
        self.head = self.head._replace(epoch=self.epoch, nonce=self.nonce)
        block = open_block(self.listing, self.epoch, self.nonce, TickSource.IMPORT, 0, self.keys.current)
        return seal_block(block, self.keys)

    def sealed(self, block: TickBlock) -> bytes:
        """The value of the next link with the block's ticks."""
        head = self.head
        linked = block._replace(
            kind=BlockKind.DATA, listing=self.listing, epoch=head.epoch, nonce=head.nonce, seq=head.seq + 1,
            first_n=head.n, ref_no=self.ref_no, key_id=self.keys.current, prev=head.mac, mac=ZERO_MAC,
        )  # fmt: skip
        value = seal_block(linked, self.keys)
        self.head = head._replace(seq=linked.seq, n=head.n + block.size, ref_no=self.ref_no, mac=value[-16:])
        self.blocks.append(linked)
        return value

    def put(self, *values: bytes | None, key: str = "", topic: str = "ticks") -> list[int]:
        """Puts records onto the listing's partition; their offsets."""
        made: list[int] = []

        def delivered(error: object, message: Message) -> None:
            assert error is None
            made.append(message.offset() or 0)

        for value in values:
            self.producer.produce(
                topic, key=key or self.listing, value=value, partition=self.partition, on_delivery=delivered
            )
        assert self.producer.flush(120) == 0
        return made

    def write(self, blocks: list[TickBlock]) -> list[int]:
        """Writes the blocks' ticks as the chain's next links, after an OPEN if there was none; the links' offsets."""
        if not self.epoch:
            self.put(self.opened())
        made = self.put(*(self.sealed(block) for block in blocks))
        self.offsets += made
        return made

    def view(self) -> ReferenceView:
        return ReferenceView(read_reference(self.kafka, self.keys)[0])

    def expected(self, topic: str, blocks: list[TickBlock] | None = None) -> list[bytes]:
        """What the blocks (those written) prove, as values in the order of operators and numbers."""
        fold = ListingFold(self.listing, self.view(), with_code)
        found: dict[str, list[bytes]] = {}
        for block in self.blocks if blocks is None else blocks:
            for output in fold.fold([block]):
                if output.topic == topic:
                    values = [outputs.value_of(r, self.keys, self.keys.current) for r in output.records()]
                    found.setdefault(output.operator, []).extend(values)
        return [value for operator in sorted(found) for value in found[operator]]

    def digests(self) -> dict[str, str]:
        """The digest of each operator after what was written, never stopped."""
        fold = ListingFold(self.listing, self.view(), with_code)
        for block in self.blocks:
            fold.fold([block])
        return {operator: fold.dump(operator).digest for operator in fold.positions()}

    def found(self, topic: str) -> list[bytes]:
        """What lies on the topic without copies, which must be the same to the byte, and without holes."""
        by_number: dict[tuple[str, int], bytes] = {}
        for value in self.records(topic):
            record: Derived = decode(value)  # type: ignore[assignment]
            place = (record.operator, record.out_seq)
            assert by_number.setdefault(place, value) == value, "a copy differs"
        counts: dict[str, int] = {}
        for operator, number in sorted(by_number):
            assert number == counts.get(operator, 0), f"{operator} has a hole before {number}"
            counts[operator] = number + 1
        return [by_number[place] for place in sorted(by_number)]

    def records(self, topic: str) -> list[bytes]:
        """Every record of the listing on the topic, copies too."""
        key = self.listing.encode()
        batches = read_range(self.kafka, topic, self.partition, self._from[topic])
        return [m.value() or b"" for batch in batches for m in batch if m.key() == key]

    def alerts(self) -> list[tuple[str, int]]:
        """Code and offset of the alerts about this listing, each once, in order."""
        found: dict[str, Alert] = {}
        for partition, start in enumerate(self._alerts_from):
            for batch in read_range(self.kafka, "alerts", partition, start):
                for message in batch:
                    record = decode(message.value() or b"")
                    assert isinstance(record, Alert)
                    # A forged record has no listing; one that lay there before is another test's.
                    is_here = record.subject == f"ticks/{self.partition}" and record.offset >= self._from["ticks"]
                    if self.listing in record.subject or is_here:
                        found.setdefault(record.alert_id, record)
        return [(alert.code, alert.offset) for alert in found.values()]

    def repair(self, offset: int, value: bytes, head: Head) -> None:
        """Puts a Repair of the record at `offset` onto `reference`: the chain goes on from `head`."""
        ref_no = self.ref_no
        self.configure(
            Repair(
                epoch=0, nonce=bytes(8), seq=0, ref_no=0, effective_from_us=0, written_us=0, topic="ticks",
                partition=self.partition, offset=offset, value_sha256=hashlib.sha256(value).digest(),
                chain=self.listing, head_epoch=head.epoch, head_nonce=head.nonce, head_seq=head.seq, head_n=head.n,
                head_ref_no=head.ref_no, head_mac=head.mac, reason="a test", who="a tester", key_id="", prev=ZERO_MAC,
                mac=ZERO_MAC,
            )
        )  # fmt: skip
        self.ref_no = ref_no


def lively(seed: int = 7, blocks: int = 40) -> list[TickBlock]:
    """Blocks of a random walk with bars and signals in it."""
    return random_log(LIVELY._replace(seed=seed, blocks=blocks))
