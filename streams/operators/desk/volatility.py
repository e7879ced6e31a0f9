"""How much a listing moves in a year, from the quotes that its signals carry.

Realised variance from unevenly spaced prices: the sum of squared returns over the time that they span; both sums
decay by 1 / MEMORY a return (an exponentially weighted estimate). Signals are the only quotes at which every run of the
desk looks, whatever clocks it was given.
"""

from __future__ import annotations

import math
from typing import Final

from schemas.events import Signal
from streams.operators.desk.state import DeskState, Moves

MEMORY: Final = 100
LEAST_YEARS: Final = 1.0 / 365.0
"""Less time than this tells nothing."""
_YEAR_MS: Final = 365.25 * 86_400_000


def observe(state: DeskState, signal: Signal) -> None:
    """Takes the bid of a signal, if it is newer than the last one."""
    if not 0.0 < signal.bid < math.inf:
        return
    known = state.moves.get(signal.listing)
    if known is None:
        state.moves[signal.listing] = Moves(signal.time_ms, signal.bid, 0.0, 0.0)
    elif signal.time_ms > known.time_ms:
        fade, move = 1.0 - 1.0 / MEMORY, signal.bid / known.bid - 1.0
        state.moves[signal.listing] = Moves(
            signal.time_ms,
            signal.bid,
            known.squares * fade + move * move,
            known.years * fade + (signal.time_ms - known.time_ms) / _YEAR_MS,
        )


def yearly_volatility(state: DeskState, listing: str) -> float:
    """Standard deviation of a year's returns; NaN = not known yet."""
    known = state.moves.get(listing)
    if known is None or known.years < LEAST_YEARS:
        return math.nan
    return math.sqrt(known.squares / known.years)
