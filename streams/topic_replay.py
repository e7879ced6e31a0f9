"""The replay driver's way through a partition of `ticks`: as fast as HMAC and decoding go.

Records are read in batches and their runs folded at once; whatever is no plain next link goes through accept() one by
one. What comes out is what `replay` gives of the same blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from infra.kafka import read_range
from schemas import codec
from schemas.accept import Verdict
from schemas.chains import Chains, Judged
from schemas.integrity import KeyRing
from schemas.runs import RunReader
from schemas.ticks import BlockKind
from streams.fold import ListingFold, Output, Programs
from streams.programs import program_of
from streams.reference import ReferenceView
from streams.run_segments import run_segments

BATCH: Final = 200


class Record(NamedTuple):
    """A record of the partition."""

    offset: int
    key: bytes | None
    value: bytes | None


class PartitionReplay:
    """Folds one partition from its first record on. `judged` gets every record that is not taken as a plain link."""

    def __init__(
        self,
        partition: int,
        keys: KeyRing,
        reference: ReferenceView,
        *,
        programs: Programs = program_of,
        judged: Callable[[Judged], None] = lambda _: None,
    ) -> None:
        self.chains = Chains("ticks", keys, reference.repairs)
        self.folds: dict[str, ListingFold] = {}
        self.partition, self._reference = partition, reference
        self._programs, self._judged = programs, judged
        self._runs = RunReader(self.chains, keys, partition)

    def fold(self, records: Sequence[Record]) -> Iterator[Output]:
        """The outputs of the next records. Those of different listings may be out of the order of their records; each
        listing's are in order. Raises as ListingFold.fold does."""
        by_key: dict[bytes | None, list[Record]] = {}
        for record in records:
            by_key.setdefault(record.key, []).append(record)
        for key, some in by_key.items():
            yield from self._fold(key, some)

    def _fold(self, key: bytes | None, records: list[Record]) -> Iterator[Output]:
        values = [record.value for record in records]
        at, most = 0, len(records)
        while at < len(records):
            run = self._runs.read(key, values[at : at + most])
            if run is None:
                yield from self._one(records[at])
                at, most = at + 1, 1
                continue
            first, last = int(run.heads[0, codec.SEQ]), int(run.heads[-1, codec.SEQ])
            yield from self._fold_of(run.listing).fold_run(first, last, run_segments(run))
            # After a record of another kind there may be more of them: reading far ahead then is work for nothing.
            at, most = at + run.links, 2 * most

    def _one(self, record: Record) -> Iterator[Output]:
        judged = self.chains.judge(self.partition, record.offset, record.key, record.value)
        self._judged(judged)
        if judged.verdict not in (Verdict.TAKE, Verdict.REPAIRED):
            return
        fold, head, block = self._fold_of(judged.chain), self.chains.heads[judged.chain], judged.record
        if judged.verdict is Verdict.TAKE and block.kind == BlockKind.DATA:
            yield from fold.fold([block])
        if judged.verdict is Verdict.REPAIRED or (block.kind == BlockKind.DATA and head.seq != block.seq):
            fold.repaired(head.seq, head.n)

    def _fold_of(self, listing: str) -> ListingFold:
        fold = self.folds.get(listing)
        if fold is None:
            fold = self.folds[listing] = ListingFold(listing, self._reference, self._programs)
        return fold


def replay_topic(bootstrap: str, replay: PartitionReplay, start: int = 0, end: int | None = None) -> Iterator[Output]:
    """The outputs of a range of the partition, by default of all that is on it now. Raises Unreachable, and as
    `ListingFold.fold` does."""
    for batch in read_range(bootstrap, "ticks", replay.partition, start, end, batch=BATCH):
        yield from replay.fold([Record(m.offset() or 0, m.key(), m.value()) for m in batch])
