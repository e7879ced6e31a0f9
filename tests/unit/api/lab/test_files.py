"""A run's folder: what is in it, to the byte where it matters, and that it is whole or not there."""

from __future__ import annotations

import csv
import errno
import json
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from api.lab import files
from api.lab.files import TRADE_COLUMNS, check_folder, trades_csv, write_run
from api.lab.metrics import METRICS, measure
from api.lab.run import Run
from infra.errors import CannotWrite
from schemas.registry import decode
from schemas.trading import ExitReason, Fill, RiskDecision, Submitted
from tests.lab_runs import make_run

HEADER = (
    "entry_time,entry_price,exit_time,exit_price,side,lots,pnl,commission,swap,spread_cost,slippage_cost,mae,mfe,"
    "exit_reason,strategy,listing"
)


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run(bars=900)


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(run, tmp_path_factory.mktemp("runs") / "deep" / "first").folder


def test_all_files_are_there(folder: Path) -> None:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    events = {f"events/{name}.parquet" for name in ("orders", "fills", "risk", "portfolio", "journal", "signals")}
    assert found == {"report.html", "report.json", "manifest.json", "trades.csv", "equity.parquet"} | events
    assert [path.name for path in folder.parent.iterdir()] == ["first"]


def test_trades_are_told_in_the_agreed_columns(run: Run, folder: Path) -> None:
    text = (folder / "trades.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == HEADER == ",".join(TRADE_COLUMNS)
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == len(run.trades)
    for row, trade in zip(rows, run.trades, strict=True):
        assert row["entry_time"].endswith("Z")
        entered = datetime.fromisoformat(row["entry_time"].replace("Z", "+00:00"))
        assert round(entered.timestamp() * 1000) == trade["entry_ms"]
        assert float(row["entry_price"]) == trade["entry_price"]
        assert float(row["pnl"]) == trade["pnl"]
        assert row["side"] == ("long" if trade["side"] > 0 else "short")
        assert row["listing"] == trade["listing"]


def test_the_documentation_names_every_file_column_and_reason(folder: Path) -> None:
    page = (Path(__file__).parents[4] / "docs" / "report.md").read_text(encoding="utf-8")
    names = [path.name for path in folder.iterdir() if path.is_file()]
    reasons = [reason.value for reason in ExitReason if reason not in (ExitReason.UNKNOWN, ExitReason.NONE)]
    assert [name for name in [*names, *TRADE_COLUMNS, *reasons] if f"`{name}`" not in page] == []


def test_numbers_are_in_their_shortest_form(run: Run) -> None:
    trades = run.trades[:1].copy()
    trades["entry_ms"], trades["entry_price"], trades["lots"], trades["pnl"] = 1_704_067_200_250, 1.1, 1.0, 0.1 + 0.2
    trades["strategy"] = 'odd, "name"'
    line = trades_csv(replace(run, trades=trades)).splitlines()[1]
    assert line.startswith("2024-01-01T00:00:00.250Z,1.1,")
    assert ",1,0.3," in line
    assert '"odd, ""name"""' in line


def test_the_report_in_json_has_every_metric(run: Run, folder: Path) -> None:
    found = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert {key: one["value"] for key, one in found["metrics"].items()} == measure(run)
    assert list(found["metrics"]) == list(METRICS)
    assert found["metrics"]["net_profit"]["unit"] == "USD"
    assert found["assumptions"] == list(run.assumptions)
    assert found["warnings"] == list(run.warnings)
    assert found["refused"] == dict(run.refused)
    assert found["complete"] is True


def test_the_manifest_keeps_the_digests(run: Run, folder: Path) -> None:
    found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert found["digests"] == dict(run.digests)
    assert found["strategy"] == run.manifest["strategy"]


def test_equity_and_events_read_back(run: Run, folder: Path) -> None:
    equity = pl.read_parquet(folder / "equity.parquet")
    assert equity.columns == ["time_ms", "balance", "equity", "margin"]
    assert np.array_equal(equity["equity"].to_numpy(), run.equity)
    fills = pl.read_parquet(folder / "events" / "fills.parquet")
    expected = [one for one in run.decided if isinstance(one, Fill)]
    assert fills["price"].to_list() == [fill.price for fill in expected]
    assert fills["profit"].to_list() == [fill.profit for fill in expected]
    assert fills["reason"].to_list() == [fill.reason.value for fill in expected]
    risk = pl.read_parquet(folder / "events" / "risk.parquet")
    decisions = [one for one in run.decided if isinstance(one, RiskDecision)]
    assert risk["checks"].to_list() == [list(one.checks) for one in decisions]


def test_orders_of_all_kinds_are_in_the_order_of_their_decisions(run: Run, folder: Path) -> None:
    orders = pl.read_parquet(folder / "events" / "orders.parquet")
    assert set(orders["record"]) == {"Submitted", "ModifyRequested"}
    assert orders["taken_us"].to_list() == sorted(orders["taken_us"].to_list())
    submitted = orders.filter(pl.col("record") == "Submitted")
    assert submitted["order_no"].to_list() == [one.order_no for one in run.decided if isinstance(one, Submitted)]


def test_the_journal_keeps_its_entries_bytes(run: Run, folder: Path) -> None:
    journal = pl.read_parquet(folder / "events" / "journal.parquet")
    assert journal.columns == ["seq", "taken_us", "kind", "stream", "stream_seq", "value"]
    assert [tuple(row) for row in journal.rows()] == [tuple(row) for row in run.journal]
    assert decode(journal["value"][0]).__class__.__name__ == "JournalEntry"


def test_a_run_without_trades_and_records_is_written(run: Run, tmp_path: Path) -> None:
    none = np.zeros(0)
    empty = replace(
        run, trades=run.trades[:0], equity_ms=none.astype(np.int64), balance=none, equity=none, margin=none, charts=[],
        decided=(), journal=(), refused={}, signals={},
    )  # fmt: skip
    written = write_run(empty, tmp_path / "empty")
    assert written.metrics["net_profit"] == 0.0
    assert "No trade was made" in written.report.read_text(encoding="utf-8")
    assert pl.read_parquet(tmp_path / "empty" / "events" / "orders.parquet").height == 0


def test_a_folder_with_something_in_it_is_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(CannotWrite, match="is there already and is kept"):
        write_run(run, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_a_stopped_run_is_marked_everywhere_and_replaced_by_the_whole_one(run: Run, tmp_path: Path) -> None:
    stopped = write_run(replace(run, complete=False), tmp_path / "run")
    assert "(incomplete)" in stopped.report.read_text(encoding="utf-8").split("</title>")[0]
    for name in ("report.json", "manifest.json"):
        assert json.loads((tmp_path / "run" / name).read_text(encoding="utf-8"))["complete"] is False
    write_run(run, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))["complete"] is True
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_file_in_the_way_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="is a file, not a folder"):
        check_folder(tmp_path / "file" / "run")


def test_a_full_disk_leaves_nothing_behind(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "write_events", full)
    with pytest.raises(CannotWrite, match=r"the disk is full.*nothing was written"):
        write_run(run, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
