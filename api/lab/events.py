"""A run's events as Parquet: `orders`, `fills`, `risk`, `portfolio` in columns, and the journal that they derive from.

A topic's file has the columns of all its record types, null where a record has no such field, and `record`, its type.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agents.signals import ENTRY_TYPES, KINDS, ON_OPPOSITE, SIDES
from api.lab.parquet_files import write_frame, write_pieces
from api.lab.run import Run
from schemas import trading
from schemas.registry import schemas
from streams.backtest.journal import JournalRow

if TYPE_CHECKING:
    import polars as pl

_PIECE_BYTES: Final = 1 << 19
_GROUP_BYTES: Final = 1 << 20
_LEAST_GROUP: Final = 8
_MOST_GROUP: Final = 65_536
_CODES: Final[Mapping[str, Sequence[Any]]] = {
    "kind": KINDS, "side": SIDES, "on_opposite": ON_OPPOSITE, "entry_type": ENTRY_TYPES,
}  # fmt: skip
TOPICS: Final = ("orders", "fills", "risk", "portfolio")
"""What the desk decides, a file each; `journal.parquet` is beside them."""


def write_events(run: Run, folder: Path) -> None:
    """Writes a Parquet file for each of TOPICS, the signals and the journal into `folder`. Raises OSError."""
    by_type: dict[str, list[tuple[int, Any]]] = {}
    for i, record in enumerate(run.decided):
        by_type.setdefault(type(record).__name__, []).append((i, record))
    for topic in TOPICS:
        write_frame(table(topic, by_type), folder / f"{topic}.parquet")
    write_frame(signals(run.signal_rows), folder / "signals.parquet")
    _write_journal(run.journal, folder / "journal.parquet")


def table(topic: str, by_type: dict[str, list[tuple[int, Any]]]) -> pl.DataFrame:
    """The records of one topic in the order in which they were decided."""
    import polars as pl

    parts = []
    for name in record_types(topic):
        found = by_type.get(name)
        if found:
            records = [record for _, record in found]
            columns = {"at": pl.Series(values=[i for i, _ in found], dtype=pl.Int64)}
            columns["record"] = pl.repeat(name, len(records), eager=True, dtype=pl.String)
            for field, kind in _fields(name).items():
                columns[_title(topic, name, field)] = _column([getattr(record, field) for record in records], kind)
            parts.append(pl.DataFrame(columns))
    if not parts:
        return pl.DataFrame(schema={"record": pl.String, **_schema(topic)})
    return pl.concat(parts, how="diagonal").sort("at").drop("at")


def signals(rows: Mapping[str, Sequence[Any]]) -> pl.DataFrame:
    """Every signal with its listing, in the order of the listings and then of what proved it; NaN where there is none.

    Times are UTC milliseconds; units as in the schema of Signal.
    """
    import numpy as np
    import polars as pl

    parts = []
    for listing, pieces in rows.items():
        found = np.concatenate(list(pieces))
        columns: dict[str, Any] = {"listing": [listing] * len(found)}
        for name in found.dtype.names or ():
            values = found[name].tolist()
            if name in _CODES:
                values = [str(_CODES[name][code]) for code in values]
            elif name == "message":
                values = [text.decode(errors="replace") for text in values]
            columns[name] = values
        parts.append(pl.DataFrame(columns))
    return pl.concat(parts) if parts else pl.DataFrame(schema={"listing": pl.String})


def _write_journal(entries: Iterable[JournalRow], path: Path) -> None:
    """seq, taken_us, kind, stream, stream_seq and the entry's own encoding, `value`."""
    import polars as pl

    schema = {
        "seq": pl.Int64, "taken_us": pl.Int64, "kind": pl.String, "stream": pl.String, "stream_seq": pl.Int64,
        "value": pl.Binary,
    }  # fmt: skip

    def pieces() -> Iterator[pl.DataFrame]:
        for some in _pieces(entries):
            yield pl.DataFrame(some, schema=schema, orient="row")

    # A group is in memory whole, and an entry may have a hundred bytes or a hundred thousand of them.
    sizes = [len(entry.value) for entry in entries]
    mean = sum(sizes) // max(len(sizes), 1)
    write_pieces(pieces(), schema, min(max(_GROUP_BYTES // max(mean, 1), _LEAST_GROUP), _MOST_GROUP), path)


def _pieces(entries: Iterable[JournalRow]) -> Iterator[list[JournalRow]]:
    """Entries in order, as many together as make about _PIECE_BYTES."""
    some: list[JournalRow] = []
    size = 0
    for entry in entries:
        some.append(entry)
        size += len(entry.value)
        if size >= _PIECE_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


@cache
def record_types(topic: str) -> tuple[str, ...]:
    """The names of the desk's record types on `topic`."""
    return tuple(s.name for s in schemas().values() if s.topic == topic and s.record is not None)


@cache
def _fields(name: str) -> dict[str, Any]:
    """Field by name: str, int, float, bool, Decimal, bytes, an Enum, or tuple[…], without `| None`."""
    record = getattr(trading, name)
    hints = typing.get_type_hints(record)
    kinds = {}
    for field in dataclasses.fields(record):
        kind = hints[field.name]
        options = [one for one in typing.get_args(kind) if one is not type(None)]
        kinds[field.name] = options[0] if type(None) in typing.get_args(kind) else kind
    return kinds


def _schema(topic: str) -> dict[str, Any]:
    return {
        _title(topic, name, field): _dtype(kind)
        for name in record_types(topic)
        for field, kind in _fields(name).items()
    }


def _title(topic: str, name: str, field: str) -> str:
    """A field's column: its name, or, where an earlier type has another kind of value by it, its type's and its own."""
    kind = _fields(name)[field]
    for earlier in record_types(topic):
        if earlier == name:
            break
        if _fields(earlier).get(field, kind) != kind:
            return f"{name.lower()}_{field}"
    return field


def _column(values: list[Any], kind: Any) -> pl.Series:
    import polars as pl

    if isinstance(kind, type) and issubclass(kind, Enum):
        values = [value.value for value in values]
    elif kind is Decimal:
        # Whole units of 10^-8, cast by polars: ten times as quick as a decimal at a time.
        units = [int(value.scaleb(8)) for value in values]
        scaled = pl.Series(values=units, dtype=pl.Int64).cast(pl.Decimal(28, 0)) * pl.Series([Decimal("0.00000001")])
        return scaled.cast(pl.Decimal(28, 8))
    elif typing.get_origin(kind) is tuple and values and len(values[0]) and len({len(value) for value in values}) == 1:
        # Lists of one length are cut from one column: polars makes them a list at a time otherwise.
        flat = pl.Series(values=[one for value in values for one in value], dtype=_dtype(typing.get_args(kind)[0]))
        return flat.reshape((len(values), len(values[0]))).arr.to_list()
    return pl.Series(values=values, dtype=_dtype(kind))


def _dtype(kind: Any) -> Any:
    import polars as pl

    if typing.get_origin(kind) is tuple:
        return pl.List(_dtype(typing.get_args(kind)[0]))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return pl.String
    return {str: pl.String, int: pl.Int64, float: pl.Float64, bool: pl.Boolean, bytes: pl.Binary}.get(
        kind, pl.Decimal(28, 8)
    )
