"""The ticks of the log beside the terminal's own history, row by row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from infra.kafka import read_range
from producers.mt5 import COPY_TICKS_ALL, Mt5, failure
from producers.recorder.polling import Rows, rows_of_block, rows_of_page
from schemas.accept import Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains
from schemas.identity import parse_listing
from schemas.integrity import KeyRing
from schemas.ticks import BlockKind

_LAST_SECOND = 2**31 - 1


class SameTicks(NamedTuple):
    """How many ticks the terminal and the log have of a listing; `differs`: the first row that isn't the same."""

    listing: str
    terminal: int
    log: int
    differs: str

    @property
    def equal(self) -> bool:
        return not self.differs


def compare_ticks(mt5: Mt5, bootstrap: str, keys: KeyRing, listing: str) -> SameTicks:
    """The listing's ticks at the terminal and on the log. Raises TerminalError, Unreachable."""
    history = mt5.copy_ticks_range(parse_listing(listing).symbol, 0, _LAST_SECOND, COPY_TICKS_ALL)
    if history is None:
        raise failure(mt5, f"the ticks of {listing} can't be read from the terminal")
    return compared(listing, rows_of_page(history), log_rows(bootstrap, keys, listing))


def compared(listing: str, there: Rows, here: Rows) -> SameTicks:
    """The terminal's rows and the log's, every column bit by bit."""
    most = min(len(there), len(here))
    differing = (there[:most] != here[:most]).any(axis=1)
    differs = ""
    if differing.any():
        n = int(differing.argmax())
        differs = f"tick {n:,}: {_shown(there, n)} at the terminal, {_shown(here, n)} on the log"
    elif len(there) != len(here):
        differs = f"the terminal has {len(there):,} ticks, the log {len(here):,}"
    return SameTicks(listing, len(there), len(here), differs)


def log_rows(bootstrap: str, keys: KeyRing, listing: str) -> Rows:
    """What was taken of a listing's chain, on the server's clock."""
    partition = partition_of("ticks", listing)
    chains = Chains("ticks", keys)
    blocks = [np.empty((0, 6), np.int64)]
    for batch in read_range(bootstrap, "ticks", partition):
        for message in batch:
            if message.key() == listing.encode():
                judged = chains.judge(partition, message.offset() or 0, message.key(), message.value())
                if judged.verdict is Verdict.TAKE and judged.record.kind == BlockKind.DATA:
                    blocks.append(rows_of_block(judged.record))
    return np.concatenate(blocks)


def _shown(rows: Rows, n: int) -> str:
    bid, ask, last, volume = rows[n, 1:5].view(np.float64)
    return f"{rows[n, 0]} {bid:.10g}/{ask:.10g} last {last:g} volume {volume:g} flags {rows[n, 5]}"
