"""verify of one partition of `ticks`, and of the partitions of the same number of what is derived from it."""

from __future__ import annotations

import time
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

import numpy as np

from infra.kafka import end_of, read_range
from schemas.accept import Head, Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains, Judged, Position
from schemas.events import Bar, Derived
from schemas.identity import operator_id
from schemas.quality import BROKEN
from schemas.registry import decode
from schemas.ticks import BlockKind, Ints, TickBlock
from streams.fold import Behind, ListingFold, Output, ReferenceBehind
from streams.found import Entry, Found, Whose, digest_of
from streams.operators.base import OperatorError
from streams.outputs import value_of
from streams.report import Problem, differing, shown, shown_quality
from streams.witness import Witness

if TYPE_CHECKING:
    from streams.verify import Verification

DERIVED = ("bars", "signals")
LATE_RECORDS = 50_000
"""Outputs that may be awaited before verify reads no further ahead of the worker."""


class TickJudge(Protocol):
    """Judges one listing's blocks in order, given what lies before them as it lies there: producers' Judge."""

    def recheck(self, block: TickBlock) -> Ints: ...


class PartitionCheck:
    """The listings of one partition: their chains, ticks and outputs."""

    def __init__(self, run: Verification, partition: int) -> None:
        self._run, self._partition = run, partition
        self._report, self._asked, self._keys = run.report, run.asked, run.keys
        self._found = {
            topic: Found(run.bootstrap, topic, partition, self._keys, self._asked.listing) for topic in DERIVED
        }
        self._chains = Chains("ticks", self._keys, run.repairs)
        self._folds: dict[str, ListingFold] = {}
        self._judges: dict[str, TickJudge] = {}
        self._judged_to: dict[str, bytes] = {}
        self._witnesses: dict[str, Witness] = {}
        self._unfolded: set[str] = set()
        self._due: Counter[tuple[str, Whose]] = Counter()
        self._late: dict[tuple[str, Whose], list[Derived]] = {}

    def run(self) -> None:
        bootstrap, partition = self._run.bootstrap, self._partition
        # In this order whatever lies on a topic comes of ticks before `end`, and they of what `reference` says.
        for found in self._found.values():
            found.read_on()
        known = {topic: found.read_to for topic, found in self._found.items()}
        end = end_of(bootstrap, "ticks", partition)
        self._run.read_reference()
        self._chains.add_repairs(self._run.repairs)
        own = self._asked.listing.encode() if self._asked.listing is not None else None
        for batch in read_range(bootstrap, "ticks", partition, 0, end):
            for message in batch:
                key = message.key()
                if own is None or key == own:
                    self._take(self._chains.judge(partition, message.offset() or 0, key, message.value()), key)
            if sum(map(len, self._late.values())) > LATE_RECORDS:
                self._await_late()
            self._run.progress(f"ticks/{partition}", self._report)
        self._tails(end)
        self._await_late()
        self._leftovers(known)
        for found in self._found.values():
            self._report.add(*found.problems)
            self._report.copies += found.copies

    def _take(self, judged: Judged, key: bytes | None) -> None:
        self._run.note(judged, key)
        listing = judged.chain
        if judged.verdict not in (Verdict.TAKE, Verdict.REPAIRED):
            return
        fold = self._fold_of(listing)
        head, block = self._chains.heads[listing], judged.record
        is_data = judged.verdict is Verdict.TAKE and block.kind == BlockKind.DATA
        if judged.verdict is Verdict.TAKE:
            self._report.add(*self._witnesses[listing].passed(head, judged.position, listing))
        if is_data:
            self._count(block)
            self._judge(judged, block)
            self._fold(fold, judged, block)
        if judged.verdict is Verdict.REPAIRED or (is_data and head.seq != block.seq):
            fold.repaired(head.seq, head.n)
            if head.mac != self._judged_to.get(listing):
                # Its writer could read nothing back from there either.
                self._judges.pop(listing, None)

    def _fold_of(self, listing: str) -> ListingFold:
        fold = self._folds.get(listing)
        if fold is None:
            fold = self._folds[listing] = ListingFold(listing, self._run.view)
            for activation, reason in fold.unrunnable:
                text = f"{operator_id(activation.instance, activation.ref_no)} on {listing}: {reason}"
                self._report.unverifiable.append(text)
            self._witnesses[listing] = Witness(self._run.anchors.get(f"ticks/{listing}", []))
        return fold

    def _count(self, block: TickBlock) -> None:
        inside = (block.time_ms >= self._asked.from_ms) & (block.time_ms < self._asked.to_ms)
        if not inside.any() and (len(inside) or not self._asked.has(block.watermark_ms)):
            return
        self._report.blocks += 1
        self._report.ticks += int(inside.sum())
        self._report.refused += int((inside & ((block.quality & BROKEN) != 0)).sum())

    def _judge(self, judged: Judged, block: TickBlock) -> None:
        judge = self._judges.get(block.listing)
        if judge is None:
            judge = self._judges[block.listing] = self._run.new_judge()
        self._judged_to[block.listing] = block.mac
        expected = judge.recheck(block)
        wrong = np.flatnonzero((block.quality ^ expected) & BROKEN)
        if len(wrong):
            i = int(wrong[0])
            reason = f"tick {block.first_n + i} is judged otherwise" + _in_all(len(wrong))
            there = shown_quality(int(block.quality[i]) & BROKEN)
            self._report.add(Problem(judged.position, block.listing, reason, shown_quality(int(expected[i])), there))

    def _fold(self, fold: ListingFold, judged: Judged, block: TickBlock) -> None:
        if block.listing in self._unfolded:
            return
        try:
            for output in fold.fold([block]):
                self._compare(output)
        except (OperatorError, ReferenceBehind, Behind) as error:
            self._unfolded.add(block.listing)
            self._report.add(Problem(judged.position, block.listing, f"not foldable from here on: {error}"))

    def _compare(self, output: Output) -> None:
        topic, whose = output.topic, Whose(output.operator, output.listing)
        self._due[topic, whose] = output.out_seq + len(output.columns)
        for record in output.records():
            entry = self._found[topic].entry(whose, record.out_seq)
            if entry is None:
                self._late.setdefault((topic, whose), []).append(record)
            else:
                self._match(topic, whose, record, entry)

    def _await_late(self) -> None:
        """Waits for outputs that are not on the topics yet, as long as some come."""
        deadline = time.monotonic() + self._run.settle_s
        while self._late and time.monotonic() < deadline:
            if sum(found.read_on() for found in self._found.values()):
                deadline = time.monotonic() + self._run.settle_s
            for (topic, whose), records in list(self._late.items()):
                left = []
                for record in records:
                    entry = self._found[topic].entry(whose, record.out_seq)
                    if entry is None:
                        left.append(record)
                    else:
                        self._match(topic, whose, record, entry)
                self._late[topic, whose] = left
                if not left:
                    del self._late[topic, whose]
            if self._late:
                self._run.progress(f"ticks/{self._partition}, waiting for the worker", self._report)
                time.sleep(0.2)
        for (topic, whose), records in self._late.items():
            for _, hole in groupby(enumerate(records), key=lambda item: item[1].out_seq - item[0]):
                self._miss(topic, whose, [record for _, record in hole])
        self._late.clear()

    def _miss(self, topic: str, whose: Whose, records: list[Derived]) -> None:
        """Reports neighbouring outputs that are not there."""
        inside = [record for record in records if self._asked.has(record.time_ms)]
        if not inside:
            return
        found = self._found[topic]
        behind = found.next_after(whose, records[-1].out_seq)
        reason = f"output {inside[0].out_seq} of {whose.operator} is missing" + _in_all(len(inside))
        at = found.read_to if behind is None else behind.offset
        there = "" if behind is None else shown(decode(found.value_at(behind.offset)))
        self._report.add(Problem(Position(topic, self._partition, at), whose.listing, reason, shown(inside[0]), there))

    def _leftovers(self, known: dict[str, int]) -> None:
        """What lay on the topics before the ticks were read, and they don't give."""
        for topic, found in self._found.items():
            for whose, entries in found.entries.items():
                due = self._due[topic, whose]
                extra = sorted(n for n, e in entries.items() if n >= due and e.offset < known[topic])
                if extra and whose.listing not in self._unfolded and not self._is_unverifiable(whose):
                    entry = entries[extra[0]]
                    reason = f"output {extra[0]} of {whose.operator} is not what the ticks give: they give {due} in all"
                    at = Position(topic, self._partition, entry.offset)
                    there = shown(decode(found.value_at(entry.offset)))
                    self._report.add(Problem(at, whose.listing, reason + _in_all(len(extra)), "", there))

    def _is_unverifiable(self, whose: Whose) -> bool:
        fold = self._folds.get(whose.listing)
        gone = fold.unrunnable if fold is not None else ()
        return any(operator_id(a.instance, a.ref_no) == whose.operator for a, _ in gone)

    def _tails(self, end: int) -> None:
        """Chains whose anchors witness more than there is; a listing asked for of which nothing is there."""
        position = Position("ticks", self._partition, end)
        for chain, anchors in self._run.anchors.items():
            topic, _, listing = chain.partition("/")
            asked = self._asked.listing in (None, listing)
            if topic == "ticks" and asked and partition_of("ticks", listing) == self._partition:
                head = self._chains.heads.get(listing, Head())
                self._report.add(*Witness(anchors).unmet(head, position, listing))
        asked_for = self._asked.listing
        if asked_for is not None and asked_for not in self._chains.heads and self._report.ok:
            self._report.unverifiable.append(f"nothing of {asked_for} is on the log: listings are written feed/SYMBOL")

    def _match(self, topic: str, whose: Whose, record: Derived, entry: Entry) -> None:
        if not self._asked.has(record.time_ms):
            return
        if isinstance(record, Bar):
            self._report.bars += 1
        else:
            self._report.signals += 1
        if digest_of(value_of(record, self._keys, entry.key_id)) != entry.digest:
            at = Position(topic, self._partition, entry.offset)
            expected, there = "", ""
            if not self._report.is_full:
                expected, there = differing(record, self._found[topic].value_at(entry.offset))
            reason = f"output {record.out_seq} of {whose.operator} is not what the ticks give"
            self._report.add(Problem(at, whose.listing, reason, expected, there))


def _in_all(count: int) -> str:
    return f" ({count:,} in all)" if count > 1 else ""
