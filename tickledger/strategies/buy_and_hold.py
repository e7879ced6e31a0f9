# tickledger backtest buy_and_hold EURUSD_M1.csv --spec vantage-raw --lots 0.1
from tickledger import Enter, Exit, strategy
from tickledger.ta import known


@strategy(version=1, bars="D1")
def buy_and_hold(b):
    """Buys at the close of the first day and holds: what any other strategy is measured by. It has no stop.

    It says so at every day's close, as a strategy never knows what it holds; the desk takes the first and refuses what
    it has already. So it enters wherever a run starts.
    """
    yield Enter.long(known(b.close), Exit(on_opposite="ignore"), valid_for="4d")
