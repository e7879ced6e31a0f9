"""`tickledger live` on the demo account of a terminal of another process: orders there, fills back, once each."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.accounts import newest
from infra.keys import load_or_create
from infra.reference_log import read_reference
from infra.settings import Settings, load_settings
from infra.stack.addresses import kafka_address, postgres_dsn
from schemas.configuration import AccountConfig, PositionMode, RiskLimits, StrategyConfig
from schemas.events import ListingSpec, OperatorActivation, ReferenceRecord
from tests.e2e.command import Running, run
from tests.integration.paper.real_terminal import SYMBOL, asked, real_terminal
from tests.integration.paper.test_paper import OFTEN
from tests.integration.recorder.recording import until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

FEED = "broker-live-3"


@pytest.fixture(autouse=True)
def a_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the page."""
    monkeypatch.setenv("TICKLEDGER_API__PORT", "0")


def filled(settings: Settings) -> set[int]:
    """Deals of the account's fills."""
    with psycopg.connect(postgres_dsn(settings)) as connection:
        rows = connection.execute("select deal from tickledger.fills where account = 'live'").fetchall()
    assert len(rows) == len({row[0] for row in rows})
    return {int(row[0]) for row in rows}


def reference(settings: Settings) -> list[ReferenceRecord]:
    return read_reference(kafka_address(settings), load_or_create(settings))[0]


def test_orders_arrive_at_the_terminal_and_a_second_start_writes_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / "often.py").write_text(OFTEN)
    home = tmp_path / ".tickledger"
    with ExitStack() as served:
        port = served.enter_context(real_terminal("demo"))
        terminal = served.enter_context(asked(port, 60))
        options = ("--port", str(port), "--symbol", SYMBOL, "--lots", "0.1", "--no-browser")
        with Running(tmp_path, "live", "often.py", *options) as live:
            live.until("Ctrl-C ends everything")
            settings = load_settings(home)
            said = "\n".join(live.lines)
            assert "and ORDERS TO IT, logged in as 77 at Broker-Live 3 (A broker, demo)" in said
            assert "account live is that one (USD, hedging, 1:100) and trades Often" in said
            until(lambda: len(filled(settings)) >= 2, 180)
            assert filled(settings) <= {deal.ticket for deal in terminal.history_deals_get(0, 2**31 - 1) if deal.magic}
            written = reference(settings)
            is_configured(written)
            assert live.interrupt() == 0
            assert "what was open is still open at the broker, with its stops" in "\n".join(live.lines)
            # A recorder that ends leaves the terminal, which all who come through that rpyc server share.
            assert terminal.initialize()
        stays_with_its_stop(terminal)
        before = {deal.ticket for deal in terminal.history_deals_get(0, 2**31 - 1) if deal.magic}
        with Running(tmp_path, "live", "--no-browser") as live:
            live.until("Ctrl-C ends everything")
            assert "trades Often" in "\n".join(live.lines)
            until(lambda: before < filled(settings), 180)
            assert reference(settings) == written
            once_each(terminal)
            served.close()
            live.until("alert terminal_away (live): ")
            assert live.interrupt() == 0


def is_configured(records: list[ReferenceRecord]) -> None:
    config = newest(records, AccountConfig, "live")
    assert config is not None
    assert (config.feed, float(config.balance), config.position_mode) == (FEED, 10_000.0, PositionMode.HEDGING)
    assert newest(records, RiskLimits, "live") is not None
    assert newest(records, StrategyConfig, "live", "Often") is not None
    assert [r.operator for r in records if isinstance(r, OperatorActivation)].count("Often") == 1
    (spec,) = (r for r in records if isinstance(r, ListingSpec))
    assert (spec.listing, spec.digits_inferred) == (f"{FEED}/{SYMBOL}", False)


def stays_with_its_stop(terminal: Any) -> None:
    for position in terminal.positions_get():
        assert position.sl > 0


def once_each(terminal: Any) -> None:
    """No order number is at the terminal twice."""
    numbers = [order.magic for order in terminal.history_orders_get(0, 2**31 - 1)]
    assert len(numbers) > 2
    assert len(numbers) == len(set(numbers))


def test_a_real_account_is_refused_and_nothing_is_written_or_sent(tmp_path: Path) -> None:
    with real_terminal("real") as port, asked(port, 60) as terminal:
        found = run(tmp_path, "live", "ema_cross", "--port", str(port))
        assert found.returncode == 1
        assert found.stderr.startswith("error: 77 at Broker-Live 3 (A broker, real) is a real account: demo accounts")
        assert "trade its ticks on paper: tickledger paper STRATEGY" in found.stderr
        assert found.stderr.count("\n") == 1
        assert not (tmp_path / ".tickledger").exists()
        assert len(terminal.history_deals_get(0, 2**31 - 1)) == 1


def test_without_a_terminal_nothing_is_started(tmp_path: Path) -> None:
    found = run(tmp_path, "live", "ema_cross", "--port", "1")
    assert found.returncode == 2
    assert "no rpyc server answers at 127.0.0.1:1" in found.stderr
    assert not (tmp_path / ".tickledger").exists()
