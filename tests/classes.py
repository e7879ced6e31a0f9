"""Strategies as classes, for tests: each says something of all kinds, and keeps state of all kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from agents.hatches import ClassStrategy, class_strategy
from tickledger import Bar, BarStrategy, Enter, Exit, Flat, Levels, Param, Ticks, TickStrategy


class Crosser(BarStrategy):
    """Closes above and below the mean of the last n, by a window of its own."""

    version = 1
    bars = "M1"
    n: Any = Param(3, 1, 50)

    def start(self) -> None:
        self.closes = np.full(self.n, np.nan)
        self.seen = 0
        self.above = False
        self.best = 0.0

    def on_bar(self, bar: Bar) -> Iterator[Any]:
        self.closes = np.roll(self.closes, -1)
        self.closes[-1] = bar.close
        self.seen += 1
        self.best = max(self.best, bar.high)
        if self.seen < self.n:
            return
        mean = float(np.mean(self.closes))
        above = bar.close > mean
        if above != self.above:
            self.above = above
            yield Flat(side="short" if above else "long")
            plan = Exit(stop=self.best * 0.01, max_bars=3, cooldown=2, on_opposite="close")
            yield Enter.long(plan=plan) if above else Enter.stop("short", plan=plan, price=bar.low, expires="1h")
        yield Levels(trail_long=bar.low, trail_short=bar.high)


class Jumper(TickStrategy):
    """Enters against a jump of the mid between two ticks; exits with the next tick."""

    version = 2
    points: Any = Param(2.0, 0.5, 100.0)

    def start(self) -> None:
        self.mid = float("nan")
        self.last_n = -1
        self.inside = False
        self.counts = np.zeros((2, 2), np.int64)
        self.marks = np.zeros(3, np.bool_)

    def on_block(self, ticks: Ticks) -> Iterator[Any]:
        mids = (ticks.bid + ticks.ask) / 2.0
        before = np.concatenate([[float("nan") if ticks.gap else self.mid], mids[:-1]])
        jumps = np.flatnonzero(np.abs(mids - before) * 10.0**ticks.digits >= self.points)
        for i, n in enumerate(ticks.n.tolist()):
            if self.inside:
                self.inside = False
                yield i, Flat()
            if i in jumps:
                up = bool(mids[i] > before[i])
                self.counts[int(up), n % 2] += 1
                self.marks[n % 3] = up
                self.inside = True
                yield i, Enter.short(plan=Exit(stop=0.001)) if up else Enter.long(plan=Exit(stop=0.001))
        self.mid = mids[-1]
        self.last_n = ticks.n[-1]


CROSSER = class_strategy(Crosser)
JUMPER = class_strategy(Jumper)
CLASSES: tuple[ClassStrategy, ...] = (CROSSER, JUMPER)
