"""A sweep as files: results.parquet, sweep.html, and those of the walk forward. They can be written again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from api.lab.sweep.findings import Findings
from api.lab.sweep.page import sweep_page
from api.lab.sweep.store import cannot_write
from api.lab.sweep.tables import write_curve, write_results, write_windows


def write_sweep(found: Findings, folder: Path) -> None:
    """Writes them into `folder`, each whole or not at all. Raises CannotWrite."""
    try:
        _whole(folder / "results.parquet", lambda path: write_results(path, found.axes, found.rows))
        if found.walked is not None:
            walked = found.walked
            _whole(folder / "walk_forward.parquet", lambda path: write_windows(path, found.axes, walked))
            _whole(folder / "walk_forward_equity.parquet", lambda path: write_curve(path, walked))
        page = sweep_page(found)
        _whole(folder / "sweep.html", lambda path: path.write_text(page, encoding="utf-8"))
    except OSError as error:
        raise cannot_write(folder, error) from error


def _whole(path: Path, write: Callable[[Path], object]) -> None:
    made = path.with_name(f".{path.name}")
    write(made)
    os.replace(made, path)
