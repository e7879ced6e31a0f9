"""Tables that are written a few rows at a time, and what a system that refuses to write makes of them."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from api.lab.events import write_events
from api.lab.parquet_files import write_frame, write_pieces
from streams.backtest.journal import JournalRow
from tests.lab_runs import make_run

SCHEMA = {"n": pl.Int64, "text": pl.String}


def pieces(*sizes: int) -> Iterator[pl.DataFrame]:
    first = 0
    for size in sizes:
        numbers = range(first, first + size)
        yield pl.DataFrame({"n": list(numbers), "text": [str(n) for n in numbers]}, schema=SCHEMA)
        first += size


@pytest.mark.parametrize("group", [1, 7, 1_000])
def test_pieces_of_any_size_are_one_table_in_order(tmp_path: Path, group: int) -> None:
    path = tmp_path / "rows.parquet"
    write_pieces(pieces(3, 1, 250, 0, 40), SCHEMA, group, path)
    assert pl.read_parquet(path).equals(next(pieces(294)))


def test_no_piece_at_all_is_a_table_without_rows(tmp_path: Path) -> None:
    write_pieces([], SCHEMA, 10, tmp_path / "rows.parquet")
    found = pl.read_parquet(tmp_path / "rows.parquet")
    assert (found.height, found.schema) == (0, pl.Schema(SCHEMA))


def test_what_makes_the_pieces_tells_its_own_error(tmp_path: Path) -> None:
    def broken() -> Iterator[pl.DataFrame]:
        yield from pieces(5)
        raise ValueError("the journal is gone")

    with pytest.raises(ValueError, match="the journal is gone"):
        write_pieces(broken(), SCHEMA, 10, tmp_path / "rows.parquet")


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_is_the_systems_error_whoever_writes() -> None:
    with pytest.raises(OSError) as frame:
        write_frame(next(pieces(100)), Path("/dev/full"))
    with pytest.raises(OSError) as rows:
        write_pieces(pieces(100), SCHEMA, 10, Path("/dev/full"))
    assert (frame.value.errno, rows.value.errno) == (errno.ENOSPC, errno.ENOSPC)


def test_an_error_that_is_not_the_systems_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(pl.exceptions.PolarsError):
        write_pieces(pieces(5), {"other": pl.Int64}, 10, tmp_path / "rows.parquet")


def test_long_entries_of_a_journal_are_written_whole_and_in_order(tmp_path: Path) -> None:
    run = make_run(bars=300)
    entries = [
        JournalRow(n, n * 1_000, "CLOCK", "", -1, bytes([n % 251]) * (300_000 if n % 3 else 5)) for n in range(60)
    ]
    write_events(replace(run, journal=entries), tmp_path)
    assert [JournalRow(*row) for row in pl.read_parquet(tmp_path / "journal.parquet").rows()] == entries
