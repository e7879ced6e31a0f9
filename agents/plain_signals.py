"""Signals of what a class says at a bar or tick, with plain numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from agents.durations import duration_ms
from agents.expressions import Expression, StrategyError, said
from agents.plans import Enter, Exit, Flat, Levels
from agents.signals import (
    ENTER,
    ENTRY_TYPES,
    EXIT,
    LEVELS,
    LONG,
    NONE,
    ON_OPPOSITE,
    SHORT,
    SIGNAL_DTYPE,
    Signals,
    blank_rows,
)
from schemas.events import EntryType, OnOpposite

Said = Enter | Flat | Levels
"""What a class may say."""

_SIDES = {"long": LONG, "short": SHORT}
_NONE: Signals = np.empty(0, SIGNAL_DTYPE)


class Moment(NamedTuple):
    """The bar or tick at which something is said, in the words of SIGNAL_DTYPE; `suspect`: nothing is entered."""

    proof_n: int
    proof_ms: int
    time_ms: int
    n: int
    from_n: int
    bid: float
    ask: float
    suspect: bool


def signals_at(moment: Moment, what: Iterable[Any] | None, name: str, bar_ms: int) -> Signals:
    """Rows in output order: EXIT, LEVELS, ENTER; of entries to one side the first counts, to both sides none.

    `bar_ms`: what a bar of max_bars and cooldown lasts. Raises StrategyError for what a class may not say.
    """
    if what is None:
        return _NONE
    exits: dict[str, None] = {}
    levels: list[Levels] = []
    entries: dict[str, Enter] = {}
    for one in (what,) if isinstance(what, Said) else what:
        if isinstance(one, Levels):
            levels.append(one)
        elif not isinstance(one, Enter | Flat):
            raise StrategyError(f"{name} says Enter, Flat and Levels, not {said(one)}")
        elif one.when is not None:
            raise StrategyError(f"{name} decides by itself: leave the condition of {one.name} out")
        elif isinstance(one, Flat):
            exits.update(dict.fromkeys(one.sides))
        else:
            _check_plain(one, name)
            entries.setdefault(one.side, one)
    rows = [_row(moment, EXIT, _SIDES[side]) for side in ("long", "short") if side in exits]
    rows += [_levels(moment, one) for one in levels[-1:]]
    if len(entries) == 1 and not moment.suspect:
        rows += [_entry(moment, one, bar_ms) for one in entries.values()]
    return np.concatenate(rows) if rows else _NONE


def _row(moment: Moment, kind: int, side: int) -> Signals:
    row = blank_rows(1, kind, side)
    for field in ("proof_n", "proof_ms", "time_ms", "n", "from_n", "bid", "ask"):
        row[field] = getattr(moment, field)
    return row


def _levels(moment: Moment, levels: Levels) -> Signals:
    row = _row(moment, LEVELS, NONE)
    for field in ("trail_long", "trail_short"):
        row[field] = _or_nan(getattr(levels, field))
    return row


def _entry(moment: Moment, enter: Enter, bar_ms: int) -> Signals:
    row, plan = _row(moment, ENTER, _SIDES[enter.side]), enter.plan
    row["entry_type"] = ENTRY_TYPES.index(EntryType(enter.type.upper()))
    row["valid_for_ms"], row["expires_ms"] = enter.valid_for_ms, enter.expires_ms
    row["price"] = _or_nan(enter.price)
    row["stop_distance"], row["target_distance"] = _or_nan(plan.stop), _or_nan(plan.target)
    row["trail_long"], row["trail_short"] = _or_nan(plan.trail_long), _or_nan(plan.trail_short)
    row["breakeven_at"] = _or_nan(plan.breakeven_at)
    if plan.partial is not None:
        row["partial_at"], row["partial_share"] = plan.partial
    if plan.max_bars is not None:
        row["max_hold_ms"] = duration_ms(plan.max_bars, "Exit: max_bars", bar_ms=bar_ms)
    row["on_opposite"] = ON_OPPOSITE.index(OnOpposite(plan.on_opposite.upper()))
    if plan.cooldown is not None:
        row["cooldown_ms"] = duration_ms(plan.cooldown, "Exit: cooldown", bar_ms=bar_ms)
    return row


def _check_plain(enter: Enter, name: str) -> None:
    plan: Exit = enter.plan
    for value in (enter.price, plan.stop, plan.target, plan.trail_long, plan.trail_short):
        if isinstance(value, Expression):
            raise StrategyError(f"{name} says plain numbers, not {said(value)}: it is called with the values")


def _or_nan(value: Any) -> float:
    return math.nan if value is None else float(value)
