"""The judge of the comparison: the same rule written by hand, slowly and on its own; nothing of the product is in it.

Bars of M1 to bars of a quarter of an hour of the bid; exponential averages of the close that start at the first
close; average true range as the plain mean of the last 14. Where the fast average comes to lie above the slow one at
a bar's close, buy at the next ask; where it comes to lie below, sell at the next bid; from the bar with index 50 on.
The stop is 2 average ranges from the fill, rounded to a point; the opposite cross turns the position round. A bar is
passed from its open over its nearer turn to its close (low first if it rises), in straight lines: a stop on a line
fills at its own price, one that a bar opens beyond fills at that opening. What is open at the end is closed at the
last price.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from api.bench.peers.trades import Trade

LOT: Final = 100_000
COMMISSION: Final = 3.0
"""USD a lot and side."""
QUARTER_MS: Final = 900_000
WARMUP: Final = 50


class Minute(NamedTuple):
    """A bar of the file; prices are bids in points, time_ms its start in UTC, spread in points."""

    time_ms: int
    open: int
    high: int
    low: int
    close: int
    spread: int


class Tick(NamedTuple):
    """A price on the way; `line`: a straight line leads to it from the one before."""

    time_ms: int
    bid: int
    spread: int
    line: bool


def trades(path: Path, offset_ms: int, fast: int = 20, slow: int = 50, k: float = 2.0) -> list[Trade]:
    """What the rule does on MT5's bars in `path`, whose clock is `offset_ms` ahead of UTC."""
    rule, account = _Rule(fast, slow, k), _Account()
    for minute in _minutes(path, offset_ms):
        for tick in _ticks(minute):
            account.pass_to(tick)
            signal = rule.see(tick)
            if signal is not None:
                account.turn(tick, *signal)
    account.end()
    return account.closed


def _minutes(path: Path, offset_ms: int) -> list[Minute]:
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file, delimiter="\t"):
            if row[0].startswith("<"):
                continue
            at = datetime.strptime(f"{row[0]} {row[1]}", "%Y.%m.%d %H:%M:%S").replace(tzinfo=UTC)
            first, high, low, last = (round(float(text) * 100_000) for text in row[2:6])
            time_ms = round(at.timestamp() * 1000) - offset_ms
            found.append(Minute(time_ms, first, high, low, last, int(row[8])))
    return found


def _ticks(minute: Minute) -> list[Tick]:
    rises = minute.close >= minute.open
    turns = (minute.low, minute.high) if rises else (minute.high, minute.low)
    return [
        Tick(minute.time_ms, minute.open, minute.spread, line=False),
        Tick(minute.time_ms + 20_000, turns[0], minute.spread, line=True),
        Tick(minute.time_ms + 40_000, turns[1], minute.spread, line=True),
        Tick(minute.time_ms + 59_000, minute.close, minute.spread, line=True),
    ]


class _Rule:
    """Averages by quarter; says (side, stop's distance) at the first tick after a quarter in which they cross."""

    def __init__(self, fast: int, slow: int, k: float) -> None:
        self.fast_weight, self.slow_weight, self.k = 2 / (fast + 1), 2 / (slow + 1), k
        self.quarter = -1
        self.high = self.low = self.close = 0
        self.index = -1
        self.fast = self.slow = 0.0
        self.above = self.below = False
        self.before = 0
        self.ranges: list[int] = []

    def see(self, tick: Tick) -> tuple[int, float] | None:
        quarter = tick.time_ms // QUARTER_MS
        said = None
        if quarter != self.quarter:
            if self.quarter >= 0:
                said = self._close()
            self.quarter = quarter
            self.high = self.low = tick.bid
        self.high, self.low, self.close = max(self.high, tick.bid), min(self.low, tick.bid), tick.bid
        return said

    def _close(self) -> tuple[int, float] | None:
        self.index += 1
        price = self.close / 100_000
        if self.index == 0:
            self.fast = self.slow = price
        else:
            self.fast += self.fast_weight * (price - self.fast)
            self.slow += self.slow_weight * (price - self.slow)
            self.ranges.append(max(self.high, self.before) - min(self.low, self.before))
        self.before = self.close
        crossed = 0
        if self.fast > self.slow and not self.above:
            crossed = 1
        elif self.fast < self.slow and not self.below:
            crossed = -1
        self.above, self.below = self.fast > self.slow, self.fast < self.slow
        if not crossed or self.index < WARMUP:
            return None
        last = self.ranges[-14:]
        return crossed, self.k * (sum(last) / 14) / 100_000


class _Account:
    """At most one position, of one lot."""

    def __init__(self) -> None:
        self.closed: list[Trade] = []
        self.side = 0
        self.price = self.stop = 0
        self.since_ms = 0
        self.last: Tick | None = None

    def pass_to(self, tick: Tick) -> None:
        """Whether the stop is reached on the way to this tick; a sale is closed at the ask."""
        if self.side:
            quote = tick.bid if self.side > 0 else tick.bid + tick.spread
            if (quote - self.stop) * self.side <= 0:
                self._leave(tick.time_ms, self.stop if tick.line else quote)
        self.last = tick

    def turn(self, tick: Tick, side: int, distance: float) -> None:
        """Leaves what is open on the other side and enters at this tick."""
        if self.side == side:
            return
        if self.side:
            self._leave(tick.time_ms, tick.bid if self.side > 0 else tick.bid + tick.spread)
        self.side, self.since_ms = side, tick.time_ms
        self.price = tick.bid + tick.spread if side > 0 else tick.bid
        self.stop = round(round(self.price / 100_000 - side * distance, 5) * 100_000)

    def end(self) -> None:
        """Closes what is open at the last price."""
        if self.side and self.last is not None:
            self._leave(self.last.time_ms, self.last.bid if self.side > 0 else self.last.bid + self.last.spread)

    def _leave(self, time_ms: int, price: int) -> None:
        pnl = (price - self.price) * self.side / 100_000 * LOT - 2 * COMMISSION
        self.closed.append(
            Trade(self.since_ms, self.price / 100_000, time_ms, price / 100_000, self.side, round(pnl, 2))
        )
        self.side = 0
