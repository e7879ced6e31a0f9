"""A log that tests write record by record, whole or damaged."""

from __future__ import annotations

from typing import Any

import numpy as np
from confluent_kafka import Producer

from infra.kafka import new_producer, send_and_wait
from schemas.catalogue import partition_of
from schemas.events import Bar, Event, OnOpposite, Side, Signal, SignalKind
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.registry import encode, seal
from schemas.ticks import BlockKind, TickBlock, TickSource, open_block, seal_block
from schemas.timeframes import Timeframe

KEYS = KeyRing({"k-test": bytes(range(32))}, "k-test")
START_MS = 1_399_334_400_000  # 2014-05-06


class Log:
    """Writes to the topics of a broker; the chains of ticks are linked here, without a writer's care."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.producer: Producer = new_producer(bootstrap)
        self.lost: list[str] = []

    def send(self, topic: str, key: str, value: bytes, partition: int | None = None) -> int:
        """The offset of a record that the broker has."""
        where = partition_of(topic, key) if partition is None else partition
        return send_and_wait(self.producer, topic, where, key, value)

    def post(self, topic: str, key: str, value: bytes) -> None:
        """Without waiting; `flush` does."""

        def delivered(error: object, _: object) -> None:
            if error is not None:
                self.lost.append(str(error))

        where = partition_of(topic, key)
        while True:
            try:
                self.producer.produce(topic, key=key.encode(), value=value, partition=where, on_delivery=delivered)
            except BufferError:
                self.producer.poll(0.1)
            else:
                self.producer.poll(0)
                return

    def flush(self) -> None:
        assert self.producer.flush(150) == 0
        assert self.lost == []


class Feed:
    """One listing's chain: OPENs and blocks, each linked to the one before."""

    def __init__(self, log: Log, listing: str, *, step_ms: int = 100) -> None:
        self.log, self.listing = log, listing
        self.epoch, self.nonce, self.seq, self.n, self.mac = 0, bytes(8), 0, 0, ZERO_MAC
        self.step_ms = step_ms

    def opened(self) -> bytes:
        """The value of an OPEN of the next epoch."""
        self.epoch += 1
        self.nonce = self.epoch.to_bytes(8, "big")
        block = open_block(self.listing, self.epoch, self.nonce, TickSource.IMPORT, START_MS * 1000, "k-test")
        return seal_block(block, KEYS)

    def block(self, size: int, **changes: Any) -> bytes:
        """The value of the next block of `size` good ticks; columns and fields can be given instead."""
        n = np.arange(self.n, self.n + size)
        bid = np.round(1.39 + (n % 97) * 1e-5, 5)
        block = TickBlock(
            kind=BlockKind.DATA,
            listing=self.listing,
            epoch=self.epoch,
            nonce=self.nonce,
            seq=self.seq + 1,
            first_n=self.n,
            ref_no=0,
            source=TickSource.IMPORT,
            received_us=START_MS * 1000,
            server_offset_s=10_800,
            gap=False,
            watermark_ms=START_MS,
            time_ms=START_MS + n * self.step_ms,
            bid=bid,
            ask=bid + 1e-4,
            last=np.empty(0),
            volume=np.empty(0),
            flags=np.full(size, 6, np.int32),
            quality=np.zeros(size, np.int32),
            key_id="k-test",
            prev=self.mac,
            mac=ZERO_MAC,
        )
        block = block._replace(**changes)
        value = seal_block(block, KEYS)
        self.seq, self.n, self.mac = block.seq, block.first_n + block.size, value[-16:]
        return value

    def open(self) -> int:
        return self.log.send("ticks", self.listing, self.opened())

    def write(self, size: int, **changes: Any) -> int:
        return self.log.send("ticks", self.listing, self.block(size, **changes))


def bar(listing: str, out_seq: int, **changes: Any) -> Bar:
    fields: dict[str, Any] = {
        "operator": "bars@1",
        "listing": listing,
        "out_seq": out_seq,
        "ref_no": 1,
        "timeframe": Timeframe.M1,
        "time_ms": START_MS + out_seq * 60_000,
        "server_offset_s": 10_800,
        "open": 1.39265,
        "high": 1.4,
        "low": 1.38,
        "close": 1.391,
        "ask_close": 1.3911,
        "ticks": 600,
        "spread_min": 9,
        "spread_mean": 10.5,
        "spread_max": 12,
        "volume": 0.0,
        "first_n": out_seq * 600,
        "last_n": out_seq * 600 + 599,
        "complete": out_seq > 0,
    }
    return Bar(**(fields | changes))


def signal(listing: str, out_seq: int, **changes: Any) -> Signal:
    fields: dict[str, Any] = {
        "operator": "berserker@2",
        "listing": listing,
        "out_seq": out_seq,
        "ref_no": 2,
        "kind": SignalKind.ENTER,
        "side": Side.LONG,
        "time_ms": START_MS + out_seq * 1000,
        "n": out_seq * 10 + 9,
        "from_n": out_seq * 10,
        "bid": 1.39265,
        "ask": 1.39275,
        "valid_for_ms": 5000,
        "stop_distance": 0.001,
        "target_distance": None,
        "max_hold_ms": 60_000,
        "on_opposite": OnOpposite.REVERSE,
        "cooldown_ms": 0,
        "strength": 1.5,
        "model": "",
        "message": "",
        "key_id": "k-test",
        "mac": ZERO_MAC,
    }
    return Signal(**(fields | changes))


def value_of(record: Event) -> bytes:
    """A record's value, sealed if it ends in a MAC."""
    topic = {"Bar": "bars", "Signal": "signals"}.get(type(record).__name__, "reference")
    return seal(record, topic, KEYS) if hasattr(record, "mac") else encode(record)
