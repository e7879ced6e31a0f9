"""Why a strategy said no ENTER, in words: too few bars, conditions that never held, or plans that named no price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from agents.bar_signals import columns_of
from agents.joined import JoinedFold
from agents.strategy_program import NO_OUTPUT, StrategyProgram
from api.lab.choice import Chosen
from api.lab.ledger import Ledger
from streams.operators.bar_kernel import BAR_DTYPE

_SIDES: Final = ("long", "short")


def silence(chosen: Chosen, ledger: Ledger, trade: Sequence[str]) -> list[str]:
    """One sentence if there was no ENTER, else none."""
    if ledger.trades or ledger.signals.get("ENTER"):
        return []
    said = f"{chosen.name} said no ENTER"
    program = chosen.graph or chosen.class_program
    own = [_bars(ledger, name, int(chosen.timeframe)) for name in trade]
    most, frame = max(map(len, own), default=0), chosen.timeframe.name
    if program is None or not most:
        return [f"{said} on this data"]
    if program.warm_up >= most:
        return [f"{said}: its warm-up takes {program.warm_up:,} {frame} bars, and there are {most:,}"]
    after = f"the {sum(max(len(bars) - program.warm_up, 0) for bars in own):,} {frame} bars that it decided on"
    if chosen.graph is None:
        return [f"{said} on {after}"]
    if chosen.graph.listings or chosen.graph.graph.sources:
        return [f"{said} on {after}: its conditions never held, or what a plan names was no number above zero"]
    held, unfit, both = np.sum([_unmet(chosen.graph, bars) for bars in own if len(bars)], axis=0).tolist()
    if not held:
        return [f"{said}: its conditions held on none of {after}"]
    why = {
        "what its plan names (price, stop, target or trail) was no number above zero": unfit,
        "long and short held at once": both,
        "the bar's last tick was suspect": held - unfit - both,
    }
    reasons = ", ".join(f"on {count:,} {reason}" for reason, count in why.items() if count)
    return [f"{said}: its conditions held on {held:,} of {after}, but {reasons}"]


def _bars(ledger: Ledger, listing: str, timeframe: int) -> npt.NDArray[np.void]:
    parts = ledger.bars.get(listing, [])
    bars: npt.NDArray[np.void] = np.concatenate(parts) if parts else np.empty(0, BAR_DTYPE)
    return np.asarray(bars[bars["timeframe"] == timeframe])


def _unmet(program: StrategyProgram, bars: npt.NDArray[np.void]) -> tuple[int, int, int]:
    """Bars on which a condition held, those of them that no plan fits, and those on which both sides would enter."""
    fold = JoinedFold(program.graph)
    values = fold.fold(fold.initial(), columns_of(bars))
    decided = np.arange(len(bars)) >= program.warm_up
    trails = [place for place in (program.trail_long, program.trail_short) if place != NO_OUTPUT]
    followed = np.isfinite(values[trails]).all(axis=0)
    held = np.zeros(len(bars), np.bool_)
    fits = {side: np.zeros(len(bars), np.bool_) for side in _SIDES}
    for entry in program.entries:
        when = decided & (values[entry.when] != 0.0)
        named = [place for place in (entry.price, entry.stop, entry.target) if place != NO_OUTPUT]
        held |= when
        fits[entry.side] |= when & followed & (np.isfinite(values[named]) & (values[named] > 0.0)).all(axis=0)
    both, any_fits = fits["long"] & fits["short"], fits["long"] | fits["short"]
    return int(held.sum()), int((held & ~any_fits).sum()), int(both.sum())
