"""verify: derives everything again from the roots and compares it with the log, byte for byte.

Chains, epochs and anchors are checked; the quality of every tick is judged again; bars and signals are derived by the
replay's operators from the programs that `reference` names, and held against the topics. Of each account the journal is
held against its sources, and what its desk decided is decided again. The log may grow meanwhile:
what is read of it, and in which order, is such that nothing is held against what was not there yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from infra.anchors import read_anchors
from infra.chain_follower import read_repairs
from infra.kafka import end_of, ends, new_consumer, read_range
from schemas.accept import Head, Verdict
from schemas.catalogue import ACCOUNT_TOPICS, TOPICS, partition_of
from schemas.chains import REFERENCE_CHAIN, Chains, Judged, Position
from schemas.configuration import AccountConfig
from schemas.events import Anchor, ReferenceRecord
from schemas.integrity import KeyRing
from streams.fold import Programs
from streams.graph_programs import graph_or_built_in
from streams.operators.desk import DeskState
from streams.reference import ReferenceHole, ReferenceView
from streams.report import Problem, Range, Report
from streams.verify_account import AccountCheck, strays
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
        programs: Programs = graph_or_built_in,
    ) -> None:
        """`programs`: what runs an activation; `class_programs.with_code` also runs the code of classes."""
        self.bootstrap, self.keys, self.new_judge = bootstrap, keys, judge
        self.asked, self.progress, self.settle_s = asked, progress, settle_s
        self.programs = programs
        self.report = Report()
        self.view = ReferenceView()
        self.records: list[ReferenceRecord] = []
        """All of `reference`, in order."""
        self.configs: dict[str, AccountConfig] = {}
        """The first of each account, which says where it is."""
        self.states: dict[str, DeskState] = {}
        """What each account's desk knows after the last entry of its journal, if it can be folded."""
        self.repairs = read_repairs(bootstrap, keys)
        self.anchors: dict[str, list[Anchor]] = {}
        self._reference = Chains("reference", keys, self.repairs)
        self._reference_to = 0
        self._witness = Witness([])

    def run(self) -> Report:
        """Checks reference, then each partition of ticks and each account with what was derived of it.

        Raises Unreachable.
        """
        # Anchors first: what they witness was on the log before them.
        self.anchors, bad = read_anchors(self.bootstrap, self.keys)
        self.report.add(*(Problem(Position("anchors", 0, at), "", f"forged: {reason}") for at, reason in bad))
        self._witness = Witness(self.anchors.get("reference/reference", []))
        self.read_reference()
        end = Position("reference", 0, self._reference_to)
        self.report.add(*self._witness.unmet(self._reference.heads.get(REFERENCE_CHAIN, Head()), end, ""))
        if self.asked.account is None:
            for partition in self._partitions():
                self.progress(f"ticks/{partition}", self.report)
                PartitionCheck(self, partition).run()
        if self.asked.listing is None:
            self._check_accounts()
        return self.report

    def _check_accounts(self) -> None:
        """Each account, and what lies on the topics of accounts where none is."""
        asked = self.asked.account
        for record in self.records:
            # A later config that moves an account elsewhere is left out by its sequencer.
            if isinstance(record, AccountConfig):
                self.configs.setdefault(record.account, record)
        places = {name: config.partition for name, config in self.configs.items()}
        for account, partition in places.items():
            if asked in (None, account):
                state = AccountCheck(self, account, partition).run()
                if state is not None:
                    self.states[account] = state
        if asked is not None and asked not in places:
            self.report.unverifiable.append(f"reference has no account {asked}: it has {', '.join(places) or 'none'}")
        if asked is None:
            strays(self, [p for p in self._written(ACCOUNT_TOPICS) if p not in places.values()])

    def _written(self, topics: Iterable[str]) -> list[int]:
        """The partitions that have anything on some of the topics, which have equally many."""
        consumer = new_consumer(self.bootstrap)
        try:
            count = TOPICS[next(iter(topics))].partitions
            return [p for p in range(count) if any(ends(consumer, topic, p).high for topic in topics)]
        finally:
            consumer.close()

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
                    self.records.append(judged.record)
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
        return sorted(anchored.union(self._written(("ticks", *DERIVED))))
