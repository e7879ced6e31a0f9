"""A "real" MetaTrader 5 of now behind an rpyc server, as a process: `python -m tests.integration.paper.real_terminal`.

It plays a walk of quotes at the machine's time, of a coin, which trades at weekends too. Prints its port.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np

from infra.clock import SystemClock
from producers.terminal import constants as codes
from producers.terminal.account import TradeAccount
from producers.terminal.simulation import in_process
from producers.terminal.ticks import Ticks

SYMBOL = "BTCUSD"
MODES = {"demo": codes.ACCOUNT_TRADE_MODE_DEMO, "real": codes.ACCOUNT_TRADE_MODE_REAL}


def of_now(now_ms: int, before_s: int = 120, after_s: int = 300) -> Ticks:
    """Twelve ticks a second, some in one millisecond."""
    random = np.random.default_rng(7)
    count = (before_s + after_s) * 12
    time_ms = np.sort(now_ms - before_s * 1000 + random.integers(0, (before_s + after_s) * 1000 // 4, count) * 4)
    bid = np.round(60_000 + np.cumsum(random.integers(-3, 4, count)) * 0.01, 2)
    return Ticks.of_quotes(time_ms.astype(np.int64), bid, np.round(bid + 0.05, 2))


def main(mode: str) -> None:
    """Serves until it is killed."""
    from rpyc import SlaveService
    from rpyc.utils.server import ThreadedServer

    clock = SystemClock()
    account = TradeAccount(login=77, trade_mode=MODES[mode], server="Broker-Live 3", company="A broker")
    simulation = in_process({SYMBOL: of_now(clock.now_ms())}, account=account, running=True)
    simulation.control.go_to(clock.now_us())
    simulation.control.resume()
    module: Any = simulation.connect()
    sys.modules["MetaTrader5"] = module
    server = ThreadedServer(SlaveService, hostname="127.0.0.1", port=0, logger=logging.getLogger("quiet"))
    server.listener.listen(5)
    print(server.port, flush=True)
    server.start()


if __name__ == "__main__":
    main(sys.argv[1])
