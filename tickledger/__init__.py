"""tickledger: an event-sourced trading platform for MetaTrader 5. The names that a strategy's file imports."""

from __future__ import annotations

from agents.contract import Enter, Exit, Flat, Param, strategy

__all__ = ["Enter", "Exit", "Flat", "Param", "strategy"]
