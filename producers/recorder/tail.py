"""What a recorder has to know of a listing's log before it writes to it: read back from its end."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from infra.chain_follower import Standing, read_tail
from infra.errors import Refused
from producers.judge import Judge
from producers.recorder.polling import Rows, rows_of_block
from producers.suspicion import Suspicion
from schemas.integrity import KeyRing
from schemas.quality import BROKEN
from schemas.ticks import TickBlock, TickSource


class Tail(NamedTuple):
    """The end of a listing's log."""

    judge: Judge
    suspicion: Suspicion
    rows: Rows
    """Of its last ticks: all of the newest second's, and 1,024 where it has them."""
    all_rows: bool
    """They are all that the log has."""
    last: TickBlock | None
    """The last block; None if there is none."""
    newest_ms: int
    """Time of the newest good tick, UTC; 0 if none is known."""


def tail_of(bootstrap: str, keys: KeyRing, listing: str, standing: Standing) -> Tail:
    """The end of the log before `standing`."""
    wanted = Judge.memory
    while True:
        blocks = read_tail(bootstrap, keys, listing, standing, wanted)
        rows = np.concatenate([np.empty((0, 6), np.int64), *map(rows_of_block, blocks)])
        all_rows = not blocks or blocks[0].first_n == 0
        if all_rows or len(rows) < wanted or int(rows[:, 0].min()) // 1000 < int(rows[:, 0].max()) // 1000:
            break
        # All of them lie in one second: what the terminal gives of it can be told apart from all its ticks only.
        wanted *= 4
    judge, suspicion, newest_ms = Judge(), Suspicion(), 0
    for block in blocks:
        judge.follow(block, block.watermark_ms)
        suspicion.follow(block)
        good = block.time_ms[(block.quality & BROKEN) == 0]
        newest_ms = int(good[-1]) if len(good) else newest_ms
    return Tail(judge, suspicion, rows, all_rows, blocks[-1] if blocks else None, newest_ms)


def refuse_imported(block: TickBlock) -> None:
    """Raises Refused for a block that an import wrote."""
    if block.source == TickSource.IMPORT:
        raise Refused(
            f"{block.listing} was imported: a feed is recorded or imported, never both; record under another name "
            "(recorder.feed)"
        )
