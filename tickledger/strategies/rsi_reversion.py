# tickledger backtest rsi_reversion EURUSD_M1.csv --spec vantage-raw --risk 0.5%
from tickledger import Enter, Exit, Flat, Param, other, strategy
from tickledger.ta import atr, cross_above, cross_below, rsi, sma


@strategy(version=1, bars="M30")
def rsi_reversion(
    b, period=Param(14, 2, 100), low=Param(30.0, 5.0, 50.0), high=Param(70.0, 50.0, 95.0), k=Param(2.5, 0.5, 10.0)
):
    """Back from an extreme of RSI, with the trend of the day; out at the middle, at k ATR or after two days."""
    strength, r = rsi(b.close, period), atr(b, 14)
    day = other("D1")
    above = day.close > sma(day.close, 20)
    plan = Exit(stop=k * r, max_bars=96, on_opposite="close", cooldown=2)
    yield Enter.long(cross_above(strength, low) & above, plan)
    yield Enter.short(cross_below(strength, high) & ~above, plan)
    yield Flat(cross_above(strength, 50.0), side="long")
    yield Flat(cross_below(strength, 50.0), side="short")
