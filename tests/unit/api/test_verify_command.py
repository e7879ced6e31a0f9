"""`tickledger verify --terminal`: which account is meant, and what is said where it can't be compared."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.commands.verify import check_terminal_of, verify
from infra.errors import SettingsError
from infra.settings import Settings, load_settings
from streams.report import Range, Report


def settings_with(home: Path, account: str) -> Settings:
    settings = load_settings(home)
    return settings.model_copy(update={"trade": settings.trade.model_copy(update={"account": account})})


def found(asked: str | None, *accounts: str) -> Any:
    """What a verification has found: configs of these accounts, and a state of each that was asked for."""
    states = {name: object() for name in accounts if asked in (None, name)}
    return SimpleNamespace(
        report=Report(), asked=Range(account=asked), configs=dict.fromkeys(accounts, object()), states=states
    )


def test_a_listing_narrows_to_something_that_no_terminal_is_compared_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKLEDGER_TRADE__ACCOUNT", "demo")
    with pytest.raises(SettingsError, match="--terminal compares an account and --listing leaves all accounts out"):
        verify(terminal=True, listing="demo/EURUSD", home=tmp_path)


def test_no_account_is_named_before_anything_is_checked(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--terminal: the setting trade\.account names no account"):
        verify(terminal=True, home=tmp_path)


def test_an_account_that_reference_has_not_is_named_with_those_it_has(tmp_path: Path) -> None:
    verification = found(None, "demo", "paper")
    check_terminal_of(settings_with(tmp_path, "nosuch"), verification)
    assert verification.report.unverifiable == [
        "the terminal of nosuch: reference has no such account: it has demo, paper; set trade.account"
    ]


def test_nothing_is_said_of_a_journal_where_another_account_was_asked_for(tmp_path: Path) -> None:
    verification = found("other", "demo", "other")
    check_terminal_of(settings_with(tmp_path, "demo"), verification)
    assert verification.report.unverifiable == [
        "the terminal of demo: it is that of trade.account, and --account other leaves it out: give --account demo"
    ]


def test_an_account_that_is_not_there_is_named_once(tmp_path: Path) -> None:
    verification = found("nosuch", "demo")
    verification.report.unverifiable.append("reference has no account nosuch: it has demo")
    check_terminal_of(settings_with(tmp_path, "demo"), verification)
    assert verification.report.unverifiable == ["reference has no account nosuch: it has demo"]
