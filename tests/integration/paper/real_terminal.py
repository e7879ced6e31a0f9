"""A "real" MetaTrader 5 of now behind an rpyc server, as a process: `python -m tests.integration.paper.real_terminal`.

Arguments: demo or real; port, 0 = any; the middle of what it plays, milliseconds UTC. It plays a walk of quotes at the
machine's time, of a coin, which trades at weekends too. Prints its port.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from infra.clock import SystemClock
from producers.mt5_remote import RemoteMt5
from producers.terminal import constants as codes
from producers.terminal.account import TradeAccount
from producers.terminal.simulation import in_process
from producers.terminal.ticks import Ticks

ROOT = Path(__file__).resolve().parents[3]
SYMBOL = "BTCUSD"
MODES = {"demo": codes.ACCOUNT_TRADE_MODE_DEMO, "real": codes.ACCOUNT_TRADE_MODE_REAL}


def around(middle_ms: int, before_s: int = 300, after_s: int = 900) -> Ticks:
    """Twelve ticks a second, some in one millisecond."""
    random = np.random.default_rng(7)
    count = (before_s + after_s) * 12
    time_ms = np.sort(middle_ms - before_s * 1000 + random.integers(0, (before_s + after_s) * 1000 // 4, count) * 4)
    bid = np.round(60_000 + np.cumsum(random.integers(-3, 4, count)) * 0.01, 2)
    return Ticks.of_quotes(time_ms.astype(np.int64), bid, np.round(bid + 0.05, 2))


def main(mode: str, port: int, middle_ms: int) -> None:
    """Serves until it is killed."""
    from rpyc import SlaveService
    from rpyc.utils.server import ThreadedServer

    clock = SystemClock()
    account = TradeAccount(login=77, trade_mode=MODES[mode], server="Broker-Live 3", company="A broker")
    simulation = in_process({SYMBOL: around(middle_ms)}, account=account, running=True)
    simulation.control.go_to(clock.now_us())
    simulation.control.resume()
    module: Any = simulation.connect()
    sys.modules["MetaTrader5"] = module
    server = ThreadedServer(SlaveService, hostname="127.0.0.1", port=port, logger=logging.getLogger("quiet"))
    server.listener.listen(5)
    print(server.port, flush=True)
    server.start()


@contextmanager
def real_terminal(mode: str, port: int = 0, middle_ms: int = 0) -> Iterator[int]:
    """Its port; killed with the block."""
    module = "tests.integration.paper.real_terminal"
    command = [sys.executable, "-P", "-m", module, mode, str(port), str(middle_ms or SystemClock().now_ms())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


@contextmanager
def asked(port: int, patience_s: float = 20) -> Iterator[Any]:
    """The terminal, for the test itself."""
    mt5: Any = RemoteMt5.dial("127.0.0.1", port, patience_s)
    assert mt5.initialize()
    try:
        yield mt5
    finally:
        mt5.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
