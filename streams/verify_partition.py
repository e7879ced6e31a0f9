"""verify of one partition of `ticks`, and of the partitions of the same number of what is derived from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from infra.kafka import end_of, read_range
from schemas.accept import Head, Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains, Judged, Position
from schemas.events import OperatorActivation
from schemas.identity import operator_id
from schemas.quality import BROKEN
from schemas.ticks import BlockKind, Ints, TickBlock
from streams.fold import Behind, ListingFold, Output, ReferenceBehind
from streams.found import Whose
from streams.merged_fold import merged_on
from streams.merged_reader import LogAccess, MergedReader
from streams.operators.base import OperatorError
from streams.programs import NotRunnable
from streams.report import Problem, shown_quality
from streams.verify_outputs import LATE_RECORDS, Comparison, counted
from streams.witness import Witness

if TYPE_CHECKING:
    from streams.verify import Verification

DERIVED = ("bars", "signals")


class TickJudge(Protocol):
    """Judges one listing's blocks in order, given what lies before them as it lies there: producers' Recheck."""

    def recheck(self, block: TickBlock) -> Ints: ...


class PartitionCheck:
    """The listings of one partition: their chains, ticks and outputs."""

    def __init__(self, run: Verification, partition: int) -> None:
        self._run, self._partition = run, partition
        self._report, self._asked, self._keys = run.report, run.asked, run.keys
        self._outputs = Comparison(run, partition, DERIVED, "the ticks give", "worker", self._asked.listing)
        self._chains = Chains("ticks", self._keys, run.repairs)
        self._folds: dict[str, ListingFold] = {}
        self._judges: dict[str, TickJudge] = {}
        self._judged_to: dict[str, bytes] = {}
        self._witnesses: dict[str, Witness] = {}
        self._unfolded: set[str] = set()
        self._passed: set[Whose] = set()

    def run(self) -> None:
        bootstrap, partition = self._run.bootstrap, self._partition
        # In this order whatever lies on a topic comes of ticks before `end`, and they of what `reference` says.
        self._outputs.read()
        end = end_of(bootstrap, "ticks", partition)
        self._run.read_reference()
        self._chains.add_repairs(self._run.repairs)
        own = self._asked.listing.encode() if self._asked.listing is not None else None
        for batch in read_range(bootstrap, "ticks", partition, 0, end):
            for message in batch:
                key = message.key()
                if own is None or key == own:
                    self._take(self._chains.judge(partition, message.offset() or 0, key, message.value()), key)
            if self._outputs.late > LATE_RECORDS:
                self._outputs.await_late(f"ticks/{partition}")
            self._run.progress(f"ticks/{partition}", self._report)
        self._tails(end)
        for listing in self._folds:
            for activation in merged_on(self._run.view, listing):
                self._merge(activation, listing)
        self._outputs.await_late(f"ticks/{partition}")
        self._outputs.end(self._is_passed)

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
            fold = self._folds[listing] = ListingFold(listing, self._run.view, self._run.programs)
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
        wrong = np.flatnonzero(block.quality ^ expected)
        if len(wrong):
            i = int(wrong[0])
            reason = f"tick {block.first_n + i} is judged otherwise" + counted(len(wrong))
            there = shown_quality(int(block.quality[i]))
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

    def _merge(self, activation: OperatorActivation, listing: str) -> None:
        """Derives the signals of a strategy that reads further listings from the logs of all of them."""
        whose = Whose(operator_id(activation.instance, activation.ref_no), listing)
        access = LogAccess(self._run.bootstrap, self._keys, self._run.view, self._reach)
        try:
            reader = MergedReader(activation, listing, access, self._run.repairs)
        except NotRunnable as error:
            self._passed.add(whose)
            self._report.unverifiable.append(f"{whose.operator} on {listing}: {error}")
            return
        try:
            # What lies on a topic was read before the logs' ends are asked: it comes of what lies before these.
            for outputs in reader.rest():
                for output in outputs:
                    self._compare(output)
                if self._outputs.late > LATE_RECORDS:
                    self._outputs.await_late(f"{whose.operator} on {listing}")
                self._run.progress(f"{whose.operator} on {listing}", self._report)
        except (OperatorError, Behind) as error:
            self._passed.add(whose)
            position = Position("ticks", self._partition, -1)
            self._report.add(Problem(position, listing, f"{whose.operator} is not foldable from here on: {error}"))
        finally:
            reader.close()

    def _reach(self, ref_no: int) -> bool:
        """Reads `reference` on; whether it has that number."""
        self._run.read_reference()
        return self._run.view.last >= ref_no

    def _compare(self, output: Output) -> None:
        whose = Whose(output.operator, output.listing)
        for record in output.records():
            self._outputs.compare(output.topic, whose, record)

    def _is_passed(self, whose: Whose) -> bool:
        """Whether nothing is said of what lies there of these outputs."""
        return whose in self._passed or whose.key in self._unfolded or self._is_unverifiable(whose)

    def _is_unverifiable(self, whose: Whose) -> bool:
        fold = self._folds.get(whose.key)
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
