"""The terminal as the gateway sees it: one account, pinned; times in UTC; no answer is an exception.

MetaTrader 5 returns None for what failed and () for nothing, and its times are the server's wall clock: both end here.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from infra.chain_follower import Fenced
from infra.errors import Refused as RefusedError
from infra.errors import TickledgerError
from infra.settings import TerminalSettings
from producers.clocks import ServerClock
from producers.gateway.answers import Answer, Doubtful, answer_of
from producers.gateway.codes import HEDGING, Action, TradeMode
from producers.gateway.requests import names_price
from producers.mt5 import (
    AccountInfo,
    Mt5,
    SymbolInfo,
    TerminalError,
    TradeDeal,
    TradeOrder,
    TradePosition,
    failure,
    sign_in,
)
from producers.mt5_remote import RemoteMt5
from schemas.configuration import AccountConfig, PositionMode

LATEST_S: Final = 2**31 - 1
"""The latest second that a call takes: as the end of a range, whatever there is."""

T = TypeVar("T")


class WrongAccount(RefusedError):
    """The terminal has another account open than the one that is traded, or one that must not be traded."""


class NoAnswer(TickledgerError):
    """The terminal doesn't answer, or has lost its trade server."""


class Pin(NamedTuple):
    """Which account it is; all of it has to stay as it was."""

    server: str
    login: int
    trade_mode: int
    currency: str
    hedging: bool


def pin_of(account: AccountInfo) -> Pin:
    """What an account is told by."""
    return Pin(account.server, account.login, account.trade_mode, account.currency, account.margin_mode == HEDGING)


