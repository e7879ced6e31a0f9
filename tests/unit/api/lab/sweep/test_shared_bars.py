"""Bars that runs share are those that each would have made."""

from __future__ import annotations

import numpy as np

from api.lab.sweep.shared_bars import SharedBars
from schemas.ticks import TickBlock
from schemas.timeframes import Timeframe
from streams.operators.bars import Bars
from streams.segments import segments
from tests.unit.api.lab.market import Quoted, traded, walk


def folded(bars: Bars, blocks: list[TickBlock]) -> np.ndarray:
    """The M5 bars of these blocks."""
    spec = traded(blocks[0]).listing
    state = bars.initial("test/EURUSD")
    rows = np.concatenate([bars.fold(state, one, spec) for block in blocks for one in segments([block])])
    return rows[rows["timeframe"] == Timeframe.M5]


def test_they_are_the_same_the_first_time_and_again_and_from_a_later_start() -> None:
    blocks = list(Quoted("test/EURUSD", walk(4_000), (500, 501, 1_700, 3_000)).blocks(1))
    shared = SharedBars(Timeframe.M5)
    for start in (0, 0, 2, 1, 2):
        some = blocks[start:]
        assert folded(shared, some).tobytes() == folded(Bars(), some).tobytes()


def test_a_run_that_leaves_what_another_did_goes_on_from_its_own_state() -> None:
    blocks = list(Quoted("test/EURUSD", walk(4_000), (500, 1_700, 3_000)).blocks(1))
    shared = SharedBars(Timeframe.M5)
    folded(shared, blocks[:2])
    assert folded(shared, blocks).tobytes() == folded(Bars(), blocks).tobytes()
