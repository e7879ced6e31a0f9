"""BERSERKER written for reading: one tick after the other in plain Python. What the kernel is held equal to."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from agents.berserker import BerserkerParameters
from schemas.quality import BROKEN, SUSPECT, Quality

Row = tuple[Any, ...]
"""(kind, side, time_ms, n, from_n, bid, ask, valid_for_ms, stop, target, breakeven_at, max_hold_ms, strength)."""


class SlowBerserker:
    """The strategy on one listing; `signals` grows."""

    def __init__(self, p: BerserkerParameters, digits: int) -> None:
        self.p = p
        self.scale = 10.0**digits
        self.signals: list[Row] = []
        self.free_ms = 0
        self.last: tuple[int, float, float] | None = None

    def gap(self) -> None:
        self.last = None

    def tick(self, n: int, t: int, bid: float, ask: float, quality: int) -> None:
        if quality & BROKEN or quality & Quality.SYNTHETIC:
            return
        p = self.p
        if self.last is None or t - self.last[0] > p.reset_after_ms:
            self.mean, self.variance = (bid + ask) * 0.5, 0.0
            self.ticks, self.since = 1, t
            self.changes: deque[tuple[int, int]] = deque(maxlen=p.turn_changes)
            self.entered: tuple[str, int] | None = None
            self.last = (t, bid, ask)
            return
        before_t, before_bid, before_ask = self.last
        self.last = (t, bid, ask)
        self.ticks += 1
        a = (t - before_t) / (p.mean_ms + (t - before_t))
        away = (before_bid + before_ask) * 0.5 - self.mean
        self.mean += a * away
        self.variance = (1.0 - a) * (self.variance + away * (a * away))
        for new, old in ((bid, before_bid), (ask, before_ask)):
            if new != old:
                self.changes.append((n, 1 if new > old else -1))

        if self.entered and t - self.entered[1] >= p.max_hold_ms:
            self.entered = None
            self.free_ms = t + p.cooldown_ms
        if quality & SUSPECT:
            return
        d = (bid + ask) * 0.5 - self.mean
        deviation = math.sqrt(self.variance)
        from_n = self.changes[0][0] if self.changes else 0
        if self.entered:
            side = self.entered[0]
            if (side == "LONG" and d >= 0) or (side == "SHORT" and d <= 0):
                strength = abs(d) / deviation if deviation else 0.0
                self.signals.append(("EXIT", side, t, n, from_n, bid, ask, 0, None, None, None, 0, strength))
                self.entered = None
                self.free_ms = t + p.cooldown_ms
            return
        spread = ask - bid
        side = "LONG" if d < 0 else "SHORT"
        toward = 1 if side == "LONG" else -1
        if not (
            self.ticks >= p.warm_up_ticks
            and t - self.since >= p.warm_up_ms
            and t >= self.free_ms
            and deviation > 0
            and abs(d) >= p.entry_deviations * deviation
            and spread * self.scale <= p.max_spread_points + 0.5
            and (abs(d) - spread) * self.scale > p.commission_points + p.min_edge_points
            and len(self.changes) == p.turn_changes
            and self.changes[-1][1] == toward
            and sum(sign == toward for _, sign in self.changes) >= p.turn_agree
        ):
            return
        stop = round(max(p.stop_deviations * deviation * self.scale, p.min_stop_points)) / self.scale
        target = round((abs(d) - spread) * self.scale) / self.scale
        self.signals.append(
            (
                "ENTER",
                side,
                t,
                n,
                from_n,
                bid,
                ask,
                p.valid_for_ms,
                stop,
                target,
                p.breakeven_at,
                p.max_hold_ms,
                abs(d) / deviation,
            )
        )
        self.entered = (side, t)
