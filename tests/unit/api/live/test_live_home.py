"""The home that trades a terminal's own account: what its first start writes, and what later starts hold to."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from api import cli
from api.live import home as live_home_module
from api.live.account import NotTradable
from api.live.home import LiveHome, live_home
from api.trading import home as trading_home_module
from api.trading.home import Wanted
from infra.errors import Refused
from producers.gateway.service import pin_file
from producers.mt5 import TerminalError
from producers.terminal import constants as mt5
from producers.terminal.account import TradeAccount
from producers.terminal.simulation import in_process
from producers.terminal.ticks import Ticks
from tests.integration.paper.real_terminal import around

QUOTES = {"EURUSD": around(1_700_000_000_000, 5, 5), "XAUUSD": around(1_700_000_000_000, 5, 5)}
Start = Callable[..., LiveHome]


class Broker:
    """A simulated terminal in the place of the one behind rpyc, with an account that can be another's later."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.there = True
        self.has()

    def has(self, quotes: dict[str, Ticks] | None = None, **account: Any) -> None:
        told = {"server": "Broker-Demo 2", **account}
        self.simulation = self._stack.enter_context(
            in_process(quotes or QUOTES, account=dataclasses.replace(TradeAccount(), **told))
        )

    def connect(self, _: Any) -> Any:
        if not self.there:
            raise TerminalError("no rpyc server answers at far:99", -10_002)
        return self.simulation.connect()


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    with ExitStack() as stack:
        made = Broker(stack)
        monkeypatch.setattr(live_home_module, "connect", made.connect)
        monkeypatch.setattr(trading_home_module, "server_clock_of", lambda *_: "+5:30")
        yield made


@pytest.fixture
def start(tmp_path: Path, broker: Broker) -> Start:
    return lambda config=None, **wanted: live_home(tmp_path / "home", config, Wanted(**wanted), "rpyc")


def test_the_first_start_writes_what_the_home_stands_on(tmp_path: Path, start: Start) -> None:
    found, config = start(host="far", port=99, symbols=["EURUSD"])
    assert tomllib.loads((tmp_path / "home" / "tickledger.toml").read_text()) == {
        "terminal": {"kind": "rpyc", "host": "far", "port": 99},
        "recorder": {"feed": "broker-demo-2", "symbols": ["EURUSD"], "server_clock": "+5:30"},
        "trade": {"account": "live"},
    }
    assert found.listings == ["broker-demo-2/EURUSD"]
    assert str(found.terminal) == "rpyc far:99"
    assert (config.account, config.feed, config.day_clock) == ("live", "broker-demo-2", "+5:30")
    assert pin_file(found.settings, "live").exists()


def test_a_later_start_needs_nothing_may_say_the_same_and_changes_nothing(tmp_path: Path, start: Start) -> None:
    first = start(symbols=["EURUSD"], account="mine")
    written = (tmp_path / "home" / "tickledger.toml").read_bytes()
    assert start() == start(symbols=["EURUSD"], account="mine", terminal="rpyc") == first
    with pytest.raises(Refused, match=r"recorder.symbols = \('EURUSD',\), .* \('XAUUSD',\) is asked"):
        start(symbols=["XAUUSD"])
    with pytest.raises(Refused, match=r"trade\.account = 'mine'"):
        start(account="other")
    assert (tmp_path / "home" / "tickledger.toml").read_bytes() == written


@pytest.mark.parametrize("told", [{"trade_mode": mt5.ACCOUNT_TRADE_MODE_REAL}, {"trade_allowed": False}])
def test_an_account_that_is_not_traded_leaves_nothing(
    tmp_path: Path, start: Start, broker: Broker, told: dict[str, Any]
) -> None:
    broker.has(**told)
    with pytest.raises(NotTradable):
        start()
    assert not (tmp_path / "home").exists()


def test_the_command_refuses_a_real_account_in_one_sentence(
    tmp_path: Path, broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    broker.has(trade_mode=mt5.ACCOUNT_TRADE_MODE_REAL)
    with pytest.raises(SystemExit) as ended:
        cli.main(["live", "ema_cross", "--terminal", "rpyc", "--home", str(tmp_path / "home")])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: 1000001 at Broker-Demo 2 (Tickledger Simulation, real) is a real account: demo")
    assert said.count("\n") == 1
    assert not (tmp_path / "home").exists()


def test_another_login_than_the_homes_is_refused(start: Start, broker: Broker) -> None:
    start()
    broker.has(login=8)
    with pytest.raises(NotTradable, match=r"trades login 1000001 at Broker-Demo 2, and .* has 8 at Broker-Demo 2"):
        start()


def test_an_account_that_became_real_is_refused_in_a_home_of_it(start: Start, broker: Broker) -> None:
    start()
    broker.has(trade_mode=mt5.ACCOUNT_TRADE_MODE_REAL)
    with pytest.raises(NotTradable, match="is a real account"):
        start()


def test_a_terminal_without_its_server_or_without_an_answer_is_said(
    tmp_path: Path, start: Start, broker: Broker
) -> None:
    broker.simulation.control.fault("disconnect")
    with pytest.raises(TerminalError, match="the terminal has no line to Broker-Demo 2"):
        start()
    broker.there = False
    with pytest.raises(TerminalError, match="no rpyc server answers"):
        start()
    assert not (tmp_path / "home").exists()


def test_a_named_symbol_that_is_not_there_is_refused(tmp_path: Path, start: Start) -> None:
    with pytest.raises(Refused, match="no symbol 'GBPUSD'"):
        start(symbols=["EURUSD", "GBPUSD"])
    assert not (tmp_path / "home").exists()


def test_settings_of_ones_own_are_enough_if_they_name_a_terminal_and_an_account(tmp_path: Path, start: Start) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[terminal]\nkind = "rpyc"\n')
    with pytest.raises(Refused, match=r"own.toml\) name no broker's terminal .* with a trade.account"):
        start(config=own)
    own.write_text('[terminal]\nkind = "simulated"\n[trade]\naccount = "mine"\n')
    with pytest.raises(Refused, match="name no broker's terminal"):
        start(config=own)
    own.write_text('[terminal]\nkind = "rpyc"\n[trade]\naccount = "mine"\n')
    found, config = start(config=own)
    assert found.listings == ["broker-demo-2/EURUSD", "broker-demo-2/XAUUSD"]
    assert (config.account, config.feed) == ("mine", "broker-demo-2")
