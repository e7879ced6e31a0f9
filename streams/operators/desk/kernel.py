"""Rows of a clock while something is held: marks at whole minutes, and the first row at which the desk has to act."""

from __future__ import annotations

import math
from typing import Final

from schemas.jit import inline_kernel, kernel
from schemas.quality import BROKEN
from schemas.ticks import Doubles, Ints, Longs

NOTHING: Final = 0
TIMER: Final = 1
"""Something is due before the row is applied."""
LEVEL: Final = 2
"""A position's level is reached at the row."""
LIMIT: Final = 3
"""The equity at the row may have reached a limit."""
MINUTE_US: Final = 60_000_000
MARK_WORDS: Final = 9
"""Fields of MARK_DTYPE."""


@inline_kernel
def _equity(
    quote_bid: Doubles, quote_ask: Doubles, held_place: Ints, held: Doubles, balance: int, unit: int, scale: float
) -> int:
    """Balance and what is open, units of 10^-8: as `accounting.equity_units`."""
    total = 0
    for p in range(held.shape[0]):
        at, by = held_place[p, 0], held_place[p, 1]
        if quote_bid[at] <= 0.0:
            continue
        sign = held[p, 0]
        own = (sign * ((quote_bid[at] if sign > 0.0 else quote_ask[at]) - held[p, 1])) * held[p, 2]
        if by < 0:
            rate = held[p, 3]
        elif quote_bid[by] <= 0.0:
            rate = 0.0
        elif held[p, 4] > 0.0:
            rate = quote_bid[by] if own >= 0.0 else quote_ask[by]
        else:
            rate = 1.0 / (quote_ask[by] if own >= 0.0 else quote_bid[by])
        value = own * rate * scale
        total += math.floor(value + 0.5) if value >= 0.0 else -math.floor(-value + 0.5)
    return balance + unit * total


@kernel
def run_clock(
    us: Longs,
    listing: Ints,
    n: Longs,
    bid: Doubles,
    ask: Doubles,
    quality: Ints,
    place: Ints,
    quote_n: Longs,
    quote_bid: Doubles,
    quote_ask: Doubles,
    quote_row: Longs,
    held_place: Ints,
    held: Doubles,
    money: Longs,
    kept: float,
    scale: float,
    timer_us: int,
    marks: Longs,
) -> tuple[int, int, int]:
    """(row, why, marks written): rows before `row` are applied; with LEVEL or LIMIT `row` itself is, too.

    us, listing, n, bid, ask, quality: the rows. place int32[names]: where a name's quote is kept, -1 = nowhere:
    equity doesn't depend on it. quote_n, quote_bid, quote_ask, quote_row [quotes]: the newest quotes, and the row that
    each came from, changed in place. held_place int32[positions, 2]: quotes of a position and of
    what converts it, -1 = fixed. held float64[positions, 7]: sign, opening price, size, fixed rate, 1 if it is
    converted directly, above, below (levels in closing quotes times sign). money int64[9], changed in place: balance,
    unit (10^-8 of the last digit of the account's money), margin, peak, the day's floor of equity, next minute,
    positions, the next mark's out_seq, ref_no. kept: share of the peak that a drawdown leaves, -1 = no limit. marks
    int64[most, 9]: the fields of MARK_DTYPE.
    """
    written = 0
    count = held.shape[0]
    balance, unit, peak, floor, minute = money[0], money[1], money[3], money[4], money[5]
    row, why = len(us), NOTHING
    # By the newest quotes: it changes only with one of those that are kept.
    equity = _equity(quote_bid, quote_ask, held_place, held, balance, unit, scale)
    for i in range(len(us)):
        now = us[i]
        while minute <= now and minute <= timer_us:
            marks[written, 0] = minute
            marks[written, 1] = minute // 1_000
            marks[written, 2] = balance
            marks[written, 3] = equity
            marks[written, 4] = money[2]
            marks[written, 5] = peak
            marks[written, 6] = money[6]
            marks[written, 7] = money[7] + written
            marks[written, 8] = money[8]
            written += 1
            minute += MINUTE_US
        if timer_us <= now:
            row, why = i, TIMER
            break
        if listing[i] < 0:
            continue
        at = place[listing[i]]
        if at < 0 or n[i] <= quote_n[at] or (quality[i] & BROKEN) != 0:
            continue
        quote_n[at], quote_bid[at], quote_ask[at], quote_row[at] = n[i], bid[i], ask[i], i
        equity = _equity(quote_bid, quote_ask, held_place, held, balance, unit, scale)
        if equity > peak:
            peak = equity
        elif equity <= floor or equity <= peak * kept:
            why = LIMIT
        for p in range(count):
            if held_place[p, 0] == at:
                value = bid[i] if held[p, 0] > 0.0 else -ask[i]
                if value >= held[p, 5] or value <= held[p, 6]:
                    why = LEVEL
        if why != NOTHING:
            row = i
            break
    money[3], money[5] = peak, minute
    return row, why, written
