# tickledger backtest sniper_intraday EURUSD_M1.csv --spec vantage-raw --risk 0.5%
from tickledger import Enter, Exit, Param, other, strategy
from tickledger.ta import adx, atr, ema, highest, lowest, where


@strategy(version=1, bars="M1")
def sniper_intraday(
    b,
    channel=Param(30, 10, 400),
    trend=Param(10, 5, 400),
    least_adx=Param(15.0, 0.0, 60.0),
    pullback=Param(0.25, 0.0, 3.0),
    stop=Param(3.0, 0.5, 8.0),
    target=Param(6.0, 0.5, 20.0),
):
    """SNIPER's rule within a day: a breakout of M1 bars with the trend of M15, bought on the way back.

    The trend is up while M15 closes above its EMA and that EMA rises, and ADX says that there is one. When a bar then
    closes above the highest of the `channel` bars before it, a limit order waits for half an hour `pullback` ATR below
    that close; the same mirrored for a downtrend. Stop and target are `stop` and `target` ATR; half is closed at 1 R,
    where the stop goes to the entry, and the rest follows the low of the channel's half, at 1 ATR.
    """
    quarter = other("M15")
    mean = ema(quarter.close, trend)
    strong = adx(b, 14).adx > least_adx
    up = (quarter.close > mean) & (mean > mean.lag(1)) & strong
    down = (quarter.close < mean) & (mean < mean.lag(1)) & strong
    top, bottom, r = highest(b.high, channel).lag(1), lowest(b.low, channel).lag(1), atr(b, 14)
    half = max(channel // 2, 1)
    plan = Exit(
        stop=stop * r,
        target=target * r,
        partial=(1.0, 0.5),
        breakeven_at=1.0,
        trail_long=lowest(b.low, half) - r,
        trail_short=highest(b.high, half) + r,
        max_bars=120,
        on_opposite="close",
        cooldown=4,
    )
    quiet = b.spread_mean < where(b.spread > 0.0, 4.0 * b.spread, 1_000.0)
    yield Enter.limit("long", up & quiet & (b.close > top), plan, price=b.close - pullback * r, expires="30m")
    yield Enter.limit("short", down & quiet & (b.close < bottom), plan, price=b.close + pullback * r, expires="30m")
