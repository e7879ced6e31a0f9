"""What the tests of the importer share: files, a listing of their own, and the log as it lies on the topic."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from infra.chain_follower import ChainFollower, Standing
from infra.clock import FixedClock
from infra.kafka import end_of, read_range
from infra.keys import load_or_create, ring_file
from infra.reference_log import read_reference
from producers.clocks import parse_zone
from producers.importer import Importer, ImportRequest, ImportResult
from producers.listing_spec import spec_of
from schemas.accept import Head, Verdict
from schemas.catalogue import partition_of
from schemas.events import ListingSpec, SourceEvent
from schemas.identity import Listing
from schemas.integrity import KeyRing
from schemas.registry import UnreadableRecord, decode
from schemas.ticks import BlockKind, TickBlock
from tests.conftest import TestStack

NOW_US = 1_790_000_000_000_000
"""2026-09-21."""


class Market:
    """A listing that no other test uses, on the shared stack."""

    def __init__(self, stack: TestStack, folder: Path, symbol: str = "EURUSD") -> None:
        self.kafka, self.folder = stack.kafka, folder
        self.keys: KeyRing = load_or_create(stack.settings)
        self.ring: Path = ring_file(stack.settings)
        self.listing = Listing(f"t{uuid4().hex[:10]}", symbol)
        self.verdicts: list[Verdict] = []

    def again(self) -> Market:
        """Another listing in the same place."""
        other = Market.__new__(Market)
        other.__dict__.update(self.__dict__)
        other.listing = Listing(f"t{uuid4().hex[:10]}", self.listing.symbol)
        return other

    def file(self, name: str, rows: str | bytes) -> Path:
        """A LEAN file: a zip if so named."""
        path = self.folder / name
        data = rows if isinstance(rows, bytes) else rows.encode()
        if path.suffix != ".zip":
            path.write_bytes(data)
            return path
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name[:8]}_quote.csv", data)
        return path

    def do_import(self, *files: Path, tz: str | None = "UTC", **more: Any) -> ImportResult:
        """Imports in this process."""
        wait = more.pop("wait", None)
        progress = more.pop("progress", lambda _: None)
        importer = Importer(self.kafka, self.keys, FixedClock(NOW_US), progress=progress, wait=wait)
        return importer.run(
            ImportRequest(listing=self.listing, files=files, zone=None if tz is None else parse_zone(tz), **more)
        )

    def blocks(self) -> list[TickBlock]:
        """The DATA blocks of its chain that a reader takes."""
        found: list[TickBlock] = []
        self.verdicts = []
        start = Standing(Head(), 0, 0)
        follower = ChainFollower(self.kafka, "ticks", str(self.listing), self.keys, start, [])

        def seen(record: Any, verdict: Verdict) -> None:
            self.verdicts.append(verdict)
            if verdict is Verdict.TAKE and record.kind == BlockKind.DATA:
                found.append(record)

        follower.read_to(end_of(self.kafka, "ticks", follower.partition), seen)
        assert not follower.head.stopped
        return found

    def column(self, name: str) -> list[Any]:
        """One column of all ticks on its log."""
        blocks = self.blocks()
        return np.concatenate([getattr(block, name) for block in blocks]).tolist() if blocks else []

    def epochs(self) -> int:
        """How many times it was opened."""
        self.blocks()
        return self.verdicts.count(Verdict.TAKE) - len(self.blocks())

    def events(self) -> list[SourceEvent]:
        """What `sources` says of its feed."""
        partition = partition_of("sources", self.listing.feed)
        values = [m.value() or b"" for batch in read_range(self.kafka, "sources", partition) for m in batch]
        return [event for value in values for event in _event(value) if event.feed == self.listing.feed]

    def spec(self) -> ListingSpec | None:
        """What holds for it on `reference`."""
        return spec_of(str(self.listing), read_reference(self.kafka, self.keys)[0])


def _event(value: bytes) -> list[SourceEvent]:
    try:
        event = decode(value)
    except UnreadableRecord:
        return []
    return [event] if isinstance(event, SourceEvent) else []


def contents(blocks: list[TickBlock]) -> list[tuple[Any, ...]]:
    """What the blocks say, without what differs from writer to writer."""
    return [
        (
            block.first_n,
            block.seq,
            block.server_offset_s,
            block.gap,
            block.watermark_ms,
            *(column.tobytes() for column in (block.time_ms, block.bid, block.ask, block.flags, block.quality)),
        )
        for block in blocks
    ]
