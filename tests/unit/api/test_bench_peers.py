"""The judge of `bench peers`, and how trades are held against it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from api.bench.lab_data import MINUTE_MS, MONDAY_MS, walk, write_bars
from api.bench.lab_rule import COSTS, write_strategy
from api.bench.peers import environments, reference
from api.bench.peers.comparison import OFFSET_MS
from api.bench.peers.environments import PEERS, NotInstalled, interpreter
from api.bench.peers.trades import Trade, difference, equal, of_json, of_run
from api.bench.strategy_replay import SIZED
from api.lab.backtest import Request, run_backtest
from api.lab.choice import choose
from api.lab.data import DataOptions, from_files
from api.lab.files import write_run

QUARTER = 15


def bars_of(closes: list[int]) -> np.ndarray:
    """A quarter of an hour of minutes for each close, straight from the one before."""
    rows, before = [], closes[0]
    for number, close in enumerate(closes):
        for minute in range(QUARTER):
            first = before + (close - before) * minute // QUARTER
            last = before + (close - before) * (minute + 1) // QUARTER
            at = MONDAY_MS + (number * QUARTER + minute) * MINUTE_MS
            rows.append((at, first, max(first, last), min(first, last), last))
        before = close
    return np.array(rows, np.int64).T.copy()


def test_ours_are_the_judges_trades(tmp_path: Path) -> None:
    path = write_bars(tmp_path, walk(2, seed=3))
    data = from_files([path], DataOptions(), "generic", COSTS, None)
    chosen = choose(str(write_strategy(tmp_path)), {})
    write_run(run_backtest(Request(chosen=chosen, data=data, sized=SIZED)), tmp_path / "run")
    judged = reference.trades(path, OFFSET_MS)
    assert len(judged) > 10
    assert equal(of_run(tmp_path / "run"), judged) == ""


def test_the_judge_enters_after_the_cross_and_reverses_at_the_opposite_one(tmp_path: Path) -> None:
    closes = [110_000 - 10 * n for n in range(60)] + [109_400 + 12 * n for n in range(40)]
    closes += [109_880 - 12 * n for n in range(40)]
    first, second = reference.trades(write_bars(tmp_path, bars_of(closes)), 0, k=20)
    assert (first.side, second.side) == (1, -1)
    assert first.entry_ms % (QUARTER * MINUTE_MS) == 0
    assert first.exit_ms == second.entry_ms
    # Bought at the ask, a point above; a turn costs two commissions.
    assert first.pnl == pytest.approx((first.exit_price - first.entry_price) * 100_000 - 6)


def test_the_judge_fills_a_stop_at_its_price_on_a_line_and_at_the_opening_over_a_gap(tmp_path: Path) -> None:
    closes = [110_000 - 10 * n for n in range(60)] + [109_400 + 12 * n for n in range(30)]
    bars = bars_of([*closes, closes[-1] - 1_000])
    (straight,) = reference.trades(write_bars(tmp_path, bars), 0)
    jumped = bars.copy()
    jumped[1:, -QUARTER:] = closes[-1] - 1_000
    (gapped,) = reference.trades(write_bars(tmp_path, jumped), 0)
    assert straight.entry_ms == gapped.entry_ms
    assert round(gapped.exit_price * 100_000) == closes[-1] - 1_000
    assert straight.exit_price > gapped.exit_price


def test_what_is_open_at_the_end_is_closed_at_the_last_price(tmp_path: Path) -> None:
    closes = [110_000 - 10 * n for n in range(60)] + [109_400 + 12 * n for n in range(30)]
    (trade,) = reference.trades(write_bars(tmp_path, bars_of(closes)), 0)
    assert round(trade.exit_price * 100_000) == closes[-1]


ONE = Trade(1_000, 1.1, 2_000, 1.2, 1, 94.0)


@pytest.mark.parametrize(
    "other",
    [
        ONE._replace(entry_ms=1_001),
        ONE._replace(exit_ms=2_001),
        ONE._replace(entry_price=1.10001),
        ONE._replace(exit_price=1.20001),
        ONE._replace(side=-1),
        ONE._replace(pnl=94.01),
    ],
)
def test_a_trade_that_differs_in_anything_is_named(other: Trade) -> None:
    assert equal([ONE], [ONE]) == ""
    assert equal([other], [ONE]).startswith("trade 1 is ")


def test_a_trade_too_many_is_named() -> None:
    assert equal([ONE, ONE], [ONE]) == "there are 2 trades, the reference has 1"


def test_a_difference_counts_entries_within_a_bar_and_compares_sums() -> None:
    theirs = of_json([[1_500, 1.1, 2_000, 1.2, 1, 47.0], [9_000, 1.1, 9_500, 1.1, 1, 0.0]])
    assert difference(theirs, [ONE], 1_000) == (1, 1, -0.5)
    assert difference(theirs, [ONE], 100).entries == 0


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def commands(folder: Path, python: Path, wanted: str) -> list[list[str]]:
        made.append(folder)
        script = f"import pathlib; p = pathlib.Path({str(python)!r}); p.parent.mkdir(parents=True); p.touch()"
        return [[sys.executable, "-c", script]]

    monkeypatch.setattr(environments, "_commands", commands)
    assert interpreter(PEERS[0], tmp_path) == interpreter(PEERS[0], tmp_path)
    assert made == [tmp_path / "backtesting-0.6.6"]


def test_what_can_not_be_installed_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        environments, "_commands", lambda *_: [[sys.executable, "-c", "raise SystemExit('no registry was reached')"]]
    )
    with pytest.raises(NotInstalled, match="no registry was reached"):
        interpreter(PEERS[0], tmp_path)
