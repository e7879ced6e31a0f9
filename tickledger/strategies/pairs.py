# tickledger backtest pairs EURUSD_M1.csv GBPUSD_M1.csv --spec vantage-raw --risk 0.5%   (it trades the first)
from tickledger import Enter, Exit, Flat, Param, other, strategy
from tickledger.ta import atr, correlation, cross_above, cross_below, zscore


@strategy(version=1, bars="M15")
def pairs(b, period=Param(96, 20, 1000), far=Param(2.0, 1.0, 5.0), alike=Param(0.6, 0.0, 1.0), k=Param(3.0, 0.5, 10.0)):
    """EURUSD against GBPUSD: the ratio comes back from `far` deviations while both move alike; only EURUSD is traded.

    The stop is k ATR, the way out is the ratio's mean. Pounds are joined as of their newest bar that had closed.
    """
    pound = other("GBPUSD")
    ratio = b.close / pound.close
    distance, r = zscore(ratio, period), atr(b, 14)
    together = correlation(b.close, pound.close, period) > alike
    plan = Exit(stop=k * r, max_bars=2 * period, on_opposite="close", cooldown=4)
    yield Enter.long(cross_above(distance, -far) & together, plan)
    yield Enter.short(cross_below(distance, far) & together, plan)
    yield Flat(cross_above(distance, 0.0), side="long")
    yield Flat(cross_below(distance, 0.0), side="short")
