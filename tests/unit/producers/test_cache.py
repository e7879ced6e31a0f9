"""What was parsed is kept by content: found again, never half, and made again when it is damaged."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from infra.errors import CannotWrite
from producers.cache import TickCache
from producers.formats import data as opening
from producers.formats.data import open_data
from producers.formats.source import FileNotes
from tests.unit.producers import exports

MONDAY = exports.at(2024, 1, 8)
TICKS = exports.walk(500, MONDAY)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are parsed, as it happens."""
    names: list[str] = []
    real = opening.read_into

    def read_into(path: Path, *more: object) -> FileNotes:
        names.append(path.name)
        return real(path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(opening, "read_into", read_into)
    return names


def file(folder: Path, name: str = "EURUSD.csv", ticks: list[exports.Tick] = TICKS) -> Path:
    return exports.write(folder / name, exports.truefx(ticks))


def bids(path: Path, cache: Path, **more: object) -> list[float]:
    blocks = open_data([path], cache=cache, **more)[0].blocks()  # type: ignore[arg-type]
    return np.concatenate([block.bid for block in blocks]).tolist()


def test_a_file_is_parsed_once_also_under_another_name_and_time(tmp_path: Path, parsed: list[str]) -> None:
    cache = tmp_path / "cache"
    path = file(tmp_path)
    assert bids(path, cache) == bids(path, cache) == [bid for _, bid, _ in TICKS]
    os.utime(path, ns=(1, 1))
    assert bids(path, cache) == [bid for _, bid, _ in TICKS]
    assert bids(shutil.copy(path, tmp_path / "EURUSD.txt"), cache) == [bid for _, bid, _ in TICKS]
    assert parsed == ["EURUSD.csv"]


def test_other_content_or_other_options_are_parsed_anew(tmp_path: Path, parsed: list[str]) -> None:
    cache = tmp_path / "cache"
    path = file(tmp_path)
    bids(path, cache)
    bids(path, cache, server_clock="eu")
    file(tmp_path, ticks=exports.walk(500, MONDAY, seed=2))
    assert bids(path, cache) == [bid for _, bid, _ in exports.walk(500, MONDAY, seed=2)]
    assert parsed == ["EURUSD.csv"] * 3


def test_warnings_name_the_file_as_it_is_called_now(tmp_path: Path) -> None:
    lines = ["time,bid,ask"] + [f"2024-01-08 00:00:{i:02d},1.1,1.2" for i in range(9)]
    one = exports.write(tmp_path / "EURUSD.csv", lines)
    two = shutil.copy(one, tmp_path / "EURUSD.txt")
    said = [open_data([path], cache=tmp_path / "cache")[0].facts.warnings[0] for path in (one, two)]
    assert [warning.partition(": ")[0] for warning in said] == [str(one), str(two)]


@pytest.mark.parametrize("damage", ["cut", "changed", "column lost", "no meta", "other version", "rubbish"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, parsed: list[str], damage: str) -> None:
    cache = tmp_path / "cache"
    path = file(tmp_path)
    bids(path, cache)
    (entry,) = (folder for folder in cache.iterdir() if (folder / "meta.json").exists())
    column, meta = entry / "bid", entry / "meta.json"
    if damage == "cut":
        column.write_bytes(column.read_bytes()[:-8])
    elif damage == "changed":
        column.write_bytes(bytes(8) + column.read_bytes()[8:])
    elif damage == "column lost":
        column.unlink()
    elif damage == "no meta":
        meta.unlink()
    elif damage == "other version":
        meta.write_text(meta.read_text().replace('"version": ', '"version": 9'))
    else:
        meta.write_bytes(b"\xff")
    assert bids(path, cache) == [bid for _, bid, _ in TICKS]
    assert parsed == ["EURUSD.csv"] * 2
    assert bids(path, cache) == [bid for _, bid, _ in TICKS]
    assert len(parsed) == 2


def test_a_reading_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = file(tmp_path)
    store = TickCache(tmp_path / "cache")

    def fails(writer: object) -> dict[str, object]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.get(path, "form", fails)
    assert [folder.name for folder in store.root.iterdir()] == ["seen"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(CannotWrite, match="parsed data can't be kept there"):
        bids(file(tmp_path), tmp_path / "cache")


def test_without_a_folder_a_temporary_one_goes_with_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = file(tmp_path / "data")
    (data,) = open_data([path])
    assert sum(block.size for block in data.blocks()) == 500
    assert not list(tmp_path.glob("tickledger-data-*/half-*"))


def test_the_same_ticks_come_in_blocks_of_any_length(tmp_path: Path) -> None:
    (data,) = open_data([file(tmp_path)])
    for most in (1, 7, 4096):
        blocks = list(data.blocks(ref_no=5, most=most))
        assert np.concatenate([block.bid for block in blocks]).tolist() == [bid for _, bid, _ in TICKS]
        assert [block.seq for block in blocks] == list(range(1, len(blocks) + 1))
        assert [block.first_n for block in blocks] == list(range(0, 500, most))
        assert {block.ref_no for block in blocks} == {5}


def test_what_a_killed_run_left_long_ago_is_cleared_away(tmp_path: Path) -> None:
    old, new = tmp_path / "cache" / "half-a", tmp_path / "cache" / "half-b"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (1, 1))
    TickCache(tmp_path / "cache")
    assert (old.exists(), new.exists()) == (False, True)


def test_long_columns_are_mapped_and_read_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path)
    read = bids(path, tmp_path / "cache")
    monkeypatch.setattr("producers.cache._SMALL_BYTES", 0)
    assert bids(path, tmp_path / "cache") == read
