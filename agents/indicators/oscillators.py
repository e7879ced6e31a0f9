"""Oscillators."""

from __future__ import annotations

from typing import NamedTuple

from agents.expressions import Bars, Number, number
from agents.indicators.averages import ema, sma, smma
from agents.indicators.channels import highest, lowest
from agents.indicators.choices import maximum, minimum, where
from agents.indicators.definition import indicator
from agents.indicators.prices import median_price, typical_price
from agents.kernels import windows


class Macd(NamedTuple):
    """MACD, its signal, and their difference (MT5's OsMA)."""

    line: Number
    signal: Number
    histogram: Number


class Stochastic(NamedTuple):
    """%K and %D, 0 to 100."""

    k: Number
    d: Number


class Vigor(NamedTuple):
    """The relative vigor index and its signal."""

    line: Number
    signal: Number


class Aroon(NamedTuple):
    """Aroon up and down, 0 to 100."""

    up: Number
    down: Number


@indicator(
    "100 · up / (up + down); smma of rises and of falls; 50 if both are 0",
    mt5="iRSI",
    differs="Wilder's averages start with the first change, MT5's and TA-Lib's with a simple average",
    source="Wilder, 1978",
)
def rsi(x: Number, period: int = 14) -> Number:
    """Relative strength index."""
    step = x - x.lag(1)
    up, down = smma(maximum(step, 0.0), period), smma(maximum(-step, 0.0), period)
    return where(up + down == 0.0, 50.0 + 0.0 * up, 100.0 * up / (up + down))


@indicator(
    "ema(x, fast) - ema(x, slow); signal: sma of it",
    mt5="iMACD, iOsMA",
    differs="the signal is a simple average, as MT5's; TA-Lib's is an EMA",
    source="Appel, 1979",
)
def macd(x: Number, fast: int = 12, slow: int = 26, signal: int = 9) -> Macd:
    """Moving average convergence and divergence."""
    line = ema(x, fast) - ema(x, slow)
    said = sma(line, signal)
    return Macd(line, said, line - said)


@indicator(
    "%K = 100 · Σ(close - ll) / Σ(hh - ll) over `slowing`; hh, ll of n bars; %D = sma(%K, d); 100 if the range is 0",
    mt5="iStochastic, STO_LOWHIGH, MODE_SMA",
    differs="slowing sums both sides before dividing, as MT5's; TA-Lib averages the quotients",
    source="Lane, 1984",
)
def stochastic(b: Bars, k: int = 5, d: int = 3, slowing: int = 3) -> Stochastic:
    """Stochastic oscillator."""
    top, bottom = highest(b.high, k), lowest(b.low, k)
    over = number(windows.SUM, (slowing,), b.close - bottom)
    reach = number(windows.SUM, (slowing,), top - bottom)
    line = where(reach == 0.0, 100.0, 100.0 * over / reach)
    return Stochastic(line, sma(line, d))


@indicator(
    "(x - sma) / (0.015 · mean |x - sma|), x typical; 0 if that is 0",
    mt5="iCCI",
    source="Lambert, Commodities 1980/10",
)
def cci(b: Bars, period: int = 14) -> Number:
    """Commodity channel index."""
    typical = typical_price(b)
    away = 0.015 * number(windows.SPREAD, (period,), typical)
    return where(away == 0.0, 0.0, (typical - sma(typical, period)) / away)


@indicator("100 · x / x[n]", mt5="iMomentum", differs="a quotient, as MT5's; TA-Lib's MOM is a difference")
def momentum(x: Number, period: int = 14) -> Number:
    """MT5's momentum."""
    return 100.0 * x / x.lag(period)


@indicator("100 · (x - x[n]) / x[n]")
def roc(x: Number, period: int = 10) -> Number:
    """Rate of change in percent."""
    return 100.0 * (x - x.lag(period)) / x.lag(period)


@indicator(
    "-100 · (hh - close) / (hh - ll)",
    mt5="iWPR",
    differs="NaN if the range is 0: MT5 repeats the value before, TA-Lib gives 0",
    source="Williams, 1973",
)
def williams_r(b: Bars, period: int = 14) -> Number:
    """Williams' percent range, -100 to 0."""
    top, bottom = highest(b.high, period), lowest(b.low, period)
    return -100.0 * (top - b.close) / (top - bottom)


