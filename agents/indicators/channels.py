"""Channels and bands."""

from __future__ import annotations

from typing import NamedTuple

from agents.expressions import Bars, Number, number
from agents.indicators.averages import ema, sma
from agents.indicators.definition import indicator
from agents.indicators.prices import atr, typical_price
from agents.kernels import windows


class Channel(NamedTuple):
    """Three lines."""

    upper: Number
    middle: Number
    lower: Number


class Bands(NamedTuple):
    """Bollinger's lines, the width of the band as a share of its middle, and where x stands in it, 0 to 1."""

    upper: Number
    middle: Number
    lower: Number
    width: Number
    percent_b: Number


@indicator("greatest of the last n", mt5="iHighest")
def highest(x: Number, period: int = 20) -> Number:
    """The greatest of the last values, the present one among them."""
    return number(windows.HIGHEST, (period,), x)


@indicator("least of the last n", mt5="iLowest")
def lowest(x: Number, period: int = 20) -> Number:
    """The least of the last values, the present one among them."""
    return number(windows.LOWEST, (period,), x)


@indicator("√(Σ (x - sma)² / n)", mt5="iStdDev", differs="divided by n, as MT5's and TA-Lib's; not by n - 1")
def stddev(x: Number, period: int = 20) -> Number:
    """Standard deviation, from its window in two passes."""
    return number(windows.DEVIATION, (period,), x)


@indicator(
    "sma ± k · stddev; width = (upper - lower) / middle; %b = (x - lower) / (upper - lower)",
    mt5="iBands",
    source="Bollinger on Bollinger Bands, 2001",
)
def bollinger(x: Number, period: int = 20, k: float = 2.0) -> Bands:
    """Bollinger's bands."""
    middle, reach = sma(x, period), k * stddev(x, period)
    upper, lower = middle + reach, middle - reach
    return Bands(upper, middle, lower, (upper - lower) / middle, (x - lower) / (upper - lower))


@indicator(
    "ema(typical, n) ± k · atr(m)",
    differs="its ATR is MT5's simple average",
    source="Keltner 1960, with Raschke's EMA and ATR",
)
def keltner(b: Bars, period: int = 20, k: float = 2.0, atr_period: int = 10) -> Channel:
    """Keltner's channel."""
    middle, reach = ema(typical_price(b), period), k * atr(b, atr_period)
    return Channel(middle + reach, middle, middle - reach)


@indicator("highest(high, n), lowest(low, n), and their middle", source="Donchian, 1960")
def donchian(b: Bars, period: int = 20) -> Channel:
    """Donchian's channel, the present bar included; `.lag(1)` leaves it out."""
    upper, lower = highest(b.high, period), lowest(b.low, period)
    return Channel(upper, (upper + lower) / 2.0, lower)


@indicator("sma(x, n) · (1 ± percent / 100)", mt5="iEnvelopes, MODE_SMA")
def envelopes(x: Number, period: int = 14, percent: float = 0.1) -> Channel:
    """Envelopes of an average."""
    middle = sma(x, period)
    return Channel(middle * (1.0 + percent / 100.0), middle, middle * (1.0 - percent / 100.0))
