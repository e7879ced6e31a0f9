"""The laboratory as a trader meets it: the installed command, an empty folder, a file that a terminal exported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.e2e.command import run


def export(path: Path) -> None:
    """Six days of minutes that swing, as MT5 exports them."""
    times = np.datetime64("2024-01-08T00:00") + np.arange(5 * 1440).astype("timedelta64[m]")
    waves = np.sin(np.arange(len(times)) / 300) * 0.004 + np.sin(np.arange(len(times)) / 47) * 0.0006
    closes = np.round(1.1 + waves, 5)
    opens = np.concatenate((closes[:1], closes[:-1]))
    rows = ["<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"]
    for time, opened, closed in zip(times.tolist(), opens.tolist(), closes.tolist(), strict=True):
        high, low = max(opened, closed) + 0.00003, min(opened, closed) - 0.00003
        rows.append(f"{time:%Y.%m.%d}\t{time:%H:%M:%S}\t{opened:.5f}\t{high:.5f}\t{low:.5f}\t{closed:.5f}\t20\t0\t3")
    path.write_text("\r\n".join(rows) + "\r\n", encoding="utf-8")


def test_a_first_evening(tmp_path: Path) -> None:
    export(tmp_path / "EURUSD_M1_202401080000_202401122359.csv")
    data = "EURUSD_M1_202401080000_202401122359.csv"

    made = run(tmp_path, "new", "evening")
    assert made.returncode == 0, made.stderr
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_evening.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout + tested.stderr

    strategy = tmp_path / "evening.py"
    strategy.write_text(strategy.read_text(encoding="utf-8").replace('"H1"', '"M5"'), encoding="utf-8")
    told = ("--spec", "vantage-raw", "--risk", "0.5%", "--cache", "cache")
    first = run(tmp_path, "backtest", "evening.py", data, *told, "--out", "first")
    assert first.returncode == 0, first.stderr
    assert "Total net profit" in first.stdout
    page = (tmp_path / "first" / "report.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert 'src="http' not in page

    manifest = json.loads((tmp_path / "first" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["complete"]
    assert {"signals", "orders", "fills"} <= set(manifest["digests"])

    wrong = run(tmp_path, "backtest", "evening.py", data, *told, "-p", "fast=1000")
    assert wrong.returncode == 2
    assert "between 5 and 100" in wrong.stderr
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / ".tickledger").exists(), "a backtest of files needs no home"
