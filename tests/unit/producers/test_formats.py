"""Every format gives the same ticks, found by itself from name and content."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infra.errors import BadFile
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


BARS = exports.minutes(50, START)


def bar_rows(form: str, ends: str = "") -> list[str]:
    return [
        exports.wall(ms).strftime(form) + "".join(f",{price:.5f}" for price in prices) + ",37" + ends
        for ms, *prices, _ in BARS
    ]


BAR_WRITERS: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "mt5": (lambda f: exports.write(f / "EURUSD_M1.csv", exports.mt5_bars(BARS), "\r\n"), "mt5-bars", "utc"),
    "mt5, utf-16": (
        lambda f: exports.write(f / "EURUSD_M1.csv", exports.mt5_bars(BARS), "\r\n", "utf-16"), "mt5-bars", "utc",
    ),
    "mt5 without header": (
        lambda f: exports.write(f / "EURUSD_M1.csv", exports.mt5_bars(BARS)[1:]), "mt5-bars", "utc",
    ),
    "history center": (lambda f: exports.write(f / "EURUSD.csv", bar_rows("%Y.%m.%d,%H:%M")), "mt5-bars", "utc"),
    "histdata, mt": (
        lambda f: exports.write(f / "DAT_MT_EURUSD_M1_2014.csv", bar_rows("%Y.%m.%d,%H:%M")), "histdata-bars", "est",
    ),
    "histdata, ascii": (
        lambda f: exports.write(
            f / "DAT_ASCII_EURUSD_M1_2014.csv", [row.replace(",", ";") for row in bar_rows("%Y%m%d %H%M%S")]
        ),
        "histdata-bars", "est",
    ),
    "dukascopy": (
        lambda f: exports.write(
            f / "EURUSD_Candlestick_1_M_BID_06.05.2014-06.05.2014.csv",
            ["Gmt time,Open,High,Low,Close,Volume", *bar_rows("%d.%m.%Y %H:%M:%S.000")],
        ),
        "dukascopy-bars", "utc",
    ),
    "tradingview": (
        lambda f: exports.write(f / "EURUSD.csv", ["time,open,high,low,close,Volume", *bar_rows("%Y-%m-%dT%H:%M:%SZ")]),
        "csv", "utc",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("write", "format_", "clock"), BAR_WRITERS.values(), ids=BAR_WRITERS)
def test_every_format_of_bars_gives_the_same_ticks(
    tmp_path: Path, write: Callable[[Path], Path], format_: str, clock: str
) -> None:
    (data,) = open_data([write(tmp_path)], server_clock="utc", spread_points=3)
    assert (data.facts.formats, data.facts.bar_ms, data.facts.stamp) == ((format_,), 60_000, "open")
    (block,) = data.blocks()
    late = 5 * 3_600_000 if clock == "est" else 0
    assert (block.time_ms[::4] - late).tolist() == [bar[0] for bar in BARS]
    assert block.bid[::4].tolist() == [bar[1] for bar in BARS]
    assert block.bid[3::4].tolist() == [bar[4] for bar in BARS]


def test_a_bar_file_of_asks_is_refused(tmp_path: Path) -> None:
    rows = ["Gmt time,Open,High,Low,Close,Volume", *bar_rows("%d.%m.%Y %H:%M:%S.000")]
    path = exports.write(tmp_path / "EURUSD_Candlestick_1_M_ASK_06.05.2014-06.05.2014.csv", rows)
    with pytest.raises(BadFile, match="holds bars of asks; bars are read from bids: name the BID file"):
        open_data([path])


def test_folders_and_globs_name_files_and_several_symbols_are_several_listings(tmp_path: Path) -> None:
    exports.bi5(tmp_path / "duka", "EURUSD", TICKS, 1e5)
    exports.bi5(tmp_path / "duka", "USDJPY", [(START, 102.123, 102.125)], 1e3)
    (tmp_path / "duka" / "readme.md").write_text("not data")
    eurusd, usdjpy = open_data([tmp_path / "duka"], feed="dukascopy")
    assert [str(data.listing) for data in (eurusd, usdjpy)] == ["dukascopy/EURUSD", "dukascopy/USDJPY"]
    assert columns(eurusd) == TICKS
    assert columns(usdjpy) == [(START, 102.123, 102.125)]
    assert usdjpy.digits == 3
    assert columns(open_data([tmp_path / "duka/EURUSD/2014/04/*/*.bi5"])[0]) == TICKS


def test_an_empty_hour_is_an_hour_without_ticks(tmp_path: Path) -> None:
    paths = exports.bi5(tmp_path, "EURUSD", TICKS, 1e5)
    empty = paths[0].with_name("23h_ticks.bi5")
    empty.write_bytes(b"")
    assert columns(open_data([*paths, empty])[0]) == TICKS


def test_what_an_exchange_says_of_deals_is_kept(tmp_path: Path) -> None:
    lines = ["<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>", "2014.05.06\t09:30:00.000\t1.1\t\t\t\t2"]
    lines += ["2014.05.06\t09:30:00.001\t\t1.2\t1.15\t3\t28", "2014.05.06\t09:30:00.002\t\t\t1.16\t2\t24"]
    (data,) = open_data([exports.write(tmp_path / "SBER.csv", lines)], server_clock="utc")
    (block,) = data.blocks()
    assert (block.bid.tolist(), block.ask.tolist()) == ([1.1, 1.1], [1.2, 1.2])
    assert (block.last.tolist(), block.volume.tolist(), block.flags.tolist()) == ([1.15, 1.16], [3, 2], [28, 24])
    assert data.facts.skipped == 1
