"""`bench import`: files read, and files put onto the log, folded and in the database, on services of its own."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from api.bench.result import Report, Result, seconds
from api.start import running_stack
from infra.clock import Stopwatch, SystemClock
from infra.keys import load_or_create
from infra.settings import Settings, load_settings
from infra.stack.services import ALL
from infra.stack.stack import Running
from producers.clocks import parse_zone, to_utc_ms
from producers.importer import Importer, ImportRequest
from producers.lean import DAY_MS, QuoteFile, read_quotes
from producers.progress import Progress, Stage
from producers.sample import SAMPLE_DAY, SampleFile
from projections.derived import wait_until_derived
from schemas.identity import Listing

SAMPLE: Final[SampleFile] = SAMPLE_DAY[1]
LISTING: Final = Listing("bench", "EURUSD")
DAYS: Final = ("20140505", "20140506", "20140507", "20140508", "20140509")
PARSE_GOAL: Final = 1e6
ROWS_GOAL: Final = 120e3


def run() -> Report:
    """Measures; what was read is first held equal to a slow reading, and the database's rows to the files'."""
    quotes, equal = read_quotes(SAMPLE.path, parse_zone(SAMPLE.tz), SystemClock().now_us()), True
    equal &= _same(quotes, _slow_reading())
    spent = seconds(partial(read_quotes, SAMPLE.path, parse_zone(SAMPLE.tz), SystemClock().now_us()))
    results = [Result("import.parse.ticks_per_s", quotes.ticks / spent, "ticks/s", PARSE_GOAL)]
    with tempfile.TemporaryDirectory(prefix="tickledger-bench-") as folder:
        days = _days(Path(folder))
        settings = load_settings(home=Path(folder) / "home")
        with running_stack(settings, frozenset(ALL)) as running:
            # The worker compiles its kernels, and the database makes its tables, at the first ticks ever.
            _import(settings, running, Listing("bench", "WARM"), days[:1])
            stages = _import(settings, running, LISTING, days)
            equal &= _same_rows(running.postgres_dsn, quotes)
    ticks, whole = quotes.ticks * len(DAYS), sum(stages.values())
    results.append(Result("import.rows.ticks_per_s", ticks / whole, "ticks/s", ROWS_GOAL))
    share = ", ".join(f"{stage} {spent:.2f} s" for stage, spent in stages.items())
    notes = [
        f"reading: one zip of {quotes.ticks:,} rows, unpacked, parsed and put on UTC; the shortest of five runs",
        f"rows: {len(DAYS)} such files, {ticks:,} ticks, file → Kafka → worker and database, all stages done",
        f"where the {whole:.2f} s go: {share}",
    ]
    return Report("import", equal, results if equal else [], notes)


def _import(settings: Settings, running: Running, listing: Listing, files: list[Path]) -> dict[str, float]:
    """Imports, and the seconds of each stage; they add up to the whole."""
    stages: dict[str, float] = {}
    watch, current = Stopwatch(), ["starting"]

    def enter(stage: str) -> None:
        stages[current[0]] = stages.get(current[0], 0.0) + watch.restart()
        current[0] = stage

    def report(at: Progress) -> None:
        if _STAGES[at.stage] != current[0]:
            enter(_STAGES[at.stage])

    def wait(listing: str, n: int) -> None:
        enter(_PROJECTING)
        with psycopg.connect(running.postgres_dsn, autocommit=True) as database:
            check = _until_projected(database, listing, n, lambda: enter(_DERIVING))
            wait_until_derived(running.kafka, keys, running.postgres_dsn, listing, n, check=check)

    keys = load_or_create(settings)
    request = ImportRequest(listing=listing, files=files, zone=parse_zone(SAMPLE.tz))
    Importer(running.kafka, keys, SystemClock(), progress=report, wait=wait).run(request)
    enter("")
    return {stage: spent for stage, spent in stages.items() if spent >= 0.005}


def _until_projected(
    database: psycopg.Connection, listing: str, n: int, reached: Callable[[], None]
) -> Callable[[], None]:
    """A check that calls `reached` once, when the database has all ticks."""
    done = [False]

    def check() -> None:
        if not done[0]:
            row = database.execute(_PROJECTED, (listing,)).fetchone()
            if row is not None and row[0] >= n:
                done[0] = True
                reached()

    return check


def _days(folder: Path) -> list[Path]:
    """The sample's rows as several days."""
    with zipfile.ZipFile(SAMPLE.path) as archive:
        rows = archive.read(archive.namelist()[0])
    paths = [folder / f"{day}_quote.zip" for day in DAYS]
    for path in paths:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{path.name[:8]}_eurusd_tick_quote.csv", rows)
    return paths


Columns = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


def _slow_reading() -> Columns:
    """The sample by the standard library, row by row."""
    with zipfile.ZipFile(SAMPLE.path) as archive:
        rows = [row.split(",") for row in archive.read(archive.namelist()[0]).decode().splitlines()]
    midnight = np.datetime64(SAMPLE.path.name[:4] + "-" + SAMPLE.path.name[4:6] + "-" + SAMPLE.path.name[6:8], "ms")
    local = np.array([int(float(row[0])) for row in rows]) + midnight.astype(np.int64)
    prices = [np.array([float(row[i]) for row in rows]) for i in (1, 2)]
    return to_utc_ms(local, parse_zone(SAMPLE.tz)), prices[0], prices[1]


def _same(quotes: QuoteFile, slow: Columns) -> bool:
    found = (quotes.time_ms, quotes.bid, quotes.ask)
    return all(np.array_equal(one, other) for one, other in zip(found, slow, strict=True))


def _same_rows(dsn: str, quotes: QuoteFile) -> bool:
    """Whether the database has the days' rows, in order."""
    with psycopg.connect(dsn) as database:
        rows: list[tuple[Any, ...]] = database.execute(_ROWS, (str(LISTING),)).fetchall()
    first = quotes.time_ms - DAY_MS * DAYS.index(SAMPLE.path.name[:8])
    expected = [
        np.concatenate([first + DAY_MS * i for i in range(len(DAYS))]),
        np.tile(quotes.bid, len(DAYS)),
        np.tile(quotes.ask, len(DAYS)),
    ]
    found = [np.array(column) for column in zip(*rows, strict=True)]
    return len(rows) == len(expected[0]) and all(map(np.array_equal, found, expected))


_PROJECTING: Final = "worker and projector until all ticks are in the database"
_DERIVING: Final = "until all bars and signals are"
_STAGES: Final = {
    Stage.READING: "reading files",
    Stage.COMPARING: "looking at the log",
    Stage.WRITING: "onto the log",
}
_PROJECTED: Final = "select n from tickledger.heads where topic = 'ticks' and chain = %s"
_ROWS: Final = """
select (extract(epoch from time) * 1000)::bigint, bid, ask from tickledger.ticks
join tickledger.listings on listings.id = listing_id where name = %s order by n
"""
