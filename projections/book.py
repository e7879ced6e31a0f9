"""Where the projector stands in the log, and its judgement of each record: accept() before everything."""

from __future__ import annotations

from typing import Any, Final

from infra.clock import Clock
from infra.notices import alert_of
from projections.batch import MAX_TICKS, Batch
from schemas.accept import Verdict
from schemas.catalogue import ACCOUNT_FACTS, ACCOUNT_TOPICS
from schemas.chains import Chains, Derivations, Judged, Partitions, Position
from schemas.events import Alert, Bar, ReferenceOpen, Repair, Signal, SourceEvent
from schemas.executions import AccountOpen
from schemas.integrity import KeyRing
from schemas.journal import EntryKind, JournalEntry
from schemas.registry import UnreadableRecord, decode
from schemas.ticks import BlockKind, Columns, TickBlock

SERVICE: Final = "projector"
FACTS: Final = ("reference", "ticks", *sorted(ACCOUNT_FACTS))
DERIVED: Final = ("bars", "signals", *sorted(set(ACCOUNT_TOPICS) - ACCOUNT_FACTS))
EVENTS: Final = {"sources": SourceEvent, "alerts": Alert}


class Book:
    """Heads, marks and offsets of a reader of all topics. It only moves: after a failed write, load another one."""

    def __init__(self, keys: KeyRing, clock: Clock, accounts: Partitions, *, quiet: bool = False) -> None:
        """`accounts`: the partition that an account has by `reference`, None of one that isn't there."""
        self.facts = {topic: Chains(topic, keys, partitions=accounts) for topic in FACTS}
        self.derived = {topic: Derivations(topic, keys, accounts) for topic in DERIVED}
        self.offsets: dict[tuple[str, int], int] = {}
        self.newest_ms: dict[str, int] = {}
        self.at: dict[tuple[str, str], Position] = {}
        self.stopped_at: dict[tuple[str, str], int] = {}
        self.new_repairs: list[Repair] = []
        self._clock = clock
        self._quiet = quiet
        self._raised: set[str] = set()
        self._columns = Columns(MAX_TICKS)

    def batch(self) -> Batch:
        """An empty batch; the one before must be written, since both use the same columns."""
        return Batch(self._columns)

    def take(self, batch: Batch, position: Position, key: bytes | None, value: bytes | None) -> Judged:
        """Judges a record, puts it into the batch if it is taken, and moves on behind it."""
        judged = self._judge(batch, position, key, value)
        topic, partition, offset = position
        self.offsets[topic, partition] = max(offset + 1, self.offsets.get((topic, partition), 0))
        batch.verdicts[topic, partition, judged.verdict] += 1
        batch.firsts.setdefault((topic, partition), offset)
        batch.records += 1
        if judged.alert:
            self._raise(batch, judged)
        return judged

    def _judge(self, batch: Batch, position: Position, key: bytes | None, value: bytes | None) -> Judged:
        topic, partition, offset = position
        if topic in self.facts:
            return self._fact(batch, position, key, value)
        if topic in self.derived:
            judged = self.derived[topic].judge(partition, offset, key, value)
            if judged.verdict is Verdict.TAKE:
                if isinstance(judged.record, Signal):
                    batch.signals.append((judged.record, position))
                elif isinstance(judged.record, Bar):
                    batch.bars.append(judged.record)
                else:
                    batch.account.append((judged.record, position))
            return judged
        return _event(batch, position, value)

    def _fact(self, batch: Batch, position: Position, key: bytes | None, value: bytes | None) -> Judged:
        topic, partition, offset = position
        chains = self.facts[topic]
        columns = self._columns if topic == "ticks" else None
        judged = chains.judge(partition, offset, key, value, columns, batch.ticks)
        chain, record, verdict = judged.chain, judged.record, judged.verdict
        if verdict is not Verdict.FORGED:
            batch.chains.add((topic, chain))
            if isinstance(record, Repair):
                self.new_repairs.append(record)
        if verdict is Verdict.STOP:
            self.stopped_at.setdefault((topic, chain), offset)
        elif verdict is Verdict.REPAIRED:
            self.at[topic, chain] = position
            self.stopped_at.pop((topic, chain), None)
        elif verdict is Verdict.TAKE and not _opens(record):
            self.at[topic, chain] = position
            if topic == "reference":
                batch.reference.append((record, position))
            elif topic == "ticks":
                batch.add_block(record, position)
            else:
                batch.account.append((record, position))
        return judged

    def _raise(self, batch: Batch, judged: Judged) -> None:
        alert = alert_of(judged, SERVICE, self._clock.now_us())
        if self._quiet or alert.alert_id in self._raised:
            return
        if len(self._raised) >= _REMEMBERED:
            self._raised.clear()
        self._raised.add(alert.alert_id)
        batch.raised.append(alert)


def _opens(record: Any) -> bool:
    if isinstance(record, TickBlock | JournalEntry):
        return record.kind in (BlockKind.OPEN, EntryKind.OPEN)
    return isinstance(record, ReferenceOpen | AccountOpen)


def _event(batch: Batch, position: Position, value: bytes | None) -> Judged:
    """A record without chain or number: it is taken if it can be read; its id makes copies one."""
    topic = position.topic
    try:
        record = decode(value or b"")
        if not isinstance(record, EVENTS[topic]):
            raise UnreadableRecord(f"a {type(record).__name__} doesn't belong on {topic}")
    except UnreadableRecord as error:
        return Judged(Verdict.FORGED, "", None, str(error), True, position)
    if isinstance(record, SourceEvent):
        batch.sources.append((record, position))
    elif isinstance(record, Alert):
        batch.alerts.append((record, position))
    return Judged(Verdict.TAKE, "", record, "", False, position)


_REMEMBERED: Final = 10_000
