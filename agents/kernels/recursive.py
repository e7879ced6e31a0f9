"""Nodes whose value follows from the one before: exponential averages, the parabolic stop, what happened last.

They start with the first value that is there, and forget it: an exponential average after 20 of its periods bit for
bit, the others when what they wait for happens again. A NaN doesn't get into them: the value of that bar is NaN, the
next bar goes on from the one before.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from agents.kernels.kinds import MOST_BARS, PERIOD, NodeKind, Parameter
from schemas.jit import kernel

_EMA, _SMMA, _ADAPTIVE = range(3)
_STARTED, _MEAN = range(2)
_SINCE, _HOLD = range(2)
_BARS, _LONG, _EXTREME, _FACTOR, _STOP, _HIGH, _LOW = range(7)
_ABSURD: Final = 1e300
"""What is not below this is taken for NaN: an average could never forget it."""


@kernel
def fold_average(values: Any, n: Any, wires: Any, numbers: Any, state: Any) -> None:
    """y += a (x - y): a = 2 / (period + 1), 1 / period, or given by the second input. State: started, y."""
    out = values[wires[0]]
    a = values[wires[1]]
    given = values[wires[2]]
    op = np.int64(numbers[0])
    weight = 0.0
    if op == _EMA:
        weight = 2.0 / (numbers[1] + 1.0)
    elif op == _SMMA:
        weight = 1.0 / numbers[1]
    started = state[_STARTED]
    mean = state[_MEAN]
    for i in range(n):
        x = a[i]
        if op == _ADAPTIVE:
            weight = given[i]
        if not (abs(x) < _ABSURD and abs(weight) < _ABSURD):
            out[i] = np.nan
        elif started == 0.0 or weight == 1.0:
            started = 1.0
            mean = x
            out[i] = x
        else:
            mean += weight * (x - mean)
            out[i] = mean
    state[_STARTED] = started
    state[_MEAN] = mean


@kernel
def fold_event(values: Any, n: Any, wires: Any, numbers: Any, state: Any) -> None:
    """Bars since a condition held, or the last value that was there; NaN before the first. State: seen, last."""
    out = values[wires[0]]
    a = values[wires[1]]
    since = np.int64(numbers[0]) == _SINCE
    seen = state[0]
    last = state[1]
    for i in range(n):
        if since:
            last += 1.0
            if a[i] != 0.0:
                seen = 1.0
                last = 0.0
        elif abs(a[i]) < _ABSURD:
            seen = 1.0
            last = a[i]
        out[i] = last if seen != 0.0 else np.nan
    state[0] = seen
    state[1] = last if seen != 0.0 else 0.0


@kernel
def fold_parabolic(values: Any, n: Any, wires: Any, numbers: Any, state: Any) -> None:
    """Wilder's stop and reverse of highs and lows; steps `numbers[1]` up to `numbers[2]`.

    The first two bars tell the direction. State: bars (up to 2), long, extreme, factor, stop, last high, last low.
    """
    out = values[wires[0]]
    high = values[wires[1]]
    low = values[wires[2]]
    step = numbers[1]
    most = numbers[2]
    for i in range(n):
        h = high[i]
        w = low[i]
        if not (abs(h) < _ABSURD and abs(w) < _ABSURD):
            out[i] = np.nan
            continue
        last_high = state[_HIGH]
        last_low = state[_LOW]
        state[_HIGH] = h
        state[_LOW] = w
        if state[_BARS] == 0.0:
            state[_BARS] = 1.0
            out[i] = np.nan
            continue
        if state[_BARS] == 1.0:
            state[_BARS] = 2.0
            state[_LONG] = 0.0 if last_low - w > max(h - last_high, 0.0) else 1.0
            state[_EXTREME] = h if state[_LONG] != 0.0 else w
            state[_STOP] = last_low if state[_LONG] != 0.0 else last_high
            state[_FACTOR] = step
        stop = state[_STOP]
        if state[_LONG] != 0.0:
            if w <= stop:
                state[_LONG] = 0.0
                stop = max(state[_EXTREME], last_high, h)
                out[i] = stop
                state[_FACTOR] = step
                state[_EXTREME] = w
                stop = max(stop + step * (w - stop), last_high, h)
            else:
                out[i] = stop
                if h > state[_EXTREME]:
                    state[_EXTREME] = h
                    state[_FACTOR] = min(state[_FACTOR] + step, most)
                stop = min(stop + state[_FACTOR] * (state[_EXTREME] - stop), last_low, w)
        elif h >= stop:
            state[_LONG] = 1.0
            stop = min(state[_EXTREME], last_low, w)
            out[i] = stop
            state[_FACTOR] = step
            state[_EXTREME] = h
            stop = min(stop + step * (h - stop), last_low, w)
        else:
            out[i] = stop
            if w < state[_EXTREME]:
                state[_EXTREME] = w
                state[_FACTOR] = min(state[_FACTOR] + step, most)
            stop = max(stop + state[_FACTOR] * (state[_EXTREME] - stop), last_high, h)
        state[_STOP] = stop


EMA: Final = NodeKind(
    name="ema",
    kernel=fold_average,
    code=_EMA,
    inputs=(False,),
    parameters=(PERIOD,),
    words=lambda _: 2,
    warm_up=lambda numbers: 3 * int(numbers[0]),
    memory=lambda numbers: 20 * int(numbers[0]),
)
SMMA: Final = NodeKind(
    name="smma",
    kernel=fold_average,
    code=_SMMA,
    inputs=(False,),
    parameters=(PERIOD,),
    words=lambda _: 2,
    warm_up=lambda numbers: 3 * int(numbers[0]),
    # It has the weight of an EMA of 2 period - 1.
    memory=lambda numbers: 40 * int(numbers[0]),
)
ADAPTIVE: Final = NodeKind(
    name="adaptive",
    kernel=fold_average,
    code=_ADAPTIVE,
    inputs=(False, False),
    parameters=(Parameter("slow", 1, MOST_BARS),),
    words=lambda _: 2,
    warm_up=lambda numbers: 3 * int(numbers[0]),
    # At its slowest its weight is (2 / (slow + 1))².
    memory=lambda numbers: 10 * (int(numbers[0]) + 1) ** 2,
)
SINCE: Final = NodeKind(
    name="since",
    kernel=fold_event,
    code=_SINCE,
    inputs=(True,),
    words=lambda _: 2,
)
HOLD: Final = NodeKind(
    name="hold",
    kernel=fold_event,
    code=_HOLD,
    inputs=(False,),
    words=lambda _: 2,
)
PARABOLIC: Final = NodeKind(
    name="parabolic",
    kernel=fold_parabolic,
    inputs=(False, False),
    parameters=(Parameter("step", 1e-4, 1.0, whole=False), Parameter("maximum", 1e-4, 1.0, whole=False)),
    words=lambda _: 7,
    # Until it has turned a few times.
    warm_up=lambda numbers: min(int(3 / numbers[0]), MOST_BARS),
    memory=lambda numbers: min(int(20 / numbers[0]), MOST_BARS),
)

KINDS: Final = (EMA, SMMA, ADAPTIVE, SINCE, HOLD, PARABOLIC)
