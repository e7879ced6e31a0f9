"""Moving averages."""

from __future__ import annotations

import math

from agents.expressions import Number, StrategyError, number
from agents.indicators.choices import where
from agents.indicators.definition import indicator
from agents.kernels import recursive, windows

_SEED = "starts with the first value, where TA-Lib starts with a simple average; equal bit for bit after 20 periods"


@indicator("mean of the last n", mt5="iMA, MODE_SMA")
def sma(x: Number, period: int = 14) -> Number:
    """Simple moving average."""
    return number(windows.MEAN, (period,), x)


@indicator("y += 2 / (n + 1) · (x - y)", mt5="iMA, MODE_EMA", differs=_SEED)
def ema(x: Number, period: int = 14) -> Number:
    """Exponential moving average."""
    return number(recursive.EMA, (period,), x)


@indicator(
    "y += (x - y) / n",
    mt5="iMA, MODE_SMMA",
    differs="starts with the first value, where MT5 and TA-Lib start with a simple average",
    source="Wilder, New Concepts in Technical Trading Systems, 1978",
)
def smma(x: Number, period: int = 14) -> Number:
    """Smoothed (Wilder's) moving average."""
    return number(recursive.SMMA, (period,), x)


@indicator("Σ k · x_k / Σ k, k = n for the newest", mt5="iMA, MODE_LWMA")
def lwma(x: Number, period: int = 14) -> Number:
    """Linearly weighted moving average."""
    return number(windows.WEIGHTED, (period,), x)


@indicator("2 · e1 - e2; e1 = ema(x), e2 = ema(e1)", mt5="iDEMA", differs=_SEED, source="Mulloy, TASC 1994/1")
def dema(x: Number, period: int = 14) -> Number:
    """Double exponential moving average."""
    first = ema(x, period)
    return 2.0 * first - ema(first, period)


@indicator("3 · e1 - 3 · e2 + e3", mt5="iTEMA", differs=_SEED, source="Mulloy, TASC 1994/2")
def tema(x: Number, period: int = 14) -> Number:
    """Triple exponential moving average."""
    first = ema(x, period)
    second = ema(first, period)
    return 3.0 * first - 3.0 * second + ema(second, period)


@indicator(
    "y += s² · (x - y); s = r · (2 / (fast + 1) - 2 / (slow + 1)) + 2 / (slow + 1); r = |x - x[n]| / Σ |x - x[1]|",
    mt5="iAMA",
    differs="r = 0 while x stands still, as MT5's; TA-Lib takes 1, and starts with the value before",
    source="Kaufman, Smarter Trading, 1995",
)
def kama(x: Number, period: int = 10, fast: int = 2, slow: int = 30) -> Number:
    """Kaufman's adaptive moving average."""
    if fast > slow:
        raise StrategyError(f"kama: fast = {fast} is more than slow = {slow}")
    way = number(windows.SUM, (period,), abs(x - x.lag(1)))
    efficiency = where(way == 0.0, 0.0, abs(x - x.lag(period)) / way)
    quick, lazy = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0)
    weight = efficiency * (quick - lazy) + lazy
    return number(recursive.ADAPTIVE, (slow,), x, weight * weight)


@indicator("lwma(2 · lwma(x, n / 2) - lwma(x, n), √n), both rounded down", source="Hull, alanhull.com, 2005")
def hull(x: Number, period: int = 16) -> Number:
    """Hull's moving average."""
    if period < 4:
        raise StrategyError(f"hull: period = {period} is not at least 4")
    return lwma(2.0 * lwma(x, period // 2) - lwma(x, period), math.isqrt(period))


@indicator("100 · (e3 - e3[1]) / e3[1]; e3 = ema(ema(ema(x)))", mt5="iTriX", differs="in percent, as TA-Lib's")
def trix(x: Number, period: int = 14) -> Number:
    """Rate of change of a triple exponential average."""
    third = ema(ema(ema(x, period), period), period)
    return 100.0 * (third - third.lag(1)) / third.lag(1)