class Venue:
    """A terminal's account. Calls raise NoAnswer; `check` also WrongAccount. One thread."""

    def __init__(self, mt5: Mt5, terminal: TerminalSettings, server_clock: ServerClock) -> None:
        self._mt5, self._terminal, self._clock = mt5, terminal, server_clock
        self._pin: Pin | None = None
        self._symbols: dict[str, SymbolInfo] = {}

    # -- the account ---------------------------------------------------------------------------------------------------

    def sign_in(self) -> AccountInfo:
        """Connects, also anew. Raises NoAnswer, TerminalError for what trying again can't help and may lock."""
        try:
            return sign_in(self._mt5, self._terminal)
        except TerminalError as error:
            if error.final:
                raise
            raise NoAnswer(str(error)) from error

    def pin(self, account: AccountInfo, config: AccountConfig) -> Pin:
        """Pins the account that is open now, if it is the one that is configured. Raises WrongAccount."""
        found = pin_of(account)
        whose = f"login {found.login} at {found.server}"
        if found.trade_mode == TradeMode.REAL:
            raise WrongAccount(
                f"{whose} is a real account: this release trades demo and paper accounts only; log the terminal in to "
                "a demo account"
            )
        if found.currency != config.currency:
            raise WrongAccount(
                f"{whose} is kept in {found.currency}, the account {config.account} is configured in "
                f"{config.currency}: correct its configuration, or log the terminal in to the account that is meant"
            )
        if found.hedging is not (config.position_mode is PositionMode.HEDGING):
            kind = "keeps positions apart (hedging)" if found.hedging else "nets positions"
            raise WrongAccount(
                f"{whose} {kind}, the account {config.account} is configured as {config.position_mode.lower()}: "
                "correct its configuration, or log the terminal in to the account that is meant"
            )
        self.keep(found)
        return found

    def keep(self, pin: Pin) -> None:
        """From now on `check` holds the open account against this one."""
        self._pin = pin

    def claim(self, chain: str, epoch: int) -> None:
        """Over rpyc, where gateways of other machines come too, each call presents the epoch: of a lower one it then
        raises Fenced."""
        if isinstance(self._mt5, RemoteMt5):
            self._mt5.claim(chain, epoch)

    def check(self) -> None:
        """Whether the account is still the pinned one. Raises WrongAccount, NoAnswer."""
        account = self._answered(self._mt5.account_info(), "the account")
        found = pin_of(account)
        if self._pin is None or found != self._pin:
            raise WrongAccount(
                f"the terminal now has login {found.login} at {found.server} open, not "
                f"{self._pin and self._pin.login} at {self._pin and self._pin.server}: nothing is sent to it; log the "
                "terminal in to the account that is traded"
            )

    def balance(self) -> Decimal:
        """The account's balance now."""
        return Decimal(repr(float(self._answered(self._mt5.account_info(), "the account").balance)))

    def check_connection(self) -> None:
        """Whether the terminal has its trade server. Raises NoAnswer."""
        if not self._answered(self._mt5.terminal_info(), "the terminal").connected:
            raise NoAnswer("the terminal has lost the connection to its trade server")

    # -- what there is -------------------------------------------------------------------------------------------------

    def positions(self) -> Sequence[TradePosition]:
        """All open positions."""
        return self._answered(self._mt5.positions_get(), "positions")

    def ticket_of(self, position: int) -> int:
        """The ticket by which a position is asked for something now; 0 if it isn't open.

        On an account that nets, a position that was turned over has another one than at first.
        """
        return next((one.ticket for one in self.positions() if one.identifier == position), 0)

    def orders(self) -> Sequence[TradeOrder]:
        """All live orders."""
        return self._answered(self._mt5.orders_get(), "orders")

    def deals_since(self, time_ms: int) -> Sequence[TradeDeal]:
        """All deals from a time on, UTC; some earlier ones of the same second too."""
        found = self._answered(self._mt5.history_deals_get(self._server_s(time_ms), LATEST_S), "deals")
        return sorted(found, key=lambda deal: (deal.time_msc, deal.ticket))

    def deals_of(self, *, position: int = 0, order: int = 0) -> Sequence[TradeDeal]:
        """All deals of a position, or of an order."""
        which = {"position": position} if position else {"ticket": order}
        found = self._answered(self._mt5.history_deals_get(**which), "deals")
        return sorted(found, key=lambda deal: (deal.time_msc, deal.ticket))

    def done_order(self, ticket: int) -> TradeOrder | None:
        """An order that is over; None while it isn't."""
        found = self._answered(self._mt5.history_orders_get(ticket=ticket), "orders that are over")
        return found[0] if found else None

    def done_orders_since(self, time_ms: int) -> Sequence[TradeOrder]:
        """All orders that are over and that were placed or ended since then, UTC."""
        return self._answered(self._mt5.history_orders_get(self._server_s(time_ms), LATEST_S), "orders that are over")

    def symbol(self, name: str) -> SymbolInfo | None:
        """A symbol as the terminal described it first, put into the market watch; None if there is none."""
        found = self._symbols.get(name)
        if found is None:
            if not self._mt5.symbol_select(name, True):
                self.check()
                return None
            found = self._answered(self._mt5.symbol_info(name), name)
            self._symbols[name] = found
        return found

    def quote(self, symbol: SymbolInfo) -> tuple[float, float]:
        """Bid and ask now where a market order names its price, else 0. Raises NoAnswer."""
        if not names_price(symbol):
            return 0.0, 0.0
        tick = self._answered(self._mt5.symbol_info_tick(symbol.name), symbol.name)
        return tick.bid, tick.ask

    # -- requests ------------------------------------------------------------------------------------------------------

    def send(self, request: dict[str, Any]) -> Answer:
        """Sends a request once, and what its answer means; an exception on the way is none. Raises Fenced."""
        numbered = request["action"] in (Action.DEAL, Action.PENDING)
        try:
            result = self._mt5.order_send(request)
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is raised, the request may have gone out
            return Doubtful(f"no answer: {type(error).__name__}: {error}")
        return answer_of(result, self._mt5.last_error() if result is None else (1, ""), numbered=numbered)

    # -- times ---------------------------------------------------------------------------------------------------------

    def utc_ms(self, server_ms: int) -> int:
        """UTC of a time on the server's clock, milliseconds."""
        return int(self._clock.wall.to_utc_ms(np.array([server_ms], np.int64))[0])

    def server_ms(self, time_ms: int) -> int:
        """What the server's clock shows at a time in UTC, milliseconds."""
        return time_ms + 1000 * int(self._clock.offsets_s(np.array([time_ms], np.int64))[0])

    def _server_s(self, time_ms: int) -> int:
        return max(0, self.server_ms(time_ms) // 1000)

    def _answered(self, answer: T | None, what: str) -> T:
        if answer is None:
            raise NoAnswer(str(failure(self._mt5, f"the terminal doesn't tell of {what}")))
        return answer
