"""`bench lab`: from the command to the written report, for bars of a year and ticks of a fortnight; and memory."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from api.bench.lab_data import walk, write_bars, write_ticks
from api.bench.lab_rule import options, write_strategy
from api.bench.processes import TICKLEDGER, Ended, spread, timed
from api.bench.result import Report, Result
from api.start import tell

SEED: Final = 7
WEEKS: Final = 52
DAYS: Final = 10
TIMES: Final = 10
ROUNDS: Final = 5
GOALS: Final = {"m1_year": 3.0, "ticks_fortnight": 5.0}
GROWTH: Final = 1.5
"""What still counts as flat when there are ten times the ticks: each trade is kept for the report."""


class Measured(NamedTuple):
    """Runs of one file: seconds cold, seconds of each warm one, whether all gave the same digests, and the run."""

    cold: float
    warm: list[float]
    equal: bool
    seconds: Mapping[str, float]
    trades: int
    peak_mb: float


def run(weeks: int = WEEKS, days: int = DAYS, times: int = TIMES, rounds: int = ROUNDS) -> Report:
    """Measures whole processes; the decisions are first held equal with a cold and a warm cache."""
    results: list[Result] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tickledger-bench-") as made:
        folder = Path(made)
        strategy = write_strategy(folder)
        bars = walk(weeks, SEED)
        ticks, count = write_ticks(folder, days)
        files = {"m1_year": (write_bars(folder, bars), bars.shape[1]), "ticks_fortnight": (ticks, count)}
        # Kernels that were never compiled would be charged to the first file.
        _once(strategy, ticks, folder)
        shutil.rmtree(folder / "cache")
        equal = True
        for name, (path, rows) in files.items():
            measured = _measured(name, strategy, path, folder, rounds)
            equal &= measured.equal
            results.append(
                Result(f"lab.{name}.first_result_s", spread(measured.warm).median, "s", GOALS[name], "lower")
            )
            results.append(Result(f"lab.{name}.cold.first_result_s", measured.cold, "s"))
            results.append(Result(f"lab.{name}.peak_mb", measured.peak_mb, "MB"))
            stages = ", ".join(f"{stage} {spent:.2f}" for stage, spent in measured.seconds.items())
            notes.append(
                f"{name}: {rows:,} rows, {measured.trades} trades; from the start of the process to its end, report "
                f"written: {spread(measured.warm)} s warm, {measured.cold:.2f} s with nothing read before; of the last "
                f"{stages} s"
            )
        results.append(_growth(strategy, folder, days, times, notes))
    notes.append("equal: the digests of signals, orders, fills, risk and portfolio, with a cold cache and a warm one")
    return Report("lab", equal, results if equal else [], notes)


def _measured(name: str, strategy: Path, path: Path, folder: Path, rounds: int) -> Measured:
    tell(f"bench lab: {name}, cold")
    cold = _once(strategy, path, folder)
    first = _report(folder)
    warm, equal, peak = [], True, 0.0
    for number in range(rounds):
        tell(f"bench lab: {name}, {number + 1} of {rounds}")
        ended = _once(strategy, path, folder)
        warm.append(ended.seconds)
        peak = max(peak, ended.peak_mb)
        equal &= _report(folder)["digests"] == first["digests"] and bool(first["digests"])
    last = _report(folder)
    return Measured(cold.seconds, warm, equal, last["seconds"], _trades(folder), peak)


def _growth(strategy: Path, folder: Path, days: int, times: int, notes: list[str]) -> Result:
    """The most memory of a run over so many times the days, as a share of that over the days."""
    peaks = []
    for length in (days, days * times):
        tell(f"bench lab: memory, {length} days of ticks")
        path, count = write_ticks(folder, length)
        _once(strategy, path, folder)
        peaks.append(_once(strategy, path, folder).peak_mb)
        notes.append(f"memory: {peaks[-1]:.0f} MB at most with {count:,} ticks, {_trades(folder)} trades")
    return Result("lab.memory.growth", peaks[1] / peaks[0], "times", GROWTH, "lower")


def _once(strategy: Path, path: Path, folder: Path) -> Ended:
    shutil.rmtree(folder / "run", ignore_errors=True)
    return timed(
        [*TICKLEDGER, "backtest", str(strategy), str(path), *options(folder / "cache"), "--out", "run"], folder
    )


def _report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
    return found


def _trades(folder: Path) -> int:
    return len((folder / "run" / "trades.csv").read_text(encoding="utf-8").splitlines()) - 1