@indicator(
    "up / (up + down); sma of max(high - high[1], 0) and of max(low[1] - low, 0); 0 if both are 0",
    mt5="iDeMarker",
    source="DeMark, 1994",
)
def demarker(b: Bars, period: int = 14) -> Number:
    """DeMarker, 0 to 1."""
    up = sma(maximum(b.high - b.high.lag(1), 0.0), period)
    down = sma(maximum(b.low.lag(1) - b.low, 0.0), period)
    return where(up + down == 0.0, 0.0, up / (up + down))


@indicator(
    "Σ w(close - open) / Σ w(high - low) over n, w weighs four bars 1, 2, 2, 1; signal: w of it over 6",
    mt5="iRVI",
    source="Ehlers, TASC 2002/1",
)
def rvi(b: Bars, period: int = 10) -> Vigor:
    """Relative vigor index."""
    moved = number(windows.SUM, (period,), _weighed(b.close - b.open))
    reach = number(windows.SUM, (period,), _weighed(b.high - b.low))
    line = where(reach == 0.0, moved, moved / reach)
    return Vigor(line, _weighed(line) / 6.0)


@indicator("sma(median, 5) - sma(median, 34)", mt5="iAO", source="Williams, Trading Chaos, 1998")
def awesome(b: Bars) -> Number:
    """Awesome oscillator."""
    return sma(median_price(b), 5) - sma(median_price(b), 34)


@indicator("ao - sma(ao, 5)", mt5="iAC", source="Williams, Trading Chaos, 1998")
def accelerator(b: Bars) -> Number:
    """Accelerator oscillator."""
    fast = awesome(b)
    return fast - sma(fast, 5)


@indicator(
    "volume · (sma(close, n) - sma(close, n)[1])",
    mt5="iForce, MODE_SMA, tick volume",
    differs="Elder's is ema(volume · (close - close[1]), n)",
)
def force(b: Bars, period: int = 13) -> Number:
    """Force index on tick volume."""
    mean = sma(b.close, period)
    return b.volume * (mean - mean.lag(1))


@indicator(
    "100 · up / (up + down); sums of typical · volume where typical rose, where it fell; 100 if down is 0",
    mt5="iMFI, tick volume",
    differs="TA-Lib gives 0 where up and down are 0",
)
def mfi(b: Bars, period: int = 14) -> Number:
    """Money flow index on tick volume."""
    typical = typical_price(b)
    step, flow = typical - typical.lag(1), typical * b.volume
    up = number(windows.SUM, (period,), flow * _sign_over(step))
    down = number(windows.SUM, (period,), flow * _sign_over(-step))
    return where(down == 0.0, 100.0, 100.0 * up / (up + down))


@indicator("high - ema(close, n)", mt5="iBullsPower", source="Elder, Trading for a Living, 1993")
def bulls_power(b: Bars, period: int = 13) -> Number:
    """Bulls power."""
    return b.high - ema(b.close, period)


@indicator("low - ema(close, n)", mt5="iBearsPower", source="Elder, Trading for a Living, 1993")
def bears_power(b: Bars, period: int = 13) -> Number:
    """Bears power."""
    return b.low - ema(b.close, period)


@indicator("100 · (n - bars since the highest high, lowest low of n + 1) / n", source="Chande, TASC 1995/9")
def aroon(b: Bars, period: int = 14) -> Aroon:
    """Aroon."""
    top = number(windows.HIGHEST_AGE, (period + 1,), b.high)
    bottom = number(windows.LOWEST_AGE, (period + 1,), b.low)
    return Aroon(100.0 * (period - top) / period, 100.0 * (period - bottom) / period)


def _weighed(x: Number) -> Number:
    return x + 2.0 * x.lag(1) + 2.0 * x.lag(2) + x.lag(3)


def _sign_over(x: Number) -> Number:
    """1 where x > 0, 0 where it is not, NaN where it is not there."""
    return where(x > 0.0, 1.0, minimum(maximum(x, 0.0), 0.0))
