"""verify of one account: its chains, whether its journal is what lies on its sources, and what its desk decided.

Every INPUT and REFERENCE of the journal is held against the record that it copies, byte for byte, and every record that
should be there is looked for; then the desk decides again, and what it says is held against the topics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from infra.kafka import end_of, read_range
from schemas.accept import Head, Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains, Judged, Position
from schemas.events import OperatorActivation
from schemas.identity import split_operator
from schemas.integrity import KeyRing
from schemas.journal import EntryKind
from schemas.journal_columns import Entry
from schemas.registry import decode, encode
from streams.desk_program import check_desk, of_desk
from streams.found import Found, Whose, digest_of
from streams.journal_reader import TOPIC, JournalReader
from streams.operators.desk import Desk, DeskState
from streams.outputs import topic_of
from streams.programs import NotRunnable
from streams.report import Problem
from streams.sequencer.scope import Scope
from streams.verify_outputs import LATE_RECORDS, Comparison, counted
from streams.witness import Witness

if TYPE_CHECKING:
    from streams.verify import Verification

DECIDED: Final = ("orders", "fills", "risk", "portfolio")
FACTS: Final = ("executions", "commands")


class AccountCheck:
    """One account, whose records lie on one partition of each of its topics."""

    def __init__(self, run: Verification, account: str, partition: int) -> None:
        self._run, self.account, self.partition = run, account, partition
        self._report = run.report
        self._desk = Desk()
        self._state = self._desk.initial(account)
        self._unfolded = False
        self._sources: Sources | None = None

    def run(self) -> DeskState | None:
        """Checks the account; the desk's state after its journal, None if that can't be folded. Raises Unreachable."""
        run, partition = self._run, self.partition
        where = f"{TOPIC}/{partition}"
        outputs = Comparison(
            run, partition, DECIDED, "the journal gives", "desk", self.account, {self.account: partition}
        )  # fmt: skip
        outputs.read()
        end = end_of(run.bootstrap, TOPIC, partition)
        run.read_reference()
        # What the journal has was on its sources before it.
        self._sources = sources = Sources(run, self.account, partition)
        chains = Chains(TOPIC, run.keys, run.repairs, {self.account: partition})
        reader = JournalReader(chains, run.keys, partition)
        witness = Witness(run.anchors.get(f"{TOPIC}/{self.account}", []))
        for batch in read_range(run.bootstrap, TOPIC, partition, 0, end):
            for message in batch:
                key = message.key()
                judged = reader.judge(message.offset() or 0, key, message.value())
                run.note(judged, key)
                if judged.verdict is Verdict.REPAIRED:
                    sources.jump()
                if judged.verdict is Verdict.TAKE:
                    head = chains.heads[self.account]
                    self._report.add(*witness.passed(head, judged.position, self.account))
                    self._take(judged, outputs)
            if outputs.late > LATE_RECORDS:
                outputs.await_late(where)
            run.progress(where, self._report)
        at = Position(TOPIC, partition, end)
        self._report.add(*witness.unmet(chains.heads.get(self.account, Head()), at, self.account))
        outputs.await_late(where)
        outputs.end(lambda _: self._unfolded)
        return None if self._unfolded else self._state

    def _take(self, judged: Judged, outputs: Comparison) -> None:
        entry: Entry | None = judged.record
        assert self._sources is not None
        if entry is None:
            self._stop(judged, judged.reason)
            return
        if self._run.asked.has(entry.taken_us // 1_000) and entry.kind is not EntryKind.OPEN:
            self._report.journal += 1
        self._sources.take(entry, judged.position)
        if self._unfolded:
            return
        try:
            if entry.kind is EntryKind.REFERENCE:
                self._check_desk(entry)
            said = self._desk.fold(self._state, entry)
        except NotRunnable as error:
            self._unfolded = True
            self._report.unverifiable.append(f"{self.account} from {_shown(judged.position)} on: {error}")
            return
        except (MemoryError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the desk decides nothing from here on
            self._stop(judged, str(error) or repr(error))
            return
        for record in said:
            outputs.compare(topic_of(record), Whose(record.operator, self.account), record)

    def _check_desk(self, entry: Entry) -> None:
        record = decode(entry.input)
        if isinstance(record, OperatorActivation) and of_desk(record, self.account):
            check_desk(record)

    def _stop(self, judged: Judged, reason: str) -> None:
        self._unfolded = True
        self._report.add(Problem(judged.position, self.account, f"not foldable from here on: {reason}"))


class Sources:
    """What an account's journal takes its inputs from, as it lies there.

    A chain's links go in from the first OPEN's mark on, without a hole. So do an instance's signals, from where the
    sequencer stood when the account's StrategyConfig came into the journal. Of `reference` goes in what concerns the
    account, in the order in which it came to.
    """

    def __init__(self, run: Verification, account: str, partition: int) -> None:
        self._run, self._account, self._report = run, account, run.report
        self._keys: KeyRing = run.keys
        self._facts = {topic: self._read_chain(topic, partition) for topic in FACTS}
        scope = Scope(account)
        self._reference = [encode(one) for record in run.records for one in scope.take(record)]
        self._referred = 0
        self._signals: dict[int, Found] = {}
        self._next: dict[str, int] = {}
        self._begun = self._jumped = False
        self._since: dict[str, Mapping[str, int]] = {}
        """Of each instance: the marks when its StrategyConfig came."""

    def take(self, entry: Entry, at: Position) -> None:
        """Holds one entry against its source."""
        if entry.kind is EntryKind.OPEN:
            if not self._begun:
                self._next = {name: entry.marks.get(name, 0) + 1 for name in FACTS}
            self._begun = True
        elif entry.kind is EntryKind.REFERENCE:
            self._take_reference(entry, at)
        elif entry.kind is EntryKind.INPUT and entry.stream in FACTS:
            found = self._facts[entry.stream].get(entry.stream_seq)
            self._is_next(entry, at)
            self._compare(entry, at, found)
        elif entry.kind is EntryKind.INPUT:
            self._take_signal(entry, at)
        if entry.kind is not EntryKind.OPEN:
            self._check_marks(entry, at)

    def jump(self) -> None:
        """A Repair has led past entries: what they took isn't known."""
        self._jumped = True
        self._next.clear()

    def _take_reference(self, entry: Entry, at: Position) -> None:
        expected = self._reference[self._referred] if self._referred < len(self._reference) else b""
        if expected != entry.input:
            where = next((n for n, v in enumerate(self._reference) if v == entry.input), -1)
            known = "what concerns the account next is another one"
            reason = known if where >= 0 else "no record of reference that concerns the account has these bytes"
            self._report.add(Problem(at, self._account, f"entry {entry.seq} takes record {entry.stream_seq}: {reason}"))
            self._referred = max(self._referred, where)
        self._referred += 1
        record: Any = decode(entry.input)
        if hasattr(record, "instance") and getattr(record, "account", "") == self._account:
            self._since.setdefault(record.instance, dict(entry.marks))

    def _take_signal(self, entry: Entry, at: Position) -> None:
        topic, _, rest = entry.stream.partition("/")
        operator, _, listing = rest.partition("/")
        if topic != "signals" or not listing:
            reason = f"entry {entry.seq} takes from {entry.stream!r}: no such source"
            self._report.add(Problem(at, self._account, reason))
            return
        if split_operator(operator)[0] not in self._since and not self._jumped:
            reason = f"entry {entry.seq} takes a signal of {operator}, which the account doesn't trade"
            self._report.add(Problem(at, self._account, reason))
        self._is_next(entry, at)
        found = self._found(listing).entry(Whose(operator, listing), entry.stream_seq)
        self._compare(entry, at, None if found is None else found.digest)

    def _is_next(self, entry: Entry, at: Position) -> None:
        """Whether nothing was left out before it, and it wasn't taken before."""
        due = self._due(entry.stream)
        if due is None:
            due = entry.stream_seq
        if entry.stream_seq > due:
            reason = f"number {due} of {entry.stream} is not in the journal" + counted(entry.stream_seq - due)
            reason = f"{reason}: entry {entry.seq} takes number {entry.stream_seq}"
            self._report.add(Problem(at, self._account, reason))
        elif entry.stream_seq < due:
            reason = f"entry {entry.seq} takes number {entry.stream_seq} of {entry.stream} once more"
            self._report.add(Problem(at, self._account, reason))
        self._next[entry.stream] = max(due, entry.stream_seq) + 1

    def _due(self, stream: str) -> int | None:
        """The number that the journal has to take next of a source; None if that isn't known."""
        known = self._next.get(stream)
        if known is not None or self._jumped or not stream.startswith("signals/"):
            return known
        since = self._since.get(stream.split("/", 2)[1].rpartition("@")[0])
        return None if since is None else since.get(stream, -1) + 1

    def _check_marks(self, entry: Entry, at: Position) -> None:
        """Whether what an entry says was taken of the sources is in the journal."""
        for stream, number in entry.marks.items():
            due = self._due(stream)
            if due is not None and number >= due:
                reason = f"entry {entry.seq} says that {stream} was taken up to {number}, and the journal has it up to"
                self._report.add(Problem(at, self._account, f"{reason} {due - 1}"))
                self._next[stream] = number + 1

    def _compare(self, entry: Entry, at: Position, found: bytes | None) -> None:
        what = f"entry {entry.seq} takes number {entry.stream_seq} of {entry.stream}"
        if found is None:
            self._report.add(Problem(at, self._account, f"{what}, which isn't there"))
        elif found != digest_of(entry.input):
            self._report.add(Problem(at, self._account, f"{what}, and its bytes are not those that lie there"))

    def _found(self, listing: str) -> Found:
        partition = partition_of("signals", listing)
        found = self._signals.get(partition)
        if found is None:
            found = self._signals[partition] = Found(self._run.bootstrap, "signals", partition, self._keys, None)
            found.read_on()
        return found

    def _read_chain(self, topic: str, partition: int) -> dict[int, bytes]:
        """Digests of the links of a chain, by number; what isn't right there is reported."""
        run = self._run
        chains = Chains(topic, run.keys, run.repairs, {self._account: partition})
        witness = Witness(run.anchors.get(f"{topic}/{self._account}", []))
        found: dict[int, bytes] = {}
        end = end_of(run.bootstrap, topic, partition)
        for batch in read_range(run.bootstrap, topic, partition, 0, end):
            for message in batch:
                judged = chains.judge(partition, message.offset() or 0, message.key(), message.value())
                run.note(judged, message.key())
                if judged.verdict is Verdict.TAKE:
                    head = chains.heads[self._account]
                    self._report.add(*witness.passed(head, judged.position, self._account))
                    if judged.record.seq:
                        found[judged.record.seq] = digest_of(message.value() or b"")
                        if run.asked.has(judged.record.written_us // 1_000):
                            self._report.count(topic)
        head = chains.heads.get(self._account, Head())
        self._report.add(*witness.unmet(head, Position(topic, partition, end), self._account))
        return found


def strays(run: Verification, partitions: Sequence[int]) -> None:
    """Reports what lies on the topics of accounts where no account is."""
    for partition in partitions:
        for topic in (TOPIC, *FACTS):
            chains = Chains(topic, run.keys, run.repairs, {})
            for batch in read_range(run.bootstrap, topic, partition):
                for message in batch:
                    offset = message.offset() or 0
                    run.note(chains.judge(partition, offset, message.key(), message.value()), message.key())
        for topic in DECIDED:
            found = Found(run.bootstrap, topic, partition, run.keys, None, {})
            found.read_on()
            run.report.add(*found.problems)


def _shown(at: Position) -> str:
    return f"{at.topic}/{at.partition}/{at.offset}"
