"""The ticks of the log beside the terminal's own history, row by row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from infra.kafka import read_range
from producers.mt5 import COPY_TICKS_ALL, Mt5, failure
from schemas.accept import Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains
from schemas.identity import parse_listing
from schemas.integrity import KeyRing
from schemas.ticks import BlockKind, TickBlock

_LAST_SECOND = 2**31 - 1


class Rows(NamedTuple):
    """Ticks with the server's own stamps: time_msc int64[n], bid and ask float64[n]."""

    time_msc: NDArray[np.int64]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]


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
    there = Rows(history["time_msc"], history["bid"], history["ask"])
    here = log_rows(bootstrap, keys, listing)
    most = min(len(there.time_msc), len(here.time_msc))
    differing = np.zeros(most, np.bool_)
    for one, other in zip(there, here, strict=True):
        differing |= one[:most] != other[:most]
    differs = ""
    if differing.any():
        n = int(differing.argmax())
        differs = f"tick {n:,}: {_shown(there, n)} at the terminal, {_shown(here, n)} on the log"
    elif len(there.time_msc) != len(here.time_msc):
        differs = f"the terminal has {len(there.time_msc):,} ticks, the log {len(here.time_msc):,}"
    return SameTicks(listing, len(there.time_msc), len(here.time_msc), differs)


def log_rows(bootstrap: str, keys: KeyRing, listing: str) -> Rows:
    """What was taken of a listing's chain, on the server's clock."""
    partition = partition_of("ticks", listing)
    chains = Chains("ticks", keys)
    blocks: list[TickBlock] = []
    for batch in read_range(bootstrap, "ticks", partition):
        for message in batch:
            if message.key() == listing.encode():
                judged = chains.judge(partition, message.offset() or 0, message.key(), message.value())
                if judged.verdict is Verdict.TAKE and judged.record.kind == BlockKind.DATA:
                    blocks.append(judged.record)
    if not blocks:
        return Rows(np.empty(0, np.int64), np.empty(0), np.empty(0))
    return Rows(
        np.concatenate([block.time_ms + block.server_offset_s * 1000 for block in blocks]),
        np.concatenate([block.bid for block in blocks]),
        np.concatenate([block.ask for block in blocks]),
    )


def _shown(rows: Rows, n: int) -> str:
    return f"{rows.time_msc[n]} {rows.bid[n]:g}/{rows.ask[n]:g}"
