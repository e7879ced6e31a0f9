"""The walk forward: chosen on one stretch, traded on the next by the same account."""

from __future__ import annotations

from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from api.lab.backtest import Request, run_backtest
from api.lab.choice import choose
from api.lab.command import Asked, in_range, traded_of
from api.lab.metrics import measure
from api.progress_line import ProgressLine
from schemas.times import iso_ms
from tests.unit.api.lab.sweep.asked import Bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("walk"), days=5)


@pytest.fixture(scope="module")
def walked(bench: Bench) -> dict[str, Any]:
    return bench.sweep("walked", "fast=3,6", "slow=12,20", walk_forward="2d/1d", by="net_profit", min_trades=5).answer


def test_each_window_is_chosen_on_its_training_only(bench: Bench, walked: dict[str, Any]) -> None:
    windows = walked["walk_forward"]["windows"]
    assert len(windows) == 4
    window = windows[1]
    best = max(
        (net(bench, {"fast": fast, "slow": slow}, window["train_ms"], window["test_ms"]), -at, fast, slow)
        for at, (fast, slow) in enumerate([(3, 12), (3, 20), (6, 12), (6, 20)])
    )
    assert window["parameters"] == {"fast": best[2], "slow": best[3]}
    assert window["train"]["net_profit"] == best[0]


def test_each_test_is_a_backtest_of_its_range_from_the_balance_before(bench: Bench, walked: dict[str, Any]) -> None:
    balance = Decimal("10000")
    for window in walked["walk_forward"]["windows"]:
        earned = net(bench, window["parameters"], window["test_ms"], window["end_ms"], f"balance={balance}")
        assert window["test"]["net_profit"] == earned
        balance += round(Decimal(repr(earned)), 2)


def test_the_curve_is_of_one_account(bench: Bench, walked: dict[str, Any]) -> None:
    curve = pl.read_parquet(bench.folder / "walked" / "walk_forward_equity.parquet")
    assert curve["time_ms"].is_sorted()
    total = sum(window["test"]["net_profit"] for window in walked["walk_forward"]["windows"])
    assert curve["equity"][-1] == pytest.approx(10_000 + total, abs=1e-6)
    assert walked["walk_forward"]["metrics"]["net_profit"] == pytest.approx(total, abs=1e-6)
    table = pl.read_parquet(bench.folder / "walked" / "walk_forward.parquet")
    assert table["start_balance"][0] == 10_000
    assert table["test_net_profit"].sum() == pytest.approx(total, abs=1e-6)


def test_windows_without_enough_trades_are_not_traded(bench: Bench) -> None:
    answer = bench.sweep("empty", "fast=3,6", walk_forward="2d/1d", min_trades=5_000).answer
    assert "walk_forward" not in answer
    assert any("in no window" in warning for warning in answer["warnings"])


def test_the_page_has_the_windows(bench: Bench, walked: dict[str, Any]) -> None:
    page = (bench.folder / "walked" / "sweep.html").read_text()
    assert "Walk forward" in page
    assert 'id="curve"' in page


def net(bench: Bench, values: dict[str, Any], from_ms: int, to_ms: int, *set_: str) -> float:
    told = bench.options(from_=iso_ms(from_ms), to=iso_ms(to_ms), set_=list(set_) or None)
    chosen = choose(str(bench.strategy), values)
    with ExitStack() as kept:
        found = traded_of(Asked(str(bench.strategy), (bench.data,), told), ProgressLine(), bench.folder, None, kept)
        data, first_ms = in_range(chosen, found, told)
        run = run_backtest(Request(chosen=chosen, data=data, sized=told.sized(), from_ms=first_ms))
    return measure(run)["net_profit"] or 0.0


def test_what_was_kept_is_by_day_over_all_windows(walked: dict[str, Any]) -> None:
    windows = walked["walk_forward"]["windows"]
    trained = sum(one["train"]["net_profit"] for one in windows) / sum(o["test_ms"] - o["train_ms"] for o in windows)
    judged = sum(one["test"]["net_profit"] for one in windows) / sum(o["end_ms"] - o["test_ms"] for o in windows)
    assert walked["walk_forward"]["kept"] == (pytest.approx(judged / trained) if trained > 0 else None)
