"""Prices of a bar, ranges, and averages of ranges."""

from __future__ import annotations

from agents.expressions import Bars, Number
from agents.indicators.averages import sma, smma
from agents.indicators.choices import maximum, minimum
from agents.indicators.definition import indicator


@indicator("(high + low) / 2", mt5="PRICE_MEDIAN")
def median_price(b: Bars) -> Number:
    """The middle of a bar."""
    return (b.high + b.low) / 2.0


@indicator("(high + low + close) / 3", mt5="PRICE_TYPICAL")
def typical_price(b: Bars) -> Number:
    """The typical price of a bar."""
    return (b.high + b.low + b.close) / 3.0


@indicator("(high + low + 2 · close) / 4", mt5="PRICE_WEIGHTED")
def weighted_price(b: Bars) -> Number:
    """The weighted close of a bar."""
    return (b.high + b.low + 2.0 * b.close) / 4.0


@indicator("max(high, close[1]) - min(low, close[1])", source="Wilder, 1978")
def true_range(b: Bars) -> Number:
    """The range of a bar with the gap before it."""
    before = b.close.lag(1)
    return maximum(b.high, before) - minimum(b.low, before)


@indicator(
    "sma(true_range, n); wilder=True: smma(true_range, n)",
    mt5="iATR",
    differs="MT5's is a simple average and so is this; TA-Lib's ATR is Wilder's",
    source="Wilder, 1978",
)
def atr(b: Bars, period: int = 14, wilder: bool = False) -> Number:
    """Average true range."""
    return smma(true_range(b), period) if wilder else sma(true_range(b), period)


@indicator("open - close[1]")
def gap(b: Bars) -> Number:
    """What the price jumped between two bars."""
    return b.open - b.close.lag(1)


@indicator("least spread of the bar in points", mt5="iSpread, as in M1 history")
def spread(b: Bars) -> Number:
    """The bar's spread as MT5 has it."""
    return b.spread


@indicator("x - x[n]", differs="TA-Lib calls this MOM")
def change(x: Number, n: int = 1) -> Number:
    """What x has changed in n bars."""
    return x - x.lag(n)
