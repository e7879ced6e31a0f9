"""verify: derives everything again from the roots and compares it with the log, byte for byte.

Chains, epochs and anchors are checked; the quality of every tick is judged again; bars and signals are derived by the
replay's operators from the programs that `reference` names, and held against the topics. Derived records of the newest
ticks may still be on their way: verify waits for them as long as they keep coming.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from infra.anchors import read_anchors
from infra.chain_follower import read_repairs
from infra.kafka import end_of, read_range
from schemas.accept import Head, Verdict
from schemas.catalogue import TOPICS, partition_of
from schemas.chains import REFERENCE_CHAIN, Chains, Judged, Position
from schemas.events import Anchor, Bar, Derived, ReferenceOpen, Signal
from schemas.identity import operator_id
from schemas.integrity import KeyRing
from schemas.quality import BROKEN, names
from schemas.registry import UnreadableRecord, decode, encode, seal
from schemas.ticks import BlockKind, Ints, TickBlock
from streams.fold import ListingFold, Output
from streams.found import Found, Problem, Whose, digest_of
from streams.operators.base import OperatorError
from streams.reference import ReferenceView
from streams.witness import Witness

DERIVED = ("bars", "signals")
SETTLE_S = 20.0
"""How long outputs may stay away, with none coming, before they count as missing."""

LATE_RECORDS = 50_000
"""Outputs that may be awaited before verify reads no further ahead of the worker."""


class TickJudge(Protocol):
    """Judges one listing's blocks in order, given what lies before them as it lies there: producers' Judge."""

    def recheck(self, block: TickBlock) -> Ints: ...


@dataclasses.dataclass
class Report:
    """What verify found. `checked` counts what lies in the range asked for; `ticks` has refused ones too."""

    blocks: int = 0
    ticks: int = 0
    refused: int = 0
    bars: int = 0
    signals: int = 0
    void: int = 0
    repairs: int = 0
    copies: int = 0
    unverifiable: list[str] = dataclasses.field(default_factory=list)
    problems: list[Problem] = dataclasses.field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing differs."""
        return not self.problems

    @property
    def exit_code(self) -> int:
        """0 clean, 1 a difference, 2 something could not be checked."""
        return 1 if self.problems else 2 if self.unverifiable else 0

    def as_json(self) -> dict[str, Any]:
        """The object that `verify --json` prints."""
        first = self.problems[0] if self.problems else None
        return {
            "ok": self.ok and not self.unverifiable,
            "checked": {
                "blocks": self.blocks,
                "ticks": self.ticks,
                "refused": self.refused,
                "bars": self.bars,
                "signals": self.signals,
            },
            "void": self.void,
            "repairs": self.repairs,
            "copies": self.copies,
            "unverifiable": self.unverifiable,
            "differences": len(self.problems),
            "first_difference": first
            and {
                **first.position._asdict(),
                "key": first.key,
                "reason": first.reason,
                "expected": first.expected or None,
                "found": first.found or None,
            },
        }


class Range(NamedTuple):
    """[from_ms, to_ms) in UTC, and one listing or all."""

    from_ms: int = -(2**62)
    to_ms: int = 2**62
    listing: str | None = None

    def has(self, time_ms: int) -> bool:
        """Whether the moment lies in it."""
        return self.from_ms <= time_ms < self.to_ms


class Verification:
    """One run of verify over a log."""

    def __init__(
        self,
        bootstrap: str,
        keys: KeyRing,
        judge: Callable[[], TickJudge],
        asked: Range,
        progress: Callable[[str, Report], None],
    ) -> None:
        self.bootstrap, self.keys, self.new_judge = bootstrap, keys, judge
        self.asked, self.progress = asked, progress
        self.report = Report()
        self.view = ReferenceView()
        self.repairs = read_repairs(bootstrap, keys)
        self.anchors: dict[str, list[Anchor]] = {}

    def run(self) -> Report:
        """Checks reference, then each partition of ticks with what was derived of it."""
        found, bad = read_anchors(self.bootstrap, self.keys)
        self.anchors = found
        self.report.problems += [Problem(Position("anchors", 0, at), "", reason) for at, reason in bad]
        self._reference()
        for partition in self._partitions():
            self.progress(f"ticks/{partition}", self.report)
            _PartitionCheck(self, partition).run()
        return self.report

    def _partitions(self) -> list[int]:
        if self.asked.listing is not None:
            return [partition_of("ticks", self.asked.listing)]
        return list(range(TOPICS["ticks"].partitions))

    def _reference(self) -> None:
        chains = Chains("reference", self.keys, self.repairs)
        witness = Witness(self.anchors.get("reference/reference", []))
        for batch in read_range(self.bootstrap, "reference", 0):
            for message in batch:
                judged = chains.judge(0, message.offset() or 0, message.key(), message.value())
                self.note(judged, message.key())
                if judged.verdict is Verdict.TAKE:
                    if not isinstance(judged.record, ReferenceOpen):
                        self.view.apply(judged.record)
                    self.report.problems += witness.passed(chains.heads[REFERENCE_CHAIN], judged.position, "")
        end = Position("reference", 0, end_of(self.bootstrap, "reference", 0))
        self.report.problems += witness.unmet(chains.heads.get(REFERENCE_CHAIN, Head()), end, "")

    def note(self, judged: Judged, key: bytes | None) -> None:
        """Counts and reports what is not simply taken."""
        if judged.verdict is Verdict.VOID:
            self.report.void += 1
        elif judged.verdict is Verdict.REPAIRED:
            self.report.repairs += 1
        elif judged.alert:
            name = (key or b"").decode(errors="backslashreplace")
            word = {Verdict.FORGED: "forged", Verdict.STOP: "stopped", Verdict.SEEN: "replayed"}[judged.verdict]
            self.report.problems.append(Problem(judged.position, name, f"{word}: {judged.reason}"))


