"""What the recorder needs of `reference`, followed while it runs: the newest number, specs and sessions."""

from __future__ import annotations

from typing import Any

from infra.chain_follower import ChainFollower, ChainStopped, Standing, read_repairs, stopped_message
from infra.kafka import end_of
from schemas.accept import Head, Verdict
from schemas.chains import REFERENCE_CHAIN
from schemas.configuration import SessionTable
from schemas.events import ListingSpec
from schemas.integrity import KeyRing


class LiveReference:
    """The records of `reference` so far. Raises ChainStopped, at the start, if its chain stands still."""

    def __init__(self, bootstrap: str, keys: KeyRing) -> None:
        self.specs: dict[str, ListingSpec] = {}
        """What holds for each listing."""
        self.sessions: dict[str, SessionTable] = {}
        """The same."""
        self._bootstrap = bootstrap
        repairs = read_repairs(bootstrap, keys)
        self._follower = ChainFollower(
            bootstrap, REFERENCE_CHAIN, REFERENCE_CHAIN, keys, Standing(Head(), 0, 0), repairs
        )
        self.read_to_end()
        if self._follower.head.stopped:
            raise ChainStopped(stopped_message(REFERENCE_CHAIN, self._follower.head))

    @property
    def ref_no(self) -> int:
        """The newest number, which blocks carry."""
        return self._follower.head.n

    def read_to_end(self) -> None:
        """Reads all that is there now. Raises Unreachable."""
        self._follower.read_to(end_of(self._bootstrap, REFERENCE_CHAIN, 0), self._seen)

    def read_on(self) -> None:
        """Reads what has come, without waiting for more."""
        while self._follower.poll(self._seen, 0):
            pass

    def close(self) -> None:
        """Ends its consumer."""
        self._follower.close()

    def _seen(self, record: Any, verdict: Verdict) -> None:
        if verdict is Verdict.TAKE and isinstance(record, ListingSpec):
            self.specs[record.listing] = record
        elif verdict is Verdict.TAKE and isinstance(record, SessionTable):
            self.sessions[record.listing] = record
