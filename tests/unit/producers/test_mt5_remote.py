"""The terminal on another host: a real rpyc classic server in a process of its own, with a package in its place."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.chain_follower import Fenced
from infra.settings import TerminalSettings
from producers.clocks import ServerClock
from producers.gateway.venue import Venue
from producers.mt5 import COPY_TICKS_ALL, TICK_DTYPE, TerminalError
from producers.mt5_remote import RemoteMt5

PACKAGE = """
import os, time
import numpy as np

class Account:
    def _asdict(self):
        return {"login": 7, "server": "Demo", "balance": 100.5}

class Result(tuple):
    def _asdict(self):
        return {"retcode": 10009, "request": REQUEST}

def initialize(*args, **kwargs): return kwargs.get("login") == 7
def last_error(): return (-6, "Terminal: Authorization failed")
def account_info(): return Account()
def positions_get(*, symbol=""): return (Account(), Account()) if symbol == "EURUSD" else ()
def copy_ticks_from(symbol, start, count, flags):
    dtype = [("time","<i8"),("bid","<f8"),("ask","<f8"),("last","<f8"),("volume","<u8"),("time_msc","<i8"),
             ("flags","<u4"),("volume_real","<f8")]
    rows = np.zeros(count, dtype)
    rows["time"] = start
    rows["bid"] = 1.1
    return rows if symbol else None
def order_send(request):
    assert type(request) is dict and type(request["volume"]) is float
    return (request["symbol"], request["volume"])
def symbol_select(symbol, enable=True): time.sleep(60); return True
def shutdown(): os._exit(0)
"""
SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from rpyc.utils.server import ThreadedServer
from rpyc import SlaveService
server = ThreadedServer(SlaveService, hostname="127.0.0.1", port=0, logger=__import__("logging").getLogger("quiet"))
server.listener.listen(5)
print(server.port, flush=True)
server.start()
"""


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    pytest.importorskip("rpyc")
    (tmp_path / "MetaTrader5.py").write_text(PACKAGE)
    command = [sys.executable, "-P", "-c", SERVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.kill()


def remote(port: int, timeout_s: float = 20) -> Any:
    return RemoteMt5.dial("127.0.0.1", port, timeout_s)


def test_calls_and_their_results_go_by_value(port: int) -> None:
    mt5 = remote(port)
    assert mt5.initialize(login=7) is True
    assert mt5.initialize(login=8) is False
    assert mt5.last_error() == (-6, "Terminal: Authorization failed")
    account = mt5.account_info()
    assert (account.login, account.server, account.balance) == (7, "Demo", 100.5)
    assert [p.login for p in mt5.positions_get(symbol="EURUSD")] == [7, 7]
    assert mt5.positions_get(symbol="GBPUSD") == ()
    assert mt5.order_send({"symbol": "EURUSD", "volume": 0.1}) == ("EURUSD", 0.1)
    ticks = mt5.copy_ticks_from("EURUSD", 1_790_000_000, 3, COPY_TICKS_ALL)
    assert (type(ticks), ticks.dtype) == (np.ndarray, TICK_DTYPE)
    assert ticks["time"].tolist() == [1_790_000_000] * 3
    assert mt5.copy_ticks_from("", 1, 3, COPY_TICKS_ALL) is None
    mt5.close()


def test_a_gateway_whose_successor_called_is_refused_by_the_other_side(port: int) -> None:
    stalled, successor, other_log, nobody = (remote(port) for _ in range(4))
    stalled.claim("a/1000", 3)
    successor.claim("a/1000", 4)
    other_log.claim("a/2000", 1)
    order = {"symbol": "EURUSD", "volume": 0.1}
    assert stalled.order_send(order) == ("EURUSD", 0.1)
    assert successor.account_info().login == 7
    for call in (lambda: stalled.order_send(order), stalled.account_info, stalled.positions_get):
        with pytest.raises(Fenced, match=r"epoch 4 of a/1000 .* this one's is 3"):
            call()
    stalled.close()
    with pytest.raises(Fenced):
        stalled.initialize(login=7)
    for mt5 in (successor, other_log, nobody):
        assert mt5.order_send(order) == ("EURUSD", 0.1)
        mt5.close()
    stalled.close()


def test_a_refused_request_of_a_gateway_is_no_doubtful_one(port: int) -> None:
    lines = [remote(port), remote(port)]
    stalled, successor = (Venue(mt5, TerminalSettings(), ServerClock("ny7")) for mt5 in lines)
    stalled.claim("a/1000", 3)
    successor.claim("a/1000", 4)
    request = {"action": 1, "symbol": "EURUSD", "volume": 0.1}
    assert successor.positions() == ()
    with pytest.raises(Fenced):
        stalled.send(request)
    for mt5 in lines:
        mt5.close()


def test_a_hung_server_is_a_hung_terminal_and_a_new_connection_goes_on(port: int) -> None:
    # The server's first connection imports the package.
    remote(port).close()
    mt5 = remote(port, timeout_s=5)
    assert mt5.symbol_select("EURUSD", True) is False
    assert mt5.last_error() == (-10_005, "IPC timeout")
    assert mt5.account_info() is None
    assert mt5.last_error() == (-10_004, "No IPC connection")
    assert mt5.initialize(login=7) is True
    assert mt5.account_info().login == 7
    mt5.close()


def test_a_server_that_ends_is_a_terminal_that_ended(port: int) -> None:
    mt5 = remote(port)
    assert mt5.shutdown() is None
    assert mt5.last_error() == (-10_002, "IPC recv failed")
    assert mt5.initialize(login=7) is False
    with pytest.raises(TerminalError, match=f"no rpyc server answers at 127.0.0.1:{port}") as refused:
        remote(port)
    assert not refused.value.final, "it may be there in a moment"


def test_a_server_without_the_package_says_what_it_lacks(port: int, tmp_path: Path) -> None:
    (tmp_path / "MetaTrader5.py").write_text("import package_that_is_not_there")
    with pytest.raises(TerminalError, match="has no package MetaTrader5: install it") as refused:
        remote(port)
    assert refused.value.final
