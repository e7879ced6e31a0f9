# tickledger backtest sniper EURUSD_M1.csv --spec vantage-raw --risk 0.5%
from tickledger import Enter, Exit, Param, other, strategy
from tickledger.ta import adx, atr, ema, highest, lowest, where


@strategy(version=1, bars="M15")
def sniper(
    b,
    channel=Param(40, 10, 400),
    trend=Param(50, 10, 400),
    least_adx=Param(20.0, 0.0, 60.0),
    pullback=Param(0.25, 0.0, 3.0),
    stop=Param(2.0, 0.5, 8.0),
    target=Param(4.0, 0.5, 20.0),
):
    """SNIPER: a breakout with the trend of the hour, bought on the way back.

    The trend is up while H1 closes above its EMA and that EMA rises, and ADX says that there is one. When a bar then
    closes above the highest of the `channel` bars before it, a limit order waits for four hours `pullback` ATR below
    that close; the same mirrored for a downtrend. Stop and target are `stop` and `target` ATR; half is closed at 1 R,
    where the stop goes to the entry, and the rest follows the low of the channel's half, at 1 ATR. ATR is Wilder's.
    """
    hour = other("H1")
    mean = ema(hour.close, trend)
    strong = adx(b, 14).adx > least_adx
    up = (hour.close > mean) & (mean > mean.lag(1)) & strong
    down = (hour.close < mean) & (mean < mean.lag(1)) & strong
    top, bottom, r = highest(b.high, channel).lag(1), lowest(b.low, channel).lag(1), atr(b, 14, wilder=True)
    half = max(channel // 2, 1)
    plan = Exit(
        stop=stop * r,
        target=target * r,
        partial=(1.0, 0.5),
        breakeven_at=1.0,
        trail_long=lowest(b.low, half) - r,
        trail_short=highest(b.high, half) + r,
        on_opposite="close",
        cooldown=4,
    )
    quiet = b.spread_mean < where(b.spread > 0.0, 4.0 * b.spread, 1_000.0)
    yield Enter.limit("long", up & quiet & (b.close > top), plan, price=b.close - pullback * r, expires="4h")
    yield Enter.limit("short", down & quiet & (b.close < bottom), plan, price=b.close + pullback * r, expires="4h")
