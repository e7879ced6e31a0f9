"""What the trade server sees of the market: time, quotes, sessions and symbols."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from agents.money import Quote
from schemas.events import ListingSpec


class TradedSymbol(Protocol):
    """What trading needs of a symbol; integers and bits as MetaTrader5's SymbolInfo has them."""

    @property
    def spec(self) -> ListingSpec: ...
    @property
    def trade_mode(self) -> int: ...
    @property
    def trade_exemode(self) -> int: ...
    @property
    def filling_mode(self) -> int: ...
    @property
    def order_mode(self) -> int: ...
    @property
    def expiration_mode(self) -> int: ...
    @property
    def volume_limit(self) -> float:
        """Lots of open positions and pending orders in one direction; 0 = not limited."""
        ...


class MarketView(Protocol):
    """The market as it is now."""

    @property
    def symbols(self) -> Mapping[str, TradedSymbol]:
        """By the broker's name, in the broker's order."""
        ...

    def now_us(self) -> int:
        """Market time, microseconds UTC."""
        ...

    def offset_s(self, time_ms: int) -> int:
        """The server's clock minus UTC at a time in UTC, seconds."""
        ...

    def quote(self, symbol: str) -> Quote | None:
        """The newest quote, its time in UTC; None before the first tick."""
        ...

    def is_open(self, symbol: str, time_ms: int) -> bool:
        """Whether the symbol can be traded at a time in UTC: its sessions."""
        ...

    def selected(self, symbol: str) -> bool:
        """Whether the symbol is in the market watch."""
        ...
