"""`bench peers`: the same rule on the same bars and ticks by programs that a trader would pick today."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from api.bench.lab_data import walk, write_bars, write_ticks
from api.bench.lab_rule import options, write_strategy
from api.bench.peers import reference
from api.bench.peers.environments import BACKTESTING, NAUTILUS, PEERS, VECTORBT, NotInstalled, Peer, interpreter
from api.bench.peers.trades import Trade, difference, equal, of_json, of_run
from api.bench.processes import TICKLEDGER, Ended, Failed, spread, timed
from api.bench.result import Report, Result
from api.start import tell
from infra.settings import load_settings

SEED: Final = 7
WEEKS: Final = 4
OFFSET_MS: Final = 7_200_000
"""The server's clock is two hours ahead of UTC in that winter month."""
TICK_OFFSET_MS: Final = 10_800_000
"""And three in May."""
TICK_DAYS: Final = 22
"""2.05 million ticks."""
ROUNDS: Final = 5
SWEEP_ROUNDS: Final = 3
FAST: Final = (5, 32, 3)
SLOW: Final = (40, 85, 5)
"""From, to, step: ten values each, 100 sets."""

WHY: Final[Mapping[Peer, str]] = {
    BACKTESTING: "it has no ask: the spread is a share of the price, paid by the opening order, and a stop is told "
    "before the fill, so it lies off the signal's close and not off the fill",
    VECTORBT: "it has neither ask nor point: slippage stands for half the spread on both sides; a stop is a share of "
    "the entry's price, filled at it or at the bar's open; one order a bar, so a stop and a reversal of the same bar "
    "exclude each other; a trade is stamped with its bar's start",
    NAUTILUS: "a bar's four quotes come open, high, low, close whether it rises or falls; a bar is closed by a timer "
    "just before its successor's first quote, so orders meet the last quote of the bar and not the next open; "
    "between quotes there is no path: a stop fills at the quote that triggered it",
}
"""Each one's documented rules that make its trades other ones."""


class Work(NamedTuple):
    """The folder of a comparison and what lies in it."""

    folder: Path
    strategy: Path
    month: Path
    pythons: Mapping[Peer, Path]

    def ours(self, data: Path, out: str = "run") -> Ended:
        """Our command, to the written report."""
        shutil.rmtree(self.folder / out, ignore_errors=True)
        return timed(
            [*TICKLEDGER, "backtest", str(self.strategy), str(data), *options(self.folder / "cache"), "--out", out],
            self.folder,
        )

    def theirs(self, peer: Peer, *arguments: str) -> Ended:
        """A peer's script."""
        return timed([str(self.pythons[peer]), "-W", "ignore", str(peer.script), *arguments], self.folder)


def run(cache: Path | None = None, weeks: int = WEEKS, tick_days: int = TICK_DAYS, rounds: int = ROUNDS) -> Report:
    """Measures; our trades are first held equal to the judge's, times, prices and PnL to the cent.

    A program that can't be installed is named and left out, with the figures that need it.
    """
    notes: list[str] = []
    pythons = _installed(cache or load_settings().cache_dir / "bench-peers", notes)
    with tempfile.TemporaryDirectory(prefix="tickledger-bench-") as made:
        folder = Path(made)
        work = Work(folder, write_strategy(folder), write_bars(folder, walk(weeks, SEED)), pythons)
        judged = reference.trades(work.month, OFFSET_MS)
        work.ours(work.month)
        told = equal(of_run(folder / "run"), judged)
        if told:
            return Report("peers", False, [], [told])
        notes.append(
            f"{_rows(work.month):,} bars of M1 (a seeded walk) to M15, EMA 20/50 cross, stop 2 ATR, reversed by the "
            f"opposite cross, a lot, 1 point, 3 USD a side: ours are the judge's {len(judged)} trades, to the cent; "
            f"sum {sum(trade.pnl for trade in judged):,.2f} USD"
        )
        notes += _differences(work, judged)
        results: list[Result] = []
        for measure in (_month, _sweep):
            if BACKTESTING in pythons:
                results += measure(work, notes, rounds)
        if NAUTILUS in pythons:
            results += _ticks(work, notes, tick_days)
    return Report("peers", True, results, notes)


def _installed(cache: Path, notes: list[str]) -> dict[Peer, Path]:
    found = {}
    for peer in PEERS:
        try:
            found[peer] = interpreter(peer, cache)
        except NotInstalled as error:
            notes.append(f"{peer.name} {peer.version} is left out, since it can't be installed: {error}")
    return found


