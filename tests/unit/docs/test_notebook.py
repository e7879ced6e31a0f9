"""The notebook runs from its first cell to its last, and its own checks hold."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_notebook_finds_the_same_entries_by_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for sample in (DOCS / "tutorial").glob("*.csv.gz"):
        shutil.copy(sample, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TICKLEDGER_CACHE", str(tmp_path / "cache"))
    found = runpy.run_path(str(DOCS / "notebooks" / "first_strategy.py"))
    assert len(found["decided"]) > 10
    assert "crosses" in capsys.readouterr().out
