"""Law 3: cutting the same ticks into other blocks gives the same outputs and the same state, bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from api.bench.slow_bars import slow_bars
from schemas.ticks import TickBlock
from streams.operators.bars import Bars
from streams.operators.base import Segment
from tests.property.tick_logs import Knobs, knobs, random_log, recut, sizes


def segment(block: TickBlock) -> Segment:
    return Segment(
        block.first_n, block.ref_no, block.server_offset_s, block.source, block.gap, block.watermark_ms,
        block.time_ms, block.bid, block.ask, block.last, block.volume, block.flags, block.quality,
    )  # fmt: skip


class Spec:
    digits = 5


def folded(blocks: list[TickBlock]) -> tuple[bytes, str]:
    operator = Bars()
    state = operator.initial("test/EURUSD")
    rows = [operator.fold(state, segment(one), Spec()) for one in blocks]  # type: ignore[arg-type]
    return np.concatenate(rows).tobytes(), operator.digest(state)


@settings(deadline=None)
@given(knobs, sizes)
def test_bars_do_not_depend_on_the_cut(k: Knobs, cut: list[int]) -> None:
    blocks = random_log(k)
    assert folded(recut(blocks, cut)) == folded(blocks)


@settings(deadline=None)
@given(knobs)
def test_bars_equal_a_slow_computation_that_keeps_every_tick(k: Knobs) -> None:
    blocks = random_log(k)
    operator = Bars()
    state = operator.initial("test/EURUSD")
    found = [row for one in blocks for row in operator.fold(state, segment(one), Spec()).tolist()]  # type: ignore[arg-type]
    assert found == slow_bars((segment(one), 5) for one in blocks)
