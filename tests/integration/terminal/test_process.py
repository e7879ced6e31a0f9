"""The simulated terminal as a process of its own: served to several, killed, stopped, started again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.market_clock import MarketClock, service_clock
from infra.marks import Mark
from infra.settings import Settings, TerminalSettings
from infra.stack.home import Home, read_json
from infra.stack.services import REFUSED
from producers.terminal import connect, control

pytestmark = pytest.mark.kill

DONE = 10009
HOUR_US = 3_600_000_000
ROOT = Path(__file__).parents[3]

CLIENT = """
import sys
from pathlib import Path
from producers.terminal import connect
mt5 = connect(Path(sys.argv[1]))
assert mt5.initialize()
print("there", flush=True)
while mt5.copy_ticks_from("EURUSD", 0, 100_000, -1) is not None:
    pass
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "a home")
    made.create()
    return made


@contextmanager
def terminal(home: Home, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A terminal that is ready; killed at the end if it still runs."""
    told = {f"TICKLEDGER_TERMINAL__{name.upper()}": value for name, value in settings.items()}
    environment = {**os.environ, "TICKLEDGER_HOME": str(home.root), **told}
    with home.log_file("terminal").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "producers.terminal"], stdout=log, stderr=log, env=environment, cwd=ROOT
        )
    try:
        wait(lambda: process.poll() is not None or ready(home, process))
        yield process
    finally:
        process.kill()
        process.wait()


def ready(home: Home, process: subprocess.Popen[bytes]) -> bool:
    record = read_json(home.ready_file("terminal"))
    return record is not None and record["pid"] == process.pid and record["ready"] is True


def test_a_terminal_serves_all_that_share_its_market_and_ends_when_asked(home: Home) -> None:
    with terminal(home) as process:
        recorder, gateway = client(home), client(home)
        page = control(home.root)
        clock = service_clock(Settings(home=home.root, terminal=TerminalSettings(kind="simulated")))
        assert isinstance(clock, MarketClock)
        page.pause()
        page.go_to(page.state().from_us + 10 * HOUR_US)
        assert clock.now_us() == page.state().now_us
        rows = recorder.copy_ticks_range("EURUSD", 0, 2**31 - 1, -1)
        assert len(rows) == page.state().ticks
        assert gateway.order_send(deal(1)).retcode == DONE
        assert [position.magic for position in recorder.positions_get()] == [1]
        with terminal(home) as second:
            assert second.wait() == 2
            assert "has a simulated terminal running" in home.log_file("terminal").read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        assert recorder.positions_total() is None
        assert recorder.last_error()[0] in (-10001, -10002)
        assert clock.pace().rate == 0.0
        page.close()


def test_a_killed_client_touches_neither_the_terminal_nor_others(home: Home) -> None:
    with terminal(home) as process, client_process(home) as killed:
        own, owner = client(home), control(home.root)
        owner.step(24 * HOUR_US)
        killed.kill()
        killed.wait()
        assert len(own.copy_ticks_range("EURUSD", 0, 2**31 - 1, -1)) == 44_864
        assert process.poll() is None
        owner.close()


def test_a_terminal_that_is_stopped_times_out_and_goes_on(home: Home) -> None:
    with terminal(home) as process:
        mt5: Any = connect(home.root)
        wait(lambda: mt5.initialize(timeout=2_000))
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        assert mt5.symbols_total() is None
        assert mt5.last_error() == (-10005, "IPC timeout")
        fresh: Any = connect(home.root)
        assert fresh.initialize(timeout=50) is False
        assert fresh.last_error()[0] == -10003
        process.send_signal(signal.SIGCONT)
        wait(lambda: mt5.symbols_total() is not None)
        assert mt5.symbol_info("EURUSD").name == "EURUSD"


@pytest.mark.parametrize("seed", [1, 2])
def test_what_a_client_was_told_is_there_once_after_a_kill(home: Home, seed: int) -> None:
    """A client trades in a market that runs, and the terminal is killed at a random moment."""
    rng = random.Random(seed)
    told: dict[int, Any] = {}
    seen: list[tuple[Any, ...]] = []
    magic = 0
    for kill in (True, False):
        with terminal(home, speed="600", latency_ms="1000") as process:
            mt5, owner = client(home), control(home.root)
            if not told:
                owner.go_to(owner.state().from_us + 6 * HOUR_US)
            check(mt5, told, seen)
            timer = threading.Timer(rng.uniform(0.05, 0.5), process.kill)
            if kill:
                timer.start()
            for _ in range(10_000 if kill else 5):
                magic += 1
                result = mt5.order_send(deal(magic, side=magic % 2))
                if result is None:
                    break
                assert result.retcode == DONE
                told[magic] = result
                rows = mt5.copy_ticks_from("EURUSD", seen[-1][0] if seen else 0, 100_000, -1)
                if rows is None:
                    break
                fresh = [tuple(row.item()) for row in rows]
                seen = [row for row in seen if row[0] < fresh[0][0]] + fresh
            assert (mt5.last_error()[0] in (-10001, -10002)) == kill
            if not kill:
                check(mt5, told, seen)
            timer.cancel()
            owner.close()


def check(mt5: Any, told: dict[int, Any], seen: list[tuple[Any, ...]]) -> None:
    """All that was told is in the terminal's history, each order once and with the numbers that it was told."""
    deals = [found for found in mt5.history_deals_get(0, 2**31 - 1) if found.magic]
    by_magic = {found.magic: found for found in deals}
    assert len(by_magic) == len(deals)
    for magic, result in told.items():
        found = by_magic[magic]
        assert (found.ticket, found.order, found.price) == (result.deal, result.order, result.price)
    rows = [tuple(row.item()) for row in mt5.copy_ticks_range("EURUSD", 0, 2**31 - 1, -1)]
    assert rows[: len(seen)] == seen


def test_a_market_goes_on_where_it_stopped_and_a_home_that_was_played_says_so(home: Home) -> None:
    settings = {"speed": "0", "followers": '["recorder"]'}
    with terminal(home, **settings) as process:
        owner = control(home.root)
        wait(lambda: owner.state().held)
        Mark.of(home, "recorder").set(2**62)
        wait(lambda: owner.state().ticks > 20_000)
        process.kill()
        process.wait()
        left_us = MarketClock(home.run / "market.clock").now_us()
        owner.close()
    with terminal(home, **settings):
        owner = control(home.root)
        assert owner.state().now_us >= left_us
        wait(lambda: owner.state().ended)
        assert len(client(home).copy_ticks_range("EURUSD", 0, 2**31 - 1, -1)) == 44_864
        owner.close()
    with terminal(home, **settings):
        assert (read_json(home.ready_file("terminal")) or {})["ended"] is True
        owner = control(home.root)
        assert owner.state().ended
        owner.close()


def test_a_terminal_that_cannot_start_says_why(home: Home) -> None:
    with terminal(home, data='["nothing.csv"]') as process:
        assert process.wait() == REFUSED
        assert "nothing.csv" in home.log_file("terminal").read_text()


def client(home: Home) -> Any:
    mt5 = connect(home.root)
    assert mt5.initialize()
    return mt5


@contextmanager
def client_process(home: Home) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", CLIENT, str(home.root)], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def deal(magic: int, side: int = 0) -> dict[str, Any]:
    return {
        "action": 1, "symbol": "EURUSD", "volume": 0.01, "type": side, "type_filling": 1, "magic": magic,
        "comment": f"tl{magic}",
    }  # fmt: skip


def wait(holds: Any) -> None:
    """Waits for it; the test's time-out ends a wait for ever."""
    pause = threading.Event()
    while not holds():
        pause.wait(0.02)
