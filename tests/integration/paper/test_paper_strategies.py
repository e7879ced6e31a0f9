"""What a paper home has on `reference` before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.accounts import Consensus, newest
from api.instances import BadInstance, running
from api.lab.choice import choose
from api.lab.setup import SizedBy
from api.paper.home import account_on_paper
from api.trading.home import TradedHome
from api.trading.strategies import Traded, Trading
from infra.errors import SettingsError
from infra.keys import load_or_create
from infra.reference_log import read_reference
from infra.settings import PaperSettings, RecorderSettings, TerminalSettings, TradeSettings
from producers.recorder.pinned import Source
from producers.terminal.live_quotes import LiveTerminal
from schemas.configuration import AccountConfig, RiskLimits, Sizing
from tests.conftest import StartStack, TestStack

pytestmark = pytest.mark.stack

SOURCE = Source("Broker-Demo", "A broker", 7, "demo")
SIZED = SizedBy(Sizing.RISK, 0.01)


@pytest.fixture(scope="module")
def broker(start_stack: StartStack) -> Iterator[TestStack]:
    with start_stack(services={"kafka"}) as found:
        yield found


def home(broker: TestStack, account: str, *symbols: str) -> TradedHome:
    sections = {
        "terminal": TerminalSettings(kind="simulated", balance=500.0),
        "paper": PaperSettings(terminal="rpyc"),
        "recorder": RecorderSettings(feed="broker-demo-paper"),
        "trade": TradeSettings(account=account),
    }
    settings = broker.settings.model_copy(update=sections)
    return TradedHome(settings, LiveTerminal.of(settings), SOURCE, symbols or ("EURUSD", "USDJPY"), True)


def trading(found: TradedHome, *names: str, limits: Path | None = None, consensus: Consensus | None = None) -> Trading:
    traded = Traded([choose(name, {}) for name in names], SIZED, limits, consensus)
    return Trading(found.settings, account_on_paper(found), found.listings, traded)


def configured(broker: TestStack, account: str, *names: str, **told: Any) -> tuple[Trading, list[Any]]:
    paper = trading(home(broker, account), *names, **told)
    stack: Any = SimpleNamespace(kafka=broker.kafka)
    paper.configure(stack)
    return paper, read_reference(broker.kafka, load_or_create(broker.settings))[0]


def test_account_limits_and_strategies_are_there_once_and_more_strategies_come_to_them(broker: TestStack) -> None:
    paper, records = configured(broker, "one", "ema_cross", "berserker")
    assert paper.instances == ["ema_cross", "berserker"]
    config = newest(records, AccountConfig, "one")
    assert config is not None
    assert (float(config.balance), config.feed) == (500.0, "broker-demo-paper")
    assert config.conversion_listings == ("broker-demo-paper/EURUSD", "broker-demo-paper/USDJPY")
    assert newest(records, RiskLimits, "one") is not None
    shares = {share.instance: share for one in running(records) for share in one.traded}
    assert [(share.size, share.sizing) for share in shares.values()] == [(0.01, Sizing.RISK)] * 2
    again, after = configured(broker, "one")
    assert (again.instances, len(after)) == (["ema_cross", "berserker"], len(records))
    more, _ = configured(broker, "one", "sniper_intraday")
    assert more.instances == ["ema_cross", "berserker", "sniper_intraday"]


def roles(records: list[Any], account: str) -> dict[str, str]:
    return {s.instance: s.role for one in running(records) for s in one.traded if s.account == account}


def test_a_consensus_is_of_the_strategies_named_with_it_and_stays_without(broker: TestStack) -> None:
    _, records = configured(broker, "six", "ema_cross", "berserker", consensus="veto")
    assert roles(records, "six") == {"ema_cross": "trade", "berserker": "veto"}
    _, again = configured(broker, "six", "ema_cross", "berserker")
    assert len(again) == len(records)
    _, records = configured(broker, "six", "ema_cross", "berserker", consensus="agree")
    assert roles(records, "six") == {"ema_cross": "agree", "berserker": "agree"}


def test_limits_that_were_told_once_stay(broker: TestStack, tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("max_positions = 3\n")
    _, records = configured(broker, "seven", "ema_cross", limits=file)
    _, again = configured(broker, "seven")
    assert len(again) == len(records)
    limits = newest(again, RiskLimits, "seven")
    assert limits is not None
    assert limits.max_positions == 3


def test_one_that_reads_several_listings_trades_the_other_of_the_homes(broker: TestStack) -> None:
    paper = trading(home(broker, "four", "GBPUSD", "EURUSD"), "pairs")
    paper.configure(SimpleNamespace(kafka=broker.kafka))  # type: ignore[arg-type]
    assert paper.instances == ["pairs"]
    records = read_reference(broker.kafka, load_or_create(broker.settings))[0]
    (one,) = (r.activation for r in running(records) if r.activation.instance == "pairs")
    assert one.listings == ("broker-demo-paper/EURUSD",)
    with pytest.raises(BadInstance, match="reads GBPUSD beside the listing that it runs on, and there is"):
        trading(home(broker, "five"), "pairs")


def test_a_home_in_which_nothing_is_traded_asks_for_a_strategy(broker: TestStack) -> None:
    with pytest.raises(SettingsError, match="name a strategy to trade"):
        configured(broker, "two")


def test_code_that_no_worker_can_run_is_refused_before_anything_starts(broker: TestStack, tmp_path: Path) -> None:
    file = tmp_path / "beside.py"
    file.write_text(
        "from tickledger import TickStrategy\nimport beside_it\n\n\nclass Beside(TickStrategy):\n    version = 1\n\n"
        "    def on_block(self, ticks):\n        return iter(())\n"
    )
    (tmp_path / "beside_it.py").write_text("")
    with pytest.raises(BadInstance, match="can't run on the log"):
        trading(home(broker, "three"), str(file))
