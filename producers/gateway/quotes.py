"""The quotes that prevailed at deals: the newest ticks of the account's listings, followed on `ticks`."""

from __future__ import annotations

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from infra.chain_follower import ChainStopped, Standing, read_repairs, standing_of
from infra.kafka import new_consumer, split_batch, take
from producers.gateway.newest_ticks import NewestTicks, Prevailing
from schemas.accept import Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains
from schemas.integrity import KeyRing
from schemas.quality import BROKEN
from schemas.ticks import TickBlock


class Quotes:
    """Follows the chains of listings, from their last anchors on. Raises Unreachable."""

    def __init__(self, bootstrap: str, keys: KeyRing) -> None:
        self._bootstrap, self._keys = bootstrap, keys
        self._chains = Chains("ticks", keys, read_repairs(bootstrap, keys))
        self._newest: dict[str, NewestTicks] = {}
        self._watermarks: dict[str, int] = {}
        self._positions: dict[int, int] = {}
        self._consumer: Consumer | None = None

    def follow(self, listing: str) -> None:
        """Follows a listing from now on, with what is on the log since its last anchor; one whose chain stands still
        has no quotes."""
        if listing in self._newest:
            return
        self._newest[listing], self._watermarks[listing] = NewestTicks(), 0
        try:
            standing = standing_of(self._bootstrap, self._keys, listing)
        self._runs[listing], self._kept[listing], self._watermarks[listing] = deque(), 0, 0
        if standing is None:
            return
        self._chains.heads[listing] = standing.head
        partition = partition_of("ticks", listing)
        self._positions[partition] = min(self._positions.get(partition, standing.scanned_to), standing.scanned_to)
        self._assign()

    def poll(self) -> None:
        """Takes what has come; never waits."""
        if self._consumer is None:
            return
        while records := split_batch(take(self._consumer, 1_000, 0))[0]:
            for message in records:
                partition, offset = message.partition() or 0, message.offset() or 0
                self._positions[partition] = offset + 1
                key = message.key() or b""
                if key.decode(errors="replace") not in self._newest:
                    continue
                judged = self._chains.judge(partition, offset, key, message.value())
                if judged.verdict is Verdict.TAKE:
                    self._add(judged.record)

    def at(self, listing: str, time_ms: int) -> Prevailing | None:
        """The newest good tick at or before a time, UTC; None if none is known that early or the listing isn't."""
        newest = self._newest.get(listing)
        return None if newest is None else newest.at(time_ms)

    def knows(self, listing: str, time_ms: int) -> bool:
        """Whether the log has every tick up to that time, so that `at` won't change any more."""
        return self._watermarks.get(listing, 0) > time_ms

    def close(self) -> None:
        """Ends its consumer."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _assign(self) -> None:
        if self._consumer is None:
            self._consumer = new_consumer(self._bootstrap)
        self._consumer.assign([TopicPartition("ticks", p, offset) for p, offset in self._positions.items()])

    def _add(self, block: TickBlock) -> None:
        listing = block.listing
        self._watermarks[listing] = max(self._watermarks[listing], block.watermark_ms)
        good = np.flatnonzero((np.asarray(block.quality) & BROKEN) == 0)
        if len(good):
            columns = (np.asarray(block.time_ms)[good], np.asarray(block.bid)[good], np.asarray(block.ask)[good])
            self._newest[listing].add(good + block.first_n, *columns)
