"""The home that is traded on paper in: what its first start writes, and what later starts hold to."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from api.paper import home as paper_home_module
from api.paper.home import Wanted, paper_home
from api.trading import home as trading_home_module
from api.trading.home import TradedHome
from infra.errors import Refused, SettingsError
from producers.mt5 import TerminalError
from producers.recorder.pinned import Source
from producers.terminal.live_quotes import LiveTerminal
from producers.terminal.live_symbols import SYMBOLS_FILE, kept_symbols

SOURCE = Source("Broker-Demo 2", "A broker", 7, "real")
Start = Callable[..., TradedHome]


class Reached:
    """Terminals that were found, and left again."""

    def __init__(self) -> None:
        self.terminals: list[str] = []
        self.left = 0
        self.clock: str | None = "+5:30"
        self.there = True
        self.missing: dict[str, str] = {}
        self.known: list[str] = []

    def find(self, terminal: LiveTerminal, wanted: Any, known: Any = None) -> Any:
        if not self.there:
            raise TerminalError("no real terminal is reached", -10_002)
        self.terminals.append(str(terminal))
        self.known = list(known or ())
        had = [name for name in wanted or ("EURUSD", "XAUUSD") if name not in self.missing]
        return SimpleNamespace(quotes=self, source=SOURCE, symbols=dict.fromkeys(had), missing=self.missing)

    def shutdown(self) -> None:
        self.left += 1


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> Reached:
    found = Reached()
    monkeypatch.setattr(paper_home_module, "find", found.find)
    monkeypatch.setattr(trading_home_module, "server_clock_of", lambda *_: found.clock)
    return found


@pytest.fixture
def start(tmp_path: Path, reached: Reached) -> Start:
    return lambda config=None, **wanted: paper_home(tmp_path / "home", config, Wanted(**wanted), "rpyc")


def test_the_first_start_writes_what_the_home_stands_on(tmp_path: Path, start: Start, reached: Reached) -> None:
    found = start(host="far", port=99, symbols=["EURUSD"], balance=500.0)
    assert tomllib.loads((tmp_path / "home" / "tickledger.toml").read_text()) == {
        "paper": {"terminal": "rpyc", "host": "far", "port": 99, "symbols": ["EURUSD"]},
        "terminal": {"kind": "simulated", "spec": "vantage-raw", "balance": 500.0},
        "recorder": {"feed": "broker-demo-2-paper", "symbols": ["EURUSD"], "server_clock": "+5:30"},
        "trade": {"account": "paper"},
    }
    assert found.listings == ["broker-demo-2-paper/EURUSD"]
    assert found.clock_shown
    assert found.settings.terminal.kind == "simulated"
    assert (reached.terminals, reached.left) == (["rpyc far:99"], 1)


def test_without_symbols_they_are_those_of_the_market_watch_and_a_standing_market_shows_no_clock(
    start: Start, reached: Reached
) -> None:
    reached.clock = None
    found = start(account="mine", terminal="official")
    assert found.symbols == ("EURUSD", "XAUUSD")
    assert (found.settings.recorder.server_clock, found.clock_shown) == ("ny7", False)
    assert found.settings.trade.account == "mine"
    assert reached.terminals == ["the terminal of this machine"]


def test_a_later_start_needs_nothing_and_may_say_the_same(start: Start, reached: Reached) -> None:
    first = start(port=99, symbols=["EURUSD"])
    assert start() == first
    assert start(port=99, symbols=["EURUSD"], account="paper", balance=10_000.0) == first
    assert reached.left == 3


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"symbols": ["XAUUSD"]}, r"paper.symbols = \('EURUSD',\), .* \('XAUUSD',\) is asked"),
        ({"balance": 1.0}, r"terminal.balance = 10000.0, .* 1.0 is asked"),
        ({"account": "other"}, "trade.account = 'paper'"),
        ({"terminal": "official"}, "paper.terminal = 'rpyc'"),
    ],
)
def test_a_later_start_changes_nothing(start: Start, asked: dict[str, Any], told: str) -> None:
    start(symbols=["EURUSD"])
    with pytest.raises(Refused, match=told):
        start(**asked)


def test_a_named_symbol_that_can_not_be_had_is_refused_before_anything_is_written(
    tmp_path: Path, start: Start, reached: Reached
) -> None:
    reached.missing = {"XAUUSD": "XAUUSD isn't recorded: the terminal says trade_tick_value = 0.0"}
    with pytest.raises(Refused, match="XAUUSD isn't recorded: the terminal says"):
        start(symbols=["EURUSD", "XAUUSD"])
    assert not (tmp_path / "home").exists()
    assert reached.left == 1


def test_one_of_the_market_watch_that_can_not_be_had_is_left_out_and_said(start: Start, reached: Reached) -> None:
    reached.missing = {"XAUUSD": "XAUUSD isn't recorded"}
    found = start()
    assert (found.symbols, found.left_out) == (("EURUSD",), ("XAUUSD isn't recorded",))
    assert found.settings.paper.symbols == found.settings.recorder.symbols == ("EURUSD",)


def test_a_homes_symbol_that_can_not_be_had_later_is_still_the_homes(start: Start, reached: Reached) -> None:
    home = start(symbols=["XAUUSD", "EURUSD"]).settings.home
    (home / "terminal").mkdir()
    (home / "terminal" / SYMBOLS_FILE).write_text(json.dumps(kept_symbols({"XAUUSD": Mock()}), default=str))
    reached.missing = {"XAUUSD": "the real terminal has no symbol 'XAUUSD'"}
    assert start().listings == ["broker-demo-2-paper/XAUUSD", "broker-demo-2-paper/EURUSD"]
    assert reached.known == ["XAUUSD"], "as it was, in place of what can't be had"


def test_without_a_real_terminal_nothing_is_written(tmp_path: Path, start: Start, reached: Reached) -> None:
    reached.there = False
    with pytest.raises(TerminalError, match="no real terminal is reached"):
        start()
    assert not (tmp_path / "home").exists()


def test_another_log_is_left_alone(tmp_path: Path, start: Start, reached: Reached) -> None:
    (tmp_path / "home" / "kafka" / "log").mkdir(parents=True)
    with pytest.raises(Refused, match="has a log already"):
        start()
    assert reached.terminals == []


def test_settings_of_ones_own_have_to_name_all_that_is_needed(tmp_path: Path, start: Start) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[terminal]\nkind = "simulated"\n[paper]\nterminal = "rpyc"\n')
    with pytest.raises(Refused, match=r"own.toml\) name no paper.terminal with a recorder.feed and a trade.account"):
        start(config=own)
    own.write_text(own.read_text() + '[recorder]\nfeed = "own"\n[trade]\naccount = "mine"\n')
    assert start(config=own).listings == ["own/EURUSD", "own/XAUUSD"]


def test_what_can_not_be_is_said(start: Start) -> None:
    with pytest.raises(SettingsError, match=r"terminal.balance = -5.0: .*greater than 0"):
        start(balance=-5.0)


def test_live_ticks_are_a_simulated_terminals_only(tmp_path: Path, start: Start) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[paper]\nterminal = "rpyc"\n')
    with pytest.raises(SettingsError, match=r"terminal.kind is '': set that to simulated"):
        start(config=own)
    own.write_text('[paper]\nterminal = "rpyc"\n[terminal]\nkind = "simulated"\nspeed = 5.0\n')
    with pytest.raises(SettingsError, match=r"a terminal.speed other than 1 can't be"):
        start(config=own)
