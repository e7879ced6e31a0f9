"""All indicators, by family."""

from __future__ import annotations

import inspect
from typing import Any, Final

from agents.expressions import Bars, made_of
from agents.graph import graph_of
from agents.indicators import (
    averages,
    channels,
    choices,
    oscillators,
    prices,
    server_clock,
    statistics,
    trend,
)
from agents.indicators.definition import Indicator

FAMILIES: Final = (averages, prices, channels, oscillators, trend, statistics, choices, server_clock)

INDICATORS: Final[dict[str, tuple[Indicator[Any, Any], ...]]] = {
    family.__name__.rpartition(".")[2]: tuple(
        found
        for found in family.__dict__.values()
        if isinstance(found, Indicator) and found.function.__module__ == family.__name__
    )
    for family in FAMILIES
}
"""By family's name, in the order of the file."""


def warm_up(indicator: Indicator[Any, Any]) -> int:
    """Bars until an indicator with its defaults, over plain prices, has its usual value."""
    b = Bars()
    given = {"Bars": b, "Number": b.close, "Operand": b.open, "Condition": b.close > b.open}
    needed = [p for p in indicator.signature.parameters.values() if p.default is inspect.Parameter.empty]
    return graph_of(made_of(indicator(*[given[str(p.annotation)] for p in needed]))).warm_up
