"""The rule in nautilus_trader, run by that program's own interpreter; prints trades and seconds as JSON.

Arguments: a file as MT5 exports it, by how many milliseconds its clock is ahead of UTC, and `bars` (of M1) or `ticks`.
"""

# mypy: ignore-errors

from __future__ import annotations

import json
import sys
import time
from collections import deque
from decimal import Decimal

import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import FixedFeeModel
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.indicators import ExponentialMovingAverage
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.wranglers import QuoteTickDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

POINT = 1e-5
WARMUP = 50


def read(path: str, what: str, instrument) -> list:
    """Quotes, from MT5's export of ticks, or four of each bar."""
    rows = pd.read_csv(path, sep="\t")
    form = "%Y.%m.%d %H:%M:%S.%f" if what == "ticks" else "%Y.%m.%d %H:%M:%S"
    rows.index = pd.to_datetime(rows["<DATE>"] + " " + rows["<TIME>"], format=form, utc=True)
    rows.index.name = "timestamp"
    wrangler = QuoteTickDataWrangler(instrument)
    if what == "ticks":
        quotes = rows.rename(columns={"<BID>": "bid_price", "<ASK>": "ask_price"})
        return wrangler.process(quotes[["bid_price", "ask_price"]])
    names = {"<OPEN>": "open", "<HIGH>": "high", "<LOW>": "low", "<CLOSE>": "close"}
    bid = rows.rename(columns=names)[list(names.values())]
    return wrangler.process_bar_data(bid, bid + POINT, offset_interval_ms=15_000, timestamp_is_close=False)


class EmaStopConfig(StrategyConfig, frozen=True):
    """What the strategy is told."""

    bar_type: BarType


class EmaStop(Strategy):
    """EMA cross at the bar's close; stop 2 ATR from the fill; the opposite cross reverses."""

    def __init__(self, config):
        super().__init__(config)
        self.fast, self.slow = ExponentialMovingAverage(20), ExponentialMovingAverage(50)
        self.ranges, self.before, self.count, self.distance = deque(maxlen=14), None, 0, 0.0
        self.sign = 0

    def on_start(self):
        self.instrument = self.cache.instrument(self.config.bar_type.instrument_id)
        self.register_indicator_for_bars(self.config.bar_type, self.fast)
        self.register_indicator_for_bars(self.config.bar_type, self.slow)
        self.subscribe_bars(self.config.bar_type)
        self.subscribe_quote_ticks(self.instrument.id)

    def on_bar(self, bar):
        high, low, close = bar.high.as_double(), bar.low.as_double(), bar.close.as_double()
        if self.before is not None:
            self.ranges.append(max(high, self.before) - min(low, self.before))
        self.before = close
        self.count += 1
        gap = self.fast.value - self.slow.value
        sign = (gap > 0) - (gap < 0)
        crossed, self.sign = sign if sign and sign != self.sign else 0, sign or self.sign
        if not crossed or self.count <= WARMUP:
            return
        self.distance = 2.0 * sum(self.ranges) / 14
        self.cancel_all_orders(self.instrument.id)
        self.close_all_positions(self.instrument.id)
        side = OrderSide.BUY if crossed > 0 else OrderSide.SELL
        self.submit_order(self.order_factory.market(self.instrument.id, side, self.instrument.make_qty(100_000)))

    def on_position_opened(self, event):
        sign = 1 if event.entry == OrderSide.BUY else -1
        self.submit_order(
            self.order_factory.stop_market(
                self.instrument.id,
                OrderSide.SELL if sign > 0 else OrderSide.BUY,
                self.instrument.make_qty(100_000),
                self.instrument.make_price(event.avg_px_open - sign * self.distance),
                reduce_only=True,
            ),
            position_id=event.position_id,
        )

    def on_position_closed(self, event):
        self.cancel_all_orders(self.instrument.id)

    def on_stop(self):
        self.close_all_positions(self.instrument.id)


def main(path: str, offset_ms: int, what: str) -> dict:
    start = time.perf_counter()
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        Venue("SIM"), oms_type=OmsType.HEDGING, account_type=AccountType.MARGIN, base_currency=USD,
        starting_balances=[Money(100_000, USD)], default_leverage=Decimal(100),
        fee_model=FixedFeeModel(Money(3, USD)),
    )  # fmt: skip
    instrument = TestInstrumentProvider.default_fx_ccy("EUR/USD", Venue("SIM"))
    engine.add_instrument(instrument)
    quotes = read(path, what, instrument)
    engine.add_data(quotes)
    engine.add_strategy(EmaStop(EmaStopConfig(bar_type=BarType.from_str(f"{instrument.id}-15-MINUTE-BID-INTERNAL"))))
    ready = time.perf_counter()
    engine.run()
    ran = time.perf_counter()
    trades = [
        (
            position.ts_opened // 1_000_000 - offset_ms,
            position.avg_px_open,
            position.ts_closed // 1_000_000 - offset_ms,
            position.avg_px_close,
            1 if position.entry == OrderSide.BUY else -1,
            position.realized_pnl.as_double(),
        )
        for position in sorted(engine.cache.positions_closed(), key=lambda position: position.ts_closed)
    ]
    return {"trades": trades, "quotes": len(quotes), "run_s": ran - ready, "read_s": ready - start}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
