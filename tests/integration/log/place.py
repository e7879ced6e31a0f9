"""A listing that no other test uses, and its chain on a real broker: input number k is a tick with bid k + 1."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT
from typing import Any
from uuid import uuid4

import numpy as np

from infra.chain_follower import Standing
from infra.clock import Clock, SystemClock
from infra.kafka import new_producer, read_range, send_and_wait
from infra.keys import load_or_create, ring_file
from infra.tick_writer import TickWriter
from schemas.accept import Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains, Judged
from schemas.integrity import KeyRing
from schemas.ticks import BlockKind, TickBlock, TickSource
from tests.conftest import TestStack
from tests.records import ticks

ROOT = Path(__file__).parents[3]


def inputs(first: int, count: int) -> TickBlock:
    """The inputs from `first` on, as columns for a writer."""
    return ticks(count, 1_399_334_400_000 + 10 * first)._replace(bid=first + 1.0 + np.arange(count))


def write(writer: TickWriter, blocks: int, count: int = 3) -> None:
    """Hands over the next inputs, in blocks of `count`."""
    for _ in range(blocks):
        writer.write(
            ref_no=0, received_us=0, server_offset_s=0, gap=False, watermark_ms=0,
            columns=inputs(writer.head.n, count),
        )  # fmt: skip


class Place:
    """One listing on the stack."""

    def __init__(self, stack: TestStack) -> None:
        self.kafka = stack.kafka
        self.keys: KeyRing = load_or_create(stack.settings)
        self.ring: Path = ring_file(stack.settings)
        self.listing = f"t{uuid4().hex[:10]}/EURUSD"
        self.partition = partition_of("ticks", self.listing)

    def writer(self, start: Standing | None = None, clock: Clock | None = None, **more: Any) -> TickWriter:
        """A writer of the chain, not yet open."""
        clock = clock or SystemClock()
        return TickWriter(self.kafka, self.keys, clock, self.listing, TickSource.IMPORT, start=start, **more)

    def put(self, value: bytes, key: str | None = "") -> int:
        """Puts a record onto the listing's partition, past every writer; its offset."""
        producer = new_producer(self.kafka, **{"message.max.bytes": 1_005_000})
        return send_and_wait(producer, "ticks", self.partition, self.listing if key == "" else key, value)

    def judged(self) -> list[Judged]:
        """What a reader of everything makes of the records under the listing's key."""
        chains = Chains("ticks", self.keys)
        return [
            chains.judge(self.partition, message.offset() or 0, message.key(), message.value())
            for batch in read_range(self.kafka, "ticks", self.partition)
            for message in batch
            if message.key() == self.listing.encode()
        ]

    def verdicts(self) -> Counter[Verdict]:
        """How often each verdict comes."""
        return Counter(j.verdict for j in self.judged())

    def written(self) -> int:
        """How many inputs the chain has; each is there once, and in order."""
        taken = [j.record for j in self.judged() if j.verdict is Verdict.TAKE and j.record.kind == BlockKind.DATA]
        bids = np.concatenate([block.bid for block in taken]) if taken else np.empty(0)
        assert bids.tolist() == list(range(1, len(bids) + 1))
        return len(bids)

    @contextmanager
    def child(self) -> Iterator[subprocess.Popen[str]]:
        """A process that writes to the chain until it is ended."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.integration.log.writing", self.kafka, str(self.ring), self.listing],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(SIGCONT)
                process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def until(process: subprocess.Popen[str], enough: Callable[[str], bool]) -> list[str]:
    """Reads its lines until one is enough, or it ends."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if enough(lines[-1]):
            break
    return lines
