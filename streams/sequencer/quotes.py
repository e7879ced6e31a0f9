"""The newest quotes of an account's listings, second by second, from `ticks` through accept()."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from infra.anchors import chain_name, read_anchors
from infra.chain_follower import ChainStopped, Standing, read_repairs, read_tail, standing_at
from infra.errors import Unreachable
from infra.kafka import GATHERED, REQUEST_TIMEOUT_S, end_of, ends, new_consumer, read_range, split_batch, take
from schemas.accept import Head, Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains, Position
from schemas.events import Anchor
from schemas.integrity import KeyRing
from schemas.journal_columns import ClockRows
from schemas.quality import BROKEN
from schemas.ticks import BlockKind, TickBlock
from streams.alarms import Alarms

SECOND_US: Final = 1_000_000
TOPIC: Final = "ticks"
_NEVER: Final = 2**63 - 1
_TAIL_TICKS: Final = 64
"""So far back from its end a chain is searched for a good tick."""


class Quote(NamedTuple):
    """A listing's newest good tick, and its watermark."""

    n: int
    time_ms: int
    bid: float
    ask: float
    quality: int
    watermark_ms: int


class Quotes:
    """Follows the chains of ticks of the listings that are watched.

    A quote is due at the first whole second at or after the time at which its tick was received: what came later isn't
    known then. One that is read after that second was clocked is due at the next.
    """

    def __init__(self, bootstrap: str, keys: KeyRing, alarms: Alarms) -> None:
        self._bootstrap, self._keys, self._alarms = bootstrap, keys, alarms
        self._chains = Chains(TOPIC, keys, read_repairs(bootstrap, keys))
        self._from: dict[str, int] = {}
        self._offsets: dict[int, int] = {}
        self._newest: dict[str, Quote] = {}
        self._due: dict[int, dict[str, Quote]] = {}
        self._consumer: Consumer | None = None

    @property
    def watched(self) -> frozenset[str]:
        """The listings so far."""
        return frozenset(self._from)

    def watch(self, listings: Iterable[str], now_us: int) -> None:
        """Follows these too, from their anchors on; their newest quotes are due at once. Raises Unreachable."""
        new = sorted(set(listings) - self._from.keys())
        if not new:
            return
        anchors, _ = read_anchors(self._bootstrap, self._keys)
        standings = {listing: self._standing(listing, anchors) for listing in new}
        read_already = frozenset(self._offsets)
        for listing, standing in standings.items():
            partition = partition_of(TOPIC, listing)
            if partition in read_already:
                self._read_up(listing, standing.scanned_to, now_us)
            else:
                known = self._offsets.get(partition, standing.scanned_to)
                self._offsets[partition] = min(known, standing.scanned_to)
        if self._consumer is None:
            self._consumer = new_consumer(self._bootstrap, **GATHERED)
        self._consumer.assign([TopicPartition(TOPIC, *place) for place in sorted(self._offsets.items())])
        self._read_to_ends(self._offsets.keys() - read_already, now_us)
        for listing in new:
            if listing not in self._newest:
                for block in read_tail(self._bootstrap, self._keys, listing, standings[listing], _TAIL_TICKS):
                    self._note(block, now_us)

    def poll(self, now_us: int, most: int = 500) -> int:
        """Takes what has come, without waiting; how many blocks. Raises Unreachable."""
        if self._consumer is None:
            return 0
        records, _ = split_batch(take(self._consumer, most, 0))
        for message in records:
            partition, offset = message.partition() or 0, message.offset() or 0
            self._offsets[partition] = offset + 1
            self._take(partition, offset, message.key(), message.value(), now_us)
        return len(records)

    def rows(self, after_us: int, to_us: int) -> ClockRows | None:
        """What is due at whole seconds up to `to_us`, by the second; what was due up to `after_us` comes with the first
        second after it. None if nothing is."""
        first = (after_us // SECOND_US + 1) * SECOND_US
        by_second: dict[int, dict[str, Quote]] = {}
        for second in sorted(s for s in self._due if s <= to_us):
            by_second.setdefault(max(second, first), {}).update(self._due.pop(second))
        if not by_second:
            return None
        names = sorted({name for quotes in by_second.values() for name in quotes})
        place = {name: i for i, name in enumerate(names)}
        told = [(s, place[name], *quote) for s, quotes in by_second.items() for name, quote in sorted(quotes.items())]
        us, listing, n, time_ms, bid, ask, quality, watermark_ms = zip(*told, strict=True)
        return ClockRows(
            tuple(names),
            np.array(us, np.int64),
            np.array(listing, np.int32),
            np.array(n, np.int64),
            np.array(time_ms, np.int64),
            np.array(bid, np.float64),
            np.array(ask, np.float64),
            np.array(quality, np.int32),
            np.array(watermark_ms, np.int64),
        )

    def close(self) -> None:
        """Ends its consumer."""
        if self._consumer is not None:
            self._consumer.close()

    def _standing(self, listing: str, anchors: Mapping[str, list[Anchor]]) -> Standing:
        """Sets the head of a listing's chain by its anchor; where to read on from it."""
        partition = partition_of(TOPIC, listing)
        anchor = anchors.get(chain_name(TOPIC, listing), [None])[-1]
        try:
            standing = standing_at(self._bootstrap, self._keys, listing, anchor)
            self._chains.heads[listing] = standing.head
            self._from[listing] = standing.scanned_to
        except ChainStopped as error:
            self._alarms.tell("no_quotes", listing, str(error), Position(TOPIC, partition, -1))
            standing = Standing(Head(), end_of(self._bootstrap, TOPIC, partition), 0)
            self._from[listing] = _NEVER
        return standing

    def _read_up(self, listing: str, start: int, now_us: int) -> None:
        """Reads a listing alone up to where its partition is read already."""
        partition = partition_of(TOPIC, listing)
        for batch in read_range(self._bootstrap, TOPIC, partition, start, self._offsets[partition]):
            for message in batch:
                if message.key() == listing.encode():
                    self._take(partition, message.offset() or 0, message.key(), message.value(), now_us)

    def _read_to_ends(self, partitions: Iterable[int], now_us: int) -> None:
        """Reads partitions up to their ends now. Raises Unreachable if nothing comes for a while before that."""
        assert self._consumer is not None
        left = {partition: ends(self._consumer, TOPIC, partition).high for partition in partitions}
        quiet_since = time.monotonic()
        while left := {partition: end for partition, end in left.items() if self._offsets[partition] < end}:
            if self.poll(now_us):
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > REQUEST_TIMEOUT_S:
                raise Unreachable(f"the broker gave nothing of ticks/{min(left)} for a while")
            else:
                time.sleep(0.002)

    def _take(self, partition: int, offset: int, key: bytes | None, value: bytes | None, now_us: int) -> None:
        begin = self._from.get((key or b"").decode(errors="replace"))
        if begin is None or offset < begin:
            return
        judged = self._chains.judge(partition, offset, key, value)
        self._alarms.note(judged)
        if judged.verdict is Verdict.TAKE and judged.record.kind == BlockKind.DATA:
            self._note(judged.record, now_us)

    def _note(self, block: TickBlock, now_us: int) -> None:
        good = np.flatnonzero((block.quality & BROKEN) == 0)
        before = self._newest.get(block.listing)
        if len(good):
            i = int(good[-1])
            tick = int(block.time_ms[i]), float(block.bid[i]), float(block.ask[i]), int(block.quality[i])
            quote = Quote(block.first_n + i, *tick, block.watermark_ms)
        elif before is not None:
            quote = before._replace(watermark_ms=block.watermark_ms)
        else:
            return
        self._newest[block.listing] = quote
        # A recorder whose clock goes ahead of this one's delays its quotes by a second at most.
        known_us = min(block.received_us, now_us)
        self._due.setdefault(-(-known_us // SECOND_US) * SECOND_US, {})[block.listing] = quote
