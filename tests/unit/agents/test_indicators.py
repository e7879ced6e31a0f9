"""Indicators against TA-Lib, and against MT5's formulas written out where MT5 defines something else."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import talib

import tickledger.ta
from agents.expressions import Condition, Number
from agents.graph import graph_of
from agents.indicators.catalogue import INDICATORS
from tests.graphs import ALL, B, outputs_of, random_bars
from tickledger import ta

BARS = random_bars(4, 3_000)
O, H, L, C, _, V = BARS[:6]  # noqa: E741 - a bar's letters
TYPICAL = (H + L + C) / 3


def value(expression: Number | Condition) -> Any:
    return outputs_of(graph_of([expression]), BARS)[0]


ADX = ta.adx(B, 14, wilder=True)
FAST = ta.stochastic(B, 5, 3, slowing=1)

# Ours, TA-Lib's, and the bars after which the different start is forgotten.
SAME: dict[str, tuple[Number, Any, int]] = {
    "sma": (ta.sma(B.close, 14), talib.SMA(C, 14), 0),
    "ema": (ta.ema(B.close, 14), talib.EMA(C, 14), 280),
    "lwma": (ta.lwma(B.close, 14), talib.WMA(C, 14), 0),
    "dema": (ta.dema(B.close, 14), talib.DEMA(C, 14), 560),
    "tema": (ta.tema(B.close, 14), talib.TEMA(C, 14), 840),
    "kama": (ta.kama(B.close, 10), talib.KAMA(C, 10), 2_500),
    "trix": (ta.trix(B.close, 14), talib.TRIX(C, 14), 900),
    "median": (ta.median_price(B), talib.MEDPRICE(H, L), 0),
    "typical": (ta.typical_price(B), talib.TYPPRICE(H, L, C), 0),
    "weighted": (ta.weighted_price(B), talib.WCLPRICE(H, L, C), 0),
    "true range": (ta.true_range(B), talib.TRANGE(H, L, C), 0),
    "atr, Wilder's": (ta.atr(B, 14, wilder=True), talib.ATR(H, L, C, 14), 560),
    "stddev": (ta.stddev(B.close, 20), talib.STDDEV(C, 20), 0),
    "bollinger": (ta.bollinger(B.close).upper, talib.BBANDS(C, 20, 2.0, 2.0)[0], 0),
    "bollinger, lower": (ta.bollinger(B.close).lower, talib.BBANDS(C, 20, 2.0, 2.0)[2], 0),
    "highest": (ta.highest(B.high, 20), talib.MAX(H, 20), 0),
    "lowest": (ta.lowest(B.low, 20), talib.MIN(L, 20), 0),
    "donchian": (ta.donchian(B, 20).middle, talib.MIDPRICE(H, L, 20), 0),
    "rsi": (ta.rsi(B.close), talib.RSI(C, 14), 600),
    "macd, line": (ta.macd(B.close).line, talib.MACD(C)[0], 560),
    "stochastic, %K": (FAST.k, talib.STOCHF(H, L, C, 5, 3)[0], 10),
    "stochastic, %D": (FAST.d, talib.STOCHF(H, L, C, 5, 3)[1], 10),
    "cci": (ta.cci(B), talib.CCI(H, L, C, 14), 0),
    "momentum": (ta.momentum(B.close), talib.ROCR100(C, 14), 0),
    "roc": (ta.roc(B.close, 10), talib.ROC(C, 10), 0),
    "change": (ta.change(B.close, 5), talib.MOM(C, 5), 0),
    "williams_r": (ta.williams_r(B), talib.WILLR(H, L, C, 14), 0),
    "mfi": (ta.mfi(B), talib.MFI(H, L, C, V, 14), 0),
    "aroon, up": (ta.aroon(B).up, talib.AROON(H, L, 14)[1], 0),
    "aroon, down": (ta.aroon(B).down, talib.AROON(H, L, 14)[0], 0),
    "adx, Wilder's": (ADX.adx, talib.ADX(H, L, C, 14), 1_200),
    "di⁺, Wilder's": (ADX.plus, talib.PLUS_DI(H, L, C, 14), 700),
    "di⁻, Wilder's": (ADX.minus, talib.MINUS_DI(H, L, C, 14), 700),
    "parabolic_sar": (ta.parabolic_sar(B), talib.SAR(H, L, 0.02, 0.2), 50),
    "linreg": (ta.linreg(B.close).value, talib.LINEARREG(C, 14), 0),
    "linreg, slope": (ta.linreg(B.close).slope, talib.LINEARREG_SLOPE(C, 14), 0),
    "linreg, r²": (ta.linreg(B.close).r2, talib.CORREL(C, np.arange(3_000.0), 14) ** 2, 0),
    "correlation": (ta.correlation(B.close, B.open, 20), talib.CORREL(C, O, 20), 0),
}


@pytest.mark.parametrize("name", SAME)
def test_what_ta_lib_defines_alike_is_alike(name: str) -> None:
    ours, theirs, settled = SAME[name]
    np.testing.assert_allclose(value(ours)[settled:], theirs[settled:], rtol=1e-8, atol=2e-6)


def mean(x: Any, n: int) -> Any:
    return rolled(x, n, np.mean)


def rolled(x: Any, n: int, of: Callable[[Any], Any]) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(x, n)
    return np.concatenate([np.full(n - 1, np.nan), [of(w) for w in windows]])


def exponential(x: Any, weight: float) -> Any:
    """From the first value that is there on."""
    found, last = np.full(len(x), np.nan), np.nan
    for i, one in enumerate(x):
        last = one if np.isnan(last) else last + weight * (one - last)
        found[i] = last
    return found


def back(x: Any, n: int) -> Any:
    return np.concatenate([np.full(n, np.nan), x[:-n]])


RANGE = np.maximum(H, back(C, 1)) - np.minimum(L, back(C, 1))
MEDIAN = (H + L) / 2
RISE, FALL = H - back(H, 1), back(L, 1) - L
UP = np.where((RISE > 0) & (RISE > FALL), RISE, 0.0 * RISE)
DOWN = np.where((FALL > 0) & (FALL > RISE), FALL, 0.0 * FALL)
PLUS, MINUS = exponential(100 * UP / RANGE, 2 / 15), exponential(100 * DOWN / RANGE, 2 / 15)
AO = mean(MEDIAN, 5) - mean(MEDIAN, 34)
LINE = exponential(C, 2 / 13) - exponential(C, 2 / 27)
HH, LL = rolled(H, 5, np.max), rolled(L, 5, np.min)


def weighed(x: Any) -> Any:
    return x + 2 * back(x, 1) + 2 * back(x, 2) + back(x, 3)


VIGOR = rolled(weighed(C - O), 10, np.sum) / rolled(weighed(H - L), 10, np.sum)

# MT5's formula, and TA-Lib's of the same name, if it is another.
MT5: dict[str, tuple[Number, Any, Any]] = {
    "iATR": (ta.atr(B, 14), mean(RANGE, 14), talib.ATR(H, L, C, 14)),
    "iADX": (ta.adx(B).adx, exponential(100 * abs(PLUS - MINUS) / (PLUS + MINUS), 2 / 15), talib.ADX(H, L, C, 14)),
    "iMACD, signal": (ta.macd(B.close).signal, mean(LINE, 9), talib.MACD(C)[1]),
    "iOsMA": (ta.macd(B.close).histogram, LINE - mean(LINE, 9), talib.MACD(C)[2]),
    "iStochastic": (
        ta.stochastic(B).k,
        100 * rolled(C - LL, 3, np.sum) / rolled(HH - LL, 3, np.sum),
        talib.STOCH(H, L, C, 5, 3, 0, 3, 0)[0],
    ),
    "iMomentum": (ta.momentum(B.close, 14), 100 * C / back(C, 14), talib.MOM(C, 14)),
    "iMA, SMMA": (ta.smma(B.close, 9), exponential(C, 1 / 9), None),
    "iAO": (ta.awesome(B), AO, None),
    "iAC": (ta.accelerator(B), AO - mean(AO, 5), None),
    "iForce": (ta.force(B, 13), V * (mean(C, 13) - back(mean(C, 13), 1)), None),
    "iBullsPower": (ta.bulls_power(B), H - exponential(C, 2 / 14), None),
    "iBearsPower": (ta.bears_power(B), L - exponential(C, 2 / 14), None),
    "iDeMarker": (
        ta.demarker(B),
        mean(np.maximum(RISE, 0), 14) / (mean(np.maximum(RISE, 0), 14) + mean(np.maximum(FALL, 0), 14)),
        None,
    ),
    "iRVI": (ta.rvi(B).line, VIGOR, None),
    "iRVI, signal": (ta.rvi(B).signal, weighed(VIGOR) / 6, None),
    "iEnvelopes": (ta.envelopes(B.close, 14, 0.1).upper, mean(C, 14) * 1.001, None),
    "iIchimoku, span b": (
        ta.ichimoku(B).span_b,
        back((rolled(H, 52, np.max) + rolled(L, 52, np.min)) / 2, 26),
        None,
    ),
    "iAlligator": (ta.alligator(B).jaws, back(exponential(MEDIAN, 1 / 13), 8), None),
}  # fmt: skip


@pytest.mark.parametrize("name", MT5)
def test_mt5s_definition_holds_where_others_differ(name: str) -> None:
    ours, by_hand, talibs = MT5[name]
    found = value(ours)
    np.testing.assert_allclose(found, by_hand, rtol=1e-7, atol=1e-10)
    if talibs is not None:
        assert not np.allclose(found[2_000:], talibs[2_000:], rtol=1e-3, atol=0)


def test_hull_keltner_zscore_and_rank_by_hand() -> None:
    hull = talib.WMA(2 * talib.WMA(C, 8) - talib.WMA(C, 16), 4)
    np.testing.assert_allclose(value(ta.hull(B.close, 16)), hull, rtol=1e-9)
    keltner = exponential(TYPICAL, 2 / 21) + 2 * mean(RANGE, 10)
    np.testing.assert_allclose(value(ta.keltner(B).upper), keltner, rtol=1e-9)
    zscore = (C - mean(C, 20)) / rolled(C, 20, np.std)
    np.testing.assert_allclose(value(ta.zscore(B.close)), zscore, rtol=1e-6, atol=1e-9)
    rank = rolled(C, 30, lambda w: 100 * ((w[:-1] < w[-1]).sum() + (w[:-1] == w[-1]).sum() / 2) / 29)
    np.testing.assert_allclose(value(ta.percentile_rank(B.close, 30)), rank)
    bands = ta.bollinger(B.close, 20, 2.0)
    np.testing.assert_allclose(value(bands.percent_b), (value(ta.zscore(B.close)) + 2) / 4, atol=1e-6)
    np.testing.assert_allclose(value(bands.width), 4 * value(ta.stddev(B.close)) / value(ta.sma(B.close, 20)))


def test_a_fractal_is_told_two_bars_after_its_own() -> None:
    found = value(ta.fractals(B).up)
    for i in range(4, 300):
        top = H[i - 2]
        confirmed = top > H[i - 1] and top > H[i] and top >= H[i - 3] and top >= H[i - 4]
        np.testing.assert_equal(found[i], top if confirmed else np.nan)
    last = value(ta.hold(ta.fractals(B).up))
    assert not np.isnan(last[50:]).any()
    assert set(last[50:300]) <= set(H[:300])


def test_crosses_runs_and_counts() -> None:
    above = value(ta.cross_above(B.close, ta.sma(B.close, 5)))
    m = mean(C, 5)
    assert above[5:].tolist() == [float(C[i] > m[i] and C[i - 1] <= m[i - 1]) for i in range(5, 3_000)]
    below = value(ta.cross_below(B.close, 1.12))
    assert below[1:].tolist() == [float(C[i] < 1.12 <= C[i - 1]) for i in range(1, 3_000)]
    run = value(ta.rising(B.close, 3))
    assert run[3:].tolist() == [float(C[i] > C[i - 1] > C[i - 2] > C[i - 3]) for i in range(3, 3_000)]
    assert value(ta.falling(B.close, 3))[3:].sum() == sum(
        C[i] < C[i - 1] < C[i - 2] < C[i - 3] for i in range(3, 3_000)
    )
    assert value(ta.count(B.close > B.open, 10))[9:].tolist() == rolled((C > O).astype(float), 10, np.sum)[9:].tolist()
    since = value(ta.bars_since(B.close > B.open))
    assert [s == 0 for s in since[10:]] == (C > O)[10:].tolist()
    assert all(b == 0 or b == a + 1 for a, b in pairwise(since[10:]))


def test_the_server_clock() -> None:
    minutes = (BARS[10] // 60_000).astype(int)
    assert value(ta.hour(B)).tolist() == (minutes // 60 % 24).tolist()
    assert value(ta.minute(B)).tolist() == (minutes % 60).tolist()
    # The first bar opens on Sunday, 2014-05-04.
    assert value(ta.weekday(B))[:25].tolist() == [0.0] * 24 + [1.0]
    assert value(ta.session(B, "08:00", "10:00"))[:24].tolist() == [float(h in (8, 9)) for h in range(24)]
    assert value(ta.session(B, "22:00", "02:00"))[:24].tolist() == [float(h in (22, 23, 0, 1)) for h in range(24)]
    assert value(ta.session(B, "20:00", "24:00"))[:24].tolist() == [float(h >= 20) for h in range(24)]


def test_choices_and_roundings() -> None:
    np.testing.assert_array_equal(value(ta.maximum(B.close, B.open)), np.maximum(C, O))
    np.testing.assert_array_equal(value(ta.minimum(B.close, 1.12)), np.minimum(C, 1.12))
    np.testing.assert_array_equal(value(ta.absolute(B.open - B.close)), abs(O - C))
    np.testing.assert_array_equal(value(ta.floor(B.volume / 7)), V // 7)
    np.testing.assert_array_equal(value(ta.sqrt(B.volume)), np.sqrt(V))
    np.testing.assert_array_equal(value(ta.gap(B))[1:], O[1:] - C[:-1])
    np.testing.assert_array_equal(value(ta.spread(B)), BARS[7])
    np.testing.assert_array_equal(value(ta.only(B.close > B.open, B.close)), np.where(C > O, C, np.nan))
    np.testing.assert_array_equal(value(ta.known(ta.sma(B.close, 3)))[:4], [0, 0, 1, 1])


STILL = np.repeat(random_bars(1, 1), 60, axis=1)
STILL[:5] = 1.25


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (ta.rsi(B.close, 5), 50.0),
        (ta.cci(B, 5), 0.0),
        (ta.stochastic(B).k, 100.0),
        (ta.demarker(B, 5), 0.0),
        (ta.mfi(B, 5), 100.0),
        (ta.adx(B, 5).adx, 0.0),
        (ta.adx(B, 5, wilder=True).adx, 0.0),
        (ta.rvi(B, 5).line, 0.0),
        (ta.kama(B.close, 5), 1.25),
        (ta.williams_r(B, 5), np.nan),
        (ta.zscore(B.close, 5), np.nan),
        (ta.correlation(B.close, B.open, 5), np.nan),
        (ta.linreg(B.close, 5).r2, np.nan),
    ],
)
def test_a_market_that_stands_still_gives_what_the_docs_say(expression: Number, expected: float) -> None:
    np.testing.assert_equal(outputs_of(graph_of([expression]), STILL)[0, -1], expected)


def test_every_indicator_is_a_public_name_with_its_formula() -> None:
    assert sorted(tickledger.ta.__all__) == sorted(ALL)
    assert len(ALL) >= 40
    for family in INDICATORS.values():
        for one in family:
            assert one.formula
            assert one.__doc__, one.name
            assert getattr(tickledger.ta, one.name) is one
