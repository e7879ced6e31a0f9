"""tickledger: an event-sourced trading platform for MetaTrader 5. The names that a strategy's file imports."""

from __future__ import annotations

from agents.contract import Param, strategy
from agents.expressions import other
from agents.plans import Enter, Exit, Flat, Levels

__all__ = ["Enter", "Exit", "Flat", "Levels", "Param", "other", "strategy"]
