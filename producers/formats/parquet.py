"""Parquet with named columns: a time, and bid and ask or open, high, low and close; read a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from infra.errors import BadFile, FileUnreadable
from producers.formats.layouts import BAR_VALUES, TICK_VALUES, role_of
from producers.formats.source import Batch, ReadOptions, Source
from producers.listing_spec import digits_of

BATCH: Final = 2**20
"""Rows that are read at once."""

_NEEDED: Final = ("bid", "ask", "open", "high", "low", "close", "spread")


def source(path: Path, options: ReadOptions) -> Source:
    """The rows of a Parquet file. Raises BadFile."""
    import polars as pl

    try:
        if not path.is_file():
            path.open("rb").close()
        frame = pl.scan_parquet(path)
        schema = frame.collect_schema()
        count = int(frame.select(pl.len()).collect().item())
    except OSError as error:
        raise FileUnreadable(f"{path}: can't be read: {error.strerror or error}") from error
    except pl.exceptions.PolarsError as error:
        raise BadFile(f"{path}: is no Parquet file or damaged: {str(error).splitlines()[0]}") from error
    names = _columns(path, list(schema), options.columns)
    bars = "open" in names
    symbol = _symbol(path, frame, names.get("symbol"))
    time = schema[names["datetime"]]
    zoned = isinstance(time, pl.Datetime) and time.time_zone is not None
    number = time.is_numeric()
    if not number and not isinstance(time, pl.Datetime):
        raise BadFile(
            f"{path}: its time column {names['datetime']!r} is {time}: a datetime or a count since 1970 is needed"
        )
    head = [str(row) for row in frame.head(3).collect().rows()] if count else []
    batches = _batches(path, frame, count, names, zoned or number)
    return Source("parquet", batches, bars, "utc" if zoned or number else "unknown", symbol, "", head)


def _columns(path: Path, there: list[str], told: str | None) -> dict[str, str]:
    """Which column is what."""
    roles = (
        [name.strip().lower() for name in told.split(",")] if told is not None else [role_of(n.lower()) for n in there]
    )
    if len(roles) > len(there):
        raise BadFile(f"{path}: has {len(there)} columns ({', '.join(there)}), and --columns names {len(roles)}")
    found: dict[str, str] = {}
    for role, name in zip(roles, there, strict=False):
        if role in ("time", "date", "datetime"):
            role = "datetime"
        if role is not None and role != "-":
            found.setdefault(role, name)
    bars = {"open", "high", "low", "close"} <= found.keys()
    if "datetime" not in found or not (bars or {"bid", "ask"} <= found.keys()):
        raise BadFile(
            f"{path}: its columns {', '.join(there)[:120]} don't say where time and prices are: name them time, bid, "
            "ask or time, "
            "open, high, low, close; or tell them by --columns in their order"
        )
    kept = BAR_VALUES if bars else TICK_VALUES
    return {role: name for role, name in found.items() if role in (*kept, "datetime", "symbol")}


def _symbol(path: Path, frame: Any, column: str | None) -> str | None:
    if column is None:
        return None
    found = frame.select(column).unique().head(3).collect()[column].to_list()
    if len(found) > 1:
        raise BadFile(
            f"{path}: holds several symbols ({', '.join(map(str, found))} …): put each into a file of its own"
        )
    return str(found[0]) if found else None


def _batches(path: Path, frame: Any, count: int, names: dict[str, str], is_utc: bool) -> Iterator[Batch]:
    import polars as pl

    time, wanted = names["datetime"], {role: name for role, name in names.items() if role not in ("datetime", "symbol")}
    per_ms: float | None = None
    for at in range(0, count, BATCH):
        piece = frame.slice(at, BATCH).select([time, *dict.fromkeys(wanted.values())]).collect()
        for name in piece.columns:
            if piece[name].null_count() and name in (time, *(wanted.get(role) for role in _NEEDED)):
                row = at + int(piece[name].is_null().arg_max() or 0) + 1
                raise BadFile(f"{path}, row {row}: {name} is empty: leave such rows out")
        if piece[time].dtype.is_numeric():
            counts = piece[time].to_numpy()
            if per_ms is None:
                size = abs(float(counts[0]))
                per_ms = 0.001 if size < 1e11 else 1.0 if size < 1e14 else 1e3 if size < 1e17 else 1e6
            if piece[time].dtype.is_integer() and per_ms >= 1:
                time_ms = counts.astype(np.int64) // np.int64(per_ms)
            else:
                time_ms = np.floor(counts / per_ms + 1e-6).astype(np.int64)
        else:
            time_ms = piece[time].dt.epoch("ms").to_numpy().astype(np.int64)
        values = {
            role: np.array(piece[name].cast(pl.Float64).fill_null(float("nan")).to_numpy())
            for role, name in wanted.items()
        }
        priced = [column for role, column in values.items() if role not in ("volume", "flags", "spread", "last")]
        yield Batch(np.array(time_ms), values, is_utc, digits_of(*priced), at + 1)
