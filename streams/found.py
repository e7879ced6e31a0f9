"""The derived records that lie on a partition, as digests by operator, listing and number, to compare with."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from infra.kafka import end_of, read_range
from schemas.accept import Verdict
from schemas.chains import Derivations, Judged, Position
from schemas.integrity import KeyRing

DIGEST_BYTES = 16


class Whose(NamedTuple):
    """Whose outputs: one operator's for one listing."""

    operator: str
    listing: str


class Entry(NamedTuple):
    """One record: the digest of its bytes, where it lies, and the key that sealed it (empty if none does)."""

    digest: bytes
    offset: int
    key_id: str


class Problem(NamedTuple):
    """Something on a topic that is not as it must be. `expected` and `found` are short texts."""

    position: Position
    key: str
    reason: str
    expected: str = ""
    found: str = ""


def digest_of(value: bytes) -> bytes:
    """What records are compared by."""
    return hashlib.blake2b(value, digest_size=DIGEST_BYTES).digest()


class Found:
    """What one partition of a derived topic has; `read_on` takes what has come since."""

    def __init__(self, bootstrap: str, topic: str, partition: int, keys: KeyRing, listing: str | None) -> None:
        self.topic, self.partition = topic, partition
        self.entries: dict[Whose, list[Entry]] = {}
        self.problems: list[Problem] = []
        self.copies = 0
        self._bootstrap, self._listing = bootstrap, listing
        self._derivations = Derivations(topic, keys)
        self._next = 0

    def read_on(self) -> int:
        """Reads to the partition's end as it is now; how many records came."""
        end = end_of(self._bootstrap, self.topic, self.partition)
        came = 0
        for batch in read_range(self._bootstrap, self.topic, self.partition, self._next, end):
            for message in batch:
                came += 1
                offset, key, value = message.offset() or 0, message.key(), message.value()
                if self._listing is None or key == self._listing.encode():
                    self._take(self._derivations.judge(self.partition, offset, key, value), key, value or b"")
        self._next = max(self._next, end)
        return came

    def value_at(self, offset: int) -> bytes:
        """The bytes of one record."""
        for batch in read_range(self._bootstrap, self.topic, self.partition, offset, offset + 1):
            return batch[0].value() or b""
        return b""

    def _take(self, judged: Judged, key: bytes | None, value: bytes) -> None:
        name = (key or b"").decode(errors="backslashreplace")
        if judged.verdict is Verdict.FORGED:
            self.problems.append(Problem(judged.position, name, judged.reason))
            return
        record = judged.record
        entries = self.entries.setdefault(Whose(record.operator, record.listing), [])
        entry = Entry(digest_of(value), judged.position.offset, getattr(record, "key_id", ""))
        if judged.verdict is Verdict.TAKE:
            entries.append(entry)
        elif judged.verdict is Verdict.SEEN:
            self.copies += 1
            first = entries[record.out_seq]
            if first.digest != entry.digest:
                reason = f"a copy of output {record.out_seq} differs from the first one, at offset {first.offset}"
                self.problems.append(Problem(judged.position, name, reason))
        # AHEAD: numbers are missing before it. If they come later, so do copies of this one; if not, they are missed.