class _PartitionCheck:
    """One partition of ticks, and the partitions of the same number of what is derived."""

    def __init__(self, run: Verification, partition: int) -> None:
        self._run, self._partition = run, partition
        self._report, self._asked, self._keys = run.report, run.asked, run.keys
        self._chains = Chains("ticks", self._keys, run.repairs)
        self._folds: dict[str, ListingFold] = {}
        self._judges: dict[str, TickJudge] = {}
        self._witnesses: dict[str, Witness] = {}
        self._expected: Counter[tuple[str, Whose]] = Counter()
        self._found = {
            topic: Found(run.bootstrap, topic, partition, self._keys, self._asked.listing) for topic in DERIVED
        }
        self._late: dict[tuple[str, Whose], list[Derived]] = {}
        self._waiting = 0

    def run(self) -> None:
        bootstrap, partition = self._run.bootstrap, self._partition
        end = end_of(bootstrap, "ticks", partition)
        for found in self._found.values():
            found.read_on()
        own = self._asked.listing.encode() if self._asked.listing is not None else None
        for batch in read_range(bootstrap, "ticks", partition, 0, end):
            for message in batch:
                key = message.key()
                if own is None or key == own:
                    self._take(self._chains.judge(partition, message.offset() or 0, key, message.value()), key)
            self._run.progress(f"ticks/{partition}", self._report)
        self._tails(end)
        self._await_late()
        self._leftovers()
        for found in self._found.values():
            self._report.problems += found.problems
            self._report.copies += found.copies

    def _take(self, judged: Judged, key: bytes | None) -> None:
        self._run.note(judged, key)
        listing = judged.chain
        if judged.verdict not in (Verdict.TAKE, Verdict.REPAIRED):
            return
        fold = self._fold_of(listing)
        head, block = self._chains.heads[listing], judged.record
        if judged.verdict is Verdict.TAKE:
            self._report.problems += self._witnesses[listing].passed(head, judged.position, listing)
            if block.kind == BlockKind.DATA:
                self._count(block)
                self._judge(judged, block)
                try:
                    for output in fold.fold([block]):
                        self._compare(output)
                except OperatorError as error:
                    self._report.problems.append(Problem(judged.position, listing, f"not foldable: {error}"))
        if judged.verdict is Verdict.REPAIRED or (block.kind == BlockKind.DATA and head.seq != block.seq):
            fold.repaired(head.seq, head.n)
            self._judges.pop(listing, None)

    def _fold_of(self, listing: str) -> ListingFold:
        fold = self._folds.get(listing)
        if fold is None:
            fold = self._folds[listing] = ListingFold(listing, self._run.view)
            fold.sync()
            for activation, reason in fold.unrunnable:
                text = f"{activation.instance}@{activation.ref_no} on {listing}: {reason}"
                self._report.unverifiable.append(text)
            self._witnesses[listing] = Witness(self._run.anchors.get(f"ticks/{listing}", []))
        return fold

    def _count(self, block: TickBlock) -> None:
        inside = (block.time_ms >= self._asked.from_ms) & (block.time_ms < self._asked.to_ms)
        if len(inside) == 0 or not inside.any():
            return
        self._report.blocks += 1
        self._report.ticks += int(inside.sum())
        self._report.refused += int((inside & ((block.quality & BROKEN) != 0)).sum())

    def _judge(self, judged: Judged, block: TickBlock) -> None:
        judge = self._judges.get(block.listing)
        if judge is None:
            judge = self._judges[block.listing] = self._run.new_judge()
        expected = judge.recheck(block)
        wrong = np.flatnonzero((block.quality ^ expected) & BROKEN)
        if len(wrong):
            i = int(wrong[0])
            self._report.problems.append(
                Problem(
                    judged.position,
                    block.listing,
                    f"tick {block.first_n + i} is judged otherwise",
                    _quality(int(expected[i])),
                    _quality(int(block.quality[i]) & BROKEN),
                )
            )

    def _compare(self, output: Output) -> None:
        whose = Whose(output.operator, output.listing)
        self._expected[output.topic, whose] = output.out_seq + len(output.columns)
        late = self._late.get((output.topic, whose), [])
        there = self._found[output.topic].entries.get(whose, [])
        for record in output.records():
            if late or record.out_seq >= len(there):
                self._late.setdefault((output.topic, whose), []).append(record)
                self._waiting += 1
            else:
                self._match(output.topic, whose, record)
        if self._waiting > LATE_RECORDS:
            self._await_late()

    def _await_late(self) -> None:
        """Waits for outputs that are not on the topics yet, as long as some come."""
        deadline = time.monotonic() + SETTLE_S
        while self._late and time.monotonic() < deadline:
            if sum(found.read_on() for found in self._found.values()):
                deadline = time.monotonic() + SETTLE_S
            for (topic, whose), records in list(self._late.items()):
                there = len(self._found[topic].entries.get(whose, []))
                ready = [r for r in records if r.out_seq < there]
                for record in ready:
                    self._match(topic, whose, record)
                self._late[topic, whose] = records[len(ready) :]
                if not self._late[topic, whose]:
                    del self._late[topic, whose]
            if self._late:
                self._run.progress(f"ticks/{self._partition}, waiting for the worker", self._report)
                time.sleep(0.2)
        for (topic, whose), records in self._late.items():
            end = Position(topic, self._partition, end_of(self._run.bootstrap, topic, self._partition))
            reason = f"output {records[0].out_seq} of {whose.operator} is missing ({len(records)} in all)"
            self._report.problems.append(Problem(end, whose.listing, reason, _shown(records[0])))
        self._late.clear()
        self._waiting = 0

    def _leftovers(self) -> None:
        """What lies on the topics and nothing gives."""
        for topic, found in self._found.items():
            for whose, entries in found.entries.items():
                due = self._expected[topic, whose]
                if len(entries) > due and not self._is_unverifiable(whose):
                    at = Position(topic, self._partition, entries[due].offset)
                    reason = f"output {due} of {whose.operator} is not what the ticks give: they give {due} in all"
                    record = decode(found.value_at(entries[due].offset))
                    self._report.problems.append(Problem(at, whose.listing, reason, "", _shown(record)))

    def _is_unverifiable(self, whose: Whose) -> bool:
        fold = self._folds.get(whose.listing)
        gone = fold.unrunnable if fold is not None else ()
        return any(operator_id(a.instance, a.ref_no) == whose.operator for a, _ in gone)

    def _tails(self, end: int) -> None:
        """Chains whose anchors witness more than there is."""
        position = Position("ticks", self._partition, end)
        for chain, anchors in self._run.anchors.items():
            topic, _, listing = chain.partition("/")
            asked = self._asked.listing in (None, listing)
            if topic == "ticks" and asked and partition_of("ticks", listing) == self._partition:
                head = self._chains.heads.get(listing, Head())
                self._report.problems += Witness(anchors).unmet(head, position, listing)

    def _match(self, topic: str, whose: Whose, record: Derived) -> None:
        if not self._asked.has(record.time_ms):
            return
        if isinstance(record, Bar):
            self._report.bars += 1
        else:
            self._report.signals += 1
        found = self._found[topic]
        entry = found.entries[whose][record.out_seq]
        value = self._encode(record, entry.key_id)
        if digest_of(value) != entry.digest:
            at = Position(topic, self._partition, entry.offset)
            expected, there = _differing(record, found.value_at(entry.offset))
            reason = f"output {record.out_seq} of {whose.operator} is not what the ticks give"
            self._report.problems.append(Problem(at, whose.listing, reason, expected, there))

    def _encode(self, record: Derived, key_id: str) -> bytes:
        if isinstance(record, Signal):
            return seal(dataclasses.replace(record, key_id=key_id), "signals", self._keys)
        return encode(record)


def _differing(expected: Derived, found: bytes) -> tuple[str, str]:
    """The fields that differ, as they were derived and as they lie there."""
    try:
        there = decode(found)
    except UnreadableRecord as error:
        return _shown(expected), str(error)
    if type(there) is not type(expected):
        return _shown(expected), _shown(there)
    fields = [f.name for f in dataclasses.fields(expected)]
    differing = [n for n in fields if repr(getattr(expected, n)) != repr(getattr(there, n)) and n != "mac"]
    return _fields(expected, differing), _fields(there, differing)


def _shown(record: Any) -> str:
    return _fields(record, [f.name for f in dataclasses.fields(record) if f.name not in ("mac", "key_id")])


def _fields(record: Any, wanted: list[str]) -> str:
    return ", ".join(f"{n}={_plain(getattr(record, n))}" for n in wanted)


def _plain(value: Any) -> str:
    return str(getattr(value, "name", value))


def _quality(bits: int) -> str:
    return " ".join(names(bits)) or "good"
