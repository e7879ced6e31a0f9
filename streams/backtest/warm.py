"""Compiles what a backtest runs into numba's cache: `python -m streams.backtest.warm`, at set-up."""

from __future__ import annotations

import numpy as np

from schemas.integrity import ZERO_MAC
from schemas.journal import JournalSource
from schemas.journal_codec import Head, encode_clock
from schemas.ticks import BlockKind, TickSource, open_block
from streams.backtest.quotes import Quotes, extremes, pass_times
from streams.venue.warm import warm as warm_venue


def warm() -> None:
    """Calls each kernel once, with columns as blocks have them."""
    prices, marks, times = np.ones(2, np.float64), np.zeros(2, np.int32), np.array([0, 1_000], np.int64)
    block = open_block("a/B", 1, bytes(8), TickSource.IMPORT, 0, "")._replace(
        kind=BlockKind.DATA, time_ms=times, bid=prices, ask=prices, flags=marks, quality=marks
    )
    quotes = Quotes("a/B")
    quotes.load(block)
    quotes.rows(2, 2_000_000, -1, side=1)
    rows = quotes.rows(2, 2_000_000, -1)
    quotes.pass_to(1)
    pass_times(times, marks, 0, np.empty_like(times))
    extremes(block.bid, block.ask, block.quality, 0, 2)
    assert rows is not None
    listing = np.zeros(len(rows.us), np.int32)
    head = Head(JournalSource.BACKTEST, "a", 1, bytes(8), 1, "k", ZERO_MAC)
    encode_clock(head, ("a/B",), rows.us, listing, rows.n, rows.time_ms, rows.bid, rows.ask, rows.quality, rows.time_ms)
    warm_venue()


if __name__ == "__main__":
    warm()
