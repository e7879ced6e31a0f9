"""The account that `tickledger live` trades: which are refused, and what a demo account is on the log."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.live.account import NotTradable, account_config, check_tradable, pin
from infra.settings import Settings, TradeSettings
from producers.gateway.service import pin_file
from producers.terminal import constants as mt5
from producers.terminal.account import TradeAccount
from producers.terminal.simulation import in_process
from schemas.configuration import PositionMode

WHOSE = r"1000001 at Tickledger-Demo \(Tickledger Simulation, "


def looked(*, algo_trading: bool = True, api_trading: bool = True, **account: Any) -> tuple[Any, Any]:
    """What a terminal tells of such an account and itself."""
    with in_process(account=dataclasses.replace(TradeAccount(), **account)) as simulation:
        module: Any = simulation.connect()
        assert module.initialize()
        simulation.control.permit(algo_trading=algo_trading, api_trading=api_trading)
        return module.account_info(), module.terminal_info()


@pytest.mark.parametrize("mode", [mt5.ACCOUNT_TRADE_MODE_DEMO, mt5.ACCOUNT_TRADE_MODE_CONTEST])
def test_accounts_without_real_money_are_traded_as_the_gateway_does(mode: int) -> None:
    check_tradable(*looked(trade_mode=mode))


def test_a_real_account_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(NotTradable, match=rf"{WHOSE}real\) is a real account: demo accounts, and accounts") as refused:
        check_tradable(*looked(trade_mode=mt5.ACCOUNT_TRADE_MODE_REAL, trade_allowed=False))
    assert str(refused.value).endswith(
        "until the order path has proven itself on them; log the terminal in to a demo account, or "
        "trade its ticks on paper: tickledger paper STRATEGY"
    )
    assert refused.value.exit_code == 1


def test_an_account_of_an_unknown_kind_is_refused_too() -> None:
    with pytest.raises(NotTradable, match="is an account of an unknown kind"):
        check_tradable(*looked(trade_mode=7))


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"trade_allowed": False}, "may only look: log the terminal in by the account's master password"),
        ({"trade_expert": False}, "may not be traded by programs, says its server"),
        ({"algo_trading": False}, "algorithmic trading is off in the terminal; press its button Algo Trading"),
        ({"api_trading": False}, "the terminal keeps Python from trading; allow algorithmic trading by the external"),
        ({"balance": Decimal(0)}, "has a balance of 0.0 and a leverage of 100, with which nothing can be sized"),
    ],
)
def test_what_lets_no_program_trade_is_refused(told: dict[str, Any], why: str) -> None:
    with pytest.raises(NotTradable, match=f"{WHOSE}demo\\) .*{why}"):
        check_tradable(*looked(**told))


def test_the_account_is_on_the_log_as_the_terminal_tells_it() -> None:
    account, _ = looked(
        currency="EUR", balance=Decimal("2500.5"), leverage=30, margin_so_call=80.0, margin_so_so=40.0,
        margin_mode=mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING,
    )  # fmt: skip
    config = account_config(account, "mine", ["f/EURUSD", "f/XAUUSD"], "eu")
    assert (config.account, config.feed, config.day_clock, config.active) == ("mine", "f", "eu", True)
    assert (config.currency, config.currency_digits, config.balance) == ("EUR", 2, Decimal("2500.5"))
    assert (config.leverage, config.position_mode) == (30.0, PositionMode.NETTING)
    assert (config.margin_call_level, config.stop_out_level) == (80.0, 40.0)
    assert config.conversion_listings == ("f/EURUSD", "f/XAUUSD")


def test_levels_in_money_are_no_percentages() -> None:
    account, _ = looked()
    in_money: Any = SimpleNamespace(**{**account._asdict(), "margin_so_mode": mt5.ACCOUNT_STOPOUT_MODE_MONEY})
    config = account_config(in_money, "mine", ["f/EURUSD"], "eu")
    assert (config.margin_call_level, config.stop_out_level) == (100.0, 50.0)
    assert config.position_mode is PositionMode.HEDGING


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", trade=TradeSettings(account="mine"))


def test_the_first_account_is_pinned_as_the_gateway_pins_it(settings: Settings) -> None:
    account, _ = looked()
    pin(settings, account)
    pin(settings, account)
    kept = json.loads(pin_file(settings, "mine").read_text())
    assert kept == {
        "server": "Tickledger-Demo", "login": 1_000_001, "trade_mode": 0, "currency": "USD", "hedging": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"login": 8}, "login 1000001 → 8"),
        ({"server": "Other"}, "server 'Tickledger-Demo' → 'Other'"),
        ({"margin_mode": mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING}, "hedging True → False"),
    ],
)
def test_another_account_than_the_homes_is_refused(settings: Settings, told: dict[str, Any], why: str) -> None:
    pin(settings, looked()[0])
    before = pin_file(settings, "mine").read_bytes()
    with pytest.raises(NotTradable, match=rf"trades login 1000001 at Tickledger-Demo, and the terminal has .*\({why}"):
        pin(settings, looked(**told)[0])
    assert pin_file(settings, "mine").read_bytes() == before
