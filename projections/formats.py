"""Answers as a table, CSV, JSON or Parquet, written while they are read: memory doesn't grow with them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from projections.columns import Column
from schemas.times import END_MS, FIRST_MS

Format = Literal["table", "csv", "json", "parquet"]

TYPES: Final[dict[str, type[pl.DataType]]] = {
    "text": pl.String,
    "int": pl.Int64,
    "float": pl.Float64,
    "bool": pl.Boolean,
    "time": pl.Int64,
    "json": pl.String,
    "money": pl.String,
}
"""Types of the columns of a frame: a time is UTC epoch in milliseconds, money a decimal number as text."""

_ISO: Final = "%Y-%m-%dT%H:%M:%S%.3fZ"
_WIDEST: Final = 100
_LOWEST: Final = "-292275055-05-16T16:47:04.192Z"


def write_csv(frames: Iterable[pl.DataFrame], columns: Sequence[Column], out: BinaryIO) -> None:
    """A header and a line a row: floats in shortest round-trip form (NaN and inf too), nothing where there is no value
    and for an empty text."""
    out.write(",".join(column.name for column in columns).encode() + b"\n")
    texts = [pl.col(c.name).replace("", None) for c in columns if c.kind == "text"]
    for frame in frames:
        text = BytesIO()
        _in_text(frame, columns).with_columns(texts).write_csv(text, include_header=False)
        out.write(text.getbuffer())


def write_json(frames: Iterable[pl.DataFrame], columns: Sequence[Column], out: BinaryIO) -> None:
    """One array with an object a row; null where there is no value, or one that JSON can't write (NaN, infinite)."""
    nested = any(column.kind == "json" for column in columns)
    first = True
    out.write(b"[")
    for frame in frames:
        if not len(frame):
            continue
        out.write(b"\n" if first else b",\n")
        first = False
        text = BytesIO()
        in_text = _in_text(frame, columns)
        if nested:
            rows = (_unpacked(row, columns) for row in in_text.iter_rows())
            text.write(b",\n".join(json.dumps(row, ensure_ascii=False).encode() for row in rows))
        else:
            in_text.write_ndjson(text)
        # A line end inside a value is escaped, so each one here parts two rows.
        out.write(text.getvalue().rstrip(b"\n").replace(b"}\n{", b"},\n{"))
    out.write(b"]\n" if first else b"\n]\n")


def write_parquet(frames: Iterable[pl.DataFrame], columns: Sequence[Column], path: Path) -> None:
    """A file with a row group a frame, zstd; times are timestamps of milliseconds in UTC."""
    special: dict[str, pl.DataType] = {"time": pl.Datetime("ms", "UTC"), "money": pl.Decimal(28, 8)}
    schema = {c.name: special.get(c.kind, TYPES[c.kind]()) for c in columns}

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        for frame in frames:
            yield frame.cast(schema)  # type: ignore[arg-type]

    register_io_source(source, schema=schema).sink_parquet(path, compression="zstd", row_group_size=ROW_GROUP)


def write_table(frames: Iterable[pl.DataFrame], columns: Sequence[Column], out: BinaryIO) -> None:
    """Columns side by side for people, numbers to the right, long texts cut; all rows are held, so ask for few."""
    rows = [tuple(_cell(v) for v in row) for frame in frames for row in _in_text(frame, columns).iter_rows()]
    widths = [max(len(c.name), *(len(row[i]) for row in rows)) if rows else len(c.name) for i, c in enumerate(columns)]
    right = [column.kind in ("int", "float", "money") for column in columns]
    for row in [tuple(column.name for column in columns), *rows]:
        cells = [v.rjust(w) if r else v.ljust(w) for v, w, r in zip(row, widths, right, strict=True)]
        out.write("  ".join(cells).rstrip().encode() + b"\n")


STREAMED: Final[dict[str, Callable[[Iterable[pl.DataFrame], Sequence[Column], BinaryIO], None]]] = {
    "table": write_table,
    "csv": write_csv,
    "json": write_json,
}
"""Formats that can be written to a pipe."""

ROW_GROUP: Final = 131_072


def iso_times(times: pl.Series) -> pl.Series:
    """ISO 8601 UTC with milliseconds of `times` (UTC epoch in milliseconds), for every int64."""
    low, high = times.min(), times.max()
    if low is None or (int(low) >= FIRST_MS and int(high) < END_MS):  # type: ignore[arg-type]
        return times.cast(pl.Datetime("ms")).dt.strftime(_ISO)
    return pl.Series(times.name, [None if t is None else _expanded_iso(t) for t in times.to_list()], pl.String)


def _expanded_iso(time_ms: int) -> str:
    if time_ms == -(2**63):
        return _LOWEST
    text = f"{np.datetime64(time_ms, 'ms')}Z"
    return f"+{text}" if time_ms >= END_MS else text


def _in_text(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    return frame.with_columns(iso_times(frame[c.name]) for c in columns if c.kind == "time")


def _unpacked(row: tuple[Any, ...], columns: Sequence[Column]) -> dict[str, Any]:
    values = {}
    for column, value in zip(columns, row, strict=True):
        if column.kind == "json" and value is not None:
            value = json.loads(value)
        values[column.name] = None if isinstance(value, float) and not math.isfinite(value) else value
    return values


def _cell(value: Any) -> str:
    """A value in one short line."""
    if value is None:
        return ""
    text = " ".join(str(value).split())
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
