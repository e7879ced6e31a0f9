"""Compiles the kernels of codec and operators into numba's cache: `python -m streams.operators.warm`, at set-up.

A first call compiles for a second or two; later processes load the result in milliseconds.
"""

from __future__ import annotations

import numpy as np

from agents.berserker import Berserker
from schemas.catalogue import partition_of
from schemas.chains import Chains
from schemas.integrity import MIN_KEY_BYTES, ZERO_MAC, KeyRing
from schemas.journal_columns import warm_entries
from schemas.quality import Quality
from schemas.runs import RunReader
from schemas.ticks import BlockKind, TickBlock, TickSource, decode_block, encode_block, open_block, seal_block
from streams.operators.bars import Bars
from streams.operators.base import Operator, Segment
from streams.operators.desk.clock import warm_clock
from streams.operators.signals import StrategyOperator
from streams.run_segments import run_segments

LISTING = "warm/UP"


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
    _warm_runs()
    warm_entries()
    warm_clock()


def _warm_runs() -> None:
    """The kernels that read many links at once."""
    keys = KeyRing({"warm": bytes(MIN_KEY_BYTES)}, "warm")
    partition = partition_of("ticks", LISTING)
    chains = Chains("ticks", keys)
    opening = seal_block(open_block(LISTING, 1, bytes(8), TickSource.IMPORT, 0, keys.current), keys)
    chains.judge(partition, 0, LISTING.encode(), opening)
    link = seal_block(_block(4)._replace(key_id=keys.current), keys)
    run = RunReader(chains, keys, partition).read(LISTING.encode(), [link])
    if run is not None:
        run_segments(run)


def _block(count: int) -> TickBlock:
    prices, marks = np.ones(count, np.float64), np.full(count, Quality.CROSSED, np.int32)
    return TickBlock(
        BlockKind.DATA, LISTING, 1, bytes(8), 1, 0, 1, TickSource.IMPORT, 0, 0, False, 0,
        np.arange(count, dtype=np.int64) * 60_000, prices, prices, prices, prices, marks, marks, "", ZERO_MAC, ZERO_MAC,
    )  # fmt: skip


if __name__ == "__main__":
    warm()
