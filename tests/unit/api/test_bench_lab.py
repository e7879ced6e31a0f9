"""The files, processes and comparison of the laboratory's benchmarks."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from api.bench import lab, strategy_replay
from api.bench.lab_data import DAY_MS, MINUTE_MS, MONDAY_MS, days_of_ticks, walk, write_bars, write_ticks
from api.bench.lab_rule import COSTS, write_strategy
from api.bench.processes import Failed, spread, timed
from api.lab.backtest import run_backtest
from api.lab.choice import choose
from api.lab.data import DataOptions, from_files


def test_a_walk_is_the_same_every_time_and_rests_on_weekends() -> None:
    bars = walk(2, seed=3)
    assert np.array_equal(bars, walk(2, seed=3))
    assert not np.array_equal(bars[1], walk(2, seed=4)[1][: bars.shape[1]])
    assert (np.diff(bars[0]) > 0).all()
    assert set(((bars[0] - MONDAY_MS) // DAY_MS % 7).tolist()) == {0, 1, 2, 3, 4}
    assert 0.99 < bars.shape[1] / (2 * 5 * 1440) < 1.0


def test_a_walks_bars_hold_their_prices() -> None:
    _, first, high, low, last = walk(1, seed=3)
    assert (high >= np.maximum(first, last)).all()
    assert (low <= np.minimum(first, last)).all()


def test_days_of_ticks_go_on_where_the_day_before_ended() -> None:
    days = list(days_of_ticks(6))
    for (_, bid, _), (_, after, _) in pairwise(days):
        assert after[0] == bid[-1]
    assert days[5][0][0] - days[0][0][0] == 7 * DAY_MS
    assert np.array_equal(days[1][2] - days[1][1], days[0][2] - days[0][1])


def test_files_are_read_as_what_they_are(tmp_path: Path) -> None:
    bars = walk(1, seed=3)[:, :100]
    (data,) = from_files([write_bars(tmp_path, bars)], DataOptions(), "generic", COSTS, None)
    (block,) = data.source.blocks(0)
    assert data.source.facts["formats"] == ["mt5-bars"]
    assert np.rint(block.bid[::4] * 1e5).astype(int).tolist() == bars[1].tolist()
    assert np.diff(block.time_ms[::4]).tolist() == np.diff(bars[0]).tolist()
    path, count = write_ticks(tmp_path, 1)
    (data,) = from_files([path], DataOptions(), "generic", COSTS, None)
    assert data.source.facts["ticks"] == count


def test_a_process_is_timed_with_what_it_said(tmp_path: Path) -> None:
    ended = timed([sys.executable, "-c", "print('done')"], tmp_path)
    assert ended.output == "done\n"
    assert ended.seconds > 0
    assert ended.peak_mb > 1


def test_a_process_that_fails_is_an_error_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="ended with 3: no such thing"):
        timed([sys.executable, "-c", "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"], tmp_path)


def test_a_spread_names_its_median_and_its_ends() -> None:
    assert str(spread([3.0, 1.0, 2.0])) == "2.00 (1.00 to 3.00)"


def test_the_command_decides_the_same_with_a_cold_and_a_warm_cache(tmp_path: Path) -> None:
    bars = walk(1, seed=3)
    path = write_bars(tmp_path, bars)
    measured = lab._measured("week", write_strategy(tmp_path), path, tmp_path, rounds=1)
    assert measured.equal
    assert measured.trades > 3
    assert set(measured.seconds) >= {"read", "run"}


def test_both_agents_decide_the_same_every_time(tmp_path: Path) -> None:
    file = strategy_replay.from_file(write_ticks(tmp_path, 1)[0], tmp_path / "cache")
    both = strategy_replay.both_agents(file)
    ran = strategy_replay.run_both(both, file, desk=True)
    assert ran == strategy_replay.run_both(both, file, desk=True)
    assert ran.trades > 10
    assert {record.instance for record in both.setup.of(strategy_replay.StrategyConfig)} == set(strategy_replay.BOTH)


def test_runs_that_keep_nothing_have_the_trades_of_those_that_keep_all(tmp_path: Path) -> None:
    file = strategy_replay.from_file(write_ticks(tmp_path, 1)[0], tmp_path / "cache")
    chosen = choose(str(write_strategy(tmp_path)), {"fast": 3, "slow": 10})
    kept, bare = (run_backtest(strategy_replay._request(chosen, file, keep=keep)) for keep in (True, False))
    assert len(kept.trades) > 0
    assert strategy_replay._trades(kept) == strategy_replay._trades(bare)
    assert kept.trades["exit_ms"].max() - kept.trades["entry_ms"].min() > MINUTE_MS
