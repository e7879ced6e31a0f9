"""Indicators and transforms for strategies; docs/indicators.md has each one's formula and MT5's name."""

from __future__ import annotations

from agents.indicators.averages import dema, ema, hull, kama, lwma, sma, smma, tema, trix
from agents.indicators.channels import bollinger, donchian, envelopes, highest, keltner, lowest, stddev
from agents.indicators.choices import (
    absolute,
    bars_since,
    count,
    cross_above,
    cross_below,
    falling,
    floor,
    hold,
    known,
    maximum,
    minimum,
    only,
    rising,
    sqrt,
    where,
)
from agents.indicators.oscillators import (
    accelerator,
    aroon,
    awesome,
    bears_power,
    bulls_power,
    cci,
    demarker,
    force,
    macd,
    mfi,
    momentum,
    roc,
    rsi,
    rvi,
    stochastic,
    williams_r,
)
from agents.indicators.prices import atr, change, gap, median_price, spread, true_range, typical_price, weighted_price
from agents.indicators.server_clock import hour, minute, session, weekday
from agents.indicators.statistics import correlation, linreg, percentile_rank, zscore
from agents.indicators.trend import adx, alligator, fractals, ichimoku, parabolic_sar

__all__ = [
    "absolute", "accelerator", "adx", "alligator", "aroon", "atr", "awesome", "bars_since", "bears_power",
    "bollinger", "bulls_power", "cci", "change", "correlation", "count", "cross_above", "cross_below", "dema",
    "demarker", "donchian", "ema", "envelopes", "falling", "floor", "force", "fractals", "gap", "highest", "hold",
    "hour", "hull", "ichimoku", "kama", "keltner", "known", "linreg", "lowest", "lwma", "macd", "maximum",
    "median_price", "mfi", "minimum", "minute", "momentum", "only", "parabolic_sar", "percentile_rank", "rising",
    "roc", "rsi", "rvi", "session", "sma", "smma", "spread", "sqrt", "stddev", "stochastic", "tema", "trix",
    "true_range", "typical_price", "weekday", "weighted_price", "where", "williams_r", "zscore",
]  # fmt: skip
