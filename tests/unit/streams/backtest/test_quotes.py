"""Ticks on a backtest's time line: what has passed, what waits for its second, wherever the log was cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.quality import Quality
from schemas.ticks import BlockKind, TickBlock, TickSource
from streams.backtest.quotes import Quotes, extremes

CROSSED = int(Quality.CROSSED)


def block(times: list[int], quality: list[int] | None = None, first_n: int = 0) -> TickBlock:
    count = len(times)
    bid = np.array([1.0 + (first_n + i) / 1000 for i in range(count)])
    return TickBlock(
        kind=BlockKind.DATA, listing="x/EURUSD", epoch=1, nonce=bytes(8), seq=1, first_n=first_n, ref_no=1,
        source=TickSource.IMPORT, received_us=0, server_offset_s=0, gap=False, watermark_ms=0,
        time_ms=np.array(times, np.int64), bid=bid, ask=bid + 0.0001, last=np.empty(0), volume=np.empty(0),
        flags=np.zeros(count, np.int32), quality=np.array(quality or [0] * count, np.int32), key_id="", prev=bytes(16),
        mac=bytes(16),
    )  # fmt: skip


def loaded(*blocks: TickBlock) -> Quotes:
    quotes = Quotes("x/EURUSD")
    for one in blocks:
        quotes.load(one)
    return quotes


def test_the_newest_good_tick_that_has_passed_is_the_quote() -> None:
    quotes = loaded(block([1_000, 2_000, 2_500], [0, 0, CROSSED]))
    assert quotes.quote is None
    quotes.pass_to(quotes.end(2_600_000))
    assert quotes.quote is not None
    assert (quotes.quote.n, quotes.quote.time_ms) == (1, 2_000)
    assert quotes.front is None


def test_a_broken_tick_passes_with_the_good_one_before_it_whatever_its_time_says() -> None:
    quotes = loaded(block([1_000, 99_000, 3_000], [0, CROSSED, 0]))
    assert quotes.end(2_000_000) == 2
    assert quotes.last_us == 3_000_000


def test_ticks_of_one_moment_stay_together_wherever_the_log_was_cut() -> None:
    quotes = loaded(block([1_000, 2_000]), block([2_000, 3_000], first_n=2))
    assert quotes.limit_us is None
    assert quotes.end(2_000_000) == 3


def test_the_front_window_says_all_until_the_next_one_begins() -> None:
    quotes = loaded(block([1_000, 2_000]), block([2_500], first_n=2))
    assert quotes.limit_us == 2_500_000 - 1


def test_a_row_has_the_newest_tick_at_or_before_its_second() -> None:
    quotes = loaded(block([1_000, 1_100, 1_900, 2_000, 2_001]))
    rows = quotes.rows(quotes.end(2_500_000), 2_500_000, -1)
    assert rows is not None
    assert rows.us.tolist() == [1_000_000, 2_000_000]
    assert rows.n.tolist() == [0, 3]


def test_a_quote_whose_second_has_not_come_waits_for_it() -> None:
    quotes = loaded(block([1_000, 1_300]), block([5_000], first_n=2))
    rows = quotes.rows(quotes.end(1_500_000), 1_500_000, -1)
    assert rows is not None
    quotes.pass_to(quotes.end(1_500_000))
    quotes.rowed_n = int(rows.n[-1])
    rows = quotes.rows(quotes.end(4_000_000), 4_000_000, 1_500_000)
    assert rows is not None
    assert (rows.us.tolist(), rows.n.tolist()) == ([2_000_000], [1])
    quotes.rowed_n = 1
    assert quotes.rows(quotes.end(4_000_000), 4_000_000, 2_000_000) is None


def test_what_was_quoted_before_the_journal_went_on_waits_for_the_next_second() -> None:
    quotes = loaded(block([1_000, 2_000, 2_700, 4_000]))
    rows = quotes.rows(quotes.end(9_000_000), 9_000_000, 2_000_000)
    assert rows is not None
    assert (rows.us.tolist(), rows.n.tolist()) == ([3_000_000, 4_000_000], [2, 3])


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=40).map(sorted), st.lists(st.integers(0, 40), max_size=3))
def test_rows_do_not_depend_on_the_cut(times: list[int], cuts: list[int]) -> None:
    edges = sorted({0, len(times), *(c for c in cuts if c < len(times))})
    pieces = [block(times[a:b], first_n=a) for a, b in pairwise(edges)]
    assert rows_of(loaded(*pieces)) == rows_of(loaded(block(times)))


def rows_of(quotes: Quotes) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []

    def take(end: int, until: int) -> None:
        rows = quotes.rows(end, until, found[-1][0] if found else -1)
        if rows is not None:
            found.extend(zip(rows.us.tolist(), rows.n.tolist(), strict=True))
            quotes.rowed_n = found[-1][1]

    for until in [*range(0, 6_000_000, 700_000), 6_000_000]:
        while quotes.front is not None:
            limit = quotes.limit_us
            stop = until if limit is None else min(until, limit)
            end = quotes.end(stop)
            take(end, stop)
            quotes.pass_to(end)
            if stop == until:
                break
        if quotes.front is None:
            take(quotes.at, until)
    return found


def test_extremes_leave_broken_ticks_out() -> None:
    one = block([1, 2, 3], [0, CROSSED, 0])
    low_bid, high_bid, low_ask, high_ask = extremes(one.bid, one.ask, one.quality, 0, 3)
    assert (low_bid, high_bid) == (1.0, 1.002)
    assert (low_ask, high_ask) == (pytest.approx(1.0001), pytest.approx(1.0021))


def test_before_an_input_stands_what_was_quoted_at_the_last_whole_second() -> None:
    quotes = loaded(block([1_000, 1_900, 2_300]))
    quotes.pass_to(quotes.end(2_400_000))
    row = quotes.row_at(2_000_000)
    assert row is not None
    assert (row.us.tolist(), row.n.tolist()) == ([2_000_000], [1])
    quotes.rowed_n = 1
    assert quotes.row_at(2_000_000) is None
    later = quotes.row_at(9_000_000)
    assert later is not None
    assert later.n.tolist() == [2]


def test_a_second_is_kept_over_windows_and_pieces() -> None:
    quotes = loaded(block([1_000, 1_900]), block([2_300, 2_400], first_n=2))
    for until in (1_950_000, 2_350_000, 2_450_000):
        while quotes.front is not None and quotes.end(until) > quotes.at:
            quotes.pass_to(quotes.end(until))
    row = quotes.row_at(2_000_000)
    assert row is not None
    assert row.n.tolist() == [1]


@given(
    st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 6)), min_size=1, max_size=60),
    st.sampled_from([1, -1]),
)
def test_the_rows_of_a_side_are_those_that_tell_anything_of_its_price(ticks: list[tuple[int, int]], side: int) -> None:
    times = sorted(time for time, _ in ticks)
    prices = np.array([float(price) for _, price in ticks])
    own = block(times)._replace(bid=prices, ask=prices + 1.0)
    every = loaded(own).rows(len(times), 300_000_000, -1)
    some = loaded(own).rows(len(times), 300_000_000, -1, side)
    assert every is not None
    assert some is not None
    price = (every.bid if side > 0 else every.ask).tolist()
    minutes = (every.us // 60_000_000).tolist()
    wanted = [
        i
        for i in range(len(price))
        if not min(price[:i], default=9.0) <= price[i] <= max(price[:i], default=0.0)
        or i >= len(price) - 2
        or minutes[i] != minutes[i + 1]
    ]
    for name in every._fields:
        assert getattr(some, name).tolist() == getattr(every, name)[wanted].tolist()
