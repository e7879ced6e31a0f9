"""Reaching a terminal: which one, with which credentials, and what is told when it can't be."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from infra.errors import MissingPart, SettingsError
from infra.settings import Settings, TerminalSettings
from producers.mt5 import TICK_DTYPE, TerminalError, connect, failure, sign_in


def settings(**terminal: Any) -> Settings:
    return Settings().model_copy(update={"terminal": TerminalSettings(**terminal)})


class Terminal:
    """Says what it was asked, and answers as it was told."""

    def __init__(self, *, answers: bool = True, login: int = 7, error: tuple[int, str] = (1, "Success")) -> None:
        self.asked: list[Any] = []
        self._answers, self._login, self._error = answers, login, error

    def initialize(self, *args: Any, **kwargs: Any) -> bool:
        self.asked.append((args, kwargs))
        return self._answers

    def account_info(self) -> Any:
        return SimpleNamespace(login=self._login) if self._login else None

    def last_error(self) -> tuple[int, str]:
        return self._error


def test_a_row_of_ticks_has_sixty_bytes() -> None:
    assert TICK_DTYPE.itemsize == 60


def test_the_simulated_terminal_is_that_of_the_home() -> None:
    mt5 = connect(settings(kind="simulated"))
    assert mt5.account_info() is None
    assert mt5.last_error() == (-10_004, "No IPC connection")


def test_the_official_package_is_taken_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingPart, match="exists for Windows only"):
        connect(settings(kind="official"))
    package = ModuleType("MetaTrader5")
    monkeypatch.setitem(sys.modules, "MetaTrader5", package)
    assert connect(settings(kind="official")) is package


def test_a_server_that_is_not_there_and_no_terminal_at_all_say_what_to_do() -> None:
    with pytest.raises(
        TerminalError, match=r"no rpyc server answers at 127.0.0.1:1 .* terminal.host and terminal.port"
    ):
        connect(settings(kind="rpyc", host="127.0.0.1", port=1, timeout_ms=1_000))
    with pytest.raises(SettingsError, match=r"set terminal\.kind"):
        connect(settings())


def test_credentials_go_to_the_terminal_only_if_a_login_is_told() -> None:
    terminal: Any = Terminal()
    sign_in(terminal, TerminalSettings(password=SecretStr("p"), server="S"))
    told = TerminalSettings(login=7, password=SecretStr("p"), server="S", path=Path("t.exe"), timeout_ms=2_000)
    assert sign_in(terminal, told).login == 7
    assert terminal.asked == [
        ((), {"timeout": 60_000}),
        (("t.exe",), {"timeout": 2_000, "login": 7, "password": "p", "server": "S"}),
    ]


@pytest.mark.parametrize(
    ("terminal", "told", "message", "final"),
    [
        (
            Terminal(answers=False, error=(-6, "Terminal: Authorization failed")),
            {"login": 7},
            "check terminal.login",
            True,
        ),
        (
            Terminal(answers=False, error=(-10_003, "Process create failed 'C:'")),
            {},
            r"can't be reached: Process create failed 'C:' \(-10003\); start the terminal, or name it by terminal.path",
            False,
        ),
        (
            Terminal(answers=False, error=(-10_003, "Process create failed '/a'")),
            {"kind": "simulated"},
            r"^the home's simulated terminal isn't running, or hangs: Process create failed '/a' \(-10003\); "
            r"start what the home runs \(`tickledger up`, .*\) with the same --home and --config$",
            False,
        ),
        (Terminal(answers=False, error=(-10_005, "IPC timeout")), {}, r"IPC timeout \(-10005\); .* hangs", False),
        (Terminal(login=0, error=(-99, "?")), {}, r"no account open: \? \(-99\); see the terminal's journal", False),
        (Terminal(login=8), {"login": 7}, "logged in as 8, not as terminal.login = 7", True),
    ],
)
def test_what_a_refusal_says(terminal: Any, told: dict[str, Any], message: str, final: bool) -> None:
    with pytest.raises(TerminalError, match=message) as refusal:
        sign_in(terminal, TerminalSettings(**told))
    assert refusal.value.final is final


def test_a_failure_names_the_call_the_terminals_words_and_the_way_out() -> None:
    terminal: Any = Terminal(error=(-10_004, "No IPC connection"))
    assert str(failure(terminal, "no ticks")) == "no ticks: No IPC connection (-10004); start the terminal"
