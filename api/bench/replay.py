"""`bench replay`: ticks a second from the topic to bars, chain and MACs checked, in long blocks and in short ones."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from api.bench.result import Report, Result
from api.bench.sample_day import sample_blocks
from api.start import running_stack
from infra.clock import SystemClock
from infra.kafka import read_range
from infra.keys import load_or_create
from infra.reference_log import append_reference
from infra.settings import load_settings
from infra.tick_writer import TickWriter
from producers.lean import DAY_MS
from producers.listing_spec import wanted_spec
from producers.sample import SAMPLE_DAY
from schemas.accept import Verdict
from schemas.catalogue import MAX_BLOCK_TICKS, partition_of
from schemas.chains import Chains
from schemas.events import ListingSpec, OperatorActivation, ReferenceRecord
from schemas.integrity import KeyRing
from schemas.ticks import BlockKind, TickBlock, TickSource
from streams.fold import ListingFold, Output
from streams.operators.base import Operator
from streams.programs import NotRunnable, program_of
from streams.reference import ReferenceView
from streams.topic_replay import PartitionReplay, replay_topic

DAYS: Final = 40
"""The sample day of fxcm so many times over, each a day later: 4.1 million ticks."""

SIZES: Final = (MAX_BLOCK_TICKS, 100)
IDS: Final = {MAX_BLOCK_TICKS: "replay.bars.kafka", 100: "replay.block100"}
GOALS: Final = {MAX_BLOCK_TICKS: 12e6, 100: 5e6}
ROUNDS: Final = 15


class Spent(NamedTuple):
    """Seconds of a run, by the wall and by the processors (all threads of this process)."""

    wall: float
    cpu: float


def run(days: int = DAYS, rounds: int = ROUNDS) -> Report:
    """Measures; all bars are first held equal to those of records that are judged and folded one by one."""
    results: list[Result] = []
    digests: set[str] = set()
    equal = True
    day = sample_blocks(SAMPLE_DAY[1], ref_no=0)
    ticks = days * sum(block.size for block in day)
    with tempfile.TemporaryDirectory(prefix="tickledger-bench-") as folder:
        settings = load_settings(home=Path(folder) / "home")
        keys = load_or_create(settings)
        with running_stack(settings, frozenset({"kafka"})) as running:
            kafka = running.kafka
            view = _reference(kafka, keys)
            for size in SIZES:
                _write(kafka, keys, _listing(size), view.last, day, days, size)
                slow = _digest(_slowly(kafka, keys, view, size))
                fast, spent = _fast(kafka, keys, view, size, rounds)
                equal &= fast == slow
                digests.add(slow)
                name = IDS[size]
                results.append(Result(f"{name}.ticks_per_s", ticks / spent.cpu, "ticks/s", GOALS[size]))
                results.append(Result(f"{name}.wall.ticks_per_s", ticks / spent.wall, "ticks/s"))
    # Law 3: the cut into blocks changes no bar.
    equal &= len(digests) == 1
    notes = [
        f"{ticks:,} ticks from the broker, fetched, decompressed, MACs and chain checked, decoded, folded to bars of "
        f"all timeframes, as columns; blocks of {MAX_BLOCK_TICKS:,} and of 100",
        "ticks/s: a second of processor, all threads of this process counted, the broker not; wall: by the clock; "
        f"the best of {rounds} runs",
    ]
    return Report("replay", equal, results if equal else [], notes)


def _listing(size: int) -> str:
    return f"block{size}/EURUSD"


def _reference(kafka: str, keys: KeyRing) -> ReferenceView:
    """What is configured once both listings have a specification."""

    def wanted(there: list[ReferenceRecord]) -> list[ListingSpec]:
        known = {record.listing for record in there if isinstance(record, ListingSpec)}
        specs = (wanted_spec(_listing(size), None, {"digits": 5}, 5, None) for size in SIZES)
        return [spec for spec in specs if spec is not None and spec.listing not in known]

    return ReferenceView(append_reference(kafka, keys, SystemClock(), wanted))


def _bars_only(activation: OperatorActivation) -> Operator:
    if activation.instance != "bars":
        raise NotRunnable("it is not measured here")
    return program_of(activation)


def _write(kafka: str, keys: KeyRing, listing: str, ref_no: int, day: list[TickBlock], days: int, size: int) -> None:
    with TickWriter(kafka, keys, SystemClock(), listing, TickSource.IMPORT) as writer:
        writer.open()
        for late in range(days):
            for block in day:
                for piece in _pieces(block, size, late * DAY_MS):
                    writer.write(
                        ref_no=ref_no,
                        received_us=piece.received_us,
                        server_offset_s=piece.server_offset_s,
                        gap=False,
                        watermark_ms=0,
                        columns=piece,
                    )
        writer.drain()


def _pieces(block: TickBlock, size: int, later_ms: int) -> Iterator[TickBlock]:
    for at in range(0, block.size, size):
        end = at + size
        yield block._replace(
            time_ms=block.time_ms[at:end] + later_ms,
            bid=block.bid[at:end],
            ask=block.ask[at:end],
            flags=block.flags[at:end],
            quality=block.quality[at:end],
        )


def _slowly(kafka: str, keys: KeyRing, view: ReferenceView, size: int) -> Iterator[Output]:
    """Record by record through accept(), each with columns of its own, each folded by itself."""
    listing = _listing(size)
    partition = partition_of("ticks", listing)
    chains, fold = Chains("ticks", keys), ListingFold(listing, view, _bars_only)
    for batch in read_range(kafka, "ticks", partition):
        for message in batch:
            judged = chains.judge(partition, message.offset() or 0, message.key(), message.value())
            if judged.verdict is Verdict.TAKE and judged.record.kind == BlockKind.DATA:
                yield from fold.fold([judged.record])


def _fast(kafka: str, keys: KeyRing, view: ReferenceView, size: int, rounds: int) -> tuple[str, Spent]:
    """(the digest of its bars, the best of some runs)."""
    partition, best, digest = partition_of("ticks", _listing(size)), Spent(1e9, 1e9), ""
    for _ in range(rounds + 1):
        replay = PartitionReplay(partition, keys, view, programs=_bars_only)
        wall, cpu = time.perf_counter(), time.process_time()
        outputs = list(replay_topic(kafka, replay))
        spent = Spent(time.perf_counter() - wall, time.process_time() - cpu)
        best = Spent(min(best.wall, spent.wall), min(best.cpu, spent.cpu))
        digest = _digest(iter(outputs))
    return digest, best


def _digest(outputs: Iterator[Output]) -> str:
    """Of the bars, whatever pieces they come in and whatever listing they are of."""
    digest = hashlib.sha256()
    for output in outputs:
        digest.update(output.columns.tobytes())
    return digest.hexdigest()
