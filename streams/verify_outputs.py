"""What a derivation gives, held against what lies on the topics of one partition, byte for byte."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from schemas.chains import Partitions, Position
from schemas.registry import decode
from streams.found import Entry, Found, Whose, digest_of
from streams.outputs import Made, value_of
from streams.report import Problem, differing, shown

if TYPE_CHECKING:
    from streams.verify import Verification

LATE_RECORDS = 50_000
"""Outputs that may be awaited before verify reads no further ahead of who makes them."""


class Comparison:
    """The topics that one partition of a root is derived into. `give`: what is said of the root, "the ticks give".

    Read the topics first, by `read`, then the root: so whatever lies on them comes of what is read of the root.
    """

    def __init__(
        self,
        run: Verification,
        partition: int,
        topics: Sequence[str],
        give: str,
        maker: str,
        key: str | None = None,
        partitions: Partitions | None = None,
    ) -> None:
        self._run, self._partition, self._give, self._maker = run, partition, give, maker
        self._report, self._asked, self._keys = run.report, run.asked, run.keys
        self._found = {t: Found(run.bootstrap, t, partition, run.keys, key, partitions) for t in topics}
        self._known: dict[str, int] = {}
        self._due: Counter[tuple[str, Whose]] = Counter()
        self._late: dict[tuple[str, Whose], list[Any]] = {}

    def read(self) -> None:
        """Reads what lies on the topics now."""
        for topic, found in self._found.items():
            found.read_on()
            self._known[topic] = found.read_to

    @property
    def late(self) -> int:
        """How many outputs are not there yet."""
        return sum(map(len, self._late.values()))

    def compare(self, topic: str, whose: Whose, record: Made) -> None:
        """Holds one output, the next of its operator there, against the topic; remembers it if it isn't there yet."""
        self._due[topic, whose] = record.out_seq + 1
        entry = self._found[topic].entry(whose, record.out_seq)
        if entry is None:
            self._late.setdefault((topic, whose), []).append(record)
        else:
            self._match(topic, whose, record, entry)

    def await_late(self, where: str) -> None:
        """Waits for outputs that are not on the topics yet, as long as some come; reports what stays away."""
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
                self._run.progress(f"{where}, waiting for the {self._maker}", self._report)
                time.sleep(0.2)
        for (topic, whose), records in self._late.items():
            for _, hole in groupby(enumerate(records), key=lambda item: item[1].out_seq - item[0]):
                self._miss(topic, whose, [record for _, record in hole])
        self._late.clear()

    def end(self, passed: Callable[[Whose], bool]) -> None:
        """Reports what lay on the topics before the root was read, and it doesn't give; but of those `passed`."""
        for topic, found in self._found.items():
            for whose, entries in found.entries.items():
                due = self._due[topic, whose]
                extra = sorted(n for n, e in entries.items() if n >= due and e.offset < self._known[topic])
                if extra and not passed(whose):
                    entry = entries[extra[0]]
                    in_all = f"{due} in all" + counted(len(extra))
                    reason = f"output {extra[0]} of {whose.operator} is not what {self._give}: they give {in_all}"
                    at = Position(topic, self._partition, entry.offset)
                    there = shown(decode(found.value_at(entry.offset)))
                    self._report.add(Problem(at, whose.key, reason, "", there))
            self._report.add(*found.problems)
            self._report.copies += found.copies

    def _miss(self, topic: str, whose: Whose, records: list[Any]) -> None:
        """Reports neighbouring outputs that are not there."""
        inside = [record for record in records if self._asked.has(time_of(record))]
        if not inside:
            return
        found = self._found[topic]
        behind = found.next_after(whose, records[-1].out_seq)
        reason = f"output {inside[0].out_seq} of {whose.operator} is missing" + counted(len(inside))
        at = found.read_to if behind is None else behind.offset
        there = "" if behind is None else shown(decode(found.value_at(behind.offset)))
        self._report.add(Problem(Position(topic, self._partition, at), whose.key, reason, shown(inside[0]), there))

    def _match(self, topic: str, whose: Whose, record: Made, entry: Entry) -> None:
        if not self._asked.has(time_of(record)):
            return
        self._report.count(topic)
        if digest_of(value_of(record, self._keys, entry.key_id)) != entry.digest:
            at = Position(topic, self._partition, entry.offset)
            expected, there = "", ""
            if not self._report.is_full:
                expected, there = differing(record, self._found[topic].value_at(entry.offset))
            reason = f"output {record.out_seq} of {whose.operator} is not what {self._give}"
            self._report.add(Problem(at, whose.key, reason, expected, there))


def time_of(record: Any) -> int:
    """Market time of a derived record, milliseconds UTC; of the desk's, when the entry was taken."""
    found: int = record.taken_us // 1_000 if hasattr(record, "taken_us") else record.time_ms
    return found


def counted(count: int) -> str:
    """How many there are, if there are several."""
    return f" ({count:,} in all)" if count > 1 else ""
