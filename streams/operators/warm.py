"""Compiles the kernels of codec and operators into numba's cache: `python -m streams.operators.warm`, at set-up.

A first call compiles for a second or two; later processes load the result in milliseconds.
"""

from __future__ import annotations

import numpy as np

from agents.berserker import Berserker
from schemas.integrity import ZERO_MAC
from schemas.quality import Quality
from schemas.ticks import BlockKind, TickBlock, TickSource, decode_block, encode_block
from streams.operators.bars import Bars
from streams.operators.base import Operator, Segment
from streams.operators.signals import StrategyOperator


def warm() -> None:
    """Calls each kernel once, with columns as they come from the topic and as an import makes them.

    All ticks are broken: a kernel is compiled whole whatever it meets, and such ticks need no ListingSpec.
    """
    for block in (_block(0), decode_block(encode_block(_block(4)))):
        segment = Segment(
            block.first_n,
            block.ref_no,
            block.server_offset_s,
            block.source,
            block.gap,
            block.watermark_ms,
            block.time_ms,
            block.bid,
            block.ask,
            block.last,
            block.volume,
            block.flags,
            block.quality,
        )
        operators: tuple[Operator, ...] = (Bars(), StrategyOperator(Berserker()))
        for operator in operators:
            operator.fold(operator.initial(block.listing), segment, None)


def _block(count: int) -> TickBlock:
    prices, marks = np.ones(count, np.float64), np.full(count, Quality.CROSSED, np.int32)
    return TickBlock(
        BlockKind.DATA, "warm/UP", 1, bytes(8), 1, 0, 1, TickSource.IMPORT, 0, 0, False, 0,
        np.arange(count, dtype=np.int64) * 60_000, prices, prices, prices, prices, marks, marks, "", ZERO_MAC, ZERO_MAC,
    )  # fmt: skip


if __name__ == "__main__":
    warm()
