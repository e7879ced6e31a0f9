"""Rows for PostgreSQL's binary COPY, built from NumPy columns without a step for each row.

Source of the format: PostgreSQL manual, COPY, "Binary Format"; of timestamptz: src/include/datatype/timestamp.h
(int64 microseconds since 2000-01-01 UTC, its extremes standing for plus and minus infinity).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

from projections.database import Connection, table
from projections.moments import END_MS, EPOCH_MS, FIRST_MS, INFINITY, MINUS_INFINITY

Longs = npt.NDArray[np.int64]
Column = npt.NDArray[Any] | int | float | bool | None

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_PART_BYTES: Final = 4 << 20
_BIG_ENDIAN: Final = {"int2": ">i2", "int4": ">i4", "int8": ">i8", "float8": ">f8", "bool": "u1", "mac": "V16"}
_BIG_ENDIAN["timestamptz"] = _BIG_ENDIAN["int8"]


class Layout:
    """The columns of one table that are copied, in order, each with its type: all of a fixed width.

    Types: int2, int4, int8, float8, bool, timestamptz (int64 from `timestamptz()`), mac (bytea of 16 bytes).
    """

    def __init__(self, name: str, columns: Mapping[str, str]) -> None:
        self.name = name
        self.columns = dict(columns)
        self._templates: dict[frozenset[str], npt.NDArray[Any]] = {}
        self.statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(
            table(name), sql.SQL(", ").join(map(sql.Identifier, self.columns))
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """One row with no null in it."""
        return self._template_of(frozenset()).dtype

    def rows(self, count: int, values: Mapping[str, Column]) -> npt.NDArray[Any]:
        """`count` rows as they go over the wire. A value is an array of `count`, one value for all rows, or None: null
        in all of them. Every column must be named."""
        nulls = frozenset(name for name in self.columns if values[name] is None)
        rows = np.repeat(self._template_of(nulls), count)
        for name in self.columns:
            if name not in nulls:
                rows[name] = values[name]
        return rows

    def _template_of(self, nulls: frozenset[str]) -> npt.NDArray[Any]:
        """One row with its field count and lengths filled in; a null has length -1 and no value."""
        if nulls in self._templates:
            return self._templates[nulls]
        fields: list[tuple[str, str]] = [("#", ">i2")]
        for name, kind in self.columns.items():
            fields.append((f"#{name}", ">i4"))
            if name not in nulls:
                fields.append((name, _BIG_ENDIAN[kind]))
        row = np.zeros(1, np.dtype(fields))
        row["#"] = len(self.columns)
        for name in self.columns:
            row[f"#{name}"] = -1 if name in nulls else row.dtype[name].itemsize
        self._templates[nulls] = row
        return row


def copy_rows(cursor: psycopg.Cursor[Any], layout: Layout, parts: Iterable[npt.NDArray[Any]]) -> None:
    """Copies `parts` (from `Layout.rows`) into the layout's table, in the transaction of `cursor`."""
    with cursor.copy(layout.statement) as copy:
        copy.write(_HEADER)
        for part in parts:
            copy.write(part.view(np.uint8).data)
        copy.write(_TRAILER)


def read_rows(connection: Connection, layout: Layout, query: sql.Composable) -> Iterator[npt.NDArray[Any]]:
    """The rows of `query`, which selects the layout's columns in order, none of them null: arrays of `layout.dtype`,
    big-endian, some thousands of rows each."""
    rest = b""
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("copy ({}) to stdout (format binary)").format(query)) as rows,
    ):
        started = False
        parts: list[bytes] = []
        size = 0
        for data in rows:
            part = bytes(data)
            if not started:
                part, started = part[len(_HEADER) :], True
            parts.append(part)
            size += len(part)
            if size >= _PART_BYTES:
                rest = b"".join([rest, *parts])
                whole = len(rest) // layout.dtype.itemsize
                yield np.frombuffer(rest, layout.dtype, whole)
                rest, parts, size = rest[whole * layout.dtype.itemsize :], [], 0
        rest = b"".join([rest, *parts])
    whole = len(rest) // layout.dtype.itemsize
    if whole:
        yield np.frombuffer(rest, layout.dtype, whole)


def native(rows: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """A column of `read_rows` in this machine's byte order, contiguous."""
    return rows[name].astype(rows.dtype[name].newbyteorder("="))


def timestamptz(time_ms: Longs) -> tuple[Longs, npt.NDArray[np.bool_] | None]:
    """Binary timestamptz of `time_ms` (UTC epoch), and which of them became infinite since the type can't hold them;
    None if none did."""
    if not len(time_ms) or (int(time_ms.min()) >= FIRST_MS and int(time_ms.max()) < END_MS):
        return (time_ms - EPOCH_MS) * 1000, None
    below, above = time_ms < FIRST_MS, time_ms >= END_MS
    times = (np.where(below | above, EPOCH_MS, time_ms) - EPOCH_MS) * 1000
    times[below], times[above] = MINUS_INFINITY, INFINITY
    return times, below | above


def timestamptz_us(time_us: Longs) -> Longs:
    """Binary timestamptz of `time_us` (UTC epoch in microseconds); infinite beyond what the type holds."""
    first, end = FIRST_MS * 1000, (END_MS - EPOCH_MS) * 1000
    shifted = np.where(time_us < first, MINUS_INFINITY, time_us - EPOCH_MS * 1000)
    return np.where(shifted >= end, INFINITY, shifted)


def macs(values: Sequence[bytes]) -> npt.NDArray[np.void]:
    """MACs of 16 bytes each as a column."""
    return np.frombuffer(b"".join(values), "V16")


TICKS: Final = Layout(
    "ticks",
    {
        "n": "int8",
        "time": "timestamptz",
        "bid": "float8",
        "ask": "float8",
        "listing_id": "int4",
        "flags": "int4",
        "quality": "int4",
        "last": "float8",
        "volume": "float8",
        "time_ms": "int8",
    },
)

TICK_BLOCKS: Final = Layout(
    "tick_blocks",
    {
        "first_n": "int8",
        "seq": "int8",
        "time": "timestamptz",
        "received": "timestamptz",
        "watermark": "timestamptz",
        "from_time": "timestamptz",
        "to_time": "timestamptz",
        "epoch": "int8",
        "ref_no": "int8",
        "log_offset": "int8",
        "listing_id": "int4",
        "count": "int4",
        "server_offset_s": "int4",
        "log_partition": "int2",
        "source": "int2",
        "gap": "bool",
        "mac": "mac",
    },
)

BARS: Final = Layout(
    "bars",
    {
        "time": "timestamptz",
        "out_seq": "int8",
        "open": "float8",
        "high": "float8",
        "low": "float8",
        "close": "float8",
        "ask_close": "float8",
        "spread_mean": "float8",
        "volume": "float8",
        "ticks": "int8",
        "spread_min": "int8",
        "spread_max": "int8",
        "first_n": "int8",
        "last_n": "int8",
        "ref_no": "int8",
        "listing_id": "int4",
        "operator_id": "int4",
        "server_offset_s": "int4",
        "timeframe": "int2",
        "complete": "bool",
    },
)
