"""Reads `reference` as far as a block asks: its ReferenceView never lags behind what a writer had read."""

from __future__ import annotations

import threading
import time

from infra.chain_follower import ChainFollower, Standing, read_repairs
from infra.kafka import end_of
from schemas.accept import Head, Verdict
from schemas.chains import REFERENCE_CHAIN
from schemas.events import ReferenceOpen, ReferenceRecord, Repair
from schemas.integrity import KeyRing
from schemas.ticks import TickBlock
from streams.reference import ReferenceHole, ReferenceView

WAIT_S = 2.0
"""A block's reference number was on the log before the block was written; a broker that has just come back may for a
moment say that the topic ends earlier."""


class ReferenceFollower:
    """The records of `reference` so far as a view, read on when a block carries a number above its last.

    Where its chain stands still, the view ends: what was numbered before holds.
    """

    def __init__(self, bootstrap: str, keys: KeyRing, wait_s: float = WAIT_S) -> None:
        self.view = ReferenceView()
        self.repairs = read_repairs(bootstrap, keys)
        self.hole = ""
        self._bootstrap, self._keys, self._wait_s = bootstrap, keys, wait_s
        self._lock = threading.Lock()
        start = Standing(Head(), 0, 0)
        self._follower = ChainFollower(bootstrap, "reference", REFERENCE_CHAIN, keys, start, self.repairs)
        self.read_on()

    @property
    def head(self) -> Head:
        """Where the chain of reference stands."""
        return self._follower.head

    @property
    def head_offset(self) -> int:
        """Offset of the head's record; -1 if the chain is empty."""
        return self._follower.head_offset

    @property
    def scanned_to(self) -> int:
        """The offset up to which the topic was read."""
        return self._follower.scanned_to

    def end(self) -> int:
        """Where the topic ends; nothing is read. Raises Unreachable."""
        return end_of(self._bootstrap, "reference", 0)

    def read_on(self, end: int = -1) -> int:
        """Reads what has come, or up to `end` if that was asked before; the last number. Raises Unreachable."""
        with self._lock:
            end = end if end >= 0 else self.end()
            if end > self.scanned_to:
                self._follower.read_to(end, self._seen)
            return self.view.last

    def read_until(self, ref_no: int) -> bool:
        """Reads until the view has `ref_no`; False if it doesn't come: records are missing, or it stands still."""
        deadline = time.monotonic() + self._wait_s
        # To ask the broker takes long, and the first block after a new record does it for those of all other listings.
        while self.view.last < ref_no and self.read_on() < ref_no:
            if time.monotonic() > deadline or self.head.stopped or self.hole:
                return False
            time.sleep(0.05)
        return True

    def look_for_repairs(self) -> list[Repair]:
        """The Repairs that have come since the last look."""
        known = {(r.topic, r.partition, r.offset, r.value_sha256) for r in self.repairs}
        self.repairs = read_repairs(self._bootstrap, self._keys)
        return [r for r in self.repairs if (r.topic, r.partition, r.offset, r.value_sha256) not in known]

    def _seen(self, record: TickBlock | ReferenceRecord | ReferenceOpen, verdict: Verdict) -> None:
        if verdict is Verdict.TAKE and not isinstance(record, TickBlock) and not self.hole:
            try:
                self.view.apply(record)
            except ReferenceHole as error:
                self.hole = str(error)
