"""Nodes over the last W bars. Each value is computed anew from its window, in a fixed order.

The window lies in a mirrored ring: each value is written twice, W apart, so that the last W are always contiguous,
oldest first. Sums have eight accumulators. So a value depends on its W bars alone: not on the cut, not on where history
starts; nothing drifts, and a NaN is gone once it leaves the window. Until then, and until W bars were seen, the value
is NaN.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from agents.kernels.kinds import MOST_BARS, PAIR, PERIOD, NodeKind, Numbers, Parameter
from schemas.jit import kernel

_LAG, _SUM, _MEAN, _WEIGHTED, _DEVIATION, _SPREAD, _VALUE, _SLOPE, _FIT, _RANK = range(10)
_HIGHEST, _LOWEST, _HIGHEST_AGE, _LOWEST_AGE = range(4)
_POS, _COUNT = range(2)
_HEAD: Final = 2
_NOT_NAN, _BEST, _AGE = range(1, 4)
_EXTREME_HEAD: Final = 4


@kernel
def _sum(ring: Any, start: Any, width: Any) -> Any:
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    k = start
    end = start + width
    while k + 8 <= end:
        s0 += ring[k]
        s1 += ring[k + 1]
        s2 += ring[k + 2]
        s3 += ring[k + 3]
        s4 += ring[k + 4]
        s5 += ring[k + 5]
        s6 += ring[k + 6]
        s7 += ring[k + 7]
        k += 8
    rest = 0.0
    while k < end:
        rest += ring[k]
        k += 1
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)) + rest


@kernel
def _moment(ring: Any, start: Any, width: Any, mean: Any, square: Any) -> Any:
    """The sum of squares, or of absolute values, of the distances from `mean`."""
    s0 = s1 = s2 = s3 = 0.0
    k = start
    end = start + width
    while k + 4 <= end:
        d0 = ring[k] - mean
        d1 = ring[k + 1] - mean
        d2 = ring[k + 2] - mean
        d3 = ring[k + 3] - mean
        s0 += d0 * d0 if square else abs(d0)
        s1 += d1 * d1 if square else abs(d1)
        s2 += d2 * d2 if square else abs(d2)
        s3 += d3 * d3 if square else abs(d3)
        k += 4
    rest = 0.0
    while k < end:
        d0 = ring[k] - mean
        rest += d0 * d0 if square else abs(d0)
        k += 1
    return ((s0 + s1) + (s2 + s3)) + rest


@kernel
def _product(ring: Any, start: Any, width: Any, first: Any) -> Any:
    """The sum of value k times (first + k)."""
    s0 = s1 = s2 = s3 = 0.0
    k = 0
    while k + 4 <= width:
        s0 += (first + k) * ring[start + k]
        s1 += (first + k + 1) * ring[start + k + 1]
        s2 += (first + k + 2) * ring[start + k + 2]
        s3 += (first + k + 3) * ring[start + k + 3]
        k += 4
    rest = 0.0
    while k < width:
        rest += (first + k) * ring[start + k]
        k += 1
    return ((s0 + s1) + (s2 + s3)) + rest


@kernel
def fold_window(values: Any, n: Any, wires: Any, numbers: Any, state: Any) -> None:
    """One statistic of the last `numbers[1]` values; for a lag, of one more. State: pos, count, ring."""
    out = values[wires[0]]
    a = values[wires[1]]
    op = np.int64(numbers[0])
    width: Any = np.int64(numbers[1])
    if op == _LAG:
        width += 1
    ring = state[_HEAD:]
    pos: Any = np.int64(state[_POS])
    count: Any = np.int64(state[_COUNT])
    half = (width - 1) * 0.5
    across = width * (width * width - 1.0) / 12.0
    for i in range(n):
        x = a[i] if a[i] == a[i] else np.nan
        ring[pos] = x
        ring[pos + width] = x
        pos += 1
        start = pos
        if pos == width:
            pos = 0
        if count < width:
            count += 1
        if count < width:
            out[i] = np.nan
        elif op == _LAG:
            out[i] = ring[start]
        elif op == _SUM:
            out[i] = _sum(ring, start, width)
        elif op == _MEAN:
            out[i] = _sum(ring, start, width) / width
        elif op == _WEIGHTED:
            out[i] = _product(ring, start, width, 1.0) / (width * (width + 1.0) * 0.5)
        elif op == _DEVIATION:
            mean = _sum(ring, start, width) / width
            out[i] = np.sqrt(_moment(ring, start, width, mean, True) / width)
        elif op == _SPREAD:
            mean = _sum(ring, start, width) / width
            out[i] = _moment(ring, start, width, mean, False) / width
        elif op == _RANK:
            below = 0.0
            for k in range(start, start + width - 1):
                if ring[k] < x:
                    below += 1.0
                elif ring[k] == x:
                    below += 0.5
                elif not ring[k] > x:
                    below = np.nan
            out[i] = 100.0 * below / (width - 1)
        else:
            slope = _product(ring, start, width, -half) / across
            if op == _SLOPE:
                out[i] = slope
            else:
                mean = _sum(ring, start, width) / width
                if op == _VALUE:
                    out[i] = mean + slope * half
                else:
                    total = _moment(ring, start, width, mean, True)
                    out[i] = min(slope * slope * across / total, 1.0) if total > 0.0 else np.nan
    state[_POS] = pos
    state[_COUNT] = count


@kernel
def fold_extreme(values: Any, n: Any, wires: Any, numbers: Any, state: Any) -> None:
    """The highest or lowest of the last `numbers[1]` values, or how many bars ago the newest such was.

    The window is gone through only when its extreme leaves it. State: pos, values since a NaN, best, its age, ring.
    """
    out = values[wires[0]]
    a = values[wires[1]]
    op = np.int64(numbers[0])
    width: Any = np.int64(numbers[1])
    sign = -1.0 if op in (_LOWEST, _LOWEST_AGE) else 1.0
    aged = op in (_HIGHEST_AGE, _LOWEST_AGE)
    ring = state[_EXTREME_HEAD:]
    pos: Any = np.int64(state[_POS])
    there: Any = np.int64(state[_NOT_NAN])
    best = state[_BEST]
    age: Any = np.int64(state[_AGE])
    for i in range(n):
        x = sign * a[i] if a[i] == a[i] else np.nan
        ring[pos] = x
        ring[pos + width] = x
        pos += 1
        start = pos
        if pos == width:
            pos = 0
        age += 1
        if x == x:
            there = min(there + 1, width)
            if there == 1 or x >= best:
                best = x
                age = 0
            elif age >= width:
                best = x
                age = 0
                for back in range(1, min(there, width)):
                    if ring[start + width - 1 - back] > best:
                        best = ring[start + width - 1 - back]
                        age = back
        else:
            there = 0
            best = 0.0
            age = 0
        if there < width:
            out[i] = np.nan
        elif aged:
            out[i] = age
        else:
            out[i] = sign * best
    state[_POS] = pos
    state[_NOT_NAN] = there
    state[_BEST] = best
    state[_AGE] = age


@kernel
def fold_correlation(values: Any, n: Any, wires: Any, numbers: Any, state: Any) -> None:
    """Pearson's correlation of the last `numbers[1]` pairs. State: pos, count, two rings."""
    out = values[wires[0]]
    a = values[wires[1]]
    b = values[wires[2]]
    width: Any = np.int64(numbers[1])
    left = state[_HEAD : _HEAD + 2 * width]
    right = state[_HEAD + 2 * width :]
    pos: Any = np.int64(state[_POS])
    count: Any = np.int64(state[_COUNT])
    for i in range(n):
        x = a[i] if a[i] == a[i] else np.nan
        y = b[i] if b[i] == b[i] else np.nan
        left[pos] = x
        left[pos + width] = x
        right[pos] = y
        right[pos + width] = y
        pos += 1
        start = pos
        if pos == width:
            pos = 0
        if count < width:
            count += 1
        if count < width:
            out[i] = np.nan
            continue
        mean_x = _sum(left, start, width) / width
        mean_y = _sum(right, start, width) / width
        together = 0.0
        for k in range(start, start + width):
            together += (left[k] - mean_x) * (right[k] - mean_y)
        both = np.sqrt(_moment(left, start, width, mean_x, True) * _moment(right, start, width, mean_y, True))
        out[i] = max(min(together / both, 1.0), -1.0) if both > 0.0 else np.nan
    state[_POS] = pos
    state[_COUNT] = count


