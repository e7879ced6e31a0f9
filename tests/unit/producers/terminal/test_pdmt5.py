"""An unmodified client of package MetaTrader5, pdmt5, runs against the simulated terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from producers.terminal import constants as mt5
from producers.terminal.account import TradeAccount
from producers.terminal.simulation import Simulation, in_process
from tests.unit.producers.terminal.playing import LEAD_US, SERVER_S, ticks

pdmt5: Any = pytest.importorskip("pdmt5")
EURUSD = "EURUSD"
BEGIN = datetime.fromtimestamp(SERVER_S, UTC)


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulation]:
    rows = [(s * 1000, round(1.1 + s * 1e-4, 5), round(1.1001 + s * 1e-4, 5)) for s in range(120)]
    account = TradeAccount(login=5, password="p", server="Sim-Demo")
    with in_process({EURUSD: ticks(*rows)}, account=account) as made:
        monkeypatch.setitem(sys.modules, "MetaTrader5", made.connect())
        made.control.step(LEAD_US + 60_000_000)
        yield made


@pytest.fixture
def client(simulation: Simulation) -> Iterator[Any]:
    config = pdmt5.Mt5Config(login=5, password="p", server="Sim-Demo", timeout=5_000)
    with pdmt5.Mt5DataClient(config=config) as connected:
        connected.initialize_and_login_mt5()
        yield connected


def test_it_connects_and_reads_the_account_and_the_terminal(client: Any) -> None:
    assert client.version_as_dict()["mt5_terminal_version"] == 500
    account = client.account_info_as_df().iloc[0]
    assert (account.login, account.server, account.balance) == (5, "Sim-Demo", 10_000.0)
    assert client.terminal_info_as_dict()["connected"]
    assert client.last_error_as_dict()["error_code"] == mt5.RES_S_OK


def test_a_wrong_password_is_no_authorization(simulation: Simulation) -> None:
    client = pdmt5.Mt5Client()
    assert client.initialize(login=5, password="wrong", server="Sim-Demo") is False
    assert client.last_error() == (-6, "Terminal: Authorization failed")
    assert client.initialize()
    assert client.login(5, password="wrong", server="Sim-Demo") is False
    assert client.last_error() == (-6, "Terminal: Authorization failed")


def test_it_reads_symbols_ticks_and_bars(client: Any) -> None:
    assert client.symbols_get_as_df(group="*USD*").name.tolist() == [EURUSD]
    assert client.symbol_info_as_dict(symbol=EURUSD)["digits"] == 5
    assert client.symbol_info_tick_as_dict(symbol=EURUSD)["ask"] > 1.1
    frame = client.copy_ticks_range_as_df(EURUSD, BEGIN, BEGIN + timedelta(seconds=9), mt5.COPY_TICKS_ALL)
    assert frame.bid.round(5).tolist()[:3] == [1.1, 1.1001, 1.1002]
    bars = client.copy_rates_from_pos_as_df(EURUSD, mt5.TIMEFRAME_M1, 0, 10)
    assert bars.open.round(5).tolist() == [1.1, 1.106]


def test_it_trades_and_reads_what_it_has_done(client: Any, simulation: Simulation) -> None:
    request = {
        "action": mt5.TRADE_ACTION_DEAL, "symbol": EURUSD, "volume": 0.1, "type": mt5.ORDER_TYPE_BUY,
        "type_filling": mt5.ORDER_FILLING_IOC, "magic": 42, "comment": "tl42", "sl": 1.0,
    }  # fmt: skip
    assert client.order_check_as_dict(request=request)["retcode"] == 0
    sent = client.order_send_as_dict(request=request)
    assert (sent["retcode"], sent["request"]["magic"]) == (mt5.TRADE_RETCODE_DONE, 42)
    pending = request | {
        "action": mt5.TRADE_ACTION_PENDING, "type": mt5.ORDER_TYPE_BUY_LIMIT, "price": 1.05,
        "type_filling": mt5.ORDER_FILLING_RETURN,
    }  # fmt: skip
    assert client.order_send(pending).retcode == mt5.TRADE_RETCODE_DONE
    assert client.orders_get_as_df(symbol=EURUSD).price_open.tolist() == [1.05]
    (position,) = client.positions_get_as_dicts(symbol=EURUSD)
    assert (position["ticket"], position["magic"], position["sl"]) == (sent["order"], 42, 1.0)
    simulation.control.step(30_000_000)
    close = request | {"type": mt5.ORDER_TYPE_SELL, "position": position["ticket"], "sl": 0.0}
    assert client.order_send(close).retcode == mt5.TRADE_RETCODE_DONE
    deals = client.history_deals_get_as_df(position=position["ticket"])
    assert deals.entry.tolist() == [mt5.DEAL_ENTRY_IN, mt5.DEAL_ENTRY_OUT]
    assert deals.magic.tolist() == [42, 42]
    assert deals.profit.tolist()[1] > 0
    whole = client.history_deals_get_as_df(date_from=BEGIN - timedelta(days=30), date_to=BEGIN + timedelta(days=1))
    assert whole.type.tolist() == [mt5.DEAL_TYPE_BALANCE, mt5.DEAL_TYPE_BUY, mt5.DEAL_TYPE_SELL]
    assert client.account_info_as_dict()["balance"] == pytest.approx(
        10_000 + deals.profit.sum() + deals.commission.sum()
    )
    assert client.positions_get() == ()


def test_what_the_terminal_refuses_is_its_runtime_error(client: Any) -> None:
    with pytest.raises(pdmt5.Mt5RuntimeError):
        client.symbol_info("NOTHERE")
    with pytest.raises(pdmt5.Mt5RuntimeError):
        client.order_send({"action": mt5.TRADE_ACTION_DEAL, "volume": 1})
    assert client.last_error() == (-2, 'Invalid "volume" argument')
