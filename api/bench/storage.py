"""`bench storage`: bytes a tick on the topic, by the size of the broker's own files, on a broker of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from api.bench.result import Report, Result
from api.bench.sample_day import sample_blocks
from api.start import running_stack
from infra.chain_follower import ChainFollower, Standing
from infra.clock import SystemClock
from infra.kafka import COMPRESSION, COMPRESSION_LEVEL, LINGER_MS, end_of
from infra.keys import load_or_create
from infra.settings import load_settings
from infra.stack.home import Home
from infra.tick_writer import TickWriter
from producers.sample import SAMPLE_DAY
from schemas.accept import Head, Verdict
from schemas.catalogue import MAX_BLOCK_TICKS, partition_of
from schemas.events import ReferenceOpen, ReferenceRecord
from schemas.integrity import KeyRing
from schemas.ticks import TickBlock, TickSource

SIZES: Final = (2, 10, 100, MAX_BLOCK_TICKS)
GOALS: Final = {100: 12.0, MAX_BLOCK_TICKS: 11.0}
ALONE: Final = 150
COLUMNS: Final = ("time_ms", "bid", "ask", "last", "volume", "flags", "quality")


def run(sizes: Sequence[int] = SIZES) -> Report:
    """Measures blocks of each size; what was read back of each listing is first held equal to the file's ticks."""
    results: list[Result] = []
    equal = True
    days = {file.listing.partition("/")[0]: sample_blocks(file, ref_no=0) for file in SAMPLE_DAY}
    shares = []
    with tempfile.TemporaryDirectory(prefix="tickledger-bench-") as folder:
        settings = load_settings(home=Path(folder) / "home")
        keys = load_or_create(settings)
        with running_stack(settings, frozenset({"kafka"})) as running:
            for size in sizes:
                ticks = stored = 0
                for feed, day in days.items():
                    listing = f"{feed}-{size}/EURUSD"
                    before = _stored(Home(running.home), listing)
                    _write(running.kafka, keys, listing, day, size)
                    equal &= _same(day, _read(running.kafka, keys, listing))
                    bytes_of_it = _stored(Home(running.home), listing) - before
                    ticks_of_it = sum(block.size for block in day)
                    shares.append(f"{listing} {bytes_of_it / ticks_of_it:.2f}")
                    ticks, stored = ticks + ticks_of_it, stored + bytes_of_it
                results.append(
                    Result(f"storage.block{size}.bytes_per_tick", stored / ticks, "bytes", GOALS.get(size), "lower")
                )
            alone = _alone(running.kafka, keys, Home(running.home), next(iter(days.values())))
            results.append(Result("storage.block100.alone.bytes_per_tick", alone, "bytes", None, "lower"))
    notes = [
        f"the sample day of {', '.join(days)} ({sum(b.size for day in days.values() for b in day):,} ticks: bid and "
        "ask, no deals), every block with its MACs, by the size of the broker's segment files",
        f"written as fast as the broker takes it: {COMPRESSION} level {COMPRESSION_LEVEL}, linger {LINGER_MS} ms, so "
        "that small blocks are compressed many together",
        f"alone: {ALONE} blocks of 100, each on the log before the next is sent, as live polls are",
        f"bytes a tick: {', '.join(shares)}",
    ]
    return Report("storage", equal, results if equal else [], notes)


def _write(bootstrap: str, keys: KeyRing, listing: str, day: list[TickBlock], size: int) -> None:
    with TickWriter(bootstrap, keys, SystemClock(), listing, TickSource.IMPORT) as writer:
        writer.open()
        for piece in _pieces(day, size):
            _put(writer, piece)
        writer.drain()


def _alone(bootstrap: str, keys: KeyRing, home: Home, day: list[TickBlock]) -> float:
    """Bytes a tick of blocks of 100 that are compressed each by itself."""
    listing = "alone/EURUSD"
    ticks = 0
    with TickWriter(bootstrap, keys, SystemClock(), listing, TickSource.IMPORT) as writer:
        writer.open()
        before = _stored(home, listing)
        for piece in islice(_pieces(day, 100), ALONE):
            _put(writer, piece)
            writer.drain()
            ticks += piece.size
    return (_stored(home, listing) - before) / ticks


def _put(writer: TickWriter, piece: TickBlock) -> None:
    writer.write(
        ref_no=0,
        received_us=piece.received_us,
        server_offset_s=piece.server_offset_s,
        gap=False,
        watermark_ms=int(piece.time_ms[-1]),
        columns=piece,
    )


def _pieces(day: list[TickBlock], size: int) -> Iterator[TickBlock]:
    for block in day:
        for at in range(0, block.size, size):
            yield block._replace(**{name: getattr(block, name)[at : at + size] for name in COLUMNS})


def _read(bootstrap: str, keys: KeyRing, listing: str) -> list[TickBlock]:
    found: list[TickBlock] = []
    follower = ChainFollower(bootstrap, "ticks", listing, keys, Standing(Head(), 0, 0), [])

    def seen(record: TickBlock | ReferenceRecord | ReferenceOpen, verdict: Verdict) -> None:
        if verdict is Verdict.TAKE and isinstance(record, TickBlock):
            found.append(record)

    follower.read_to(end_of(bootstrap, "ticks", follower.partition), seen)
    return found


def _same(day: list[TickBlock], found: list[TickBlock]) -> bool:
    """Whether the log has the day's ticks, to the last bit."""

    def column(blocks: list[TickBlock], name: str) -> bytes:
        return np.concatenate([getattr(block, name) for block in blocks]).tobytes()

    return all(column(day, name) == column(found, name) for name in COLUMNS)


def _stored(home: Home, listing: str) -> int:
    """Bytes in the segments of the listing's partition."""
    return sum(file.stat().st_size for file in home.kafka.rglob(f"ticks-{partition_of('ticks', listing)}/*.log"))
