"""For tests of one's own strategies: what a strategy says to given closes, without data, venue or account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from agents.bar_signals import BarSignals
from agents.contract import Strategy
from agents.expressions import StrategyError
from agents.signals import KINDS, SIDES

_SPREAD: Final = 0.0001
_PLAN: Final = ("stop_distance", "target_distance", "trail_long", "trail_short", "breakeven_at", "max_hold_ms")


def signals_of(
    strategy: Strategy, closes: npt.ArrayLike, parameters: Mapping[str, Any] | None = None
) -> list[tuple[str, str, dict[str, float]]]:
    """(kind, side, plan) of each signal, in order, to bars that close at `closes`, one after the other.

    Each bar opens where the one before closed. `plan`: stop_distance, target_distance, trail_long, trail_short and
    breakeven_at, NaN where there is none, and max_hold_ms. Raises StrategyError for a strategy of several timeframes
    or listings, which needs more than closes.
    """
    program = strategy.program(parameters)
    if program.graph.sources:
        raise StrategyError(f"{strategy.name} reads other bars too: run it over data, by tickledger backtest")
    close = np.ascontiguousarray(closes, np.float64)
    if not len(close):
        return []
    fold = BarSignals(program)
    rows = fold.fold(fold.initial(), _bars(close, strategy.timeframe.ms, int(strategy.timeframe)), _none(close))
    return [
        (str(KINDS[row["kind"]]), str(SIDES[row["side"]]), {name: float(row[name]) for name in _PLAN}) for row in rows
    ]


def _none(close: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    return np.zeros(len(close), np.bool_)


def _bars(close: npt.NDArray[np.float64], length_ms: int, timeframe: int) -> npt.NDArray[np.void]:
    opened = np.concatenate((close[:1], close[:-1]))
    count = np.arange(len(close))
    rows = np.zeros(len(close), _DTYPE)
    rows["proof_n"], rows["proof_ms"] = 4 * count + 4, (count + 1) * length_ms
    rows["timeframe"], rows["time_ms"] = timeframe, count * length_ms
    rows["open"], rows["close"], rows["ask_close"] = opened, close, close + _SPREAD
    rows["high"], rows["low"] = np.maximum(opened, close), np.minimum(opened, close)
    rows["ticks"], rows["spread_min"], rows["spread_mean"], rows["spread_max"] = 4, 10, 10.0, 10
    rows["first_n"], rows["last_n"], rows["complete"] = 4 * count, 4 * count + 3, 1
    return rows


_DTYPE: Final = np.dtype(
    [
        ("proof_n", "<i8"), ("proof_ms", "<i8"), ("timeframe", "<i8"), ("time_ms", "<i8"), ("server_offset_s", "<i8"),
        ("open", "<f8"), ("high", "<f8"), ("low", "<f8"), ("close", "<f8"), ("ask_close", "<f8"), ("ticks", "<i8"),
        ("spread_min", "<i8"), ("spread_mean", "<f8"), ("spread_max", "<i8"), ("volume", "<f8"), ("first_n", "<i8"),
        ("last_n", "<i8"), ("complete", "<i8"),
    ]
)  # fmt: skip
"""The fields of a bar's row that strategies read."""
