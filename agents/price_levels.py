"""Whether a node is a price or a distance between prices, where that is certain.

If all prices of all bars were higher by d, a price would be higher by d and a distance would be the same. This follows
through the graph: the shift of `a - b` is that of a less that of b, an average shifts as what it averages. What isn't
certain, a constant above all, which may be either, is None.
"""

from __future__ import annotations

from typing import Final

from agents.expressions import COLUMN_KINDS, CONSTANT
from agents.graph import JOINED, Graph
from agents.kernels import elementwise, recursive, windows

PRICE: Final = 1.0
DISTANCE: Final = 0.0

_PRICES: Final = [COLUMN_KINDS[name] for name in ("open", "high", "low", "close", "ask_close")]
_KEEPING: Final = [
    windows.LAG, windows.MEAN, windows.WEIGHTED, windows.VALUE, windows.HIGHEST, windows.LOWEST,
    recursive.EMA, recursive.SMMA, recursive.HOLD, recursive.PARABOLIC,
    elementwise.LESSER, elementwise.GREATER, JOINED,
]  # fmt: skip
_LEVELLING: Final = [windows.DEVIATION, windows.SPREAD, windows.SLOPE]


def shifts(graph: Graph) -> list[float | None]:
    """For each node how much of a shift of all prices it takes part in: PRICE, DISTANCE, another share, or None."""
    found: list[float | None] = []
    for place in graph.places:
        kind = place.kind
        own = [found[i] for i in place.inputs]
        shift: float | None = None
        if kind in _PRICES:
            # Of another listing: its prices don't move with this one's.
            shift = None if place.numbers and graph.sources[int(place.numbers[0]) - 1].listing else PRICE
        elif kind in (elementwise.MULTIPLY, elementwise.DIVIDE):
            factors = [graph.places[i] for i in place.inputs]
            if factors[1].kind is CONSTANT and own[0] is not None:
                by = factors[1].numbers[0]
                if kind is elementwise.MULTIPLY:
                    shift = own[0] * by
                elif by != 0.0:
                    shift = own[0] / by
            elif kind is elementwise.MULTIPLY and factors[0].kind is CONSTANT and own[1] is not None:
                shift = own[1] * factors[0].numbers[0]
        elif None not in own and own:
            certain = [one for one in own if one is not None]
            if kind is elementwise.ADD:
                shift = certain[0] + certain[1]
            elif kind is elementwise.SUBTRACT:
                shift = certain[0] - certain[1]
            elif kind is elementwise.NEGATE:
                shift = -certain[0]
            elif kind in _LEVELLING or (kind is elementwise.ABSOLUTE and certain[0] == DISTANCE):
                shift = DISTANCE
            elif kind in _KEEPING and all(one == certain[0] for one in certain):
                shift = certain[0]
        found.append(shift)
    return found
