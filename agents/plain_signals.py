"""Signals of what a class says at a bar or tick, with plain numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

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

Row = tuple[Any, ...]
"""One signal, with the fields of SIGNAL_DTYPE in order."""

_SIDES: Final = {"long": LONG, "short": SHORT}
_NONE: Final[Signals] = np.empty(0, SIGNAL_DTYPE)
_BLANK: Final = dict(zip(SIGNAL_DTYPE.names or (), blank_rows(1, ENTER, NONE).tolist()[0], strict=True))


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


def signals_at(moment: Moment, what: Iterable[Any] | None, name: str, bar_ms: int) -> list[Row]:
    """Rows in output order: EXIT, LEVELS, ENTER; of entries to one side the first counts, to both sides none.

    `bar_ms`: what a bar of max_bars and cooldown lasts. Raises StrategyError for what a class may not say.
    """
    if what is None:
        return []
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
    rows = [_row(moment, kind=EXIT, side=_SIDES[side]) for side in ("long", "short") if side in exits]
    rows += [
        _row(
            moment, kind=LEVELS, side=NONE, trail_long=_or_nan(one.trail_long), trail_short=_or_nan(one.trail_short)
        )
        for one in levels[-1:]
    ]  # fmt: skip
    if len(entries) == 1 and not moment.suspect:
        rows += [_entry(moment, one, bar_ms) for one in entries.values()]
    return rows


def as_signals(rows: Sequence[Row]) -> Signals:
    """The rows as SIGNAL_DTYPE."""
    return np.array(rows, SIGNAL_DTYPE) if rows else _NONE


def _row(moment: Moment, **fields: Any) -> Row:
    """A row: what is told of the moment and in `fields`, and nothing of the rest."""
    proof_n, proof_ms, time_ms, n, from_n, bid, ask, _ = moment
    told = {
        "proof_n": proof_n, "proof_ms": proof_ms, "time_ms": time_ms, "n": n, "from_n": from_n, "bid": bid, "ask": ask,
    }  # fmt: skip
    return tuple((_BLANK | told | fields).values())


def _entry(moment: Moment, enter: Enter, bar_ms: int) -> Row:
    plan = enter.plan
    at, share = plan.partial or (None, None)
    return _row(
        moment,
        kind=ENTER,
        side=_SIDES[enter.side],
        entry_type=ENTRY_TYPES.index(EntryType(enter.type.upper())),
        price=_or_nan(enter.price),
        valid_for_ms=enter.valid_for_ms,
        expires_ms=enter.expires_ms,
        stop_distance=_or_nan(plan.stop),
        target_distance=_or_nan(plan.target),
        trail_long=_or_nan(plan.trail_long),
        trail_short=_or_nan(plan.trail_short),
        breakeven_at=_or_nan(plan.breakeven_at),
        partial_at=_or_nan(at),
        partial_share=_or_nan(share),
        max_hold_ms=0 if plan.max_bars is None else duration_ms(plan.max_bars, "Exit: max_bars", bar_ms=bar_ms),
        on_opposite=ON_OPPOSITE.index(OnOpposite(plan.on_opposite.upper())),
        cooldown_ms=0 if plan.cooldown is None else duration_ms(plan.cooldown, "Exit: cooldown", bar_ms=bar_ms),
    )


def _check_plain(enter: Enter, name: str) -> None:
    plan: Exit = enter.plan
    for value in (enter.price, plan.stop, plan.target, plan.trail_long, plan.trail_short):
        if isinstance(value, Expression):
            raise StrategyError(f"{name} says plain numbers, not {said(value)}: it is called with the values")


def _or_nan(value: Any) -> float:
    return math.nan if value is None else float(value)
