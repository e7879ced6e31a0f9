"""What the tests of the recorder share: a market of their own, its terminal, and the log beside its history."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import numpy as np

from infra.chain_follower import ChainFollower, Standing
from infra.clock import WaitingClock
from infra.errors import TickledgerError
from infra.kafka import end_of, read_range
from infra.keys import load_or_create
from infra.marks import Mark
from infra.reference_log import read_reference
from infra.settings import RecorderSettings, Settings, TerminalSettings
from producers.listing_spec import spec_of
from producers.mt5 import Mt5
from producers.recheck import Recheck
from producers.recorder.polling import Rows, rows_of_block, rows_of_page
from producers.recorder.recorder import Recorder
from producers.source_events import events_of
from producers.terminal.simulation import Simulation
from producers.terminal.ticks import Ticks
from schemas.accept import Head, Verdict
from schemas.catalogue import partition_of
from schemas.events import Alert, ListingSpec, SourceEvent
from schemas.quality import BROKEN
from schemas.registry import UnreadableRecord, decode
from schemas.ticks import BlockKind, TickBlock, TickSource
from tests.conftest import TestStack

START_MS = 1_790_000_000_000 - 1_790_000_000_000 % 60_000
"""2026-09-21, a Monday; the server is three hours ahead."""
OFFSET_MS = 10_800_000


def walk(count: int, seed: int = 1, *, step_ms: int = 400, start_ms: int = START_MS, price: float = 1.1) -> Ticks:
    """A quiet market: several ticks a second, some in one millisecond."""
    random = np.random.default_rng(seed)
    time_ms = start_ms + np.cumsum(random.integers(0, 2 * step_ms, count) * (random.random(count) > 0.2))
    bid = np.round(price + np.cumsum(random.integers(-2, 3, count)) * 1e-5, 5)
    return Ticks.of_quotes(time_ms.astype(np.int64), bid, np.round(bid + 2e-5, 5))


class Recording:
    """A feed that no other test uses, on the shared stack."""

    def __init__(self, stack: TestStack, feed: str = "") -> None:
        self.kafka, self.keys = stack.kafka, load_or_create(stack.settings)
        self.feed = feed or f"t{uuid4().hex[:10]}"
        self.settings: Settings = stack.settings
        self.errors: list[TickledgerError] = []
        self._terminal: dict[str, Any] = {}

    def terminal(self, **settings: Any) -> Recording:
        """Itself, with other settings of the terminal from now on."""
        self._terminal = settings
        return self

    def with_(self, **recorder: Any) -> Settings:
        told = RecorderSettings(feed=self.feed, **{"poll_ms": 5, **recorder})
        return self.settings.model_copy(update={"recorder": told, "terminal": TerminalSettings(**self._terminal)})

    @contextmanager
    def running(
        self, mt5: Mt5, clock: WaitingClock, *, mark: Mark | None = None, failing: bool = False, **settings: Any
    ) -> Iterator[Recorder]:
        """A recorder in a thread of this process; what ends it is in `errors`, and raised unless it is `failing`."""
        stop, listings = threading.Event(), threading.Event()
        recorder = Recorder(
            mt5,
            self.with_(**settings),
            self.kafka,
            self.keys,
            clock,
            mark=mark,
            stop=stop,
            ready=lambda _: listings.set(),
        )

        def run() -> None:
            try:
                recorder.run()
            except TickledgerError as error:
                self.errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            if not failing:
                until(lambda: listings.is_set() or bool(self.errors))
            yield recorder
        finally:
            stop.set()
            thread.join(30)
        if self.errors and not failing:
            raise self.errors[0]

    def blocks(self, symbol: str = "EURUSD") -> list[TickBlock]:
        """The DATA blocks that a reader takes."""
        found: list[TickBlock] = []
        listing = f"{self.feed}/{symbol}"
        follower = ChainFollower(self.kafka, "ticks", listing, self.keys, Standing(Head(), 0, 0), [])

        def seen(record: Any, verdict: Verdict) -> None:
            if verdict is Verdict.TAKE and record.kind == BlockKind.DATA:
                found.append(record)

        follower.read_to(end_of(self.kafka, "ticks", follower.partition), seen)
        assert not follower.head.stopped
        return found

    def rows(self, symbol: str = "EURUSD") -> list[tuple[int, ...]]:
        """The rows on the log, in its order."""
        return [tuple(row) for block in self.blocks(symbol) for row in rows_of_block(block).tolist()]

    def column(self, name: str, symbol: str = "EURUSD") -> list[Any]:
        """One column of all ticks on the log."""
        return [value for block in self.blocks(symbol) for value in getattr(block, name).tolist()]

    def events(self) -> list[SourceEvent]:
        return events_of(self.kafka, self.feed)

    def alerts(self) -> list[Alert]:
        """What the recorders of this feed have told people."""
        found = []
        for batch in read_range(self.kafka, "alerts", partition_of("alerts", "recorder")):
            for message in batch:
                try:
                    record = decode(message.value() or b"")
                except UnreadableRecord:
                    continue
                if isinstance(record, Alert) and record.source == "recorder" and self.feed in record.message:
                    found.append(record)
        return found

    def spec(self, symbol: str = "EURUSD") -> ListingSpec | None:
        return spec_of(f"{self.feed}/{symbol}", read_reference(self.kafka, self.keys)[0])

    def check(self, symbol: str = "EURUSD") -> None:
        """What verify holds a recorded listing to: quality found again, nothing good behind a watermark."""
        judge, watermark_ms = Recheck(), 0
        for block in self.blocks(symbol):
            assert block.source == TickSource.LIVE
            assert block.quality.tolist() == judge.recheck(block).tolist()
            good = block.time_ms[block.quality & BROKEN == 0]
            assert not len(good) or good.min() >= watermark_ms
            watermark_ms = max(watermark_ms, block.watermark_ms)


def history(mt5: Mt5, symbol: str = "EURUSD") -> list[tuple[int, ...]]:
    """The terminal's own history, all of it."""
    page = mt5.copy_ticks_from(symbol, 1, 1_000_000, -1)
    assert page is not None
    rows: Rows = rows_of_page(page)
    return [tuple(row) for row in rows.tolist()]


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for it."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it didn't come"
        time.sleep(0.02)


def client(simulation: Simulation) -> Mt5:
    """Another client of the terminal, connected."""
    mt5: Any = simulation.connect()
    assert mt5.initialize()
    found: Mt5 = mt5
    return found
