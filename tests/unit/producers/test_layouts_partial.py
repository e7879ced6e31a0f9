"""A header that names some columns of bars is never taken for something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import BadFile
from producers.formats.data import open_data


def test_bars_without_high_and_low_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "EURUSD_M1.csv"
    rows = [f"2024.01.08\t00:{minute:02d}:00\t1.1000{minute % 10}\t1.1002{minute % 10}" for minute in range(50)]
    path.write_text("\n".join(["<DATE>\t<TIME>\t<OPEN>\t<CLOSE>", *rows]) + "\n")
    with pytest.raises(BadFile, match="has open and close, and no high and no low"):
        open_data([path])
