"""Reads `reference` as far as a block asks: its ReferenceView never lags behind what a writer had read."""

from __future__ import annotations

import threading
import time

from infra.chain_follower import ChainFollower, ChainStopped, Standing, read_repairs, stopped_message
from infra.errors import NotReady
from infra.kafka import end_of
from schemas.accept import Head, Verdict
from schemas.chains import REFERENCE_CHAIN
from schemas.events import ReferenceOpen, ReferenceRecord
from schemas.integrity import KeyRing
from schemas.ticks import TickBlock
from streams.reference import ReferenceView

WAIT_S = 30.0


class ReferenceFollower:
    """The records of `reference` so far as a view, read on when a block carries a number above its last."""

    def __init__(self, bootstrap: str, keys: KeyRing) -> None:
        self.view = ReferenceView()
        self._bootstrap = bootstrap
        self._lock = threading.Lock()
        repairs = read_repairs(bootstrap, keys)
        self._follower = ChainFollower(bootstrap, "reference", REFERENCE_CHAIN, keys, Standing(Head(), 0, 0), repairs)
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

    def read_on(self) -> int:
        """Reads what has come; the last reference number. Raises ChainStopped, Unreachable."""
        with self._lock:
            self._follower.read_to(end_of(self._bootstrap, "reference", 0), self._seen)
            if self._follower.head.stopped:
                raise ChainStopped(stopped_message("reference", self._follower.head))
            return self.view.last

    def read_until(self, ref_no: int) -> None:
        """Reads until the view has `ref_no`. Raises NotReady if it doesn't come: the topic's tail is missing."""
        deadline = time.monotonic() + WAIT_S
        while self.read_on() < ref_no:
            if time.monotonic() > deadline:
                raise NotReady(
                    f"ticks were written with reference number {ref_no}, and reference ends at {self.view.last}: "
                    "records of it are missing; `tickledger verify` says which"
                )
            time.sleep(0.05)

    def _seen(self, record: TickBlock | ReferenceRecord | ReferenceOpen, verdict: Verdict) -> None:
        if verdict is Verdict.TAKE and not isinstance(record, TickBlock):
            self.view.apply(record)
