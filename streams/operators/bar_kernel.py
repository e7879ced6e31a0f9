"""Bid bars on the server's clock, all timeframes at once: the kernel, its state and its output columns.

A tick touches only the forming M1 bar. A bar that closes is put into the forming bar of the next longer timeframe, so
M5 to D1 cost a step a minute. Each timeframe divides the next, hence a closed bar lies in one longer bar.

State is one array of eight-byte words. Row 0 is the listing's, row `Timeframe` the forming bar of that timeframe, all
zero when there is none; nothing in it depends on how the ticks were cut.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from schemas.jit import kernel
from schemas.quality import BROKEN
from schemas.timeframes import TIMEFRAMES

BAR_DTYPE: Final = np.dtype(
    [
        ("proof_n", "<i8"),
        ("proof_ms", "<i8"),
        ("timeframe", "<i8"),
        ("time_ms", "<i8"),
        ("server_offset_s", "<i8"),
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("ask_close", "<f8"),
        ("ticks", "<i8"),
        ("spread_min", "<i8"),
        ("spread_mean", "<f8"),
        ("spread_max", "<i8"),
        ("volume", "<f8"),
        ("first_n", "<i8"),
        ("last_n", "<i8"),
        ("complete", "<i8"),
    ]
)
"""Closed bars. `proof_n`: the tick that proved the end (the next tick's n, if a watermark did); `proof_ms`: the time of
that tick, or the watermark. Prices as quoted, spreads in points, volume in lots; `complete` 0 or 1; the rest as in
`Bar.avsc`. All fields have eight bytes: the kernel writes rows through an int64 and a float64 view of one buffer, which
spares every call two arguments."""

BAR_WORDS: Final = len(BAR_DTYPE.names or ())
LONGEST: Final = len(TIMEFRAMES)
ROWS: Final = 1 + LONGEST

# Words of row 0 (SCALE is a float).
NEWEST_MS, GAP, DIGITS, SCALE = range(4)
# Words of rows 1 to 7: integers, then floats.
START, FIRST_OFFSET_S, TICKS, SPREAD_MIN, SPREAD_SUM, SPREAD_MAX, FIRST_N, LAST_N, COMPLETE = range(9)
OPEN, HIGH, LOW, CLOSE, ASK_CLOSE, VOLUME = range(9, 15)
WORDS: Final = 15

_LENGTHS: Final = (0, *(t.ms for t in TIMEFRAMES))
_M1_MS: Final = _LENGTHS[1]
_WIDEST: Final = 1e12
"""Points; a wider spread, which no market has, counts as this, so that sums stay exact integers."""


@kernel
def _put(row: int, ints: Any, floats: Any, out: Any, out_floats: Any, at: int, proof_n: int, proof_ms: int) -> None:
    """Writes the forming bar of timeframe `row` to output row `at`."""
    ticks = ints[row, TICKS]
    out[at, 0] = proof_n
    out[at, 1] = proof_ms
    out[at, 2] = row
    out[at, 3] = ints[row, START] - ints[row, FIRST_OFFSET_S] * 1000
    out[at, 4] = ints[row, FIRST_OFFSET_S]
    for k in range(5):
        out_floats[at, 5 + k] = floats[row, OPEN + k]
    out[at, 10] = ticks
    out[at, 11] = ints[row, SPREAD_MIN]
    out_floats[at, 12] = ints[row, SPREAD_SUM] / ticks
    out[at, 13] = ints[row, SPREAD_MAX]
    out_floats[at, 14] = floats[row, VOLUME]
    out[at, 15] = ints[row, FIRST_N]
    out[at, 16] = ints[row, LAST_N]
    out[at, 17] = ints[row, COMPLETE]


@kernel
def _close(row: int, ints: Any, floats: Any) -> None:
    """Puts the forming bar of timeframe `row` into that of the next longer one, and clears it."""
    if row < LONGEST:
        into = row + 1
        if ints[into, TICKS] == 0:
            for word in range(WORDS):
                ints[into, word] = ints[row, word]
            ints[into, START] -= ints[row, START] % _LENGTHS[into]
        else:
            ints[into, TICKS] += ints[row, TICKS]
            ints[into, SPREAD_MIN] = min(ints[into, SPREAD_MIN], ints[row, SPREAD_MIN])
            ints[into, SPREAD_SUM] += ints[row, SPREAD_SUM]
            ints[into, SPREAD_MAX] = max(ints[into, SPREAD_MAX], ints[row, SPREAD_MAX])
            ints[into, LAST_N] = ints[row, LAST_N]
            ints[into, COMPLETE] &= ints[row, COMPLETE]
            floats[into, HIGH] = max(floats[into, HIGH], floats[row, HIGH])
            floats[into, LOW] = min(floats[into, LOW], floats[row, LOW])
            floats[into, CLOSE] = floats[row, CLOSE]
            floats[into, ASK_CLOSE] = floats[row, ASK_CLOSE]
            floats[into, VOLUME] += floats[row, VOLUME]
    for word in range(WORDS):
        ints[row, word] = 0


@kernel
def _rescale(ints: Any, floats: Any, digits: int) -> None:
    """The listing has `digits` digits from here on: spreads of forming bars are brought to the new points."""
    for _ in range(ints[0, DIGITS], digits):
        for row in range(1, ROWS):
            for word in (SPREAD_MIN, SPREAD_SUM, SPREAD_MAX):
                ints[row, word] *= 10
    for _ in range(digits, ints[0, DIGITS]):
        for row in range(1, ROWS):
            for word in (SPREAD_MIN, SPREAD_SUM, SPREAD_MAX):
                ints[row, word] = (ints[row, word] + 5) // 10
    ints[0, DIGITS] = digits
    scale = 1.0
    for _ in range(digits):
        scale *= 10.0
    floats[0, SCALE] = scale


@kernel
def fold_bars(
    time_ms: Any,
    bid: Any,
    ask: Any,
    volume: Any,
    quality: Any,
    first_n: int,
    offset_s: int,
    gap: bool,
    watermark_ms: int,
    digits: int,
    state: Any,
    out: Any,
) -> int:
    """Folds one segment, writes the bars that it closed, and returns how many.

    Columns as in Segment; digits of the listing, -1 = as before; state int64[8, 15]; out int64[room, 18], rows of
    BAR_DTYPE with room for LONGEST * (n + 1).

    A bar closes when a tick that isn't broken lies outside it (the server's clock may go back an hour), or when a
    watermark above the newest such tick reaches its end. A gap marks the bars that hold the ticks on its both sides.
    """
    ints = state
    floats = state.view(np.float64)
    out_floats = out.view(np.float64)
    count = 0
    offset_ms = offset_s * 1000
    if digits >= 0 and digits != ints[0, DIGITS]:
        _rescale(ints, floats, digits)
    if gap:
        ints[0, GAP] = 1
        for row in range(1, ROWS):
            ints[row, COMPLETE] = 0
    scale = floats[0, SCALE]
    has_volume = volume.shape[0] > 0

    # The forming M1 bar lives in locals: [from_ms, to_ms) is its time in UTC, empty when there is none.
    from_ms = np.int64(0)
    to_ms = np.int64(0)
    if ints[1, TICKS] > 0:
        from_ms = ints[1, START] - offset_ms
        to_ms = from_ms + _M1_MS
    ticks = ints[1, TICKS]
    spread_min = ints[1, SPREAD_MIN]
    spread_sum = ints[1, SPREAD_SUM]
    spread_max = ints[1, SPREAD_MAX]
    last_n = ints[1, LAST_N]
    newest = ints[0, NEWEST_MS]
    high = floats[1, HIGH]
    low = floats[1, LOW]
    close = floats[1, CLOSE]
    ask_close = floats[1, ASK_CLOSE]
    lots = floats[1, VOLUME]

    for i in range(time_ms.shape[0]):
        if quality[i] & BROKEN:
            continue
        t = time_ms[i]
        price = bid[i]
        points = np.rint((ask[i] - price) * scale)
        spread = np.int64(points) if points <= _WIDEST else np.int64(_WIDEST)
        if t < from_ms or t >= to_ms:
            if ticks > 0:
                ints[1, TICKS] = ticks
                ints[1, SPREAD_MIN] = spread_min
                ints[1, SPREAD_SUM] = spread_sum
                ints[1, SPREAD_MAX] = spread_max
                ints[1, LAST_N] = last_n
                floats[1, HIGH] = high
                floats[1, LOW] = low
                floats[1, CLOSE] = close
                floats[1, ASK_CLOSE] = ask_close
                floats[1, VOLUME] = lots
            server = t + offset_ms
            for row in range(1, ROWS):
                if ints[row, TICKS] > 0:
                    start = ints[row, START]
                    if server < start or server >= start + _LENGTHS[row]:
                        _put(row, ints, floats, out, out_floats, count, first_n + i, t)
                        _close(row, ints, floats)
                        count += 1
            complete = 1
            if ints[0, GAP] != 0:
                complete = 0
                ints[0, GAP] = 0
                for row in range(2, ROWS):
                    ints[row, COMPLETE] = 0
            start = server // _M1_MS * _M1_MS
            from_ms = start - offset_ms
            to_ms = from_ms + _M1_MS
            ints[1, START] = start
            ints[1, FIRST_OFFSET_S] = offset_s
            ints[1, FIRST_N] = first_n + i
            ints[1, COMPLETE] = complete
            floats[1, OPEN] = price
            ticks = np.int64(0)
            spread_sum = np.int64(0)
            spread_min = spread
            spread_max = spread
            high = price
            low = price
            lots = 0.0
        elif ints[0, GAP] != 0:
            # The forming bars were marked when the gap came.
            ints[0, GAP] = 0
        ticks += 1
        spread_sum += spread
        spread_min = min(spread_min, spread)
        spread_max = max(spread_max, spread)
        high = max(high, price)
        low = min(low, price)
        close = price
        ask_close = ask[i]
        if has_volume:
            lots += volume[i]
        last_n = first_n + i
        newest = max(newest, t)

    ints[0, NEWEST_MS] = newest
    ints[1, TICKS] = ticks
    ints[1, SPREAD_MIN] = spread_min
    ints[1, SPREAD_SUM] = spread_sum
    ints[1, SPREAD_MAX] = spread_max
    ints[1, LAST_N] = last_n
    floats[1, HIGH] = high
    floats[1, LOW] = low
    floats[1, CLOSE] = close
    floats[1, ASK_CLOSE] = ask_close
    floats[1, VOLUME] = lots

    if watermark_ms > newest:
        for row in range(1, ROWS):
            if ints[row, TICKS] > 0 and watermark_ms >= ints[row, START] + _LENGTHS[row] - offset_ms:
                _put(row, ints, floats, out, out_floats, count, first_n + time_ms.shape[0], watermark_ms)
                _close(row, ints, floats)
                count += 1
    return count
