"""The quotes that prevailed at deals: the newest ticks of the account's listings, followed on `ticks`."""

from __future__ import annotations

import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from infra.chain_follower import ChainStopped, Standing, read_repairs, standing_of
from infra.errors import Unreachable
from infra.kafka import GATHERED, new_consumer, split_batch, take
from infra.log import get
from producers.gateway.newest_ticks import NewestTicks, Prevailing
from schemas.accept import Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains
from schemas.integrity import KeyRing
from schemas.quality import BROKEN
from schemas.ticks import TickBlock, TickSource, decode_block, encode_block, open_block

log = get(__name__)

MOST_BLOCKS: Final = 100
"""Blocks of ticks that are taken at once: some 4 ms, for which an order may have to wait at each of its steps."""
READ_AHEAD: Final = {"queued.max.messages.kbytes": 4_096, "fetch.max.bytes": 2_097_152}
"""What is read ahead at most: memory doesn't grow with how much comes."""


class Quotes:
    """Follows the chains of listings, from their last anchors on. Raises Unreachable."""

    def __init__(self, bootstrap: str, keys: KeyRing) -> None:
        self._bootstrap, self._keys = bootstrap, keys
        # Its kernel is loaded now, not in front of the first deal.
        decode_block(encode_block(open_block("", 0, bytes(8), TickSource.LIVE, 0, "")))
        self._chains = Chains("ticks", keys, read_repairs(bootstrap, keys))
        self._newest: dict[str, NewestTicks] = {}
        self._watermarks: dict[str, int] = {}
        self._since: dict[str, float] = {}
        self._positions: dict[int, int] = {}
        self._finder = ThreadPoolExecutor(1, "standings")
        self._standings: dict[str, Future[Standing]] = {}
        """Of listings that are to be followed: where their chains stand, as far as it is found."""
        self._consumer: Consumer | None = None

    def follow(self, listing: str) -> None:
        """Follows a listing from now on, with what is on the log since its last anchor; one whose chain stands still
        has no quotes. Doesn't wait: where the chain stands is found meanwhile, and `poll` goes on from there. If it
        can't be found now, the next call tries again."""
        if listing not in self._newest:
            self._newest[listing], self._watermarks[listing], self._since[listing] = NewestTicks(), 0, math.inf
            self._standings[listing] = self._finder.submit(standing_of, self._bootstrap, self._keys, listing)

    def poll(self) -> None:
        """Takes what has come, MOST_BLOCKS at once; never waits."""
        self._begin()
        if self._consumer is None:
            return
        for message in split_batch(take(self._consumer, MOST_BLOCKS, 0))[0]:
            partition, offset = message.partition() or 0, message.offset() or 0
            self._positions[partition] = offset + 1
            key = message.key() or b""
            listing = key.decode(errors="replace")
            if listing not in self._newest or listing in self._standings:
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

    def since_s(self, listing: str) -> float:
        """Since when (time.monotonic) a listing's ticks are read; infinite while it isn't known from where."""
        return self._since.get(listing, 0.0)

    def close(self) -> None:
        """Ends its consumer."""
        self._finder.shutdown(cancel_futures=True)
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _begin(self) -> None:
        """Reads on from where chains stand that was found since the last time."""
        found = [listing for listing, standing in self._standings.items() if standing.done()]
        for listing in found:
            self._since[listing] = time.monotonic()
            try:
                standing = self._standings.pop(listing).result()
            except ChainStopped:
                continue
            except Unreachable as error:
                log.warning("no quotes", listing=listing, reason=str(error))
                del self._newest[listing], self._watermarks[listing], self._since[listing]
                continue
            self._chains.heads[listing] = standing.head
            partition = partition_of("ticks", listing)
            self._positions[partition] = min(self._positions.get(partition, standing.scanned_to), standing.scanned_to)
        if found and self._positions:
            self._assign()

    def _assign(self) -> None:
        if self._consumer is None:
            self._consumer = new_consumer(self._bootstrap, **GATHERED, **READ_AHEAD)
        self._consumer.assign([TopicPartition("ticks", p, offset) for p, offset in self._positions.items()])

    def _add(self, block: TickBlock) -> None:
        listing = block.listing
        self._watermarks[listing] = max(self._watermarks[listing], block.watermark_ms)
        good = np.flatnonzero((np.asarray(block.quality) & BROKEN) == 0)
        if len(good):
            columns = (np.asarray(block.time_ms)[good], np.asarray(block.bid)[good], np.asarray(block.ask)[good])
            self._newest[listing].add(good + block.first_n, *columns)
