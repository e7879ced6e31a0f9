"""Where the next tick that matters is: the levels of a listing as bounds, and a scan for the first tick in reach."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

import numpy as np

from schemas.events import Side
from schemas.jit import kernel
from schemas.quality import BROKEN
from schemas.ticks import Doubles, Ints, Longs
from schemas.trading import OrderType
from streams.venue.book import Order, Position

BID_FALLS, BID_RISES, ASK_FALLS, ASK_RISES = range(4)
"""Which quote reaches a level, and from where: the bid coming down to it …"""

NEVER_MS: Final = 2**62
_CHUNK: Final = 128
_BROKEN: Final = int(BROKEN)


class Columns(Protocol):
    """Ticks of one listing with one server offset: a Segment, or a `Market`."""

    @property
    def first_n(self) -> int: ...
    @property
    def server_offset_s(self) -> int: ...
    @property
    def time_ms(self) -> Longs: ...
    @property
    def bid(self) -> Doubles: ...
    @property
    def ask(self) -> Doubles: ...
    @property
    def quality(self) -> Ints: ...


class Market(NamedTuple):
    """Ticks of one listing: C-contiguous columns, one value a tick; tick i is number `first_n + i` of the listing.

    time_ms int64[n] (UTC), bid and ask float64[n], quality int32[n]. Where the server's offset changes, cut.
    """

    first_n: int
    server_offset_s: int
    time_ms: Longs
    bid: Doubles
    ask: Doubles
    quality: Ints


class Watch(NamedTuple):
    """What the scan compares with.

    levels float64[m], which quote reaches them int64[m], after which time int64[m] (µs); bounds float64[4], the nearest
    level of each kind.
    """

    levels: Doubles
    kinds: Longs
    after_us: Longs
    bounds: Doubles


def kind_of_level(side: Side, *, is_stop: bool) -> int:
    """Of a position's stop or target: a long closes at the bid, a short at the ask."""
    if side is Side.LONG:
        return BID_FALLS if is_stop else BID_RISES
    return ASK_RISES if is_stop else ASK_FALLS


def kind_of_order(order: Order) -> int:
    """Of a pending order: a buy is reached by the ask, a sell by the bid."""
    if order.side is Side.LONG:
        return ASK_FALLS if order.type is OrderType.LIMIT else ASK_RISES
    return BID_RISES if order.type is OrderType.LIMIT else BID_FALLS


def watch(orders: Iterable[Order], positions: Iterable[Position], band: tuple[float, float] | None) -> Watch:
    """Of one listing; `band`: the bid and the ask from which on a stop-out has to be looked for."""
    rows: list[tuple[float, int, int]] = []
    for order in orders:
        if order.working and order.type is not OrderType.LIMIT:
            rows.append((math.inf, BID_FALLS, order.after_us))
        else:
            rows.append((order.price, kind_of_order(order), order.after_us))
    for position in positions:
        for level, is_stop in ((position.sl, True), (position.tp, False)):
            if level is not None:
                rows.append((level, kind_of_level(position.side, is_stop=is_stop), position.after_us))
    if band is not None:
        rows += [(band[0], BID_FALLS, -NEVER_MS), (band[1], ASK_RISES, -NEVER_MS)]
    bounds = [-math.inf, math.inf, -math.inf, math.inf]
    for level, kind, _ in rows:
        bounds[kind] = max(bounds[kind], level) if kind in (BID_FALLS, ASK_FALLS) else min(bounds[kind], level)
    return Watch(
        np.array([row[0] for row in rows], np.float64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.int64),
        np.array(bounds),
    )


def scan(ticks: Columns, start: int, end: int, watched: Watch, due_ms: int) -> int:
    """Index of the first tick in [start, end) that isn't broken and reaches a level or the time `due_ms`; else `end`.

    A level counts only on ticks after its own time.
    """
    return int(first_in_reach(ticks.time_ms, ticks.bid, ticks.ask, ticks.quality, start, end, *watched, due_ms))


@kernel
def first_in_reach(
    time_ms: Longs,
    bid: Doubles,
    ask: Doubles,
    quality: Ints,
    start: int,
    end: int,
    levels: Doubles,
    kinds: Longs,
    after_us: Longs,
    bounds: Doubles,
    due_ms: int,
) -> int:
    latest = -(2**62)
    for k in range(len(after_us)):
        latest = max(latest, after_us[k])
    i = start
    # Ticks up to the newest level's time: each level for itself.
    while i < end and time_ms[i] * 1000 <= latest:
        if quality[i] & _BROKEN == 0:
            if time_ms[i] >= due_ms:
                return i
            for k in range(len(levels)):
                if after_us[k] < time_ms[i] * 1000:
                    kind = kinds[k]
                    price = bid[i] if kind <= BID_RISES else ask[i]
                    falls = kind in (BID_FALLS, ASK_FALLS)
                    if (price <= levels[k]) if falls else (price >= levels[k]):
                        return i
        i += 1
    bid_low, bid_high, ask_low, ask_high = bounds[BID_FALLS], bounds[BID_RISES], bounds[ASK_FALLS], bounds[ASK_RISES]
    while i < end:
        stop = min(i + _CHUNK, end)
        # Without a branch, so that it is done on several ticks at once; which tick it was is looked up afterwards.
        hits = 0
        for j in range(i, stop):
            hits += (
                (bid[j] <= bid_low)
                | (bid[j] >= bid_high)
                | (ask[j] <= ask_low)
                | (ask[j] >= ask_high)
                | (time_ms[j] >= due_ms)
            )
        if hits:
            for j in range(i, stop):
                if quality[j] & _BROKEN == 0 and (
                    bid[j] <= bid_low
                    or bid[j] >= bid_high
                    or ask[j] <= ask_low
                    or ask[j] >= ask_high
                    or time_ms[j] >= due_ms
                ):
                    return j
        i = stop
    return end
