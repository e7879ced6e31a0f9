"""The derived records that lie on a partition, as digests by operator, key and number, to compare with."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from infra.kafka import end_of, read_range
from schemas.accept import Verdict
from schemas.chains import Derivations, Judged, Partitions
from schemas.integrity import KeyRing
from streams.report import Problem

DIGEST_BYTES = 16


class Whose(NamedTuple):
    """Whose outputs: one operator's for one listing or account."""

    operator: str
    key: str


class Entry(NamedTuple):
    """One record: the digest of its bytes, where it lies, and the key that sealed it (empty if none does)."""

    digest: bytes
    offset: int
    key_id: str


def digest_of(value: bytes) -> bytes:
    """What records are compared by."""
    return hashlib.blake2b(value, digest_size=DIGEST_BYTES).digest()


class Found:
    """What one partition of a derived topic has, of each number the first; `read_on` takes what has come since.

    `problems`: records that can't be read or have a wrong MAC, and copies that differ. A copy that is the same to the
    byte is what a worker sends again after it was ended.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        partition: int,
        keys: KeyRing,
        key: str | None,
        partitions: Partitions | None = None,
    ) -> None:
        """`key`: the listing or account whose records count; None = all. `partitions`: as for Derivations."""
        self.topic, self.partition = topic, partition
        self.entries: dict[Whose, dict[int, Entry]] = {}
        self.problems: list[Problem] = []
        self.copies = 0
        self.read_to = 0
        self._bootstrap, self._key = bootstrap, key
        self._derivations = Derivations(topic, keys, partitions)

    def read_on(self) -> int:
        """Reads to the partition's end as it is now; how many records came."""
        end = end_of(self._bootstrap, self.topic, self.partition)
        came = 0
        for batch in read_range(self._bootstrap, self.topic, self.partition, self.read_to, end):
            for message in batch:
                came += 1
                offset, key, value = message.offset() or 0, message.key(), message.value()
                if self._key is None or key == self._key.encode():
                    self._take(self._derivations.judge(self.partition, offset, key, value), key, value or b"")
        self.read_to = max(self.read_to, end)
        return came

    def entry(self, whose: Whose, number: int) -> Entry | None:
        """The first record of that number."""
        return self.entries.get(whose, {}).get(number)

    def next_after(self, whose: Whose, number: int) -> Entry | None:
        """The record with the least number above `number`."""
        there = self.entries.get(whose, {})
        above = min((n for n in there if n > number), default=None)
        return None if above is None else there[above]

    def value_at(self, offset: int) -> bytes:
        """The bytes of one record."""
        for batch in read_range(self._bootstrap, self.topic, self.partition, offset, offset + 1):
            return batch[0].value() or b""
        return b""

    def _take(self, judged: Judged, key: bytes | None, value: bytes) -> None:
        name = (key or b"").decode(errors="backslashreplace")
        if judged.verdict is Verdict.FORGED:
            self.problems.append(Problem(judged.position, name, f"forged: {judged.reason}"))
            return
        # Also one that came with numbers missing before it: they may come later, or be missed.
        record = judged.record
        entries = self.entries.setdefault(Whose(record.operator, name), {})
        entry = Entry(digest_of(value), judged.position.offset, getattr(record, "key_id", ""))
        first = entries.setdefault(record.out_seq, entry)
        if first is entry:
            return
        self.copies += 1
        if first.digest != entry.digest:
            reason = f"a copy of output {record.out_seq} of {record.operator} differs from the first one"
            self.problems.append(Problem(judged.position, name, f"{reason}, at offset {first.offset}"))
