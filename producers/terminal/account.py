"""The account at the simulated trade server: who it is, and on which terms it trades."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from producers.terminal import constants as mt5
from producers.terminal.market_view import TradedSymbol
from schemas.configuration import AccountConfig, PositionMode
from schemas.integrity import NONCE_BYTES, ZERO_MAC


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeAccount:
    """Fields as MetaTrader5's AccountInfo names them; levels in percent of margin."""

    login: int = 1_000_001
    password: str = "simulated"
    name: str = "Simulated account"
    server: str = "Tickledger-Demo"
    company: str = "Tickledger Simulation"
    trade_mode: int = mt5.ACCOUNT_TRADE_MODE_DEMO
    currency: str = "USD"
    currency_digits: int = 2
    balance: Decimal = Decimal(10_000)
    leverage: int = 100
    margin_mode: int = mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
    margin_so_call: float = 100.0
    margin_so_so: float = 50.0
    limit_orders: int = 200
    """Open orders at most; 0 = not limited."""
    trade_allowed: bool = True
    """False: an investor's login, which may only look."""
    trade_expert: bool = True
    """False: the server takes no orders of programs."""
    fifo_close: bool = False
    """Of positions of a symbol and side, only the oldest may be closed."""
    rates: tuple[tuple[str, float], ...] = ()
    """What a unit of another currency is worth in the account's, where no symbol converts it."""

    def admits(self, login: int, password: str, server: str) -> bool:
        """Whether these are its credentials; an empty server is any."""
        return (login, password) == (self.login, self.password) and server in ("", self.server)

    def config(self, symbols: Iterable[tuple[str, TradedSymbol]]) -> AccountConfig:
        """The account as the venue knows it; symbols that convert a currency into the account's do so."""
        names = dict(symbols)
        converting = tuple(
            name
            for name, symbol in reversed(names.items())  # Of two for one pair the first counts: the last one told.
            if self.currency in (symbol.spec.currency_base, symbol.spec.currency_profit)
        )
        netting = self.margin_mode != mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
        return AccountConfig(
            epoch=0, nonce=bytes(NONCE_BYTES), seq=0, ref_no=0, effective_from_us=0, written_us=0,
            account=str(self.login), feed="", currency=self.currency, currency_digits=self.currency_digits,
            balance=self.balance, leverage=float(self.leverage),
            position_mode=PositionMode.NETTING if netting else PositionMode.HEDGING,
            margin_call_level=self.margin_so_call, stop_out_level=self.margin_so_so,
            rate_currencies=tuple(name for name, _ in self.rates), rates=tuple(rate for _, rate in self.rates),
            conversion_listings=converting, order_base=0, partition=0, day_clock="", active=True, key_id="",
            prev=ZERO_MAC, mac=ZERO_MAC,
        )  # fmt: skip
