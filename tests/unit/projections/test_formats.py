"""Answers in each format, to the byte."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.columns import COLUMNS, Column, describe
from projections.formats import iso_times, write_csv, write_json, write_parquet, write_table

COLUMNS_HERE = (
    Column("name", "text", ""),
    Column("n", "int", ""),
    Column("time", "time", ""),
    Column("price", "float", ""),
    Column("whole", "bool", ""),
)
FRAME = pl.DataFrame(
    {
        "name": ["a#1, b", "", 'x"y'],
        "n": [1, None, 2**62],
        "time": [1_399_334_400_158, None, 0],
        "price": [1.39265, float("nan"), 1e-7],
        "whole": [True, False, None],
    }
)


def rows_of_csv(frames: list[pl.DataFrame]) -> list[list[str]]:
    out = io.BytesIO()
    write_csv(frames, COLUMNS_HERE, out)
    return list(csv.reader(io.StringIO(out.getvalue().decode())))


def test_csv() -> None:
    assert rows_of_csv([FRAME]) == [
        ["name", "n", "time", "price", "whole"],
        ["a#1, b", "1", "2014-05-06T00:00:00.158Z", "1.39265", "true"],
        ["", "", "", "NaN", "false"],
        ['x"y', str(2**62), "1970-01-01T00:00:00.000Z", "1e-7", ""],
    ]


def test_an_empty_answer_is_a_header_in_csv_and_an_empty_array_in_json() -> None:
    out = io.BytesIO()
    write_json([], COLUMNS_HERE, out)

    assert rows_of_csv([]) == [["name", "n", "time", "price", "whole"]]
    assert out.getvalue() == b"[]\n"
    assert json.loads(out.getvalue()) == []


def test_json_is_one_array_over_all_frames() -> None:
    out = io.BytesIO()
    write_json([FRAME.head(1), FRAME.clear(), FRAME.tail(2)], COLUMNS_HERE, out)

    assert json.loads(out.getvalue()) == [
        {"name": "a#1, b", "n": 1, "time": "2014-05-06T00:00:00.158Z", "price": 1.39265, "whole": True},
        {"name": "", "n": None, "time": None, "price": None, "whole": False},
        {"name": 'x"y', "n": 2**62, "time": "1970-01-01T00:00:00.000Z", "price": 1e-7, "whole": None},
    ]


@given(st.lists(st.text(), min_size=1))
def test_no_text_breaks_json(texts: list[str]) -> None:
    out = io.BytesIO()
    write_json([pl.DataFrame({"name": texts})], COLUMNS_HERE[:1], out)

    assert [row["name"] for row in json.loads(out.getvalue())] == texts


def test_a_record_is_an_object_in_json_and_a_text_elsewhere() -> None:
    column = (Column("record", "json", ""), Column("price", "float", ""))
    frame = pl.DataFrame({"record": ['{"digits": 5, "name": "ä"}'], "price": [float("inf")]})
    out, text = io.BytesIO(), io.BytesIO()
    write_json([frame], column, out)
    write_csv([frame], column, text)

    assert json.loads(out.getvalue()) == [{"record": {"digits": 5, "name": "ä"}, "price": None}]
    assert text.getvalue().decode() == 'record,price\n"{""digits"": 5, ""name"": ""ä""}",inf\n'


@given(st.lists(st.floats(), min_size=1))
def test_floats_go_round(prices: list[float]) -> None:
    out = io.BytesIO()
    write_csv([pl.DataFrame({"price": prices})], COLUMNS_HERE[3:4], out)
    back = [float(line) for line in out.getvalue().decode().splitlines()[1:]]

    assert np.array(back).tobytes() == np.where(np.isnan(prices), float("nan"), prices).tobytes()


def test_floats_are_as_short_as_can_be() -> None:
    assert [row[3] for row in rows_of_csv([FRAME.with_columns(price=pl.lit(0.1 + 0.2))])][1] == "0.30000000000000004"


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (-62_135_596_800_001, "0000-12-31T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, "+10000-01-01T00:00:00.000Z"),
        (2**63 - 1, "+292278994-08-17T07:12:55.807Z"),
        (-(2**63), "-292275055-05-16T16:47:04.192Z"),
    ],
)
def test_every_time_has_a_text(time_ms: int, text: str) -> None:
    assert iso_times(pl.Series([time_ms], dtype=pl.Int64)).to_list() == [text]
    assert iso_times(pl.Series([time_ms, None, 0], dtype=pl.Int64)).to_list() == [
        text,
        None,
        "1970-01-01T00:00:00.000Z",
    ]


def test_parquet_has_a_row_group_a_frame_and_timestamps(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_parquet(iter([FRAME] * 5), COLUMNS_HERE, path)
    back = pl.read_parquet(path)

    assert len(back) == 15
    assert back.schema["time"] == pl.Datetime("ms", "UTC")
    assert back["time"].cast(pl.Int64).to_list()[:3] == [1_399_334_400_158, None, 0]
    assert back["n"].to_list()[:3] == [1, None, 2**62]


def test_an_empty_parquet_has_its_columns(tmp_path: Path) -> None:
    write_parquet(iter([]), COLUMNS_HERE, tmp_path / "x.parquet")

    assert pl.read_parquet(tmp_path / "x.parquet").columns == ["name", "n", "time", "price", "whole"]


def test_a_table_is_aligned_in_single_lines() -> None:
    out = io.BytesIO()
    write_table([FRAME.with_columns(name=pl.lit("two\nlines"))], COLUMNS_HERE, out)
    lines = out.getvalue().decode().splitlines()

    assert lines[0] == "name                         n  time                        price  whole"
    assert lines[1] == "two lines                    1  2014-05-06T00:00:00.158Z  1.39265  true"
    assert len(lines) == 4


def test_a_table_cuts_long_texts() -> None:
    out = io.BytesIO()
    write_table([pl.DataFrame({"name": ["x" * 5000]})], COLUMNS_HERE[:1], out)

    assert out.getvalue().decode().splitlines()[1] == "x" * 99 + "…"


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_is_described_once(name: str) -> None:
    columns = COLUMNS[name]

    assert len({column.name for column in columns}) == len(columns)
    assert all(column.doc for column in columns)
    assert describe(name).count("\n") == len(columns) - 1


def test_columns_are_those_of_the_contract() -> None:
    assert ",".join(c.name for c in COLUMNS["ticks"]) == "listing,n,time,bid,ask,last,volume,flags,quality"
    assert ",".join(c.name for c in COLUMNS["bars"]) == (
        "listing,timeframe,time,open,high,low,close,ask_close,ticks,spread_min,spread_mean,spread_max,volume,complete"
    )
    assert COLUMNS["signals"][0].name == "id"
