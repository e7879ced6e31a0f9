"""Markets of few ticks that a test plays by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from producers.terminal.ticks import Ticks

START_MS = 1_399_363_200_000
"""2014-05-06 08:00 UTC, a Tuesday: 11:00 on the server's clock."""
OFFSET_S = 3 * 3600
SERVER_S = START_MS // 1000 + OFFSET_S
LEAD_US = 2_000_000
"""How long before its first tick a market starts."""
BUY, SELL = 0, 1


def ticks(*rows: tuple[int, float, float]) -> Ticks:
    """(milliseconds after START_MS, bid, ask) of each."""
    time_ms, bid, ask = zip(*rows, strict=True)
    return Ticks.of_quotes(START_MS + np.array(time_ms, np.int64), np.array(bid), np.array(ask))


def walk(count: int, *, seed: int = 1, every_ms: int = 250, bid: float = 1.1) -> Ticks:
    """Quotes that walk by points, some at one millisecond."""
    random = np.random.default_rng(seed)
    gaps = random.integers(0, 2 * every_ms, count)
    time_ms = START_MS + np.cumsum(gaps) - gaps[0]
    bids = np.round(bid + np.cumsum(random.integers(-3, 4, count)) * 1e-5, 5)
    return Ticks.of_quotes(time_ms, bids, np.round(bids + 0.0001, 5))


def market_order(side: int = BUY, symbol: str = "EURUSD", volume: float = 0.1, **more: Any) -> dict[str, Any]:
    """A request for a deal at the market."""
    return {"action": 1, "symbol": symbol, "volume": volume, "type": side, "type_filling": 1, **more}


def rows_of(history: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Rows of `copy_ticks_*` as tuples."""
    return [tuple(row.item()) for row in history]
