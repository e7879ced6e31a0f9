"""Where the listings of a partition were left: by their snapshots and anchors, and by what lies behind those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from infra import anchors
from infra.kafka import read_range
from schemas.events import Anchor
from streams.catch_up import Start
from streams.snapshots import State

SCANNED_RECORDS = 100_000
"""How far back from its first record a partition is scanned for listings that were silent."""


class Starts:
    """What is known of a partition's listings before its first record; `begin` looks at what lies between."""

    def __init__(self, states: Iterable[State], newest: Iterable[Anchor]) -> None:
        self.left: dict[str, Start] = {}
        """Of each listing the newest place that is known of its chain."""
        for anchor in newest:
            listing = anchor.chain.partition("/")[2]
            self._know(listing, Start(anchors.head_of(anchor), anchor.offset, anchor.scanned_to))
        for state in states:
            self._know(state.listing, Start(state.head, state.offset, state.offset + 1))
        self._scanned_from = 0
        self._last: dict[bytes, int] = {}

    def begin(self, bootstrap: str, partition: int, first: int) -> None:
        """Scans back from the partition's first record, at offset `first`."""
        low = min((start.scanned_to for start in self.left.values()), default=first)
        self._scanned_from = min(first, max(low, first - SCANNED_RECORDS))
        if self._scanned_from < first:
            for batch in read_range(bootstrap, "ticks", partition, self._scanned_from, first):
                for message in batch:
                    self._last[message.key() or b""] = message.offset() or 0

    def silent_since(self, listing: str, start: Start) -> bool:
        """Whether nothing of the listing lies between `start` and the partition's first record, as far as is known."""
        return start.scanned_to >= self._scanned_from and self._last.get(listing.encode(), -1) < start.scanned_to

    def widened(self, listing: str, start: Start) -> Start:
        """`start` with all that an anchor of the same head says about how far nothing more lies."""
        left = self.left.get(listing)
        if left is not None and left.head == start.head:
            return start._replace(scanned_to=max(start.scanned_to, left.scanned_to))
        return start

    def silent(self) -> Mapping[str, Start]:
        """The listings of which nothing came between where they were left and the partition's first record."""
        return {name: start for name, start in self.left.items() if self.silent_since(name, start)}

    def _know(self, listing: str, start: Start) -> None:
        known = self.left.get(listing)
        if known is None or (start.head.epoch, start.head.seq, start.scanned_to) > (
            known.head.epoch,
            known.head.seq,
            known.scanned_to,
        ):
            self.left[listing] = start
