"""The rule in backtesting.py, run by that program's own interpreter; prints trades and seconds as JSON.

Arguments: the file of M1 bars, by how many milliseconds its clock is ahead of UTC, and `run` or `sweep FAST SLOW`,
where both are lists such as 5,10.
"""

# mypy: ignore-errors

from __future__ import annotations

import json
import sys
import time

import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover

POINT = 1e-5
WARMUP = 50


def read(path: str) -> pd.DataFrame:
    """Quarters of an hour, from MT5's export."""
    rows = pd.read_csv(path, sep="\t")
    rows.index = pd.to_datetime(rows["<DATE>"] + " " + rows["<TIME>"], format="%Y.%m.%d %H:%M:%S")
    names = {"<OPEN>": "Open", "<HIGH>": "High", "<LOW>": "Low", "<CLOSE>": "Close"}
    how = {"Open": "first", "High": "max", "Low": "min", "Close": "last"}
    return rows.rename(columns=names).resample("15min").agg(how).dropna()


def ema(close, period):
    return pd.Series(close).ewm(span=period, adjust=False).mean()


def atr(high, low, close, period):
    before = pd.Series(close).shift()
    ranges = pd.concat([pd.Series(high), before], axis=1).max(axis=1) - pd.concat([pd.Series(low), before], axis=1).min(
        axis=1
    )
    return ranges.rolling(period).mean()


def commission(size, price):
    return 3.0


class EmaStop(Strategy):
    """EMA cross at the bar's close; stop k ATR; the opposite cross reverses."""

    fast = 20
    slow = 50
    k = 2.0

    def init(self):
        self.quick = self.I(ema, self.data.Close, self.fast)
        self.calm = self.I(ema, self.data.Close, self.slow)
        self.range = self.I(atr, self.data.High, self.data.Low, self.data.Close, 14)

    def next(self):
        if len(self.data) <= WARMUP:
            return
        price, distance = self.data.Close[-1], self.k * self.range[-1]
        if crossover(self.quick, self.calm):
            self.position.close()
            self.buy(size=100_000, sl=price - distance)
        elif crossover(self.calm, self.quick):
            self.position.close()
            self.sell(size=100_000, sl=price + distance)


def main(path: str, offset_ms: int, what: str, fast: str = "", slow: str = "") -> dict:
    start = time.perf_counter()
    bars = read(path)
    test = Backtest(
        bars, EmaStop, cash=100_000, spread=POINT / bars["Close"].iloc[0], commission=commission,
        margin=0.01, finalize_trades=True,
    )  # fmt: skip
    ready = time.perf_counter()
    if what == "sweep":
        lists = {"fast": [int(n) for n in fast.split(",")], "slow": [int(n) for n in slow.split(",")]}
        stats, heat = test.optimize(**lists, maximize="Equity Final [$]", return_heatmap=True)
        told = {"sets": len(heat)}
    else:
        stats = test.run()
        told = {}
    ran = time.perf_counter()
    trades = [
        (
            trade.EntryTime.value // 1_000_000 - offset_ms,
            trade.EntryPrice,
            trade.ExitTime.value // 1_000_000 - offset_ms,
            trade.ExitPrice,
            1 if trade.Size > 0 else -1,
            trade.PnL,
        )
        for trade in stats["_trades"].itertuples()
    ]
    return told | {"trades": trades, "run_s": ran - ready, "read_s": ready - start}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])))
