"""The market of a home as the page has it: played, or a real one that nobody moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.server.market import Market, MarketRefused
from infra.settings import PaperSettings, Settings, TerminalSettings


def settings(home: Path, kind: str, paper: str) -> Settings:
    terminal = TerminalSettings.model_validate({"kind": kind})
    told = {"home": home, "terminal": terminal, "paper": PaperSettings.model_validate({"terminal": paper})}
    return Settings().model_copy(update=told)


@pytest.mark.parametrize(
    ("kind", "paper", "says"),
    [("simulated", "rpyc", "the market of this home is live"), ("rpyc", "", "terminal is not simulated")],
)
def test_a_real_market_is_nobodys_to_move(tmp_path: Path, kind: str, paper: str, says: str) -> None:
    market = Market(settings(tmp_path, kind, paper))
    assert market.state() == {"simulated": False}
    for action, value in (("pause", None), ("resume", None), ("speed", 5.0)):
        with pytest.raises(MarketRefused, match=f"{says}.*no market to {action}"):
            market.act(action, value)
    market.close()


def test_a_played_market_is_there_to_be_moved_even_while_its_terminal_is_away(tmp_path: Path) -> None:
    market = Market(settings(tmp_path, "simulated", ""))
    assert market.state() == {"simulated": True}
    market.close()
