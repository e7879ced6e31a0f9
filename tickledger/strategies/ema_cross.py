# tickledger backtest ema_cross EURUSD_M1.csv --spec vantage-raw --risk 0.5%
from tickledger import Enter, Exit, Param, strategy
from tickledger.ta import atr, cross_above, cross_below, ema, highest, lowest


@strategy(version=1, bars="H1")
def ema_cross(b, fast=Param(20, 5, 100), slow=Param(50, 20, 400), k=Param(2.0, 0.5, 6.0)):
    """EMA cross; stop k ATR, chandelier trail, break-even at 1 R, out after 120 bars."""
    f, s, r = ema(b.close, fast), ema(b.close, slow), atr(b, 14)
    plan = Exit(
        stop=k * r,
        trail_long=highest(b.high, 22) - 3 * r,
        trail_short=lowest(b.low, 22) + 3 * r,
        breakeven_at=1.0,
        max_bars=120,
    )
    yield Enter.long(cross_above(f, s), plan, valid_for="60s")
    yield Enter.short(cross_below(f, s), plan, valid_for="60s")
