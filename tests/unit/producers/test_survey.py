"""Files before an import: their order, twins, overlaps; and how their rows are cut into blocks."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from infra.errors import BadFile, Refused
from producers.clocks import ServerClock, clock_of, parse_zone
from producers.formats.gaps import misses_a_day
from producers.lean import QuoteFile
from producers.pieces import columns_of, pieces
from producers.progress import Meter, Progress, Stage
from producers.source_events import availability
from producers.survey import QuoteFiles, Survey, survey
from schemas.identity import Listing

NOW_US = 1_790_000_000_000_000
UTC_ZONE = parse_zone("UTC")


def quote_csv(folder: Path, name: str, rows: str) -> Path:
    path = folder / name
    path.write_text(rows)
    return path


def surveyed(*paths: Path) -> Survey:
    return survey(paths, QuoteFiles(UTC_ZONE, NOW_US), lambda _: None)


def test_files_in_any_order_are_put_in_the_order_of_time(tmp_path: Path) -> None:
    late = quote_csv(tmp_path, "20140507.csv", "1,1.1,1.2\n")
    noon = quote_csv(tmp_path, "20140506_b.csv", "43200000,1.1,1.2\n")
    early = quote_csv(tmp_path, "20140506_a.csv", "5,1.1,1.25\n9,1.123,1.2\n")
    found = surveyed(late, noon, early)
    assert [facts.path for facts in found.files] == [early, noon, late]
    facts = found.files[0]
    assert (facts.ticks, facts.digits, facts.ends_ms - facts.starts_ms, facts.damage) == (2, 3, 4, None)


def test_the_same_rows_of_the_same_day_are_taken_once(tmp_path: Path) -> None:
    one = quote_csv(tmp_path, "20140506_a.csv", "5,1.1,1.2\n")
    two = quote_csv(tmp_path, "20140506_b.csv", "5,1.1,1.2\n")
    other_day = quote_csv(tmp_path, "20140507_a.csv", "5,1.1,1.2\n")
    found = surveyed(two, one, one, other_day)
    assert [facts.path for facts in found.files] == [two, other_day]
    assert found.twins == [one, one]


def test_files_that_overlap_are_both_named(tmp_path: Path) -> None:
    one = quote_csv(tmp_path, "20140506_a.csv", "5,1.1,1.2\n10,1.1,1.2\n")
    two = quote_csv(tmp_path, "20140506_b.csv", "9,1.1,1.2\n")
    with pytest.raises(Refused, match=r"_a.csv and .*_b.csv overlap: .* until 2014-05-06T00:00:00.010Z") as refused:
        surveyed(two, one)
    assert "--feed NAME" in str(refused.value)


def test_files_may_meet_in_one_millisecond(tmp_path: Path) -> None:
    one = quote_csv(tmp_path, "20140506_a.csv", "5,1.1,1.2\n10,1.1,1.2\n")
    two = quote_csv(tmp_path, "20140506_b.csv", "10,1.1,1.3\n")
    assert [facts.path for facts in surveyed(two, one).files] == [one, two]


def test_a_file_without_rows_stands_at_its_day(tmp_path: Path) -> None:
    empty = quote_csv(tmp_path, "20140506.csv", "")
    before = quote_csv(tmp_path, "20140505.csv", "5,1.1,1.2\n")
    after = quote_csv(tmp_path, "20140507.csv", "5,1.1,1.2\n")
    found = surveyed(after, empty, before)
    assert [facts.path for facts in found.files] == [before, empty, after]
    assert "is empty" in str(found.files[1].damage)


def test_a_file_that_changes_between_its_readings_is_refused(tmp_path: Path) -> None:
    path = quote_csv(tmp_path, "20140506.csv", "5,1.1,1.2\n")
    other = quote_csv(tmp_path, "20140507.csv", "5,1.1,1.2\n")
    files = QuoteFiles(UTC_ZONE, NOW_US)
    facts = survey([path, other], files, lambda _: None).files[0]
    path.write_text("5,1.1,1.3\n")
    os.utime(path, ns=(1, 1))
    with pytest.raises(BadFile, match="was changed while it was imported"):
        files.read_again(facts)


def quotes(time_ms: list[int]) -> QuoteFile:
    n = len(time_ms)
    times = np.array(time_ms, np.int64)
    return QuoteFile(Path("x"), date(2014, 3, 9), time_ms[0], "", times, np.ones(n), np.full(n, 1.1), None)


def test_pieces_end_at_multiples_of_4096_from_the_files_start_wherever_one_goes_on() -> None:
    file = quotes(list(range(10_000)))
    clock = ServerClock("utc")
    assert [len(piece.columns.time_ms) for piece in pieces(file, 0, clock)] == [4096, 4096, 1808]
    assert [len(piece.columns.time_ms) for piece in pieces(file, 4096, clock)] == [4096, 1808]
    assert [len(piece.columns.time_ms) for piece in pieces(file, 5000, clock)] == [3192, 1808]
    assert [piece.columns.time_ms[0] for piece in pieces(file, 5000, clock)] == [5000, 8192]


def test_pieces_end_where_the_servers_offset_changes() -> None:
    change = int(datetime(2014, 3, 9, 7, tzinfo=UTC).timestamp() * 1000)
    file = quotes([change - 2, change - 1, change, change - 1])
    found = [(piece.columns.time_ms.tolist(), piece.server_offset_s) for piece in pieces(file, 0, ServerClock("ny7"))]
    assert found == [([change - 2, change - 1], 7200), ([change], 10800), ([change - 1], 7200)]


def test_the_columns_are_those_of_a_quote() -> None:
    columns = columns_of(quotes([1, 2, 3]), 1)
    assert columns.time_ms.tolist() == [2, 3]
    assert columns.flags.tolist() == [6, 6]
    assert (len(columns.last), len(columns.volume)) == (0, 0)


@pytest.mark.parametrize(
    ("before", "day", "zone", "missing"),
    [
        ((2014, 5, 6, 23), (2014, 5, 6), "UTC", False),
        ((2014, 5, 6, 23), (2014, 5, 7), "UTC", False),
        ((2014, 5, 6, 23), (2014, 5, 8), "UTC", True),
        ((2014, 5, 2, 21), (2014, 5, 4), "UTC", False),
        ((2014, 5, 2, 21), (2014, 5, 5), "UTC", True),
        ((2014, 5, 3, 3), (2014, 5, 4), "UTC-05", False),
        ((2014, 5, 8, 3), (2014, 5, 9), "UTC-05", True),
        ((2014, 5, 9), (2014, 5, 6), "UTC", False),
        ((2014, 5, 2, 20), (2014, 5, 5), "Europe/Athens", False),
        ((2014, 5, 2, 10), (2014, 5, 5), "Asia/Tokyo", True),
    ],
)
def test_a_gap_is_a_missing_day_that_is_not_wholly_in_a_weekend(
    before: tuple[int, ...], day: tuple[int, int, int], zone: str, missing: bool
) -> None:
    before_ms = int(datetime(*before, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]
    clock = clock_of(parse_zone(zone))
    midnight = np.array([(date(*day) - date(1970, 1, 1)).days * 86_400_000], np.int64)
    assert misses_a_day(before_ms, int(clock.to_utc_ms(midnight)[0]), clock) is missing


def test_progress_has_rate_and_time_left() -> None:
    reports: list[Progress] = []
    meter = Meter(reports.append)
    meter.start(Stage.WRITING, 100)
    meter.add(40)
    meter.add(60)
    assert reports[0].ticks == 0
    assert reports[0].left_s is None
    assert (reports[-1].stage, reports[-1].ticks, reports[-1].total, reports[-1].left_s) == ("writing", 100, 100, 0)
    assert reports[-1].rate > 0
    meter.start(Stage.READING, None)
    assert (reports[-1].stage, reports[-1].left_s) == (Stage.READING, None)


def test_an_event_is_named_by_what_it_says() -> None:
    event = availability(
        Listing("oanda", "EURUSD"), from_n=3, to_n=9, from_ms=1, to_ms=2, server_offset_s=0, time_us=5, detail="x"
    )
    assert event.event_id == "availability/oanda/EURUSD/3-9"
    assert event.feed == "oanda"


@pytest.mark.parametrize("window", [1, 3, 64])
@pytest.mark.parametrize("start", [0, 5, 41])
def test_pieces_do_not_depend_on_how_many_rows_are_looked_at_at_once(
    monkeypatch: pytest.MonkeyPatch, window: int, start: int
) -> None:
    change = int(datetime(2014, 3, 9, 7, tzinfo=UTC).timestamp() * 1000)
    file = quotes([change - 40 + i for i in range(80)] + [change + 5 * 86_400_000 + i for i in range(20)])

    def found() -> list[tuple[list[int], int, bool]]:
        cut = pieces(file, start, ServerClock("ny7"), 16)
        return [(piece.columns.time_ms.tolist(), piece.server_offset_s, piece.gap) for piece in cut]

    whole = found()
    monkeypatch.setattr("producers.pieces._WINDOW", window)
    assert found() == whole
    assert [gap for _, _, gap in whole].count(True) == 1
    assert {offset for _, offset, _ in whole} <= {7200, 10800}
