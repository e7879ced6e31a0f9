"""What `bench live` reckons: which block proves what, how late it was, and the home that it plays in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from api.bench.live import Played, _latencies, _memory, _note
from api.bench.live_home import ACCOUNT, FEED, Offered, live_settings, programs, services, strategies
from api.bench.live_receipts import GOALS, Receipts, Ticks, of_rows
from api.bench.result import Result
from api.cli import main

BLOCKS = Receipts(end_n=[10, 25, 40], watermark_ms=[1_000, 60_000, 61_000], received_us=[100, 200, 300])


def test_a_tick_came_with_the_block_that_has_it() -> None:
    assert [BLOCKS.of_tick(n) for n in (0, 9, 10, 24, 39)] == [100, 100, 200, 200, 300]
    assert BLOCKS.of_tick(40) == 0


def test_a_time_is_over_with_the_first_block_that_says_so() -> None:
    assert BLOCKS.of_time(60_000) == 200
    assert BLOCKS.of_time(60_001) == 300
    assert BLOCKS.of_time(61_001) == 0


def test_rows_are_there_once_a_mark_lies_behind_their_block() -> None:
    ticks = Ticks({}, {3: [(0, 1_000, 2), (1, 2_000, 1), (5, 3_000, 1)]}, 4, 0)
    late = of_rows({3: [(4_000_000, 1), (9_000_000, 5)]}, ticks, lambda ns: ns // 1000)
    # The first block's two ticks at 4 ms; the second's with the mark that has passed it; the third isn't there yet.
    assert late.tolist() == [3.0, 3.0, 7.0]
    assert ticks.measured == 4


def test_all_is_through_once_the_latest_that_follows_could_have_come_after_the_last_tick() -> None:
    ticks = Ticks({}, {3: [(0, 1_500_000, 2)], 4: [(0, 3_000_000, 1)]}, 3, 1_000_000)
    assert ticks.through_s([np.array([20.0, 500.0]), np.empty(0), np.array([40.0])]) == 2.5
    assert Ticks({}, {}, 0, 1_000_000).through_s([]) == 0.0


def test_its_home_has_a_market_that_stands_and_all_services_but_the_page(tmp_path: Path) -> None:
    offered = Offered(50, 200, 60)
    settings = live_settings(tmp_path / "home", offered)
    assert settings.terminal.data == ("synthetic:50x200x60",)
    assert settings.trade.account == ACCOUNT
    assert settings.terminal.speed < 0.001
    assert settings.recorder.poll_ms == 50
    assert len(offered.names) == len(set(offered.names)) == 50
    assert offered.names[0] == f"{FEED}/EURUSD"
    assert offered.ticks == 600_000
    assert set(services(settings)) == {
        "kafka", "postgres", "worker", "projector", "terminal", "recorder", "desk", "sequencer", "gateway",
    }  # fmt: skip
    assert "api" not in {program.name for program in programs(settings)}
    assert [one.instance for one in strategies()] == ["berserker", "sniper_intraday"]


def test_goals_hold_at_the_missions_rate_only() -> None:
    late = {what: np.arange(1.0, 101.0) for what in GOALS} | {"order": np.empty(0)}
    played = Played(
        Offered(50, 200, 60), 600_000, 62.0, late, {"kafka": 0.5, "desk": 0.1}, {"terminal": 3.0, "desk": 1.1}, []
    )
    rows = _latencies(played, "live", with_goals=True)
    assert rows[0] == Result("live.p99.bar_ms", float(np.percentile(late["bar"], 99)), "ms", 15.0, "lower")
    assert {row.id for row in rows} == {f"live.p{p}.{what}_ms" for p in (50, 99) for what in ("bar", "signal", "row")}
    assert all(row.goal is None for row in _latencies(played, "live.25k", with_goals=False))
    assert [(row.id, row.goal) for row in _memory(played)] == [
        ("live.memory.terminal.growth", None),
        ("live.memory.desk.growth", 1.5),
    ]
    assert "kafka 25 %, desk 5 %; in all 30 %" in _note(played)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["codec", "--seconds", "5"], "bench codec plays no market"),
        (["live", "--seconds", "0"], "a market is played for a second at least"),
    ],
)
def test_seconds_are_of_a_market(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
