"""A loaded spec: what holds for one symbol and the account that trades it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streams.venue.model import VenueModel


@dataclass(frozen=True, slots=True, kw_only=True)
class LabSpec:
    """All that a backtest assumes of a broker, for one symbol."""

    name: str
    """Of the preset, or the path of the file."""
    symbol: str
    """As it was asked for."""
    kind: str
    """forex, forex_jpy, gold, silver, index, crypto or other."""
    listing: dict[str, Any]
    """Fields of a ListingSpec but listing, digits_inferred and the chain's. digits 0: not told, by the prices."""
    account: dict[str, Any]
    """currency, currency_digits, balance, leverage, margin_call_level and stop_out_level (percent), position_mode,
    day_clock, rates (of other currencies, in the account's)."""
    model: VenueModel
    spread_points: tuple[float, ...] | float | None
    """For data that has no ask: by hour of the server's clock (24), the same at all hours, or not known."""
    server_clock: str
    sources: tuple[str, ...]
    """Where the numbers are from, with dates."""
    assumptions: tuple[str, ...]
    """A sentence each, for the report; the first says which spec it is."""
    digits_found: bool = False
    """The digits are those of the prices: nobody told them, and the preset has fewer or none."""
    told: frozenset[str]
    """Keys that the user's own file or --set told: they are in points of the prices as they are, never rescaled."""
