"""What a bar is, on ticks small enough to check by eye."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from schemas.events import Bar
from schemas.quality import Quality
from schemas.timeframes import Timeframe
from streams.operators.bars import Bars, BarState
from streams.operators.base import NEVER_MS, BadState, MissingSpec, Segment
from tests.property.references import LISTING, spec

NY7 = 10_800
"""The server's offset in summer: UTC + 3 h, so its midnight is 21:00 UTC, 17:00 in New York."""


def at(text: str) -> int:
    """UTC milliseconds of `2014-05-06 21:00:00`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


class Listing:
    """Bars of one listing, fed by hand."""

    def __init__(self) -> None:
        self.operator = Bars()
        self.state: BarState = self.operator.initial(LISTING)
        self.n = 0

    def ticks(
        self,
        *rows: tuple[str, float, float],
        quality: int = 0,
        volume: list[float] | None = None,
        offset_s: int = NY7,
        gap: bool = False,
        watermark: str | None = None,
        digits: int = 5,
    ) -> list[Bar]:
        """Folds rows of (time, bid, ask) and returns the bars that closed."""
        count = len(rows)
        lots = np.array(volume or [], np.float64)
        segment = Segment(
            self.n,
            1,
            offset_s,
            4,
            gap,
            NEVER_MS if watermark is None else at(watermark),
            np.array([at(time) for time, _, _ in rows], np.int64),
            np.array([bid for _, bid, _ in rows], np.float64),
            np.array([ask for _, _, ask in rows], np.float64),
            lots,
            lots,
            np.zeros(count, np.int32),
            np.full(count, quality, np.int32),
        )
        self.n += count
        rows_out = self.operator.fold(self.state, segment, spec(digits=digits))
        found = self.operator.records(rows_out, operator="bars@1", listing=LISTING, out_seq=0, ref_no=1)
        return [bar for bar in found if isinstance(bar, Bar)]


def timeframes(bars: list[Bar]) -> list[Timeframe]:
    return [bar.timeframe for bar in bars]


def test_a_bar_has_the_prices_spreads_and_numbers_of_its_ticks() -> None:
    listing = Listing()
    listing.ticks(("2014-05-06 09:59:59", 1.1, 1.2))
    listing.ticks(
        ("2014-05-06 10:00:00", 1.39000, 1.39010),
        ("2014-05-06 10:00:20", 1.39020, 1.39022),
        ("2014-05-06 10:00:40", 1.38990, 1.38996),
        ("2014-05-06 10:00:59", 1.39005, 1.39007),
        volume=[1.0, 0.5, 2.0, 0.25],
    )
    (bar,) = listing.ticks(("2014-05-06 10:01:00", 1.39000, 1.39010))
    assert bar == Bar(
        operator="bars@1",
        listing=LISTING,
        out_seq=0,
        ref_no=1,
        timeframe=Timeframe.M1,
        time_ms=at("2014-05-06 10:00:00"),
        server_offset_s=NY7,
        open=1.39000,
        high=1.39020,
        low=1.38990,
        close=1.39005,
        ask_close=1.39007,
        ticks=4,
        spread_min=2,
        spread_mean=5.0,
        spread_max=10,
        volume=3.75,
        first_n=1,
        last_n=4,
        complete=True,
    )


def test_a_forming_bar_is_not_on_the_topic() -> None:
    assert Listing().ticks(("2014-05-06 10:00:00", 1.39, 1.3901), ("2014-05-06 10:00:59", 1.39, 1.3901)) == []


def test_a_minute_without_ticks_has_no_bar() -> None:
    listing = Listing()
    closed = listing.ticks(("2014-05-06 10:00:00", 1.39, 1.3901), ("2014-05-06 10:03:00", 1.39, 1.3901))
    assert timeframes(closed) == [Timeframe.M1]


def test_h4_and_d1_close_at_the_servers_midnight_which_is_17_new_york() -> None:
    listing = Listing()
    listing.ticks(("2014-05-06 20:59:00", 1.39, 1.3901))
    closed = listing.ticks(("2014-05-06 21:00:00", 1.38, 1.3801))
    assert timeframes(closed) == list(Timeframe)[1:]
    assert closed[-1].time_ms == at("2014-05-05 21:00:00")
    assert closed[-2].time_ms == at("2014-05-06 17:00:00")


def test_bars_that_close_together_come_shortest_first() -> None:
    listing = Listing()
    listing.ticks(("2014-05-06 10:14:30", 1.39, 1.3901))
    assert timeframes(listing.ticks(("2014-05-06 10:15:00", 1.39, 1.3901))) == [
        Timeframe.M1,
        Timeframe.M5,
        Timeframe.M15,
    ]


def test_a_watermark_at_its_end_closes_a_bar_without_a_tick() -> None:
    listing = Listing()
    listing.ticks(("2014-05-06 10:00:30", 1.39, 1.3901))
    assert listing.ticks(watermark="2014-05-06 10:00:59") == []
    assert timeframes(listing.ticks(watermark="2014-05-06 10:01:00")) == [Timeframe.M1]
    assert timeframes(listing.ticks(watermark="2014-05-06 10:30:00")) == [Timeframe.M5, Timeframe.M15, Timeframe.M30]


def test_a_watermark_no_later_than_the_newest_tick_proves_nothing() -> None:
    listing = Listing()
    listing.ticks(("2014-05-06 10:00:30", 1.39, 1.3901))
    assert listing.ticks(watermark="2014-05-06 10:00:30", offset_s=NY7 + 3600) == []


def test_broken_ticks_are_not_in_a_bar_and_suspect_ones_are() -> None:
    listing = Listing()
    listing.ticks(("2014-05-06 10:00:00", 1.39, 1.3901))
    listing.ticks(("2014-05-06 10:00:10", float("nan"), 1.3901), quality=Quality.NOT_FINITE)
    listing.ticks(("2014-05-06 09:00:00", 9.0, 9.0), quality=Quality.BACKWARDS)
    listing.ticks(("2014-05-06 10:00:20", 1.5, 1.5001), quality=Quality.SPIKE)
    (bar,) = listing.ticks(("2014-05-06 10:01:00", 1.39, 1.3901))
    assert (bar.ticks, bar.high, bar.last_n) == (2, 1.5, 3)


def test_the_first_bars_of_a_log_are_not_complete_and_the_next_ones_are() -> None:
    listing = Listing()
    listing.ticks(("2014-05-06 10:03:30", 1.39, 1.3901))
    first = listing.ticks(("2014-05-06 10:05:00", 1.39, 1.3901))
    second = listing.ticks(("2014-05-06 10:10:00", 1.39, 1.3901))
    assert [(bar.timeframe, bar.complete) for bar in first + second] == [
        (Timeframe.M1, False),
        (Timeframe.M5, False),
        (Timeframe.M1, True),
        (Timeframe.M5, True),
    ]


def test_a_gap_marks_the_bars_with_the_ticks_on_both_sides_of_it() -> None:
    listing = Listing()
    listing.ticks(("2014-05-05 10:00:00", 1.39, 1.3901))
    listing.ticks(("2014-05-06 10:03:30", 1.39, 1.3901))
    closed = listing.ticks(("2014-05-06 10:06:10", 1.39, 1.3901), gap=True)
    closed += listing.ticks(("2014-05-06 10:07:00", 1.39, 1.3901), ("2014-05-06 10:10:00", 1.39, 1.3901))
    closed += listing.ticks(("2014-05-06 10:15:00", 1.39, 1.3901))
    assert [(bar.timeframe, bar.complete) for bar in closed] == [
        (Timeframe.M1, False),
        (Timeframe.M5, False),
        (Timeframe.M1, False),
        (Timeframe.M1, True),
        (Timeframe.M5, False),
        (Timeframe.M1, True),
        (Timeframe.M5, True),
        (Timeframe.M15, False),
    ]


def test_a_gap_leaves_bars_complete_that_a_watermark_had_closed_before() -> None:
    listing = Listing()
    listing.ticks(("2014-05-06 10:00:00", 1.39, 1.3901))
    (first, *_) = listing.ticks(("2014-05-06 10:05:00", 1.39, 1.3901))
    closed = listing.ticks(watermark="2014-05-06 10:06:00")
    assert not first.complete
    assert [(bar.timeframe, bar.complete) for bar in closed] == [(Timeframe.M1, True)]
    assert listing.ticks(gap=True) == []
    (m5,) = listing.ticks(("2014-05-06 10:10:00", 1.39, 1.3901))
    assert (m5.timeframe, m5.complete) == (Timeframe.M5, False)


def test_an_hour_that_the_servers_clock_repeats_is_one_h1_bar_and_twice_its_minutes() -> None:
    listing = Listing()
    listing.ticks(("2014-11-02 05:00:00", 1.25, 1.2501))
    closed = listing.ticks(("2014-11-02 05:59:59", 1.26, 1.2601))
    closed += listing.ticks(("2014-11-02 06:00:00", 1.27, 1.2701), offset_s=NY7 - 3600)
    closed += listing.ticks(("2014-11-02 07:00:00", 1.25, 1.2501), offset_s=NY7 - 3600)
    minutes = [bar.time_ms for bar in closed if bar.timeframe is Timeframe.M1]
    assert minutes == [at("2014-11-02 05:00:00"), at("2014-11-02 05:59:00"), at("2014-11-02 06:00:00")]
    (hour,) = [bar for bar in closed if bar.timeframe is Timeframe.H1]
    assert (hour.time_ms, hour.server_offset_s, hour.ticks) == (at("2014-11-02 05:00:00"), NY7, 3)


@pytest.mark.parametrize(("before", "after", "spreads"), [(4, 5, (10, 15.0, 20)), (5, 4, (1, 1.5, 2))])
def test_a_spread_is_in_points_of_the_digits_that_hold_at_the_end(
    before: int, after: int, spreads: tuple[int, float, int]
) -> None:
    listing = Listing()
    listing.ticks(("2014-05-06 10:00:00", 1.3900, 1.3901), digits=before)
    listing.ticks(("2014-05-06 10:00:10", 1.3900, 1.3902), digits=after)
    (bar,) = listing.ticks(("2014-05-06 10:01:00", 1.3900, 1.3902), digits=after)
    assert (bar.spread_min, bar.spread_mean, bar.spread_max) == spreads


def test_an_absurd_spread_stays_a_number() -> None:
    listing = Listing()
    listing.ticks(("2014-05-06 10:00:00", 1.0, 1e300))
    (bar,) = listing.ticks(("2014-05-06 10:01:00", 1.0, 1.1))
    assert bar.spread_max == 10**12


def test_a_good_tick_without_a_spec_is_an_error_and_a_broken_one_is_not() -> None:
    operator = Bars()
    state = operator.initial(LISTING)
    columns: dict[str, Any] = {
        "time_ms": np.array([at("2014-05-06 10:00:00")]),
        "bid": np.array([1.39]),
        "ask": np.array([1.3901]),
        "last": np.empty(0),
        "volume": np.empty(0),
        "flags": np.zeros(1, np.int32),
    }
    broken = Segment(0, 1, NY7, 4, False, NEVER_MS, **columns, quality=np.array([Quality.CROSSED], np.int32))
    assert len(operator.fold(state, broken, None)) == 0
    good = broken._replace(quality=np.zeros(1, np.int32))
    with pytest.raises(MissingSpec, match=LISTING):
        operator.fold(state, good, None)


@pytest.mark.parametrize("data", [b"", b"bars\x01\x00short", b"berserker\x00" * 200])
def test_bytes_that_are_no_state_are_refused(data: bytes) -> None:
    with pytest.raises(BadState, match="not a state of bars"):
        Bars().load(data)
