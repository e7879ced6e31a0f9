"""`bench memory`: what each service holds in memory after a day of ticks, and after ten times as many."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from api.bench.result import Report, Result
from api.start import running_stack
from infra.clock import SystemClock
from infra.keys import load_or_create
from infra.settings import Settings, load_settings
from infra.stack.home import Home
from infra.stack.services import ALL, running
from infra.stack.stack import Running
from producers.clocks import parse_zone
from producers.importer import Importer, ImportRequest
from producers.sample import SAMPLE_DAY
from projections.derived import wait_until_derived
from schemas.identity import Listing

SAMPLE: Final = SAMPLE_DAY[1]
LISTING: Final = Listing("bench", "EURUSD")
TIMES: Final = 10
GROWTH: Final = 1.5
"""What still counts as flat when there are ten times the ticks: allocators and Java's heap settle late."""


def run(times: int = TIMES) -> Report:
    """Measures; `equal` is whether the log took every row of the files."""
    with tempfile.TemporaryDirectory(prefix="tickledger-bench-") as folder:
        days = _days(Path(folder), times + 1)
        settings = load_settings(home=Path(folder) / "home")
        with running_stack(settings, frozenset(ALL)) as stack:
            ticks = _import(settings, stack, days[:1])
            before = memory_mb(stack.home, ALL)
            ticks = _import(settings, stack, days[1:])
            after = memory_mb(stack.home, ALL)
    results = []
    for name in ALL:
        results.append(Result(f"memory.{name}.day_mb", before[name], "MB"))
        results.append(Result(f"memory.{name}.growth", after[name] / before[name], "times", GROWTH, "lower"))
    notes = [
        f"memory that is a service's own (PSS without what is shared by design: PostgreSQL's buffers are a cache of "
        f"fixed size), children included, once all of {SAMPLE.ticks:,} ticks are through",
        f"growth: how many times as much it is after {times} times as many more",
    ]
    return Report("memory", ticks == SAMPLE.ticks * (times + 1), results, notes)


def _import(settings: Settings, stack: Running, days: list[Path]) -> int:
    keys = load_or_create(settings)

    def wait(listing: str, n: int) -> None:
        wait_until_derived(stack.kafka, keys, stack.postgres_dsn, listing, n, check=stack.check)

    request = ImportRequest(listing=LISTING, files=days, zone=parse_zone(SAMPLE.tz))
    return Importer(stack.kafka, keys, SystemClock(), wait=wait).run(request).n


def _days(folder: Path, count: int) -> list[Path]:
    """The sample's rows as that many days."""
    with zipfile.ZipFile(SAMPLE.path) as archive:
        rows = archive.read(archive.namelist()[0])
    paths = [folder / f"201405{day:02}_quote.zip" for day in range(1, count + 1)]
    for path in paths:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{path.name[:8]}_eurusd_tick_quote.csv", rows)
    return paths


def memory_mb(home: Path, names: Sequence[str]) -> dict[str, float]:
    """What each service of a home has of its own, its children included, MB."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
                )
            except (FileNotFoundError, ProcessLookupError):
                continue
    found = {}
    for name in names:
        process = running(Home(home), name)
        pids = set() if process is None else {process.pid}
        for _ in range(3):
            pids |= {pid for pid, parent in parents.items() if parent in pids}
        found[name] = sum(map(_own_mb, pids))
    return found


def _own_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    size = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith("Pss")}
    return (size.get("Pss:", 0) - size.get("Pss_Shmem:", 0)) / 1024
