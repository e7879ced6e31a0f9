"""Which files' rows are on a log already: whole, cut at its end, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers import log_scan
from producers.judge import Judge
from producers.log_scan import LogScan, Place, Rows, rows_of
from schemas.ticks import BlockKind, TickBlock, TickSource, open_block

Row = tuple[int, float]
OPEN = open_block("feed/SYMBOL", 1, bytes(8), TickSource.IMPORT, 0, "k")


def block(rows: list[Row], first_n: int) -> TickBlock:
    n = len(rows)
    times, bids = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [])
    return OPEN._replace(
        kind=BlockKind.DATA,
        first_n=first_n,
        time_ms=np.array(times, np.int64),
        bid=np.array(bids, np.float64),
        ask=np.array(bids, np.float64) + 0.1,
        flags=np.full(n, 6, np.int32),
        quality=np.zeros(n, np.int32),
        watermark_ms=max(times, default=0),
    )


def scan(log: list[Row], files: list[list[Row]], cut: int = 3) -> LogScan:
    loaded: list[Rows] = [rows_of(block(file, 0)) for file in files]
    asked: list[int] = []

    def load(i: int) -> Rows:
        asked.append(i)
        return loaded[i]

    found = LogScan([len(file) for file in files], load)
    found.feed(OPEN)
    for start in range(0, len(log), cut):
        found.feed(block(log[start : start + cut], start))
    assert asked == sorted(set(asked)), "each file is loaded once, in order"
    return found


A = [(1, 1.0), (2, 1.1), (2, 1.2), (3, 1.1)]
B = [(4, 1.0), (5, 1.3)]
C = [(6, 1.0), (7, 1.1), (8, 1.2)]


def test_on_an_empty_log_all_is_new() -> None:
    found = scan([], [A, B])
    assert found.places() == [Place(0, 0), Place(0, 0)]
    assert (found.n, found.last_ms) == (0, 0)


def test_files_that_are_there_are_found_with_their_positions() -> None:
    assert scan(A + B + C, [A, B, C]).places() == [Place(0, 4), Place(4, 2), Place(6, 3)]
    assert scan(A + B + C, [B]).places() == [Place(4, 2)]
    assert scan(A + B + C, [A, C]).places() == [Place(0, 4), Place(6, 3)]


def test_a_log_that_ends_inside_a_file() -> None:
    found = scan(A + B + C[:2], [A, B, C])
    assert found.places() == [Place(0, 4), Place(4, 2), Place(6, 2)]
    assert (found.n, found.last_ms) == (8, 7)


def test_what_was_cut_and_then_written_over_is_not_there() -> None:
    assert scan(A[:2] + B, [A]).places() == [Place(4, 0)]


def test_files_after_the_log_are_new() -> None:
    assert scan(A, [A, B, C]).places() == [Place(0, 4), Place(4, 0), Place(4, 0)]


def test_a_file_without_rows_takes_no_place() -> None:
    assert [place.rows for place in scan(A + B, [[], A, [], B, []]).places()] == [0, 4, 0, 2, 0]


def test_rows_on_both_sides_of_a_repaired_hole_are_not_one_file() -> None:
    found = LogScan([len(A)], lambda _: rows_of(block(A, 0)))
    found.feed(block(A[:2], 0))
    found.feed(block(A[2:], 5))
    assert found.places() == [Place(7, 0)]


@pytest.mark.parametrize("value", [float("nan"), -0.0])
def test_rows_are_compared_bit_by_bit(value: float) -> None:
    assert scan([(1, value)], [[(1, value)]]).places() == [Place(0, 1)]
    assert scan([(1, 0.0)], [[(1, value)]]).places() == [Place(1, 0)]


def test_flags_are_compared_and_missing_deals_are_zeros() -> None:
    plain = block(A, 0)
    assert (rows_of(plain) == rows_of(plain._replace(last=np.zeros(4), volume=np.zeros(4)))).all()
    assert (rows_of(plain) != rows_of(plain._replace(flags=np.full(4, 2, np.int32)))).any()
    assert (rows_of(plain) != rows_of(plain._replace(last=np.ones(4), volume=np.zeros(4)))).any()


def test_the_judge_follows() -> None:
    found = scan(A + B, [])
    expected = Judge()
    expected.follow(block(A + B, 0), 5)
    assert found.judge.state() == expected.state()


# Few different rows, so that starts of the file come again and again in the log.
ROWS = st.lists(st.tuples(st.integers(1, 2), st.just(1.0)), max_size=14)


@pytest.mark.parametrize("compiled", [True, False])
@settings(deadline=None)
@given(log=ROWS, files=st.lists(ROWS, max_size=3), cut=st.integers(1, 15))
def test_it_finds_what_a_slow_search_finds(compiled: bool, log: list[Row], files: list[list[Row]], cut: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            for name in ("_failure_of", "_search", "_same"):
                patch.setattr(log_scan, name, getattr(log_scan, name).py_func)
        places = scan(log, files, cut).places()
    at = 0
    for i, file in enumerate(files):
        if not file:
            assert places[i].rows == 0
            continue
        whole = next((s for s in range(at, len(log) - len(file) + 1) if log[s : s + len(file)] == file), None)
        if whole is None:
            cut_at = min((s for s in range(at, len(log)) if log[s:] == file[: len(log) - s]), default=len(log))
            assert places[i] == Place(cut_at, len(log) - cut_at)
            assert all(place.rows == 0 for place in places[i + 1 :])
            return
        assert places[i] == Place(whole, len(file))
        at = whole + len(file)
