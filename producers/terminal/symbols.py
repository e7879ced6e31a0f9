"""Symbols of the simulated broker: what MetaTrader5 says of them, from what the presets of costs know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from producers.specs import LabSpec, listing_spec
from producers.terminal import constants as mt5
from schemas.configuration import MarginMode, SwapMode
from schemas.events import ListingSpec

_DAY_MINUTES: Final = 1440
_WEEK_MINUTES: Final = 7 * _DAY_MINUTES
_FX_WEEK: Final = ((_DAY_MINUTES, 6 * _DAY_MINUTES),)
"""Monday to Friday on the server's clock, in minutes of its week, which begins on Sunday."""

_CALC_MODES: Final = {
    MarginMode.FOREX: mt5.SYMBOL_CALC_MODE_FOREX,
    MarginMode.CFD: mt5.SYMBOL_CALC_MODE_CFD,
    MarginMode.CFD_LEVERAGE: mt5.SYMBOL_CALC_MODE_CFDLEVERAGE,
    MarginMode.UNKNOWN: mt5.SYMBOL_CALC_MODE_CFDLEVERAGE,
}
_SWAP_MODES: Final = {
    SwapMode.POINTS: mt5.SYMBOL_SWAP_MODE_POINTS,
    SwapMode.PERCENT: mt5.SYMBOL_SWAP_MODE_INTEREST_CURRENT,
    SwapMode.MONEY: mt5.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT,
    SwapMode.NONE: mt5.SYMBOL_SWAP_MODE_DISABLED,
    SwapMode.UNKNOWN: mt5.SYMBOL_SWAP_MODE_DISABLED,
}
_PATHS: Final = {
    "forex": "Forex", "forex_jpy": "Forex", "gold": "Metals", "silver": "Metals", "index": "Indices",
    "crypto": "Crypto",
}  # fmt: skip

ORDER_MODE: Final = (
    mt5.SYMBOL_ORDER_MARKET
    | mt5.SYMBOL_ORDER_LIMIT
    | mt5.SYMBOL_ORDER_STOP
    | mt5.SYMBOL_ORDER_SL
    | mt5.SYMBOL_ORDER_TP
    | mt5.SYMBOL_ORDER_CLOSEBY
)
"""What the trade server takes: all but stop-limit orders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolDefinition:
    """A symbol as its broker has set it up; integers and bits as MetaTrader5's SymbolInfo has them."""

    spec: ListingSpec
    """Its `listing` is the broker's name of the symbol."""
    path: str
    description: str
    sessions: tuple[tuple[int, int], ...]
    """When it trades: (from, to) in minutes of the server's week, which begins on Sunday 00:00."""
    trade_mode: int = mt5.SYMBOL_TRADE_MODE_FULL
    trade_exemode: int = mt5.SYMBOL_TRADE_EXECUTION_MARKET
    filling_mode: int = 1 | 2
    """Fill or kill, and immediate or cancel."""
    order_mode: int = ORDER_MODE
    expiration_mode: int = 15
    volume_limit: float = 0.0

    @property
    def name(self) -> str:
        return self.spec.listing

    @property
    def calc_mode(self) -> int:
        return _CALC_MODES[self.spec.margin_mode]

    @property
    def swap_mode(self) -> int:
        return _SWAP_MODES[self.spec.swap_mode]

    @property
    def point(self) -> float:
        return float(f"1e-{self.spec.digits}")

    def is_open(self, server_minute: int) -> bool:
        """Whether it trades in a minute of the server's clock, counted from 1970-01-01 00:00, a Thursday."""
        minute = (server_minute + 4 * _DAY_MINUTES) % _WEEK_MINUTES
        return any(start <= minute < end for start, end in self.sessions)


def symbol_of(spec: LabSpec, digits: int, *, around_the_clock: bool = False) -> SymbolDefinition:
    """The symbol of a preset, for prices of so many digits; metals, currencies and indices trade Monday to Friday.

    `around_the_clock`: its data has ticks at other times, so it trades at all.
    """
    always = around_the_clock or spec.kind == "crypto"
    listing = listing_spec(spec, spec.symbol, digits)
    return SymbolDefinition(
        spec=listing,
        path=f"{_PATHS.get(spec.kind, 'Other')}\\{spec.symbol}",
        description=listing.description or _described(listing),
        sessions=((0, _WEEK_MINUTES),) if always else _FX_WEEK,
    )


def _described(listing: ListingSpec) -> str:
    currencies: Sequence[str] = (listing.currency_base, listing.currency_profit)
    return " vs ".join(currencies) if all(currencies) and currencies[0] != currencies[1] else listing.listing
