"""Every format gives the same ticks, found by itself from name and content."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from producers.clocks import ServerClock, parse_zone
from producers.formats.data import ListingData, open_data
from tests.unit.producers import exports
from tests.unit.producers.exports import Tick

START = exports.at(2014, 5, 6, 9, 30)
TICKS = exports.walk(3000, START)
NY7_MS = 3 * 3_600_000


def columns(data: ListingData) -> list[Tick]:
    """All ticks of a listing, as tuples."""
    out: list[Tick] = []
    for block in data.blocks():
        out += zip(block.time_ms.tolist(), block.bid.tolist(), block.ask.tolist(), strict=True)
    return out


def mt5(folder: Path, encoding: str = "utf-8", end: str = "\r\n") -> Path:
    shifted = [(ms + NY7_MS, bid, ask) for ms, bid, ask in TICKS]
    return exports.write(folder / "EURUSD_202405060930_202405061130.csv", exports.mt5_ticks(shifted), end, encoding)


def zipped(folder: Path) -> Path:
    text = "\n".join(exports.histdata_ticks(TICKS))
    path = folder / "HISTDATA_COM_ASCII_EURUSD_T201405.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("DAT_ASCII_EURUSD_T_201405.csv", text)
        archive.writestr("DAT_ASCII_EURUSD_T_201405.txt", "HistData.com status report")
    return path


def packed(folder: Path) -> Path:
    path = folder / "EURUSD-2014-05.csv.gz"
    path.write_bytes(gzip.compress("\n".join(exports.truefx(TICKS)).encode()))
    return path


def parquet(folder: Path, unit: str = "ms", zone: str | None = None) -> Path:
    times = pl.Series("Time", [t[0] for t in TICKS]).cast(pl.Datetime("ms")).cast(pl.Datetime(unit))  # type: ignore[arg-type]
    if zone is not None:
        times = times.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    frame = pl.DataFrame({"Time": times, "Bid": [t[1] for t in TICKS], "Ask": [t[2] for t in TICKS]})
    frame.write_parquet(folder / "EURUSD.parquet")
    return folder / "EURUSD.parquet"


def counts(folder: Path, per_s: int) -> Path:
    lines = ["timestamp;ask;bid"] + [f"{ms * per_s // 1000};{ask};{bid}" for ms, bid, ask in TICKS]
    return exports.write(folder / "EURUSD.csv", lines)


WRITERS: dict[str, tuple[Callable[[Path], Path | list[Path]], str]] = {
    "mt5": (mt5, "mt5-ticks"),
    "mt5, utf-16": (lambda folder: mt5(folder, "utf-16"), "mt5-ticks"),
    "mt5, line feeds": (lambda folder: mt5(folder, end="\n"), "mt5-ticks"),
    "bi5": (lambda folder: exports.bi5(folder, "EURUSD", TICKS, 1e5), "dukascopy-bi5"),
    "dukascopy, gmt": (
        lambda f: exports.write(f / "EURUSD_Ticks_06.05.2014-06.05.2014.csv", exports.dukascopy_ticks(TICKS)),
        "dukascopy-ticks",
    ),
    "dukascopy, local": (
        lambda f: exports.write(f / "EURUSD_Ticks.csv", exports.dukascopy_ticks(TICKS, 2)),
        "dukascopy-ticks",
    ),
    "histdata": (
        lambda f: exports.write(f / "DAT_ASCII_EURUSD_T_201405.csv", exports.histdata_ticks(TICKS)),
        "histdata-ticks",
    ),
    "histdata, zip with its note": (zipped, "histdata-ticks"),
    "truefx": (lambda f: exports.write(f / "EURUSD-2014-05.csv", exports.truefx(TICKS)), "truefx"),
    "truefx, gz": (packed, "truefx"),
    "lean": (lambda f: exports.write(f / "20140506_quote.csv", exports.lean(TICKS)), "lean"),
    "parquet, ms": (parquet, "parquet"),
    "parquet, ns in New York": (lambda f: parquet(f, "ns", "America/New_York"), "parquet"),
    "csv, ms": (lambda f: counts(f, 1000), "csv"),
    "csv, us": (lambda f: counts(f, 10**6), "csv"),
    "csv, ns": (lambda f: counts(f, 10**9), "csv"),
}


@pytest.mark.parametrize(("write", "format_"), WRITERS.values(), ids=WRITERS)
def test_every_format_gives_the_same_ticks(
    tmp_path: Path, write: Callable[[Path], Path | list[Path]], format_: str
) -> None:
    files = write(tmp_path)
    (data,) = open_data(files if isinstance(files, list) else [files], symbol="EURUSD")
    assert data.facts.formats == (format_,)
    assert columns(data) == TICKS
    assert (data.facts.rows, data.facts.ticks, data.digits) == (3000, 3000, 5)
    assert data.facts.real_share == 1


def test_the_clock_of_an_mt5_export_is_the_servers(tmp_path: Path) -> None:
    (data,) = open_data([mt5(tmp_path)])
    assert (data.facts.clock, data.facts.clock_from) == ("the server's clock (ny7)", "assumed")
    (utc,) = open_data([mt5(tmp_path)], server_clock="utc")
    (zone,) = open_data([mt5(tmp_path)], zone=parse_zone("UTC"))
    assert columns(utc) == columns(zone) == [(ms + NY7_MS, bid, ask) for ms, bid, ask in TICKS]
    assert ServerClock("ny7").offsets_s(np.array([START])).tolist() == [NY7_MS // 1000]
