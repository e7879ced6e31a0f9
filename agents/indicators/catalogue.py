"""All indicators, by family."""

from __future__ import annotations

from typing import Any, Final

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
