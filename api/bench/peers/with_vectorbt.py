"""The rule in vectorbt, run by that program's own interpreter; prints trades and seconds as JSON.

Arguments: the file of M1 bars, by how many milliseconds its clock is ahead of UTC.
"""

# mypy: ignore-errors

from __future__ import annotations

import json
import sys
import time

import pandas as pd
import vectorbt as vbt

POINT = 1e-5
WARMUP = 50


def read(path: str) -> pd.DataFrame:
    """Quarters of an hour, from MT5's export."""
    rows = pd.read_csv(path, sep="\t")
    rows.index = pd.to_datetime(rows["<DATE>"] + " " + rows["<TIME>"], format="%Y.%m.%d %H:%M:%S")
    names = {"<OPEN>": "open", "<HIGH>": "high", "<LOW>": "low", "<CLOSE>": "close"}
    how = {"open": "first", "high": "max", "low": "min", "close": "last"}
    return rows.rename(columns=names).resample("15min").agg(how).dropna()


def main(path: str, offset_ms: int) -> dict:
    start = time.perf_counter()
    bars = read(path)
    ready = time.perf_counter()
    close = bars["close"]
    fast = vbt.MA.run(close, 20, ewm=True).ma
    slow = vbt.MA.run(close, 50, ewm=True).ma
    before = close.shift()
    ranges = pd.concat([bars["high"], before], axis=1).max(axis=1) - pd.concat([bars["low"], before], axis=1).min(
        axis=1
    )
    share = 2.0 * ranges.rolling(14).mean() / close
    up = (fast > slow) & (fast.shift() <= slow.shift())
    down = (fast < slow) & (fast.shift() >= slow.shift())
    up.iloc[:WARMUP], down.iloc[:WARMUP] = False, False
    # A signal at a bar's close is traded at the next bar's open.
    up, down, share = up.shift(fill_value=False), down.shift(fill_value=False), share.shift()
    portfolio = vbt.Portfolio.from_signals(
        close, entries=up, short_entries=down, price=bars["open"], open=bars["open"], high=bars["high"],
        low=bars["low"], sl_stop=share, size=100_000, fixed_fees=3.0, slippage=POINT / 2 / close.iloc[0],
        init_cash=10_000_000, upon_opposite_entry="reverse", freq="15min",
    )  # fmt: skip
    rows = portfolio.trades.records_readable
    ran = time.perf_counter()
    trades = [
        (
            pd.Timestamp(row["Entry Timestamp"]).value // 1_000_000 - offset_ms,
            row["Avg Entry Price"],
            pd.Timestamp(row["Exit Timestamp"]).value // 1_000_000 - offset_ms,
            row["Avg Exit Price"],
            1 if row["Direction"] == "Long" else -1,
            row["PnL"],
        )
        for _, row in rows.iterrows()
    ]
    return {"trades": trades, "run_s": ran - ready, "read_s": ready - start}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
