"""The paper terminal as a process, after a real one of another process that ends and comes back; killed itself, too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.clock import SystemClock
from infra.settings import PREFIX
from infra.stack.home import Home, read_json
from producers.terminal import connect
from producers.terminal.live_symbols import known_symbols
from tests.integration.paper.real_terminal import ROOT, SYMBOL, asked, real_terminal
from tests.integration.recorder.recording import history, until

pytestmark = pytest.mark.kill
pytest.importorskip("rpyc")

DONE, NO_CONNECTION = 10009, 10031


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "a home")
    made.create()
    return made


@contextmanager
def paper_terminal(home: Home, port: int) -> Iterator[subprocess.Popen[bytes]]:
    told = {
        "HOME": str(home.root), "TERMINAL__KIND": "simulated", "PAPER__TERMINAL": "rpyc", "PAPER__PORT": str(port),
        "PAPER__SYMBOLS": f'["{SYMBOL}"]', "TERMINAL__LATENCY_MS": "1",
    }  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **{PREFIX + key: value for key, value in told.items()}}
    with home.log_file("terminal").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "producers.terminal"], stdout=log, stderr=log, env=environment
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def client(home: Home) -> Any:
    mt5: Any = connect(home.root)
    until(mt5.initialize, 120)
    return mt5


def holds_all(own: Any, real: Any) -> bool:
    """Whether a terminal has each tick of the real one, from its own first to the newest of a moment ago."""
    rows, ours = history(real, SYMBOL), history(own, SYMBOL)
    newest = rows[-20]
    if newest not in ours:
        return False
    ours = ours[: len(ours) - ours[::-1].index(newest)]
    rows = rows[: len(rows) - rows[::-1].index(newest)]
    assert ours == rows[-len(ours) :]
    return len(ours) > 1_000


def reason(home: Home) -> str:
    """What the stack is told to be wrong with the terminal."""
    return (read_json(home.ready_file("terminal")) or {}).get("reason") or ""


def order() -> dict[str, Any]:
    return {"action": 1, "symbol": SYMBOL, "volume": 0.1, "type": 0, "type_filling": 1}


def test_it_goes_on_after_the_real_terminal_and_itself_were_killed(home: Home) -> None:
    middle_ms = SystemClock().now_ms()
    with real_terminal("demo", middle_ms=middle_ms) as port, paper_terminal(home, port):
        mt5 = client(home)
        until(lambda: mt5.order_send(order()).retcode == DONE)
        with asked(port) as real:
            until(lambda: holds_all(mt5, real))
    with paper_terminal(home, port):
        until(lambda: "waits for the real terminal" in home.log_file("terminal").read_text(), 120)
        until(lambda: "no rpyc server answers" in reason(home))
        assert not (read_json(home.ready_file("terminal")) or {})["ready"]
        with real_terminal("demo", port, middle_ms):
            mt5 = client(home)
            assert mt5.positions_total() == 1
            with asked(port) as real:
                until(lambda: holds_all(mt5, real))
                assert mt5.order_send(order()).retcode == DONE
                assert len(real.history_deals_get(0, 2**31 - 1)) == 1
            (known,) = known_symbols(read_json(home.root / "terminal" / "symbols.json")).values()
            assert (known.name, known.trade_contract_size) == (SYMBOL, mt5.symbol_info(SYMBOL).trade_contract_size)
            until(lambda: not reason(home))
        until(lambda: not mt5.terminal_info().connected)
        until(lambda: reason(home).startswith("no quotes: "))
        assert mt5.order_send(order()).retcode == NO_CONNECTION
