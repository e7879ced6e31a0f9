"""`bench recovery`: seconds from kill -9 of the worker, and of the broker, to the next output, under load."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from api.bench.result import Report, Result
from api.bench.sample_day import sample_blocks
from api.start import running_stack
from infra.clock import SystemClock
from infra.errors import ServiceFailed, TickledgerError
from infra.kafka import new_consumer, split_batch, take
from infra.keys import load_or_create
from infra.reference_log import append_reference
from infra.settings import load_settings
from infra.stack.home import Home
from infra.stack.services import ALL, running
from infra.tick_writer import TickWriter
from producers.judge import Judge
from producers.lean import DAY_MS
from producers.listing_spec import wanted_spec
from producers.sample import SAMPLE_DAY
from projections.derived import wait_until_derived
from schemas.catalogue import partition_of
from schemas.events import Bar, ListingSpec, ReferenceRecord
from schemas.integrity import KeyRing
from schemas.registry import decode
from schemas.ticks import TickSource
from streams.verify import Range, Verification

LISTING: Final = "bench/EURUSD"
GOALS: Final = {"worker": 10.0, "broker": 15.0}
SERVICES: Final = {"worker": "worker", "broker": "kafka"}
BLOCK_TICKS: Final = 100
EVERY_S: Final = 0.01
"""A block so often: 10,000 ticks a second."""

LEAD_S: Final = 3.0
PATIENCE_S: Final = 120.0


def run(kills: int = 3) -> Report:
    """Measures the longest of some kills each; at the end verify finds nothing missing, and copies only if equal."""
    results: list[Result] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tickledger-bench-") as folder:
        settings = load_settings(home=Path(folder) / "home")
        keys = load_or_create(settings)
        with running_stack(settings, frozenset(ALL)) as stack:
            with _load(stack.kafka, keys) as load, _outputs(stack.kafka) as outputs:
                outputs.next_after(time.monotonic())
                for what, service in SERVICES.items():
                    took = []
                    for _ in range(kills):
                        time.sleep(LEAD_S)
                        process = running(Home(stack.home), service)
                        if process is None:
                            raise ServiceFailed(service, f"{service} does not run")
                        os.kill(process.pid, signal.SIGKILL)
                        killed = time.monotonic()
                        took.append(outputs.next_after(killed + SETTLED_S) - killed)
                    results.append(Result(f"recovery.{what}_s", max(took), "s", GOALS[what], "lower"))
                    notes.append(f"{what}: {', '.join(f'{s:.1f}' for s in took)} s")
                n = load.end()
            wait_until_derived(stack.kafka, keys, stack.postgres_dsn, LISTING, n, check=stack.check)
            report = Verification(stack.kafka, keys, Judge, Range(), lambda *_: None).run()
    notes.append(
        f"under {BLOCK_TICKS / EVERY_S:,.0f} ticks a second in blocks of {BLOCK_TICKS}; afterwards verify derived "
        f"{report.bars:,} bars and {report.signals:,} signals of {report.ticks:,} ticks again, {report.copies:,} "
        "byte-identical copies lay on the topics"
    )
    notes += [problem.reason for problem in report.problems[:3]]
    return Report("recovery", report.ok and report.ticks == n, results, notes)


SETTLED_S: Final = 0.5
"""What comes so soon was on its way before the kill: no process is up again by then."""


class _Load:
    """Writes the sample day over and over, a block at a time, until it is ended."""

    def __init__(self, kafka: str, keys: KeyRing, ref_no: int) -> None:
        self._kafka, self._keys, self._ref_no = kafka, keys, ref_no
        self._stop = threading.Event()
        self._error: TickledgerError | None = None
        self._n = self._watermark = 0
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def end(self) -> int:
        """Stops; the ticks that were written. Raises what writing raised."""
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._n

    def _run(self) -> None:
        day = sample_blocks(SAMPLE_DAY[1], ref_no=0)
        try:
            with TickWriter(self._kafka, self._keys, SystemClock(), LISTING, TickSource.IMPORT) as writer:
                writer.open()
                late = 0
                while not self._stop.is_set():
                    for block in day:
                        for at in range(0, block.size, BLOCK_TICKS):
                            end = at + BLOCK_TICKS
                            piece = block._replace(
                                time_ms=block.time_ms[at:end] + late * DAY_MS,
                                bid=block.bid[at:end],
                                ask=block.ask[at:end],
                                flags=block.flags[at:end],
                                quality=block.quality[at:end],
                            )
                            good = piece.time_ms[piece.quality == 0]
                            self._watermark = int(good[-1]) if len(good) else self._watermark
                            writer.write(
                                ref_no=self._ref_no,
                                received_us=piece.received_us,
                                server_offset_s=piece.server_offset_s,
                                gap=False,
                                watermark_ms=self._watermark,
                                columns=piece,
                            )
                            if self._stop.wait(EVERY_S):
                                break
                        if self._stop.is_set():
                            break
                    late += 1
                writer.drain()
                self._n = writer.written.n
        except TickledgerError as error:
            self._error = error


@contextmanager
def _load(kafka: str, keys: KeyRing) -> Iterator[_Load]:
    def wanted(there: list[ReferenceRecord]) -> list[ListingSpec]:
        known = any(isinstance(record, ListingSpec) for record in there)
        spec = wanted_spec(LISTING, None, {"digits": 5}, 5, None)
        return [] if known or spec is None else [spec]

    records = append_reference(kafka, keys, SystemClock(), wanted)
    load = _Load(kafka, keys, len(records))
    try:
        yield load
    finally:
        with contextlib.suppress(TickledgerError):
            load.end()


class _Outputs:
    """The bars of the listing as they come."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._last = -1

    def next_after(self, moment: float) -> float:
        """When the next new one, no copy, comes after `moment`, both monotonic seconds. Raises ServiceFailed if none
        does."""
        while time.monotonic() < moment + PATIENCE_S:
            records, _ = split_batch(take(self._consumer, 500, 0.02))
            newest = max((_number(record.value()) for record in records), default=-1)
            if newest > self._last:
                self._last = newest
                if time.monotonic() > moment:
                    return time.monotonic()
        raise ServiceFailed("worker", f"no bar came for {PATIENCE_S:.0f} s")


def _number(value: bytes | None) -> int:
    record = decode(value or b"")
    return record.out_seq if isinstance(record, Bar) else -1


@contextmanager
def _outputs(kafka: str) -> Iterator[_Outputs]:
    consumer = new_consumer(kafka)
    consumer.assign([TopicPartition("bars", partition_of("bars", LISTING), 0)])
    try:
        yield _Outputs(consumer)
    finally:
        consumer.close()
