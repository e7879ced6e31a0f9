"""The cursor against a terminal's history: every row once, whatever the pages are."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from producers.mt5 import TICK_DTYPE
from producers.recorder.polling import Cursor, Rows, rows_of_block, rows_of_page
from schemas.ticks import TickSource, open_block

Row = tuple[int, float]
NEWEST = 10**12


def page_of(rows: list[Row]) -> NDArray[np.void]:
    page = np.zeros(len(rows), TICK_DTYPE)
    for i, (time_msc, bid) in enumerate(rows):
        page[i] = (time_msc // 1000, bid, bid + 0.1, 0.0, 0, time_msc, 134, 0.0)
    return page


def ask(history: list[Row], cursor: Cursor, newest: int = NEWEST, sweep: bool = False) -> tuple[list[Row], bool, bool]:
    question = cursor.ask(sweep)
    rows = [row for row in history if row[0] >= question.second * 1000]
    found = cursor.take(page_of(rows[: question.rows]), question, newest)
    return plain(found.rows), found.complete, found.vouched


def plain(rows: Rows) -> list[Row]:
    return list(zip(rows[:, 0].tolist(), rows[:, 1].copy().view(np.float64).tolist(), strict=True))


def drain(history: list[Row], cursor: Cursor, sweep: bool = False) -> list[Row]:
    taken: list[Row] = []
    while True:
        fresh, complete, _ = ask(history, cursor, sweep=sweep)
        taken += fresh
        if complete:
            return taken


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from([0, 0, 1, 5, 300, 1000, 2500]), st.sampled_from([1.0, 2.0])), max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(1, 5),
    st.lists(st.booleans(), min_size=7, max_size=7),
)
def test_every_row_comes_once_and_in_order_however_it_is_paged(
    steps: list[tuple[int, float]], stops: list[int], page: int, sweeps: list[bool]
) -> None:
    time_msc, history = 5_000, []
    for step, bid in steps:
        time_msc += step
        history.append((time_msc, bid))
    cursor, taken = Cursor(5, page), []
    for stop, sweep in zip(sorted({*stops, len(history)}), sweeps, strict=False):
        taken += drain(history[:stop], cursor, sweep)
    assert taken == history


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 400]), st.sampled_from([1.0, 2.0])), min_size=1, max_size=40), st.data()
)
def test_a_cursor_behind_what_is_on_the_log_goes_on_there(steps: list[tuple[int, float]], data: Any) -> None:
    time_msc, history = 5_000, []
    for step, bid in steps:
        time_msc += step
        history.append((time_msc, bid))
    done, first = data.draw(st.integers(1, len(history))), data.draw(st.sampled_from([0, 0, 5]))
    whole = history[first][0] // 1000 < history[done - 1][0] // 1000 if first < done else False
    known = history[first if whole else 0 : done]
    cursor = Cursor.behind(rows_of_page(page_of(known)), 3, NEWEST, all_rows=len(known) == done)
    assert drain(history, cursor, sweep=True) == history[done:]
    assert drain(history, cursor, sweep=True) == []


def test_equal_rows_are_as_many_as_the_terminal_has() -> None:
    cursor = Cursor(5, 10)
    assert drain([(5000, 1.0)], cursor) == [(5000, 1.0)]
    assert drain([(5000, 1.0)] * 3, cursor) == [(5000, 1.0)] * 2
    assert drain([(5000, 1.0)] * 3, cursor) == []


def test_a_late_row_of_a_second_that_is_read_again_is_new() -> None:
    cursor = Cursor(5, 10)
    drain([(5100, 1.0), (5500, 1.0)], cursor)
    assert drain([(5100, 1.0), (5300, 2.0), (5500, 1.0)], cursor) == [(5300, 2.0)]
    assert drain([(5100, 1.0), (5300, 2.0), (5500, 1.0), (5600, 1.0)], cursor) == [(5600, 1.0)]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(5_000, 60_000), st.sampled_from([1.0, 2.0]), st.booleans()), max_size=40))
def test_rows_that_come_late_are_found_by_a_sweep(rows: list[tuple[int, float, bool]]) -> None:
    cursor, taken = Cursor(5, 4), []
    arrived: list[Row] = []
    for time_msc, bid, sweep in rows:
        newest = max((row[0] for row in arrived), default=0)
        if time_msc >= newest - 20_000:
            arrived = sorted([*arrived, (time_msc, bid)], key=lambda row: row[0])
        taken += drain(arrived, cursor, sweep)
    taken += drain(arrived, cursor, sweep=True)
    assert not Counter(taken) - Counter(arrived)
    assert all(row[0] < cursor.second * 1000 - 30_000 for row in Counter(arrived) - Counter(taken))


def test_a_row_that_the_terminal_gave_once_too_often_comes_once_more_and_later_ones_once() -> None:
    cursor = Cursor(5, 10)
    drain([(5100, 1.0), (5500, 1.0)], cursor)
    assert drain([(5100, 1.0), (5100, 1.0), (5500, 1.0)], cursor) == [(5100, 1.0)]
    assert drain([(5100, 1.0), (5500, 1.0), (5600, 1.0)], cursor) == [(5600, 1.0)]
    assert drain([(5100, 1.0), (5500, 1.0), (5600, 1.0), (6000, 1.0)], cursor) == [(6000, 1.0)]


def test_more_ticks_in_a_second_than_a_page_has_make_pages_longer_until_they_fit_and_then_shorter() -> None:
    cursor = Cursor(5, 10)
    history = [(5000 + i // 100, float(i)) for i in range(5_000)]
    assert drain(history, cursor) == history
    assert cursor.page > 5_000 // 2
    for second in range(6, 30):
        history.append((second * 1000, 1.0))
        assert drain(history, cursor) == history[-1:]
    assert cursor.page == 10


def test_a_time_in_the_future_does_not_keep_the_cursor_from_what_comes_before_it() -> None:
    cursor = Cursor(5, 10)
    history = [(5000, 1.0), (99_000, 1.0)]
    assert ask(history, cursor, newest=10_000)[0] == history
    assert cursor.second == 5
    history.insert(1, (6000, 1.0))
    assert ask(history, cursor, newest=10_000)[0] == [(6000, 1.0)]
    assert cursor.second == 6
    assert ask(history, cursor, newest=10_000) == ([], True, True)


def test_nothing_of_what_was_taken_is_found_again_then_ticks_may_be_missing() -> None:
    taken = rows_of_page(page_of([(5000, 1.0), (5400, 1.0)]))
    assert ask([(7000, 1.0)], Cursor.behind(taken, 10, NEWEST, all_rows=True)) == ([(7000, 1.0)], True, False)
    assert ask([(5400, 1.0), (7000, 1.0)], Cursor.behind(taken, 10, NEWEST, all_rows=True)) == (
        [(7000, 1.0)],
        True,
        True,
    )
    assert ask([], Cursor.behind(taken, 10, NEWEST, all_rows=True)) == ([], True, True)
    assert ask([(7000, 1.0)], Cursor(5, 10)) == ([(7000, 1.0)], True, True)


def test_a_block_on_the_log_has_the_rows_of_the_page_it_was_made_of() -> None:
    page = page_of([(5000, 1.0), (5001, 2.0)])
    page["volume"], page["last"] = [3, 0], [1.5, 0.0]
    block = open_block("f/S", 1, bytes(8), TickSource.LIVE, 0, "k")._replace(
        time_ms=page["time_msc"] - 7_200_000,
        server_offset_s=7_200,
        bid=page["bid"],
        ask=page["ask"],
        last=page["last"],
        volume=np.array([3.0, 0.0]),
        flags=page["flags"].astype(np.int32),
    )
    assert rows_of_block(block).tolist() == rows_of_page(page).tolist()
    without = block._replace(last=np.empty(0), volume=np.empty(0))
    page["volume"], page["last"] = 0, 0.0
    assert rows_of_block(without).tolist() == rows_of_page(page).tolist()