def _width(numbers: Numbers) -> int:
    return int(numbers[0])


def _before(numbers: Numbers) -> int:
    return int(numbers[0]) - 1


def _window(name: str, code: int, parameter: Parameter = PERIOD) -> NodeKind:
    return NodeKind(
        name=name,
        kernel=fold_window,
        code=code,
        inputs=(False,),
        parameters=(parameter,),
        words=lambda numbers: _HEAD + 2 * int(numbers[0]),
        warm_up=_width,
        memory=_before,
    )


def _extreme(name: str, code: int) -> NodeKind:
    return NodeKind(
        name=name,
        kernel=fold_extreme,
        code=code,
        inputs=(False,),
        parameters=(PERIOD,),
        words=lambda numbers: _EXTREME_HEAD + 2 * int(numbers[0]),
        warm_up=_width,
        memory=_before,
    )


LAG: Final = NodeKind(
    name="lag",
    kernel=fold_window,
    code=_LAG,
    inputs=(False,),
    parameters=(Parameter("n", 1, MOST_BARS),),
    words=lambda numbers: _HEAD + 2 * (int(numbers[0]) + 1),
    warm_up=_width,
    memory=_width,
)
SUM: Final = _window("sum", _SUM)
MEAN: Final = _window("mean", _MEAN)
WEIGHTED: Final = _window("weighted_mean", _WEIGHTED)
DEVIATION: Final = _window("deviation", _DEVIATION)
SPREAD: Final = _window("mean_distance", _SPREAD)
VALUE: Final = _window("line_value", _VALUE, PAIR)
SLOPE: Final = _window("line_slope", _SLOPE, PAIR)
FIT: Final = _window("line_fit", _FIT, PAIR)
RANK: Final = _window("rank", _RANK, PAIR)
HIGHEST: Final = _extreme("highest", _HIGHEST)
LOWEST: Final = _extreme("lowest", _LOWEST)
HIGHEST_AGE: Final = _extreme("highest_age", _HIGHEST_AGE)
LOWEST_AGE: Final = _extreme("lowest_age", _LOWEST_AGE)
CORRELATION: Final = NodeKind(
    name="correlation",
    kernel=fold_correlation,
    inputs=(False, False),
    parameters=(PAIR,),
    words=lambda numbers: _HEAD + 4 * int(numbers[0]),
    warm_up=_width,
    memory=_before,
)

KINDS: Final = (
    LAG, SUM, MEAN, WEIGHTED, DEVIATION, SPREAD, VALUE, SLOPE, FIT, RANK,
    HIGHEST, LOWEST, HIGHEST_AGE, LOWEST_AGE, CORRELATION,
)  # fmt: skip
