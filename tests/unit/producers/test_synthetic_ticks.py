"""Bars become four ticks each, in the order of MT5's tester, with a spread that somebody has said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from infra.errors import Refused
from producers.formats.data import ListingData, open_data
from schemas.quality import Quality
from tests.unit.producers import exports

MONDAY = exports.at(2024, 1, 8)
S, SO = int(Quality.SYNTHETIC), int(Quality.SYNTHETIC | Quality.SYNTHETIC_OPEN)


def opened(folder: Path, *bars: exports.Bar, **more: object) -> ListingData:
    path = exports.write(folder / "EURUSD_M1_202401080000_202401081200.csv", exports.mt5_bars(bars))
    return open_data([path], **{"server_clock": "utc", **more})[0]  # type: ignore[arg-type]


def test_a_rising_bar_goes_open_low_high_close_and_a_falling_one_open_high_low_close(tmp_path: Path) -> None:
    rising, falling = (MONDAY, 1.1, 1.4, 1.05, 1.2, 7), (MONDAY + 60_000, 1.2, 1.4, 1.05, 1.1, 9)
    (block,) = opened(tmp_path, rising, falling).blocks()
    assert block.bid.tolist() == [1.1, 1.05, 1.4, 1.2, 1.2, 1.4, 1.05, 1.1]
    assert (block.time_ms - MONDAY).tolist() == [0, 20_000, 40_000, 59_000, 60_000, 80_000, 100_000, 119_000]
    assert block.quality.tolist() == [SO, S, S, S] * 2
    assert block.ask.tolist() == [1.10007, 1.05007, 1.40007, 1.20007, 1.20009, 1.40009, 1.05009, 1.10009]


def test_a_bar_that_ends_where_it_began_is_a_rising_one(tmp_path: Path) -> None:
    (block,) = opened(tmp_path, (MONDAY, 1.1, 1.4, 1.05, 1.1, 1), (MONDAY + 60_000, 1.1, 1.1, 1.1, 1.1, 1)).blocks()
    assert block.bid.tolist() == [1.1, 1.05, 1.4, 1.1, 1.1, 1.1, 1.1, 1.1]
    assert not np.any(block.quality & Quality.REPEATED)


@pytest.mark.parametrize("minutes", [5, 15, 60])
def test_longer_bars_are_spread_over_their_length(tmp_path: Path, minutes: int) -> None:
    length = minutes * 60_000
    (block,) = opened(tmp_path, *exports.minutes(3, MONDAY, length_ms=length)).blocks()
    assert (block.time_ms[4:8] - MONDAY).tolist() == [length, length * 4 // 3, length * 5 // 3, 2 * length - 1000]


def histdata(folder: Path, bars: list[exports.Bar]) -> Path:
    lines = [f"{exports.wall(ms):%Y%m%d %H%M%S};{o:.6f};{h:.6f};{low:.6f};{c:.6f};0" for ms, o, h, low, c, _ in bars]
    return exports.write(folder / "DAT_ASCII_EURUSD_M1_2024.csv", lines)


def test_bars_without_a_spread_need_one_that_is_told(tmp_path: Path) -> None:
    path = histdata(tmp_path, exports.minutes(3, MONDAY))
    with pytest.raises(Refused, match="say what the spread is, in points, by --spread-points"):
        open_data([path])
    (data,) = open_data([path], spread_points=12)
    (block,) = data.blocks()
    assert np.rint((block.ask - block.bid) * 1e5).tolist() == [12] * 12
    assert (data.facts.spread_from, data.facts.real_share) == ("told", 0)


def test_a_spread_can_follow_the_hour_of_the_servers_clock(tmp_path: Path) -> None:
    path = histdata(tmp_path, exports.minutes(62, MONDAY))
    profile = [float(hour) for hour in range(24)]
    blocks = list(open_data([path], spread_points=profile)[0].blocks())
    bid, ask = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("bid", "ask"))
    assert np.rint((ask - bid) * 1e5).tolist() == [7] * 240 + [8] * 8


def test_bars_without_their_digits_are_read_again_with_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.formats.text.CHUNK", 300)
    bars = [(MONDAY + i * 60_000, 1.1, 1.1, 1.1, 1.1, 3) for i in range(9)]
    lines = exports.mt5_bars(bars, 2) + exports.mt5_bars([(MONDAY + 540_000, 1.1, 1.1, 1.1, 1.1, 3)], 5)[1:]
    path = exports.write(tmp_path / "EURUSD_M1.csv", lines)
    (block,) = open_data([path], server_clock="utc")[0].blocks()
    assert set(np.rint((block.ask - block.bid) * 1e5).tolist()) == {3}
