"""What a sweep found: the best set, how likely it is luck, and what to be warned of, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from api.lab.metrics import METRICS, shown
from api.lab.sweep.axes import Axis, Number
from api.lab.sweep.luck import Luck, luck
from api.lab.sweep.outcome import Row, ranked, sharpes
from api.lab.sweep.walk import Walked, parameters_text

FEW_TRADES: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """A finished or stopped sweep. rows: in the order of their numbers; asked: how many sets were to be run."""

    name: str
    axes: Sequence[Axis]
    rows: Sequence[Row]
    asked: int
    by: str
    least_trades: int
    currency: str
    money_digits: int
    facts: Sequence[str]
    """Data, range, costs and how sets were chosen: a line each."""
    data_warnings: Sequence[str] = ()
    complete: bool = True
    walked: Walked | None = None
    walk_words: str = ""
    """How the walk forward went through time; empty without one."""
    best: Row | None = None
    luck: Luck | None = None
    warnings: Sequence[str] = field(default_factory=tuple)

    @property
    def varied(self) -> list[Axis]:
        """The parameters that have more than one value."""
        return [axis for axis in self.axes if axis.varied]

    @property
    def failed(self) -> list[Row]:
        """Sets that have no result."""
        return [row for row in self.rows if row.failed]

    def money(self, key: str, row_value: float | None) -> str:
        """A metric's value as it is shown, with its currency."""
        unit = METRICS[key].unit
        text = shown(row_value, unit, self.money_digits)
        return f"{text} {self.currency}" if unit == "money" and row_value is not None else text


def judged(found: Findings) -> dict[str, Any]:
    """best, luck and warnings of the rows, for `dataclasses.replace`."""
    order = ranked(found.rows, found.by, found.least_trades)
    warnings: list[str] = []
    if not order and any(not row.failed for row in found.rows):
        warnings.append(
            f"no set has {found.least_trades} trades and a {METRICS[found.by].name}: sets with fewer trades are ranked "
            "instead; take more data, or --min-trades"
        )
        order = ranked(found.rows, found.by, 1)
    best = order[0] if order else None
    lucky = None if best is None else _luck(found.rows, best)
    if best is not None:
        if lucky is not None and lucky.warning is not None:
            warnings.append(lucky.warning)
        if (best.metric("net_profit") or 0.0) <= 0:
            warnings.append("even the best set earned nothing")
        if best.trades < FEW_TRADES:
            warnings.append(f"the best set has only {best.trades} trades: fewer than {FEW_TRADES} say little")
        warnings += _edges(found.varied, best)
    if found.failed:
        first = found.failed[0]
        warnings.append(
            f"{len(found.failed):,} of {len(found.rows):,} sets failed; the first, "
            f"{parameters_text(first.parameters)}: {first.failed}"
        )
    return {"best": best, "luck": lucky, "warnings": (*warnings, *_walk_warnings(found))}


def _luck(rows: Sequence[Row], best: Row) -> Luck | None:
    sharpe = best.metric("sharpe")
    if sharpe is None:
        return None
    skew, kurtosis = best.metric("skew") or 0.0, best.metric("kurtosis") or 0.0
    return luck(sharpe, sharpes(rows), best.days, best.a_year, skew, kurtosis)


def _edges(varied: Sequence[Axis], best: Row) -> list[str]:
    found = []
    for axis in varied:
        value: Number = best.parameters[axis.name]
        if len(axis.values) >= 3 and value in (axis.low, axis.high):
            end = "least" if value == axis.low else "greatest"
            found.append(
                f"the best set has {axis.name} = {value:g}, the {end} that was tried: the true best may lie beyond it"
            )
    return found


def _walk_warnings(found: Findings) -> list[str]:
    walked = found.walked
    if walked is None:
        if not found.walk_words or not found.complete:
            return []
        return [
            f"in no window of the walk forward had a set {found.least_trades} trades, so nothing was judged: take a "
            "longer training, or --min-trades"
        ]
    warnings = []
    empty = sum(step.chosen is None for step in walked.steps)
    if empty:
        warnings.append(
            f"in {empty} of {len(walked.steps)} windows no set had {found.least_trades} trades: nothing was traded"
        )
    if (walked.metrics.get("net_profit") or 0.0) <= 0:
        warnings.append(
            "out of sample the walk forward earned nothing: what was chosen in one stretch didn't hold in the next"
        )
    return warnings
