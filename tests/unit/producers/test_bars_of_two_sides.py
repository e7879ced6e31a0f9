"""Bars that tell bid and ask: LEAN's minutes, and Dukascopy's files of one side each."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from infra.errors import BadFile
from producers.formats.asks import with_partners
from producers.formats.data import ListingData, open_data
from producers.survey import QuoteFiles, survey
from tests.unit.producers import exports
from tests.unit.producers.test_survey import NOW_US

START = exports.at(2014, 5, 6, 9)
BARS = exports.minutes(50, START)
"""Their last value is the spread of open and close, in points; a high has one more, a low one less."""

Sides = tuple[tuple[float, ...], tuple[float, ...]]
NAME = "EURUSD_Candlestick_1_M_{}_06.05.2014-06.05.2014.csv"


def sides(bar: exports.Bar) -> Sides:
    """(bid, ask) of open, high, low, close."""
    _, *bids, spread = bar
    above = (spread, spread + 1, spread - 1, spread)
    return tuple(bids), tuple(round(bid + points / 1e5, 5) for bid, points in zip(bids, above, strict=True))


def lean_bars(bars: list[exports.Bar] = BARS) -> list[str]:
    return [
        ",".join(map(str, (bar[0] % 86_400_000, *sides(bar)[0], 0, *sides(bar)[1], 0))) for bar in bars
    ]  # fmt: skip


def dukascopy(folder: Path, side: str, bars: list[exports.Bar] = BARS) -> Path:
    rows = [
        f"{exports.wall(bar[0]):%d.%m.%Y %H:%M:%S}.000,{','.join(f'{p:.5f}' for p in sides(bar)[side == 'ASK'])},37"
        for bar in bars
    ]
    return exports.write(folder / NAME.format(side), ["Gmt time,Open,High,Low,Close,Volume", *rows])


def assert_all_four_prices_of_both_sides(data: ListingData) -> None:
    (block,) = data.blocks()
    for i, bar in enumerate(BARS):
        (bo, bh, bl, bc), (ao, ah, al, ac) = sides(bar)
        middle = ((bl, al), (bh, ah)) if bc >= bo else ((bh, ah), (bl, al))
        found = list(zip(block.bid[4 * i : 4 * i + 4].tolist(), block.ask[4 * i : 4 * i + 4].tolist(), strict=True))
        assert found == [(bo, ao), *middle, (bc, ac)]
    assert block.time_ms[::4].tolist() == [bar[0] for bar in BARS]
    facts = data.facts
    assert (facts.bar_ms, facts.spread_from, facts.real_share, facts.refused) == (60_000, "ask", 0.0, 0)
    assert (facts.rows, facts.digits, facts.stamp) == (len(BARS), 5, "open")


def test_a_lean_day_of_minutes_has_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "20140506_quote.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("20140506_eurusd_minute_quote.csv", "\n".join(lean_bars()) + "\n")
    (data,) = open_data([path], symbol="EURUSD", server_clock="utc")
    assert data.facts.formats == ("lean",)
    assert_all_four_prices_of_both_sides(data)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["0,1.1,1.1,1.1,1.1,0,1.1,1.1,1.1,,0"], "line 1: ask_close is empty"),
        ([*lean_bars()[:3], "x,1.1,1.1,1.1,1.1,0,1.1,1.1,1.1,1.1,0"], "line 4: .*; the 3 rows before it are whole"),
        (["86400000,1.1,1.1,1.1,1.1,0,1.1,1.1,1.1,1.1,0"], "ms 86400000 is outside the day"),
        ([",".join((r.split(",")[0], *r.split(",")[6:11], *r.split(",")[1:6])) for r in lean_bars()], "mixed up"),
    ],
    ids=["empty cell", "no number", "outside the day", "sides swapped"],
)
def test_what_is_wrong_in_a_lean_day_of_minutes_is_said(tmp_path: Path, rows: list[str], message: str) -> None:
    path = exports.write(tmp_path / "20140506_quote.csv", rows)
    with pytest.raises(BadFile, match=message):
        open_data([path], symbol="EURUSD")


def test_lean_trades_of_minutes_are_refused(tmp_path: Path) -> None:
    path = exports.write(tmp_path / "20140506_eurusd_minute_trade.csv", lean_bars())
    with pytest.raises(BadFile, match="holds LEAN's trade data; only quotes can be imported"):
        open_data([path], symbol="EURUSD")


def test_two_files_of_a_range_are_read_as_one_with_both_sides(tmp_path: Path) -> None:
    asks, bids = dukascopy(tmp_path, "ASK"), dukascopy(tmp_path, "BID")
    for paths in ([asks, bids], [tmp_path]):
        (data,) = open_data(paths, server_clock="utc")
        assert data.facts.files == (str(bids),)
        assert_all_four_prices_of_both_sides(data)


def test_other_asks_are_other_data_though_the_bids_are_the_same(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    paths = [dukascopy(tmp_path, "BID"), dukascopy(tmp_path, "ASK")]
    (first,) = open_data(paths, cache=cache)
    dukascopy(tmp_path, "ASK", [(*bar[:5], bar[5] + 10) for bar in BARS])
    (second,) = open_data(paths, cache=cache)
    (alone,) = open_data(paths[:1], cache=cache, spread_points=3)
    found = [data.files[0].quotes for data in (first, second, alone)]
    assert len({quotes.sha256 for quotes in found}) == 3
    assert (found[1].ask > found[0].ask).all()


def test_an_import_reads_a_pair_as_a_backtest_does_and_again(tmp_path: Path) -> None:
    paths = [dukascopy(tmp_path, "BID"), dukascopy(tmp_path, "ASK")]
    files = QuoteFiles(None, NOW_US)
    (facts,) = survey(paths, files, lambda _: None).files
    (data,) = open_data(paths)
    assert files.read_again(facts).ask.tolist() == data.files[0].quotes.ask.tolist()


@pytest.mark.parametrize(
    ("asks", "message"),
    [
        (BARS[:-1], "has no bar of asks for that of .* at 2014-05-06T09:49:00"),
        ([*BARS[:7], *BARS[8:]], "has no bar of asks for that of .* at 2014-05-06T09:07:00"),
        ([*BARS, *exports.minutes(1, START + 50 * 60_000)], "goes on after the last bar of"),
    ],
    ids=["one less", "one left out", "one more"],
)
def test_sides_that_do_not_match_are_refused(tmp_path: Path, asks: list[exports.Bar], message: str) -> None:
    paths = [dukascopy(tmp_path, "BID"), dukascopy(tmp_path, "ASK", asks)]
    with pytest.raises(BadFile, match=message):
        open_data(paths)


def test_damage_among_the_asks_is_said_of_their_file(tmp_path: Path) -> None:
    bids, asks = dukascopy(tmp_path, "BID"), dukascopy(tmp_path, "ASK")
    asks.write_text(asks.read_text() + "06.05.2014 09:50:00.000,1.1,1.2\n")
    with pytest.raises(BadFile, match=r"_ASK_06\.05\.2014-06\.05\.2014\.csv, line 52: 3 cells instead of 6"):
        open_data([bids, asks])


def test_ticks_of_two_files_are_no_sides_of_bars(tmp_path: Path) -> None:
    rows = exports.dukascopy_ticks(exports.walk(30, START))
    paths = [exports.write(tmp_path / NAME.format(side), rows) for side in ("BID", "ASK")]
    with pytest.raises(BadFile, match="don't hold bars"):
        open_data(paths)


def test_partners_are_found_by_their_names_alone() -> None:
    bid, ask, other = Path("a/E_BID_1.csv"), Path("b/E_ASK_1.csv"), Path("a/G_ASK_1.csv")
    assert with_partners([ask, other, bid]) == [(other, None), (bid, ask)]
    twice = [bid, ask, Path("c/E_ASK_1.csv")]
    assert with_partners(twice) == [(path, None) for path in twice]
