"""`tickledger paper` after a real terminal of another process: its ticks on the log, no order at it, deals on paper."""

from __future__ import annotations

import json
import re
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.settings import Settings, load_settings
from infra.stack.addresses import kafka_address, postgres_dsn
from producers.mt5 import Mt5
from producers.mt5_remote import RemoteMt5
from producers.terminal import connect
from tests.conftest import TestStack
from tests.e2e.command import Running, run
from tests.integration.paper.real_terminal import SYMBOL, real_terminal
from tests.integration.recorder.recording import Recording, history, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
pytest.importorskip("rpyc")

FEED = "broker-live-3-paper"
OFTEN = '''
from tickledger import Enter, Exit, Flat, TickStrategy


class Often(TickStrategy):
    """In and out, every fifteen ticks."""

    version = 1

    def start(self):
        self.seen = 0

    def on_block(self, ticks):
        for place in range(len(ticks.bid)):
            self.seen += 1
            if self.seen % 30 == 15:
                yield place, Enter.long(plan=Exit(stop=500.0), valid_for="30s")
            elif self.seen % 30 == 0:
                yield place, Flat(side="long")
'''


@pytest.fixture(autouse=True)
def a_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the page."""
    monkeypatch.setenv("TICKLEDGER_API__PORT", "0")


def fills(settings: Settings) -> int:
    with psycopg.connect(postgres_dsn(settings)) as connection:
        row = connection.execute("select count(*) from tickledger.fills where account = 'paper'").fetchone()
    return 0 if row is None else int(row[0])


def test_a_real_accounts_ticks_are_traded_on_paper_and_nothing_is_sent_to_it(tmp_path: Path) -> None:
    (tmp_path / "often.py").write_text(OFTEN)
    home = tmp_path / ".tickledger"
    with ExitStack() as served:
        port = served.enter_context(real_terminal("real"))
        options = ("--port", str(port), "--symbol", SYMBOL, "--lots", "0.1", "--no-browser")
        with Running(tmp_path, "paper", "often.py", *options) as paper:
            paper.until("Ctrl-C ends everything")
            settings = load_settings(home)
            assert (settings.recorder.feed, settings.paper.symbols) == (FEED, (SYMBOL,))
            said = "\n".join(paper.lines)
            shows_a_market_that_nobody_plays(page_of(said))
            assert "logged in as 77 at Broker-Live 3 (A broker, real); it is asked for quotes and never" in said
            assert "account paper trades Often on paper" in said
            until(lambda: fills(settings) >= 2, 180)
            own: Any = connect(home)
            assert own.initialize()
            assert len(own.history_deals_get(0, 2**31 - 1)) > 2
            log = Recording(TestStack(home, settings, kafka_address(settings), ""), FEED)
            real: Any = RemoteMt5.dial("127.0.0.1", port, 60)
            assert real.initialize()
            holds_all_of(log, real)
            assert len(real.history_deals_get(0, 2**31 - 1)) == 1
            assert real.history_orders_get(0, 2**31 - 1) == ()
            assert (real.positions_total(), real.orders_total()) == (0, 0)
            real.close()
            served.close()
            paper.until("terminal: no quotes: ")
            assert paper.interrupt() == 0
    again = run(tmp_path, "paper", "--no-browser")
    assert again.returncode == 2
    assert f"no rpyc server answers at 127.0.0.1:{port}" in again.stderr
    assert "start it beside the terminal, or correct --host and --port" in again.stderr


def page_of(said: str) -> str:
    found = re.search(r"page (http://127\.0\.0\.1:\d+)", said)
    assert found, said
    return found[1]


def shows_a_market_that_nobody_plays(page: str) -> None:
    """So the page has no controls of it."""
    with urllib.request.urlopen(f"{page}/api/market", timeout=60) as answer:
        market = json.load(answer)
    assert (market["simulated"], market["now"] is None, market["played_to"]) == (False, False, None)


def holds_all_of(log: Recording, real: Mt5) -> None:
    """What is on the log is what the real terminal has from there on, row by row."""
    rows = history(real, SYMBOL)
    until(lambda: rows[-1] in log.rows(SYMBOL), 120)
    on_the_log = log.rows(SYMBOL)
    on_the_log = on_the_log[: len(on_the_log) - on_the_log[::-1].index(rows[-1])]
    assert len(on_the_log) > 100
    assert on_the_log == rows[-len(on_the_log) :]
    log.check(SYMBOL)


def test_without_a_real_terminal_nothing_is_started(tmp_path: Path) -> None:
    found = run(tmp_path, "paper", "ema_cross", "--port", "1")
    assert found.returncode == 2
    assert found.stderr.startswith("error: no real terminal is reached: no rpyc server answers at 127.0.0.1:1; start")
    assert not (tmp_path / ".tickledger").exists()
    found = run(tmp_path, "paper", "ema_cross", "--terminal", "official")
    assert found.returncode == 2
    assert "the package MetaTrader5 isn't here, it exists for Windows only" in found.stderr
    assert not (tmp_path / ".tickledger").exists()


def test_a_home_that_is_none_for_paper_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / ".tickledger"
    home.mkdir()
    (home / "tickledger.toml").write_text('[log]\nlevel = "error"\n')
    found = run(tmp_path, "paper", "ema_cross")
    assert found.returncode == 1
    assert "choose another home to trade on paper in" in found.stderr
