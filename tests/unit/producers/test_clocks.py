"""What `--tz` and `--server-clock` take, and the offsets they give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.clocks import ServerClock, UnknownClock, local_day, parse_zone, to_utc_ms

NOON = datetime(2014, 5, 6, 12)


def utc_ms(*at: int) -> int:
    return int(datetime(*at, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("UTC", 0),
        ("utc", 0),
        ("UTC-05", -5),
        ("UTC-05:30", -5.5),
        ("-05:00", -5),
        ("-0530", -5.5),
        ("+3", 3),
        ("UTC+14", 14),
        ("America/New_York", -4),
        ("Asia/Kathmandu", 5.75),
        ("Etc/GMT+5", -5),
    ],
)
def test_a_zone_is_an_iana_name_or_an_offset(text: str, hours: float) -> None:
    assert parse_zone(text).utcoffset(NOON) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["UTC-25", "UTC+05:75", "+15", "", "/etc/passwd", "../UTC", "EST-ish", "UTC 5"])
def test_what_is_no_zone_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(UnknownClock, match=r"there is no time zone .* --tz takes an IANA name") as refused:
        parse_zone(text)
    assert repr(text) in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "near"),
    [("America/NewYork", "America/New_York"), ("new york", "America/New_York"), ("Europe/Lundon", "Europe/London")],
)
def test_a_wrong_zone_names_the_near_ones(text: str, near: str) -> None:
    with pytest.raises(UnknownClock, match=f"near: .*{near}"):
        parse_zone(text)


@pytest.mark.parametrize(
    ("name", "at", "offset_s"),
    [
        ("ny7", (2014, 5, 6), 10800),
        ("ny7", (2014, 1, 6), 7200),
        ("ny7", (2014, 3, 9, 6, 59), 7200),
        ("ny7", (2014, 3, 9, 7, 0), 10800),
        ("ny7", (2014, 11, 2, 5, 59), 10800),
        ("ny7", (2014, 11, 2, 6, 0), 7200),
        ("eu", (2014, 3, 20), 7200),
        ("eu", (2014, 3, 30, 0, 59), 7200),
        ("eu", (2014, 3, 30, 1, 0), 10800),
        ("NY7", (2014, 3, 20), 10800),
        ("utc", (2014, 5, 6), 0),
        ("+3", (2014, 1, 6), 10800),
        ("-05:30", (2014, 1, 6), -19800),
    ],
)
def test_the_servers_offset(name: str, at: tuple[int, ...], offset_s: int) -> None:
    offsets = ServerClock(name).offsets_s(np.array([utc_ms(*at)]))
    assert offsets.tolist() == [offset_s]
    assert offsets.dtype == np.int32


def test_an_offset_for_each_tick_over_a_change() -> None:
    change = utc_ms(2014, 3, 9, 7)
    times = np.array([change - 1, change, change - 60_000, change + 60_000])
    assert ServerClock("ny7").offsets_s(times).tolist() == [7200, 10800, 7200, 10800]
    assert ServerClock("ny7").offsets_s(np.empty(0, np.int64)).tolist() == []


@pytest.mark.parametrize("name", ["ny", "ny8", "+25", "london", ""])
def test_what_is_no_server_clock_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(UnknownClock, match="--server-clock takes ny7"):
        ServerClock(name)


def test_wall_time_becomes_utc_with_summer_time() -> None:
    zone = parse_zone("America/New_York")
    walls = np.array([utc_ms(2014, 3, 7, 17), utc_ms(2014, 3, 9, 17)])
    assert to_utc_ms(walls, zone).tolist() == [utc_ms(2014, 3, 7, 22), utc_ms(2014, 3, 9, 21)]


def test_an_hour_shown_twice_is_its_first_pass_and_one_left_out_goes_on() -> None:
    zone = parse_zone("America/New_York")
    assert to_utc_ms(np.array([utc_ms(2014, 11, 2, 1, 30)]), zone).tolist() == [utc_ms(2014, 11, 2, 5, 30)]
    assert to_utc_ms(np.array([utc_ms(2014, 3, 9, 2, 30)]), zone).tolist() == [utc_ms(2014, 3, 9, 7, 30)]


def test_a_change_that_is_not_at_a_full_hour() -> None:
    # Newfoundland changed its clocks at one minute past midnight until 2011.
    zone = parse_zone("America/St_Johns")
    walls = np.array([utc_ms(2010, 3, 14, 0, 0), utc_ms(2010, 3, 14, 1, 1)])
    assert to_utc_ms(walls, zone).tolist() == [utc_ms(2010, 3, 14, 3, 30), utc_ms(2010, 3, 14, 3, 31)]


@given(
    st.lists(st.integers(0, 2_000_000_000_000), max_size=20),
    st.sampled_from(["America/New_York", "Europe/Athens", "UTC-05", "Australia/Lord_Howe"]),
)
def test_columns_equal_the_standard_library_tick_by_tick(times: list[int], name: str) -> None:
    zone = parse_zone(name)
    walls = [datetime(1970, 1, 1) + timedelta(milliseconds=t) for t in times]
    expected = [t - int(zone.utcoffset(wall).total_seconds()) * 1000 for t, wall in zip(times, walls, strict=True)]  # type: ignore[union-attr]
    assert to_utc_ms(np.array(times, np.int64), zone).tolist() == expected


def test_the_day_of_a_time_is_the_zones_own() -> None:
    time_ms = utc_ms(2014, 5, 7, 3)
    assert local_day(time_ms, parse_zone("UTC")) - local_day(time_ms, parse_zone("UTC-05")) == 1
