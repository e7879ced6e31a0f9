"""Reading a listing's earlier records once more, a step at a time, so that other listings go on in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from confluent_kafka import Message

from infra.kafka import read_range
from schemas.accept import Head, Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains, Judged
from schemas.events import Repair
from schemas.integrity import KeyRing

STEP_RECORDS = 64
"""Records of the partition read in a step: at most a quarter of a million ticks, some tenths of a second."""


class Start(NamedTuple):
    """Where a listing was left: its chain's head, the offset of that record, up to where nothing more of it lies."""

    head: Head
    offset: int
    scanned_to: int


ZERO = Start(Head(), -1, 0)
"""The start of the log."""


class CatchUp:
    """The records of one listing from a start on, judged; `step` gives the next ones.

    `leads`: the listing's newer records are left to it as well, since only it knows where the chain stands.
    """

    def __init__(
        self, bootstrap: str, keys: KeyRing, repairs: Iterable[Repair], listing: str, start: Start, leads: bool
    ) -> None:
        self.listing, self.leads = listing, leads
        self.head_offset = start.offset
        self.next = start.scanned_to
        self._bootstrap = bootstrap
        self._partition = partition_of("ticks", listing)
        self._chains = Chains("ticks", keys, repairs)
        self._chains.heads[listing] = start.head
        self._repaired = {r.offset for r in repairs if (r.topic, r.chain) == ("ticks", listing)}
        self._batches: Iterator[list[Message]] | None = None
        self._end = 0

    @property
    def head(self) -> Head:
        """Where the chain stands by what was read."""
        return self._chains.heads[self.listing]

    def step(self, end: int) -> Iterator[Judged]:
        """Verdicts on the next records before offset `end`, each as it is reached; `next` moves on with them."""
        if self._batches is None:
            self._end = end
            self._batches = read_range(self._bootstrap, "ticks", self._partition, self.next, end, STEP_RECORDS)
        batch = next(self._batches, None)
        if batch is None:
            self.next, self._batches = max(self.next, self._end), None
            return
        key = self.listing.encode()
        for message in batch:
            offset = message.offset() or 0
            if message.key() == key or offset in self._repaired:
                judged = self._chains.judge(self._partition, offset, message.key(), message.value())
                if judged.verdict in (Verdict.TAKE, Verdict.REPAIRED):
                    self.head_offset = offset
                yield judged
            self.next = offset + 1
