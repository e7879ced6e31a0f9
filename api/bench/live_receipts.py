"""From what a live stack has written: how long after the receipt of the tick that proves it each thing was there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from api.bench.live_probe import Arrival
from infra.kafka import read_range
from schemas.catalogue import TOPICS
from schemas.events import Bar, Signal
from schemas.registry import decode
from schemas.ticks import BlockKind, decode_block
from schemas.trading import OrderPurpose, Submitted

Milliseconds = NDArray[np.float64]

BAR: Final = "bar"
SIGNAL: Final = "signal"
ORDER: Final = "order"
ROW: Final = "row"
GOALS: Final = {BAR: 15.0, SIGNAL: 30.0, ORDER: 60.0, ROW: 150.0}


@dataclass(frozen=True, slots=True)
class Receipts:
    """The blocks of a listing in their order: number of the first tick behind each, watermark, and when it came."""

    end_n: list[int] = field(default_factory=list)
    watermark_ms: list[int] = field(default_factory=list)
    received_us: list[int] = field(default_factory=list)

    def of_tick(self, n: int) -> int:
        """When tick `n` came, market time in microseconds; 0 if it isn't there."""
        at = int(np.searchsorted(self.end_n, n, side="right"))
        return self.received_us[at] if at < len(self.end_n) else 0

    def of_time(self, time_ms: int) -> int:
        """When it was known that the listing's time had got there; 0 if it isn't."""
        at = int(np.searchsorted(self.watermark_ms, time_ms))
        return self.received_us[at] if at < len(self.watermark_ms) else 0


@dataclass(frozen=True, slots=True)
class Ticks:
    """What lies on `ticks`."""

    listings: Mapping[str, Receipts]
    blocks: Mapping[int, list[tuple[int, int, int]]]
    """Of each partition, of those that are measured: (offset, received_us, ticks)."""
    count: int
    from_us: int
    """What was received since then, market time, is measured."""

    @property
    def measured(self) -> int:
        """How many ticks."""
        return sum(size for own in self.blocks.values() for _, _, size in own)

    def through_s(self, late: Iterable[Milliseconds]) -> float:
        """Seconds until the last of them had come, and as long after that as the latest that follows from one took."""
        last_us = max((us for own in self.blocks.values() for _, us, _ in own), default=self.from_us)
        latest_ms = max((float(own.max()) for own in late if len(own)), default=0.0)
        return (last_us - self.from_us) / 1e6 + latest_ms / 1000


def read_ticks(bootstrap: str, from_us: int) -> Ticks:
    """All blocks; those received from `from_us` on are measured. Raises Unreachable."""
    listings: dict[str, Receipts] = defaultdict(Receipts)
    blocks: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    count = 0
    for partition in range(TOPICS["ticks"].partitions):
        for batch in read_range(bootstrap, "ticks", partition):
            for message in batch:
                block = decode_block(message.value() or b"")
                if block.kind != BlockKind.DATA:
                    continue
                own = listings[block.listing]
                own.end_n.append(block.first_n + block.size)
                own.watermark_ms.append(max(block.watermark_ms, own.watermark_ms[-1] if own.watermark_ms else 0))
                own.received_us.append(block.received_us)
                if block.received_us >= from_us:
                    blocks[partition].append((message.offset() or 0, block.received_us, block.size))
                count += block.size
    return Ticks(listings, blocks, count, from_us)


def of_bars(arrivals: Iterable[Arrival], ticks: Ticks, market_us: Callable[[int], int]) -> Milliseconds:
    """Of each bar: from the block that says that its time is over until the bar could be read."""
    found = []
    for arrival in arrivals:
        record = decode(arrival.value) if arrival.topic == "bars" else None
        if isinstance(record, Bar):
            proof = ticks.listings[record.listing].of_time(record.time_ms + record.timeframe.ms)
            if proof >= ticks.from_us:
                found.append((market_us(arrival.mono_ns) - proof) / 1000)
    return np.array(found)


def of_signals(arrivals: Iterable[Arrival], ticks: Ticks, market_us: Callable[[int], int]) -> Milliseconds:
    """Of each signal: from its tick until the signal could be read."""
    found = []
    for arrival in arrivals:
        record = decode(arrival.value) if arrival.topic == "signals" else None
        if isinstance(record, Signal):
            tick_us = ticks.listings[record.listing].of_tick(record.n)
            if tick_us >= ticks.from_us:
                found.append((market_us(arrival.mono_ns) - tick_us) / 1000)
    return np.array(found)


def of_orders(arrivals: Sequence[Arrival], ticks: Ticks, at_terminal_ms: Mapping[int, int]) -> Milliseconds:
    """Of each entry that got to the terminal, at `at_terminal_ms` (UTC, by order number): from its signal's tick."""
    signals: dict[tuple[str, str, int], Signal] = {}
    entries: list[Submitted] = []
    for arrival in arrivals:
        if arrival.topic in ("signals", "orders"):
            record = decode(arrival.value)
            if isinstance(record, Signal):
                signals[record.operator, record.listing, record.out_seq] = record
            elif isinstance(record, Submitted) and record.purpose is OrderPurpose.ENTRY:
                entries.append(record)
    found = []
    for entry in entries:
        signal = signals.get((entry.signal_operator, entry.signal_listing, entry.signal_seq))
        if signal is not None and entry.order_no in at_terminal_ms:
            tick_us = ticks.listings[signal.listing].of_tick(signal.n)
            if tick_us >= ticks.from_us:
                found.append(at_terminal_ms[entry.order_no] - tick_us / 1000)
    return np.array(found)


def of_rows(
    seen: Mapping[int, Sequence[tuple[int, int]]], ticks: Ticks, market_us: Callable[[int], int]
) -> Milliseconds:
    """Of each tick: from its receipt until its row could be read."""
    found: list[NDArray[np.float64]] = []
    for partition, blocks in ticks.blocks.items():
        moves = np.array(seen[partition], np.int64).reshape(-1, 2)
        own = np.array(blocks, np.int64)
        at = np.searchsorted(moves[:, 1], own[:, 0], side="right")
        own, at = own[at < len(moves)], at[at < len(moves)]
        there_us = np.array([market_us(int(ns)) for ns in moves[at, 0]], np.int64)
        found.append(np.repeat((there_us - own[:, 1]) / 1000, own[:, 2]))
    return np.concatenate(found) if found else np.empty(0)
