"""Trends: directional movement, Ichimoku, the parabolic stop, the alligator, fractals."""

from __future__ import annotations

from typing import NamedTuple

from agents.expressions import Bars, Number, StrategyError, number
from agents.indicators.averages import ema, smma
from agents.indicators.channels import highest, lowest
from agents.indicators.choices import maximum, only, where
from agents.indicators.definition import indicator
from agents.indicators.prices import median_price, true_range
from agents.kernels import recursive


class Directional(NamedTuple):
    """ADX and the directional indices, 0 to 100."""

    adx: Number
    plus: Number
    minus: Number


class Ichimoku(NamedTuple):
    """Conversion and base line, and the cloud as it stands at this bar."""

    tenkan: Number
    kijun: Number
    span_a: Number
    span_b: Number


class Alligator(NamedTuple):
    """Williams' three lines as they stand at this bar."""

    jaws: Number
    teeth: Number
    lips: Number


class Fractals(NamedTuple):
    """The price of a fractal at the bar that confirms it, two after its own; NaN at other bars."""

    up: Number
    down: Number


@indicator(
    "di = ema(100 · dm / tr, n), adx = ema(dx, n); wilder=True: di = 100 · smma(dm) / smma(tr), adx = smma(dx); "
    "dx = 100 · |di⁺ - di⁻| / (di⁺ + di⁻)",
    mt5="iADX; wilder=True: iADXWilder",
    differs="MT5's iADX has exponential averages and so has this; TA-Lib's ADX is Wilder's",
    source="Wilder, 1978",
)
def adx(b: Bars, period: int = 14, wilder: bool = False) -> Directional:
    """Average directional movement."""
    up, down = maximum(b.high - b.high.lag(1), 0.0), maximum(b.low.lag(1) - b.low, 0.0)
    rise, fall = where(up > down, up, 0.0 * up), where(down > up, down, 0.0 * down)
    reach = true_range(b)
    if wilder:
        spread = smma(reach, period)
        plus, minus = (where(spread == 0.0, 0.0, 100.0 * smma(x, period) / spread) for x in (rise, fall))
    else:
        plus, minus = (ema(where(reach == 0.0, 0.0, 100.0 * x / reach), period) for x in (rise, fall))
    index = where(plus + minus == 0.0, 0.0, 100.0 * abs(plus - minus) / (plus + minus))
    return Directional(smma(index, period) if wilder else ema(index, period), plus, minus)


@indicator(
    "middles of the highest and lowest of 9, 26 and 52; span a = (tenkan + kijun) / 2 and span b, 26 bars ago",
    mt5="iIchimoku",
    differs="the spans are those drawn over this bar; chikou is the close drawn 26 bars back: see close.lag(26)",
    source="Hosoda, 1969",
)
def ichimoku(b: Bars, tenkan: int = 9, kijun: int = 26, senkou: int = 52) -> Ichimoku:
    """Ichimoku Kinko Hyo."""
    fast, base, slow = _middle(b, tenkan), _middle(b, kijun), _middle(b, senkou)
    return Ichimoku(fast, base, ((fast + base) / 2.0).lag(kijun), slow.lag(kijun))


@indicator(
    "sar += af · (ep - sar), af rises by step to maximum with each new extreme; not beyond the last two bars",
    mt5="iSAR",
    differs="the start decides until it has turned",
    source="Wilder, 1978",
)
def parabolic_sar(b: Bars, step: float = 0.02, maximum: float = 0.2) -> Number:
    """Parabolic stop and reverse."""
    if step > maximum:
        raise StrategyError(f"parabolic_sar: step = {step} is more than maximum = {maximum}")
    return number(recursive.PARABOLIC, (float(step), float(maximum)), b.high, b.low)


@indicator(
    "smma(median, 13), 8 bars ago; smma(median, 8), 5 bars ago; smma(median, 5), 3 bars ago",
    mt5="iAlligator",
    source="Williams, New Trading Dimensions, 1998",
)
def alligator(b: Bars) -> Alligator:
    """Williams' alligator."""
    price = median_price(b)
    return Alligator(smma(price, 13).lag(8), smma(price, 8).lag(5), smma(price, 5).lag(3))


@indicator(
    "high[2] > high[1] and high, high[2] ≥ high[3] and high[4]; downwards likewise",
    mt5="iFractals",
    differs="told at the bar that confirms it, where MT5 draws it two bars back",
    source="Williams, Trading Chaos, 1995",
)
def fractals(b: Bars) -> Fractals:
    """Confirmed fractals; `hold(…)` keeps the last one standing."""
    h, w = b.high, b.low
    top, bottom = h.lag(2), w.lag(2)
    up = (top > h) & (top > h.lag(1)) & (top >= h.lag(3)) & (top >= h.lag(4))
    down = (bottom < w) & (bottom < w.lag(1)) & (bottom <= w.lag(3)) & (bottom <= w.lag(4))
    return Fractals(only(up, top), only(down, bottom))


def _middle(b: Bars, period: int) -> Number:
    return (highest(b.high, period) + lowest(b.low, period)) / 2.0
