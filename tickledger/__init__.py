"""tickledger: an event-sourced trading platform for MetaTrader 5. The names that a strategy's file imports."""

from __future__ import annotations

from agents.contract import Param, strategy
from agents.expressions import other
from agents.hatches import Bar, BarStrategy, Ticks, TickStrategy
from agents.plans import Enter, Exit, Flat, Levels

__all__ = [
    "Bar", "BarStrategy", "Enter", "Exit", "Flat", "Levels", "Param", "TickStrategy", "Ticks", "other", "strategy",
]  # fmt: skip
