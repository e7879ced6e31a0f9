"""Rows for COPY are, byte for byte, what psycopg itself would send."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.bool import BoolBinaryDumper
from psycopg.types.datetime import DatetimeBinaryDumper
from psycopg.types.numeric import FloatBinaryDumper, Int2BinaryDumper, Int4BinaryDumper, Int8BinaryDumper
from psycopg.types.string import BytesBinaryDumper

from projections.copy import BARS, TICK_BLOCKS, TICKS, Layout, macs, timestamptz, timestamptz_us

DUMPERS: dict[str, Any] = {
    "int2": Int2BinaryDumper(int),
    "int4": Int4BinaryDumper(int),
    "int8": Int8BinaryDumper(int),
    "float8": FloatBinaryDumper(float),
    "bool": BoolBinaryDumper(bool),
    "mac": BytesBinaryDumper(bytes),
}
SAMPLES: dict[str, tuple[Any, Any]] = {
    "int2": (7, -3),
    "int4": (1, -(2**31)),
    "int8": (2**62, -1),
    "float8": (1.39265, float("inf")),
    "bool": (True, False),
    "mac": (bytes(range(16)), b"\xff" * 16),
}


def one_row(values: dict[str, Any], layout: Layout) -> bytes:
    """The row as psycopg's own dumpers write it; datetimes as datetime, None as null."""
    out = struct.pack(">h", len(layout.columns))
    for name, kind in layout.columns.items():
        value = values[name]
        if value is None:
            out += struct.pack(">i", -1)
            continue
        dumper = DatetimeBinaryDumper(datetime) if kind == "timestamptz" else DUMPERS[kind]
        data = bytes(dumper.dump(value))
        out += struct.pack(">i", len(data)) + data
    return out


@pytest.mark.parametrize("layout", [TICKS, TICK_BLOCKS, BARS], ids=lambda layout: layout.name)
@pytest.mark.parametrize("nulls", [(), ("last", "volume", "time_ms"), ("time_ms",)])
def test_rows_are_what_psycopg_would_send(layout: Layout, nulls: tuple[str, ...]) -> None:
    times = [datetime(2014, 5, 6, 0, 0, 0, 158000, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC)]
    expected: list[dict[str, Any]] = [{}, {}]
    columns: dict[str, Any] = {}
    for name, kind in layout.columns.items():
        samples = (None, None) if name in nulls else SAMPLES.get(kind, times)
        for row, sample in zip(expected, samples, strict=True):
            row[name] = sample
        if name in nulls:
            columns[name] = None
        elif kind == "timestamptz":
            columns[name] = timestamptz(np.array([int(t.timestamp() * 1000) for t in times], np.int64))[0]
        else:
            columns[name] = macs(samples) if kind == "mac" else np.array(samples)

    assert layout.rows(2, columns).tobytes() == b"".join(one_row(row, layout) for row in expected)


def test_one_value_stands_for_all_rows() -> None:
    layout = Layout("t", {"a": "int8", "b": "bool"})

    assert layout.rows(3, {"a": np.array([5, 5, 5]), "b": np.array([True] * 3)}).tobytes() == (
        layout.rows(3, {"a": 5, "b": True}).tobytes()
    )


def test_no_rows_are_no_bytes() -> None:
    assert TICKS.rows(0, dict.fromkeys(TICKS.columns, 0)).tobytes() == b""


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_times_of_the_calendar_are_exact(time_ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
    times, infinite = timestamptz(np.array([time_ms]))

    assert infinite is None
    assert struct.pack(">q", int(times[0])) == bytes(DatetimeBinaryDumper(datetime).dump(moment))
    assert int(timestamptz_us(np.array([time_ms * 1000]))[0]) == int(times[0])


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_times_beyond_timestamptz_are_infinite_and_named(time_ms: list[int]) -> None:
    first, end = -210_866_803_200_000, 9_224_318_016_000_000  # 4714-11-24 BC and 294277-01-01
    times, infinite = timestamptz(np.array(time_ms))
    beyond = [not first <= t < end for t in time_ms]

    assert (infinite.tolist() if infinite is not None else [False] * len(time_ms)) == beyond
    for t, found in zip(time_ms, times.tolist(), strict=True):
        if t < first:
            assert found == -(2**63)
        elif t >= end:
            assert found == 2**63 - 1
        else:
            assert found == (t - 946_684_800_000) * 1000


@given(st.integers(-(2**63), 2**63 - 1))
def test_microseconds_never_wrap_round(time_us: int) -> None:
    found = int(timestamptz_us(np.array([time_us]))[0])

    if time_us < -210_866_803_200_000_000:
        assert found == -(2**63)
    else:
        assert found == time_us - 946_684_800_000_000
