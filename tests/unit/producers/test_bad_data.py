"""Files that aren't what they seem: each is told in words, with the way out, or warned about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from infra.errors import BadFile, Refused, SettingsError, TickledgerError
from producers.clocks import ServerClock, parse_zone
from producers.formats.data import ListingData, open_data
from tests.unit.producers import exports

MONDAY = exports.at(2024, 1, 8)
HEADER = "Date;Time;Open;High;Low;Close;Volume"
DAY = [(MONDAY + i * 60_000, 1.1, 1.2, 1.0, 1.15, 3) for i in range(30)]


def opened(path: Path, **more: object) -> ListingData:
    return open_data([path], **{"spread_points": 10, **more})[0]  # type: ignore[arg-type]


def csv(folder: Path, lines: Sequence[str], name: str = "EURUSD.csv") -> Path:
    return exports.write(folder / name, lines)


def bars(separator: str = ";", decimal: str = ".", header: str = HEADER) -> list[str]:
    rows = [
        separator.join(
            [f"{exports.wall(t):%d.%m.%Y}", f"{exports.wall(t):%H:%M}"]
            + [f"{p:.5f}".replace(".", decimal) for p in (o, h, low, c)]
            + ["7"]
        )
        for t, o, h, low, c, _ in DAY
    ]
    return [header.replace(";", separator), *rows]


@pytest.mark.parametrize(("separator", "decimal"), [(";", ","), (";", "."), (",", "."), ("\t", ","), ("|", ".")])
def test_any_separator_and_a_decimal_comma(tmp_path: Path, separator: str, decimal: str) -> None:
    (block,) = opened(csv(tmp_path, bars(separator, decimal)), stamp="open").blocks()
    assert block.bid.tolist()[:4] == [1.1, 1.0, 1.2, 1.15]
    assert block.time_ms[0] == MONDAY


def test_a_decimal_comma_between_commas_cannot_be_told_apart(tmp_path: Path) -> None:
    with pytest.raises(
        BadFile, match="decimal commas between commas can't be told apart; export it with a decimal point"
    ):
        opened(csv(tmp_path, bars(",", ",")))


@pytest.mark.parametrize(
    "header",
    ["Datum;Zeit;Eröffnung;Hoch;Tief;Schluss;Volumen", "Fecha;Hora;Apertura;Máximo;Mínimo;Cierre;Volumen",
     "Дата;Время;Открытие;Максимум;Минимум;Закрытие;Объём", '"DATE";"TIME";"OPEN";"HIGH";"LOW";"CLOSE";"VOL"'],
)  # fmt: skip
def test_headers_in_other_languages(tmp_path: Path, header: str) -> None:
    data = opened(csv(tmp_path, bars(header=header)), stamp="open")
    assert next(data.blocks()).bid.tolist()[:4] == [1.1, 1.0, 1.2, 1.15]


def test_a_header_that_nobody_knows_is_taken_by_its_rows_with_a_warning(tmp_path: Path) -> None:
    data = opened(csv(tmp_path, bars(header="Dag;Klok;Een;Twee;Drie;Vier;Vijf")), stamp="open")
    assert next(data.blocks()).bid.tolist()[:4] == [1.1, 1.0, 1.2, 1.15]
    assert any("'Dag, Klok, Een, Twee, Drie, Vier, Vijf' isn't known" in w for w in data.facts.warnings)


TEXTS = {
    "no form": (["a,b,c", "x,y,z"], {}, "has a header and no row"),
    "no time": (["price1,price2", "1.1,1.2"], {}, "doesn't say where time and prices stand.*--columns time,bid,ask"),
    "empty": ([""], {}, "is empty: no row in it"),
    "columns unknown": (["1,2"], {"columns": "time,bid,offer"}, "'offer' is no column; it can have"),
    "columns without ask": (["2024.01.08,1"], {"columns": "time,bid"}, "needs bid and ask, or open, high"),
    "columns without time": (["1.1,1.2"], {"columns": "bid,ask"}, "needs a time"),
    "more columns than cells": (["2024.01.08,1.1"], {"columns": "time,bid,ask"}, "a row has 2 cells, .* names 3"),
    "a word among prices": (
        ["time,bid,ask", "2024-01-08 00:00:00,1.1,1.2", "2024-01-08 00:00:01,oops,1.2"],
        {}, "EURUSD.csv, line 3: bid 'oops' is no number; the 1 rows before it are whole",
    ),
    "a decimal comma later": (
        ["time;bid;ask", "2024-01-08 00:00:00;1.1;1.2", "2024-01-08 00:00:01;1,1;1.2"],
        {}, "line 3: bid '1,1' has a decimal comma where the first rows have a point",
    ),
    "no date": (
        ["time,bid,ask", "2024-01-08 00:00:00,1.1,1.2", "2024-02-30 00:00:00,1.1,1.2"],
        {}, "line 3: '2024-02-30 00:00:00' is no date or time",
    ),
    "a short row": (["time,bid,ask", "2024-01-08 00:00:00,1.1,1.2", "2024-01-08 00:00:01,1.1"], {}, "line 3: 2 cells"),
    "an empty price": (["time,bid,ask", "2024-01-08 00:00:00,1.1,1.2", "2024-01-08 00:00:01,,1.2"], {}, "bid is empty"),
    "mixed symbols": (
        ["EUR/USD,20240108 00:00:00.000,1.1,1.2", "GBP/USD,20240108 00:00:00.000,1.3,1.4"],
        {}, "line 2: symbol 'GBP/USD' among 'EUR/USD': put each symbol into a file of its own",
    ),
    "bid above ask": (
        ["time,bid,ask"] + [f"2024-01-08 00:00:{i:02d},1.2,1.1" for i in range(20)],
        {}, "bid is above ask in 20 of 20 rows: the columns are mixed up; tell them by --columns",
    ),
    "a volume for an ask": (
        ["time,bid,ask"] + [f"2024-01-08 00:00:{i:02d},1.2,100000" for i in range(20)],
        {}, "ask is 8.33e.04 times bid: a column holds no price",
    ),
    "high and low mixed up": (
        ["date,time,open,low,high,close"] + [f"2024-01-08,00:{i:02d},1.1,1.3,1.0,1.2" for i in range(20)],
        {}, "the high is below, or the low above, another price in 20 of 20 bars",
    ),
    "overlapping bars": (
        ["date,time,open,high,low,close"]
        + [f"2024-01-08,00:{i:02d},1,1,1,1" for i in range(0, 50, 5)] + ["2024-01-08,00:47,1,1,1,1"],
        {}, "2024-01-08 00:47:00: bars that overlap .bars of 5 minutes.",
    ),
    "two bars of one minute": (
        ["date,time,open,high,low,close"] + [f"2024-01-08,00:0{m},1,2,1,{c}" for m, c in ((0, 1), (1, 1), (1, 2))],
        {}, "there twice, with different prices",
    ),
    "an hour twice": (
        ["date,time,open,high,low,close"]
        + [f"2024-10-27,{h:02d}:{m:02d},1,1,1,1" for h in (0, 1, 1, 2) for m in range(60)],
        {}, "an hour is there twice, as a clock with summer time shows it in autumn: tell the file's zone by --tz",
    ),
    "days": (["date,open,high,low,close"] + [f"2024-01-{d:02d},1,1,1,1" for d in range(8, 13)], {}, "above H1"),
    "not its format": (["time,bid,ask", "2024-01-08 00:00:00,1.1,1.2"], {"format_": "mt5"}, "looks like csv, not mt5"),
    "local time of nowhere": (["Local time,Ask,Bid", "08.01.2024 00:00:00.000,1.2,1.1"], {}, "tell it by --tz"),
    "zero bytes": (["\x00\x01\x02"], {}, "is no text"),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "options", "message"), TEXTS.values(), ids=TEXTS)
def test_what_is_wrong_is_said_with_the_way_out(
    tmp_path: Path, lines: list[str], options: dict[str, object], message: str
) -> None:
    with pytest.raises(TickledgerError, match=message) as said:
        opened(csv(tmp_path, lines), **options)
    assert said.value.exit_code in (1, 2)


def test_files_that_are_not_there_or_not_named_are_said(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "no.csv", "No such file"), (tmp_path, "no file of data in this folder")):
        with pytest.raises(BadFile, match=message):
            opened(path)
    with pytest.raises(BadFile, match="no file is named so"):
        opened(tmp_path / "*.csv")
    with pytest.raises(SettingsError, match="tell it by --symbol"):
        opened(csv(tmp_path, bars(), "export.csv"))
    with pytest.raises(SettingsError, match="there is no format 'mt4'"):
        opened(csv(tmp_path, bars()), format_="mt4")
    with pytest.raises(BadFile, match="its name says H4: bars above H1"):
        opened(csv(tmp_path, bars(), "EURUSD_H4_2024.csv"))


def test_a_dukascopy_hour_out_of_its_folders_or_of_an_unknown_instrument(tmp_path: Path) -> None:
    (hour,) = exports.bi5(tmp_path, "FOOBAR", [(MONDAY, 12.5, 12.75)], 100.0)
    with pytest.raises(BadFile, match="how many points a price of FOOBAR has isn't known: tell it by --point-factor"):
        opened(hour)
    (block,) = opened(hour, point_factor=100.0).blocks()
    assert (block.bid.tolist(), block.ask.tolist(), block.time_ms.tolist()) == ([12.5], [12.75], [MONDAY])
    lost = tmp_path / "10h_ticks.bi5"
    lost.write_bytes(hour.read_bytes())
    with pytest.raises(BadFile, match="its hour isn't known"):
        opened(lost)
    hour.write_bytes(hour.read_bytes()[:-7] + b"rubbish")
    with pytest.raises(BadFile, match=r"is no .bi5 or damaged|no whole number of records"):
        opened(hour, point_factor=100.0)


def test_overlapping_files_and_mixed_kinds_are_refused(tmp_path: Path) -> None:
    one, two = csv(tmp_path, bars(), "EURUSD_a.csv"), csv(tmp_path, bars()[:20], "EURUSD_b.csv")
    with pytest.raises(
        Refused, match=r"EURUSD_a.csv and .*EURUSD_b.csv overlap|EURUSD_b.csv and .*EURUSD_a.csv overlap"
    ):
        open_data([one, two], spread_points=1)
    ticks = csv(tmp_path, exports.truefx(exports.walk(9, MONDAY + 86_400_000)), "EURUSD_t.csv")
    with pytest.raises(Refused, match=r"has bars of 1 minutes and .* ticks: name files of one kind"):
        open_data([one, ticks], spread_points=1)


# Weeks: from Sunday 17:00 to Friday 17:00 New York, on some clock.


def weeks(clock: str, count: int = 4, start: tuple[int, ...] = (2024, 5, 5), length: int = 60) -> list[exports.Bar]:
    """Bars of a quarter of an hour in weeks on the clock of a server, the last and first whole."""
    ny7, other = ServerClock("ny7"), ServerClock(clock)
    out: list[exports.Bar] = []
    for week in range(count):
        sunday = exports.at(*start) + week * 7 * 86_400_000
        for step in range(0, 120 * 60, length):
            server = sunday + 86_400_000 + step * 60_000
            utc = ny7.wall.to_utc_ms(np.array([server], np.int64))
            wall = other.wall.wall_ms(utc)
            out.append((int(wall[0]), 1.1, 1.1, 1.1, 1.1, 2))
    return out


def test_weeks_that_begin_and_end_in_time_give_no_warning(tmp_path: Path) -> None:
    path = csv(tmp_path, exports.mt5_bars(weeks("ny7")), "EURUSD_H1.csv")
    assert opened(path).facts.warnings == ()
    assert opened(path).facts.missing == 0


@pytest.mark.parametrize(("clock", "said"), [("utc", "3 h early"), ("+2", "1 h early")])
def test_a_zone_that_is_wrong_is_seen_at_the_weekends(tmp_path: Path, clock: str, said: str) -> None:
    path = csv(tmp_path, exports.mt5_bars(weeks(clock)), "EURUSD_H1.csv")
    (warning,) = opened(path).facts.warnings
    assert f"weeks begin and end {said} in 3 of 3 weekends" in warning
    assert f"--server-clock {clock} would fit" in warning
    assert opened(path, server_clock=clock).facts.warnings == ()


def test_summer_time_by_the_dates_of_another_continent_is_seen(tmp_path: Path) -> None:
    path = csv(tmp_path, exports.mt5_bars(weeks("eu", 12, (2024, 2, 4))), "EURUSD_H1.csv")
    (warning,) = opened(path).facts.warnings
    assert "1 h" in warning
    assert "--server-clock eu would fit" in warning


def stamped(shift_ms: int) -> list[str]:
    rows = weeks("ny7", 2, length=15)
    return ["date,time,open,high,low,close"] + [
        f"{exports.wall(t + shift_ms):%Y-%m-%d,%H:%M},{o},{h},{low},{c}" for t, o, h, low, c, _ in rows
    ]


def test_whether_bars_are_stamped_at_open_or_close_is_found_by_where_weeks_begin(tmp_path: Path) -> None:
    # A zone whose wall clock is the server's all through these weeks.
    zone = parse_zone("UTC+03")
    at_open = opened(csv(tmp_path, stamped(0)), zone=zone)
    at_close = opened(csv(tmp_path, stamped(900_000), "EURUSD_2.csv"), zone=zone)
    for data, stamp in ((at_open, "open"), (at_close, "close")):
        assert (data.facts.stamp, data.facts.stamp_from) == (stamp, "by where weeks begin and end")
    assert next(at_open.blocks()).time_ms.tolist() == next(at_close.blocks()).time_ms.tolist()


def test_a_stamp_that_nothing_tells_is_assumed_aloud(tmp_path: Path) -> None:
    data = opened(csv(tmp_path, bars()))
    assert (data.facts.stamp, data.facts.stamp_from) == ("open", "assumed")
    assert any("opens are assumed (--stamp)" in warning for warning in data.facts.warnings)
    assert opened(csv(tmp_path, bars()), stamp="close").facts.starts_ms == MONDAY - 60_000


def test_an_hour_that_the_clock_shows_twice_is_read_as_both_its_passes(tmp_path: Path) -> None:
    rows = [f"2024-10-27,{h:02d}:{m:02d},1,1,1,1" for h in (0, 1, 1, 2) for m in range(60)]
    path = csv(tmp_path, ["date,time,open,high,low,close", *rows])
    data = opened(path, zone=parse_zone("Europe/London"))
    starts = [t for block in data.blocks() for t in block.time_ms.tolist()[::4]]
    assert starts == [exports.at(2024, 10, 26, 23) + i * 60_000 for i in range(240)]
    assert any("60 rows of hours that the clock shows twice" in warning for warning in data.facts.warnings)


def test_missing_bars_are_counted_and_the_longest_gaps_named(tmp_path: Path) -> None:
    kept = [bar for i, bar in enumerate(exports.minutes(300, MONDAY)) if not (50 <= i < 90 or i == 200)]
    facts = opened(csv(tmp_path, exports.mt5_bars(kept), "EURUSD_M1.csv"), server_clock="utc").facts
    assert facts.missing == 41
    assert [(gap.missing, (gap.from_ms - MONDAY) // 60_000) for gap in facts.gaps] == [(40, 49), (1, 199)]


def test_a_bar_that_is_there_twice_is_taken_once(tmp_path: Path) -> None:
    rows = exports.minutes(10, MONDAY)
    data = opened(csv(tmp_path, exports.mt5_bars([*rows[:5], rows[4], *rows[5:]]), "EURUSD_M1.csv"))
    assert (data.facts.duplicates, data.facts.rows, data.facts.ticks) == (1, 10, 40)


def test_a_spread_column_of_zeros_is_said(tmp_path: Path) -> None:
    rows = [(*bar[:5], 0) for bar in exports.minutes(10, MONDAY)]
    path = csv(tmp_path, exports.mt5_bars(rows), "EURUSD_M1.csv")  # type: ignore[arg-type]
    (data,) = open_data([path])
    assert any("its spread column is 0" in warning for warning in data.facts.warnings)
    assert opened(path).facts.spread_from == "told"


def test_prices_with_float_noise_lose_it(tmp_path: Path) -> None:
    path = csv(
        tmp_path, ["Gmt time,Ask,Bid,AskVolume,BidVolume", "08.01.2024 00:00:00.000,203.14900000000003,203.107,1,1"]
    )
    (data,) = open_data([path])
    assert next(data.blocks()).ask.tolist() == [203.149]
    assert data.digits == 3


def test_a_symbol_that_the_files_contradict_is_warned_about(tmp_path: Path) -> None:
    path = csv(tmp_path, exports.truefx(exports.walk(9, MONDAY)), "x.csv")
    (data,) = open_data([path], symbol="GBPUSD")
    assert any("the files say EURUSD, and GBPUSD was told" in warning for warning in data.facts.warnings)
    assert not open_data([path], symbol="EURUSD.a")[0].facts.warnings