def _differences(work: Work, judged: list[Trade]) -> list[str]:
    """What each one's trades are beside the judge's, and why; first runs, which compile and fill caches."""
    found = []
    arguments = {BACKTESTING: ["run"], VECTORBT: [], NAUTILUS: ["bars"]}
    for peer in work.pythons:
        tell(f"bench peers: the month by {peer.name}")
        ended = work.theirs(peer, str(work.month), str(OFFSET_MS), *arguments[peer])
        theirs = of_json(json.loads(ended.output)["trades"])
        apart = difference(theirs, judged, reference.QUARTER_MS)
        found.append(
            f"{peer.name} {peer.version}: {len(theirs)} trades, {apart.entries} of the judge's {len(judged)} entries, "
            f"PnL {apart.pnl:+.1%}; {WHY[peer]}"
        )
    return found


def _month(work: Work, notes: list[str], rounds: int) -> list[Result]:
    own, theirs = _paired(
        "the month",
        rounds,
        lambda: work.ours(work.month).seconds,
        lambda: work.theirs(BACKTESTING, str(work.month), str(OFFSET_MS), "run").seconds,
    )
    notes.append(
        f"month, command to result, warm, {rounds} pairs in turn: ours with the report {spread(own)} s, backtesting.py "
        f"without a plot {spread(theirs)} s"
    )
    return [
        Result("lab.month.wall_ratio_backtesting_py", _ratio(own, theirs), "times", 1.5, "lower"),
        Result("lab.month.first_result_s", spread(own).median, "s"),
    ]


def _sweep(work: Work, notes: list[str], rounds: int) -> list[Result]:
    rounds = min(rounds, SWEEP_ROUNDS)
    texts = [",".join(map(str, range(first, last + 1, step))) for first, last, step in (FAST, SLOW)]
    axes = [f"{name}={first}:{last}:{step}" for name, (first, last, step) in (("fast", FAST), ("slow", SLOW))]

    def ours() -> float:
        shutil.rmtree(work.folder / "sweep", ignore_errors=True)
        return timed(
            [
                *TICKLEDGER, "sweep", str(work.strategy), str(work.month), *options(work.folder / "cache"),
                "-p", axes[0], "-p", axes[1], "--out", "sweep",
            ],
            work.folder,
        ).seconds  # fmt: skip

    try:
        ours()
    except Failed as error:
        notes.append(f"the sweep is left out: {error}")
        return []
    own, theirs = _paired(
        "100 sets",
        rounds,
        ours,
        lambda: work.theirs(BACKTESTING, str(work.month), str(OFFSET_MS), "sweep", *texts).seconds,
    )
    notes.append(
        f"100 sets, all cores, warm, {rounds} pairs in turn: ours with its files {spread(own)} s, backtesting.py "
        f"{spread(theirs)} s"
    )
    return [
        Result("lab.sweep100.wall_ratio_backtesting_py", _ratio(own, theirs), "times", 1.0, "lower"),
        Result("lab.sweep100.seconds", spread(own).median, "s"),
    ]


def _ticks(work: Work, notes: list[str], days: int) -> list[Result]:
    path, count = write_ticks(work.folder, days)
    work.ours(path)
    quotes: dict[str, Any] = {}

    def ours() -> float:
        work.ours(path)
        return float(json.loads((work.folder / "run" / "report.json").read_text(encoding="utf-8"))["seconds"]["run"])

    def theirs() -> float:
        quotes.update(json.loads(work.theirs(NAUTILUS, str(path), str(TICK_OFFSET_MS), "ticks").output))
        return float(quotes["run_s"])

    own, others = _paired("ticks", SWEEP_ROUNDS, ours, theirs)
    mine = of_run(work.folder / "run")
    notes.append(
        f"{count:,} ticks, the run alone, {SWEEP_ROUNDS} pairs in turn: ours {spread(own)} s, {len(mine)} trades; "
        f"nautilus_trader {spread(others)} s, {len(quotes['trades'])} trades of {quotes['quotes']:,} quotes"
    )
    return [
        Result("lab.ticks.run_ratio_nautilus", 1 / _ratio(own, others), "times", 20.0),
        Result("lab.ticks.run.ticks_per_s", count / spread(own).median, "ticks/s"),
    ]


def _paired(
    what: str, rounds: int, ours: Callable[[], float], theirs: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Seconds of both, in turn and the first changing, so that whatever else the machine does falls on both."""
    own, others = [], []
    for number in range(rounds):
        tell(f"bench peers: {what}, pair {number + 1} of {rounds}")
        if number % 2:
            others.append(theirs())
            own.append(ours())
        else:
            own.append(ours())
            others.append(theirs())
    return own, others


def _ratio(own: list[float], others: list[float]) -> float:
    """The median of the pairs' ratios."""
    return spread([a / b for a, b in zip(own, others, strict=True)]).median


def _rows(path: Path) -> int:
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1
