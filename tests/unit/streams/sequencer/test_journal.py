"""How rows of a clock are cut into entries."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.journal_codec import MOST_ROWS
from schemas.journal_columns import ClockRows
from streams.sequencer.journal import _whole_seconds


def rows(seconds: list[int]) -> ClockRows:
    """Rows of which each second has so many."""
    us = np.repeat(np.arange(len(seconds), dtype=np.int64) * 1_000_000, seconds)
    none, price = np.zeros(len(us), np.int64), np.zeros(len(us))
    return ClockRows((), us, none.astype(np.int32), none, none, price, price, none.astype(np.int32), none)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, MOST_ROWS + 10), max_size=8))
def test_entries_are_short_and_none_cuts_a_second(seconds: list[int]) -> None:
    told, start, cuts = rows(seconds), 0, [0]
    while start < len(told.us):
        end = _whole_seconds(told, start)
        assert end > start
        part = told.us[start:end]
        assert len(part) <= MOST_ROWS or len(set(part.tolist())) == 1
        assert end == len(told.us) or told.us[end] > part[-1]
        start = end
        cuts.append(end)
    assert cuts[-1] == sum(seconds)
