"""The account that a terminal has open: whether it may be traded, whether it is the home's, what it is on the log."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from infra.errors import Refused
from infra.settings import Settings
from infra.stack.home import read_json
from producers.gateway.codes import HEDGING, TradeMode
from producers.gateway.service import keep_pin, pin_file
from producers.gateway.venue import pin_of
from producers.mt5 import AccountInfo, TerminalInfo
from producers.recorder.pinned import source_of
from producers.terminal.constants import ACCOUNT_STOPOUT_MODE_PERCENT
from schemas.configuration import AccountConfig, PositionMode
from schemas.integrity import UNWRITTEN

_TRADED: Final = (TradeMode.DEMO, TradeMode.CONTEST)
_USUAL_LEVELS: Final = (100.0, 50.0)
"""Margin call and stop-out, percent, of a broker that has them in money."""


class NotTradable(Refused):
    """An account that isn't traded, or that lets no program trade; the message says what to do instead."""


def check_tradable(account: AccountInfo, terminal: TerminalInfo) -> None:
    """Raises NotTradable unless it is no account with real money, and it and its terminal let programs trade."""
    whose = str(source_of(account))
    if account.trade_mode not in _TRADED:
        kind = "a real account" if account.trade_mode == TradeMode.REAL else "an account of an unknown kind"
        raise NotTradable(
            f"{whose} is {kind}: demo accounts, and accounts on paper, are what may be traded until the order path has "
            "proven itself on them; log the terminal in to a demo account, or trade its ticks on paper: tickledger "
            "paper STRATEGY"
        )
    permits = (
        (account.trade_allowed, "may only look: log the terminal in by the account's master password, not its investor "
         "password, or ask the broker to let it trade"),
        (account.trade_expert, "may not be traded by programs, says its server: ask the broker, or log the terminal in "
         "to another demo account"),
        (terminal.trade_allowed, "can't be traded: algorithmic trading is off in the terminal; press its button Algo "
         "Trading"),
        (not terminal.tradeapi_disabled, "can't be traded: the terminal keeps Python from trading; allow algorithmic "
         "trading by the external Python API under Tools, Options, Expert Advisors"),
    )  # fmt: skip
    for permitted, why in permits:
        if not permitted:
            raise NotTradable(f"{whose} {why}")
    if not account.balance > 0 or not account.leverage > 0:
        raise NotTradable(
            f"{whose} has a balance of {account.balance} and a leverage of {account.leverage}, with which nothing can "
            "be sized: have it funded, or log the terminal in to another demo account"
        )


def pin(settings: Settings, account: AccountInfo) -> None:
    """Holds the account against the one that the home has traded, or keeps it as that. Raises NotTradable."""
    if differ := keep_pin(settings, settings.trade.account, pin_of(account)):
        before = read_json(pin_file(settings, settings.trade.account)) or {}
        raise NotTradable(
            f"{settings.home} trades login {before.get('login')} at {before.get('server')}, and the terminal has "
            f"{source_of(account)} open ({differ}): log it in to the former, or choose another home "
            "(--home DIR)"
        )


def account_config(account: AccountInfo, name: str, listings: list[str], server_clock: str) -> AccountConfig:
    """The account as it is at the broker; its day is the server's. What the log adds is filled in when it is written.

    Levels that the broker has in money count as the usual percentages: they are for the venue model of a backtest.
    """
    in_percent = account.margin_so_mode == ACCOUNT_STOPOUT_MODE_PERCENT
    call, stop_out = (account.margin_so_call, account.margin_so_so) if in_percent else _USUAL_LEVELS
    return AccountConfig(
        account=name, feed=listings[0].partition("/")[0], currency=account.currency,
        currency_digits=int(account.currency_digits), balance=Decimal(repr(float(account.balance))),
        leverage=float(account.leverage),
        position_mode=PositionMode.HEDGING if account.margin_mode == HEDGING else PositionMode.NETTING,
        margin_call_level=float(call), stop_out_level=float(stop_out), rate_currencies=(), rates=(),
        conversion_listings=tuple(listings), order_base=0, partition=0, day_clock=server_clock, active=True,
        **UNWRITTEN,
    )  # fmt: skip
