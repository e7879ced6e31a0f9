"""An account that no other test uses, and what reaches it on a real broker: written as its producers write it."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from infra.account_log import AccountFollower, AccountWriter, read_account
from infra.anchors import last_anchor
from infra.clock import Clock, FixedClock
from infra.kafka import end_of, new_producer, read_range, send_and_wait
from infra.reference_log import append_reference
from infra.tick_writer import TickWriter
from schemas.accept import Head, Verdict
from schemas.catalogue import partition_of
from schemas.chains import Position
from schemas.configuration import AccountConfig, StrategyConfig
from schemas.events import Alert, Anchor, OperatorActivation, ReferenceRecord, Repair, Signal, SignalKind
from schemas.executions import Adopted, Command, CommandKind, Execution
from schemas.journal import EntryKind, JournalEntry, JournalSource
from schemas.registry import decode, seal
from schemas.ticks import TickSource
from streams.sequencer.owed_halt import OwedHalt
from streams.sequencer.sequencer import Sequencer
from tests.integration.projections.scripted import KEYS
from tests.property.references import built_in
from tests.records import ticks
from tests.unit.streams.desk.account import CONFIG, FACT, LONG, REFERENCE, SPEC, signal, strategy

T0 = 1_790_000_000_000_000
"""A whole second."""
SECOND = 1_000_000


class Account:
    """One account, the listing that it trades, and the strategy `one` that trades it."""

    def __init__(self, kafka: str, partition: int | None = None) -> None:
        self.kafka, self.keys = kafka, KEYS
        self.id = uuid4().hex[:8]
        self.name, self.feed = f"a{self.id}", f"f{self.id}"
        self.listing = f"{self.feed}/EURUSD"
        self.instance = f"one-{self.id}"
        self.partition = int(self.id, 16) % 64 if partition is None else partition
        self.producer = new_producer(kafka)
        self.clock = FixedClock(T0)
        self.folder = Path(tempfile.gettempdir()) / f"tickledger-{self.name}"
        """Where its sequencers keep what they owe."""
        partition_of_signals = partition_of("signals", self.listing)
        end = end_of(kafka, "signals", partition_of_signals)
        self._signals = Position("signals", partition_of_signals, end)
        self._numbers: Counter[tuple[str, str]] = Counter()

    @property
    def stream(self) -> str:
        """The stream of the strategy's signals."""
        return f"signals/{self.instance}@1/{self.listing}"

    def configuration(self) -> list[ReferenceRecord]:
        """A spec, the account, its strategy, and the strategy's activation."""
        return [
            dataclasses.replace(SPEC, listing=self.listing),
            self.config(),
            self.strategy(),
            self.activation(),
        ]

    def config(self, **changed: Any) -> AccountConfig:
        plain = dataclasses.replace(CONFIG, account=self.name, feed=self.feed, partition=self.partition)
        return dataclasses.replace(plain, **changed)

    def strategy(self, instance: str = "") -> StrategyConfig:
        return strategy(instance or self.instance, account=self.name)

    def activation(self, instance: str = "") -> OperatorActivation:
        name = instance or self.instance
        return dataclasses.replace(built_in("berserker"), instance=name, listings=(self.listing,))

    def configure(self, *records: ReferenceRecord) -> int:
        """Puts records onto `reference` (by default `configuration`); the number of the last one."""
        asked: list[bool] = []
        wanted = records or self.configuration()

        def missing(_: list[ReferenceRecord]) -> list[ReferenceRecord]:
            asked.append(True)
            return list(wanted) if len(asked) <= 2 else []

        last = append_reference(self.kafka, self.keys, self.clock, missing)[-1]
        return last.ref_no  # type: ignore[union-attr]

    def signal(self, instance: str = "", listing: str = "", **changed: Any) -> Signal:
        """Puts the next signal of an instance onto `signals`."""
        name, on = instance or self.instance, listing or self.listing
        number = self._numbers[name, on]
        self._numbers[name, on] += 1
        made = signal(SignalKind.ENTER, LONG, self.clock.now_us(), number, name, listing=on, key_id=self.keys.current)
        made = dataclasses.replace(made, out_seq=number, **changed)
        self.put_signal(seal(made, "signals", self.keys), on)
        return made

    def put_signal(self, value: bytes, listing: str = "") -> int:
        """Puts a value onto `signals`; its offset."""
        on = listing or self.listing
        return send_and_wait(self.producer, "signals", partition_of("signals", on), on, value)

    def put_execution(self, value: bytes) -> int:
        """Puts a value onto `executions`, past every writer; its offset."""
        return send_and_wait(self.producer, "executions", self.partition, self.name, value)

    def repair(self, topic: str, offset: int, value: bytes, head: Head) -> Repair:
        """A Repair that leads from a damaged record of one of the account's chains to a head."""
        return Repair(
            **REFERENCE, topic=topic, partition=self.partition, offset=offset,
            value_sha256=hashlib.sha256(value).digest(), chain=self.name, head_epoch=head.epoch, head_nonce=head.nonce,
            head_seq=head.seq, head_n=head.n, head_ref_no=0, head_mac=head.mac, reason="a hole", who="test",
        )  # fmt: skip

    def writer(self, topic: str, clock: Clock | None = None, **more: Any) -> AccountWriter:
        """A writer of one of the account's chains, not yet open."""
        return AccountWriter(self.kafka, self.keys, clock or self.clock, topic, self.name, self.partition, **more)

    def write(self, *records: Execution | Command) -> None:
        """Writes executions or commands, as a gateway or a person would."""
        topic = "commands" if isinstance(records[0], Command) else "executions"
        with self.writer(topic) as writer:
            writer.open()
            for record in records:
                writer.write(record)
            writer.drain()

    def command(self, kind: CommandKind = CommandKind.HALT, why: str = "") -> Command:
        facts = FACT | {"account": self.name}
        return Command(**facts, kind=kind, who="test", why=why, argument="", valid_until_us=0)

    def tick_writer(self) -> TickWriter:
        """A recorder's writer of the listing."""
        return TickWriter(self.kafka, self.keys, self.clock, self.listing, TickSource.LIVE)

    def journal(self) -> list[JournalEntry]:
        """All taken links."""
        return read_account(self.kafka, self.keys, "journal", self.name, self.partition)[0]

    def inputs(self) -> list[tuple[str, int]]:
        """Stream and number of the journal's INPUTs, in order."""
        return [(e.stream, e.stream_seq) for e in self.journal() if e.kind is EntryKind.INPUT]

    def opens(self) -> list[JournalEntry]:
        """The OPENs that were taken."""
        found = [t for t in self._follow() if t.judged.verdict is Verdict.TAKE]
        return [t.judged.record for t in found if not t.judged.record.seq]

    def verdicts(self, topic: str = "journal") -> Counter[Verdict]:
        """How often each verdict comes on a chain of the account."""
        return Counter(t.judged.verdict for t in self._follow(topic))

    def alerts(self) -> list[Alert]:
        """Those about the account, its listing or what has come onto the partition of its signals, each once."""
        found: dict[str, Alert] = {}
        for partition in range(4):
            for batch in read_range(self.kafka, "alerts", partition):
                for message in batch:
                    alert = decode(message.value() or b"")
                    assert isinstance(alert, Alert)
                    is_here = (alert.topic, alert.partition) == ("signals", self._signals.partition)
                    if alert.subject in (self.name, self.listing) or (is_here and alert.offset >= self._signals.offset):
                        found[alert.alert_id] = alert
        return list(found.values())

    def sequencer(self, clock: Clock | None = None) -> Sequencer:
        """A sequencer of the account, not yet at work."""
        owed = OwedHalt(self.folder / "owed.halt")
        return Sequencer(self.kafka, self.keys, clock or self.clock, self.name, JournalSource.PAPER, owed)

    @contextmanager
    def sequenced(self, clock: Clock | None = None) -> Iterator[Sequencer]:
        """The account's sequencer at work in this process; what it raises is raised at the end."""
        sequencer = self.sequencer(clock)
        ready = threading.Event()
        with self.stopped_at_end(sequencer, ready) as run:
            while not ready.wait(0.05):
                assert not run.done()
            yield sequencer

    @contextmanager
    def stopped_at_end(self, sequencer: Sequencer, ready: threading.Event | None = None) -> Iterator[Future[None]]:
        """Runs it, and stops it; what it raises is raised at the end."""
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(sequencer.run, (ready or threading.Event()).set)
            try:
                yield run
            finally:
                sequencer.stop.set()
                run.result(60)

    def wait_for(self, enough: Callable[[list[JournalEntry]], bool]) -> list[JournalEntry]:
        """The journal once there is enough in it."""
        follower = AccountFollower(self.kafka, self.keys, "journal", self.name, self.partition)
        found: list[JournalEntry] = []
        for _ in range(600):
            taken = [t.judged for t in follower.poll(0.05)]
            found += [j.record for j in taken if j.verdict is Verdict.TAKE and j.record.seq]
            if enough(found):
                follower.close()
                return found
        raise AssertionError(f"not within 30 s; the journal ends with {found[-3:]}")

    def wait_for_alert(self, code: str) -> None:
        """Returns once there is one of that code."""
        for _ in range(150):
            if any(a.code == code for a in self.alerts()):
                return
            time.sleep(0.2)
        raise AssertionError(f"no alert {code} within 30 s: {self.alerts()}")

    def anchor(self, topic: str) -> Anchor:
        """The last anchor of one of its chains."""
        found = last_anchor(self.kafka, self.keys, topic, self.name)
        assert found is not None
        return found

    def _follow(self, topic: str = "journal") -> list[Any]:
        return list(AccountFollower(self.kafka, self.keys, topic, self.name, self.partition).read_to())


def write_ticks(writer: TickWriter, received_us: int, bids: list[float], *, broken: bool = False) -> None:
    """A block of quotes that was received at a time."""
    columns = ticks(len(bids), received_us // 1000 - len(bids))._replace(
        bid=np.array(bids), ask=np.array(bids) + 2e-5, quality=np.full(len(bids), int(broken), np.int32)
    )
    writer.write(
        ref_no=0, received_us=received_us, server_offset_s=0, gap=False, watermark_ms=received_us // 1000,
        columns=columns,
    )  # fmt: skip


def adopted(account: Account, position: int) -> Adopted:
    """A position of others."""
    return Adopted(
        **(FACT | {"account": account.name}), order_no=0, position=position, listing=account.listing, side=LONG,
        volume=0.1, price=1.1, time_ms=T0 // 1000,
    )  # fmt: skip
