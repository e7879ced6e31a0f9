"""What the report draws on prices: the bars of the strategy's timeframe and its own lines, as computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from agents.contract import Strategy
from agents.lines import ON_PRICE, lines_over
from api.lab.choice import Chosen
from api.lab.ledger import Ledger
from api.lab.run import Chart
from schemas.identity import parse_listing
from streams.operators.bar_kernel import BAR_DTYPE

_MOST_LINES: Final = 12


def charts(chosen: Chosen, ledger: Ledger, listings: Sequence[str], digits: Mapping[str, int]) -> list[Chart]:
    """A chart of each listing that was traded."""
    return [_chart(chosen, ledger, listing, digits[listing]) for listing in listings]


def _chart(chosen: Chosen, ledger: Ledger, listing: str, digits: int) -> Chart:
    all_bars = _bars(ledger, listing)
    feed = parse_listing(listing).feed
    bars = all_bars[all_bars["timeframe"] == int(chosen.timeframe)]
    lines = {}
    if isinstance(chosen.strategy, Strategy) and len(bars):
        named = chosen.strategy.lines(dict(chosen.parameters))
        others = {name: _bars(ledger, name if "/" in name else f"{feed}/{name}") for name in chosen.listings}
        found = lines_over(named, chosen.timeframe, {"": all_bars, **others})
        lines = {name: line.values for name, line in found.items() if line.pane == ON_PRICE}
        lines = dict(list(lines.items())[:_MOST_LINES])
    return Chart(listing=listing, timeframe=chosen.timeframe.name, digits=digits, bars=bars, lines=lines)


def _bars(ledger: Ledger, listing: str) -> npt.NDArray[np.void]:
    parts = ledger.bars.get(listing, [])
    return np.concatenate(parts) if parts else np.empty(0, BAR_DTYPE)
