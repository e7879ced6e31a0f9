"""The results of a sweep as Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from api.lab.parquet_files import write_frame
from api.lab.sweep.axes import Axis
from api.lab.sweep.outcome import KEPT, Row
from api.lab.sweep.walk import Walked


def write_results(path: Path, axes: Sequence[Axis], rows: Sequence[Row]) -> None:
    """A row a set: set, the parameters, the metrics of KEPT, days, refused, failed. Raises OSError."""
    columns: dict[str, Any] = {"set": pl.Series([row.number for row in rows], dtype=pl.Int64)}
    for axis in axes:
        columns[axis.name] = pl.Series([row.parameters[axis.name] for row in rows])
    for key in KEPT:
        columns[_free(key, axes)] = pl.Series([row.metric(key) for row in rows], dtype=pl.Float64)
    columns["days"] = pl.Series([row.days for row in rows], dtype=pl.Int64)
    columns["refused"] = pl.Series([row.refused for row in rows], dtype=pl.Int64)
    columns["failed"] = pl.Series([row.failed or None for row in rows], dtype=pl.String)
    write_frame(pl.DataFrame(columns), path)


def write_windows(path: Path, axes: Sequence[Axis], walked: Walked) -> None:
    """A row a window: its times, the chosen parameters, and metrics in training (`train_`) and after it (`test_`)."""
    steps = walked.steps
    columns: dict[str, Any] = {
        "window": pl.Series([step.window.number for step in steps], dtype=pl.Int64),
        "train_ms": pl.Series([step.window.train_ms for step in steps], dtype=pl.Int64),
        "test_ms": pl.Series([step.window.test_ms for step in steps], dtype=pl.Int64),
        "end_ms": pl.Series([step.window.end_ms for step in steps], dtype=pl.Int64),
        "start_balance": pl.Series([step.start for step in steps], dtype=pl.Float64),
    }
    for axis in axes:
        columns[axis.name] = pl.Series([step.chosen and step.chosen.parameters[axis.name] for step in steps])
    for key in KEPT:
        trained = [step.chosen and step.chosen.metric(key) for step in steps]
        columns[f"train_{key}"] = pl.Series(trained, dtype=pl.Float64)
        columns[f"test_{key}"] = pl.Series([step.judged.get(key) for step in steps], dtype=pl.Float64)
    write_frame(pl.DataFrame(columns), path)


def write_curve(path: Path, walked: Walked) -> None:
    """The out-of-sample account: time_ms, balance, equity, margin."""
    run = walked.run
    columns = {"time_ms": run.equity_ms, "balance": run.balance, "equity": run.equity, "margin": run.margin}
    write_frame(pl.DataFrame(columns), path)


def _free(key: str, axes: Sequence[Axis]) -> str:
    """The metric's column, under another name where a parameter is called so."""
    return f"metric_{key}" if any(axis.name == key for axis in axes) else key
