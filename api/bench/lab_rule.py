"""The rule that the laboratory's benchmarks trade, as a user writes it, and what it is run with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

STRATEGY: Final = '''\
from tickledger import Enter, Exit, Param, strategy
from tickledger.ta import atr, cross_above, cross_below, ema


@strategy(version=1, bars="M15", warmup=50)
def ema_stop(b, fast=Param(20, 2, 100), slow=Param(50, 10, 400), k=Param(2.0, 0.5, 6.0)):
    """EMA cross at the bar's close, stop k ATR from the fill, reversed by the opposite cross."""
    f, s, plan = ema(b.close, fast), ema(b.close, slow), Exit(stop=k * atr(b, 14))
    yield Enter.long(cross_above(f, s), plan, valid_for="3d")
    yield Enter.short(cross_below(f, s), plan, valid_for="3d")
'''
"""Valid for three days: an entry that a Friday's last bar proves is made at Monday's open."""

COSTS: Final = (
    "spread_points=1", "commission_per_lot_side=3", "latency_ms=0", "slippage_points=0", "swap_long=0", "swap_short=0",
    "balance=100000",
)  # fmt: skip
"""A fixed size of one lot, a commission of 3 USD a side, fills at the next quote; nothing else."""


def write_strategy(folder: Path) -> Path:
    """The strategy's file."""
    path = folder / "ema_stop.py"
    path.write_text(STRATEGY, encoding="utf-8")
    return path


def options(cache: Path) -> list[str]:
    """The options of a run, parsed files being kept in `cache`."""
    told = ["--spec", "generic", "--lots", "1", "--cache", str(cache)]
    for cost in COSTS:
        told += ["--set", cost]
    return told
