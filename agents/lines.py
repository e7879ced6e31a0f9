"""A strategy's own lines, as computed: for charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from agents.bar_signals import Rows, columns_of
from agents.expressions import Condition, Expression
from agents.graph import Doubles, Graph, graph_of
from agents.joined import Closed, JoinedFold
from agents.price_levels import PRICE, shifts
from schemas.timeframes import Timeframe

ON_PRICE: Final = "price"
BELOW: Final = "below"
MARKS: Final = "marks"
_LEVELS: Final = ("trail_long", "trail_short")


class Line(NamedTuple):
    """A line over the strategy's bars: float64[n], NaN where it has no value.

    `pane`: "price" for a level to which stops follow and what is certainly a price of the strategy's listing, which is
    drawn with the bars; "marks" for a condition, 1 or 0; "below" for the rest.
    """

    values: Doubles
    pane: str


def lines_over(lines: Mapping[str, Expression], own: Timeframe, bars: Mapping[str, Rows]) -> dict[str, Line]:
    """The lines by name, of all bars of `own` in `bars[""]`, from the first on.

    `bars`: by listing, as the strategy names it and "" for its own, closed bars of all timeframes that it reads, in
    order. A listing that isn't there has no bars. Raises BadGraph for lines that are too big together.
    """
    graph = graph_of(list(lines.values()), own)
    mine = _of(bars, "", own)
    ends = _ends(mine, own)
    closed = []
    for listing, name in graph.sources:
        timeframe = Timeframe[name]
        rows = _of(bars, listing, timeframe)
        closed.append(Closed(columns_of(rows), np.searchsorted(_ends(rows, timeframe), ends, "right")))
    fold = JoinedFold(graph)
    values = fold.fold(fold.initial(), columns_of(mine), closed)
    panes = _panes(lines, graph)
    return {name: Line(values[row], panes[row]) for row, name in enumerate(lines)}


def _of(bars: Mapping[str, Rows], listing: str, timeframe: Timeframe) -> Rows:
    """The listing's bars of this timeframe; none of one that isn't there."""
    rows: Rows = bars[listing] if listing in bars else bars[""][:0]
    found: Rows = rows[rows["timeframe"] == int(timeframe)]
    return found


def _ends(rows: Rows, timeframe: Timeframe) -> Doubles:
    return np.maximum.accumulate(rows["time_ms"] + timeframe.ms)


def _panes(lines: Mapping[str, Expression], graph: Graph) -> list[str]:
    moved = shifts(graph)
    found = []
    for (name, line), place in zip(lines.items(), graph.outputs, strict=True):
        if isinstance(line, Condition):
            found.append(MARKS)
        else:
            found.append(ON_PRICE if name in _LEVELS or moved[place] == PRICE else BELOW)
    return found
