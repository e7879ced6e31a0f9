# tickledger backtest buy_and_hold EURUSD_M1.csv --spec vantage-raw --lots 0.1
from tickledger import Enter, Exit, strategy
from tickledger.ta import known


@strategy(version=1, bars="D1", warmup=0)
def buy_and_hold(b):
    """Buys at the close of the first day and holds: what any other strategy is measured by. It has no stop."""
    yield Enter.long(~known(b.close.lag(1)), Exit(on_opposite="ignore"), valid_for="4d")
