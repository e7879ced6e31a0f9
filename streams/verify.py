"""verify: derives everything again from the roots and compares it with the log, byte for byte.

Chains, epochs and anchors are checked; the quality of every tick is judged again; bars and signals are derived by the
replay's operators from the programs that `reference` names, and held against the topics. The log may grow meanwhile:
what is read of it, and in which order, is such that nothing is held against what was not there yet.
"""

from __future__ import annotations

from collections.abc import Callable

from infra.anchors import read_anchors
from infra.chain_follower import read_repairs
from infra.kafka import end_of, ends, new_consumer, read_range
from schemas.accept import Head, Verdict
from schemas.catalogue import TOPICS, partition_of
from schemas.chains import REFERENCE_CHAIN, Chains, Judged, Position
from schemas.events import Anchor
from schemas.integrity import KeyRing
from streams.reference import ReferenceHole, ReferenceView
from streams.report import Problem, Range, Report
from streams.verify_partition import DERIVED, PartitionCheck, TickJudge
from streams.witness import Witness

__all__ = ["Range", "Report", "Verification"]

SETTLE_S = 20.0
"""How long outputs may stay away, with none coming, before they count as missing."""


class Verification:
    """One run of verify over a log."""

    def __init__(
        self,
        bootstrap: str,
        keys: KeyRing,
        judge: Callable[[], TickJudge],
        asked: Range,
        progress: Callable[[str, Report], None] = lambda _, __: None,
        settle_s: float = SETTLE_S,
    ) -> None:
        self.bootstrap, self.keys, self.new_judge = bootstrap, keys, judge
        self.asked, self.progress, self.settle_s = asked, progress, settle_s
        self.report = Report()
        self.view = ReferenceView()
        self.repairs = read_repairs(bootstrap, keys)
        self.anchors: dict[str, list[Anchor]] = {}
        self._reference = Chains("reference", keys, self.repairs)
        self._reference_to = 0
        self._witness = Witness([])

    def run(self) -> Report:
        """Checks reference, then each partition of ticks with what was derived of it. Raises Unreachable."""
        # Anchors first: what they witness was on the log before them.
        self.anchors, bad = read_anchors(self.bootstrap, self.keys)
        self.report.add(*(Problem(Position("anchors", 0, at), "", f"forged: {reason}") for at, reason in bad))
        self._witness = Witness(self.anchors.get("reference/reference", []))
        self.read_reference()
        end = Position("reference", 0, self._reference_to)
        self.report.add(*self._witness.unmet(self._reference.heads.get(REFERENCE_CHAIN, Head()), end, ""))
        for partition in self._partitions():
            self.progress(f"ticks/{partition}", self.report)
            PartitionCheck(self, partition).run()
        return self.report

    def read_reference(self) -> None:
        """Checks what has come of `reference` and takes it up."""
        start, end = self._reference_to, end_of(self.bootstrap, "reference", 0)
        if start >= end:
            return
        self.repairs = read_repairs(self.bootstrap, self.keys)
        self._reference.add_repairs(self.repairs)
        for batch in read_range(self.bootstrap, "reference", 0, start, end):
            for message in batch:
                judged = self._reference.judge(0, message.offset() or 0, message.key(), message.value())
                self.note(judged, message.key())
                if judged.verdict is Verdict.TAKE:
                    try:
                        self.view.apply(judged.record)
                    except ReferenceHole as error:
                        self.report.add(Problem(judged.position, "", str(error)))
                    head = self._reference.heads[REFERENCE_CHAIN]
                    self.report.add(*self._witness.passed(head, judged.position, ""))
        self._reference_to = end

    def note(self, judged: Judged, key: bytes | None) -> None:
        """Counts and reports what is not simply taken."""
        if judged.verdict is Verdict.VOID:
            self.report.void += 1
        elif judged.verdict is Verdict.REPAIRED:
            self.report.repairs += 1
        elif judged.alert:
            name = (key or b"").decode(errors="backslashreplace")
            word = {Verdict.FORGED: "forged", Verdict.STOP: "stopped", Verdict.SEEN: "replayed"}[judged.verdict]
            self.report.add(Problem(judged.position, name, f"{word}: {judged.reason}"))

    def _partitions(self) -> list[int]:
        """Those that have anything to check."""
        if self.asked.listing is not None:
            return [partition_of("ticks", self.asked.listing)]
        anchored = {a.partition for found in self.anchors.values() for a in found if a.topic == "ticks"}
        consumer = new_consumer(self.bootstrap)
        try:
            return [
                partition
                for partition in range(TOPICS["ticks"].partitions)
                if partition in anchored or any(ends(consumer, topic, partition).high for topic in ("ticks", *DERIVED))
            ]
        finally:
            consumer.close()
