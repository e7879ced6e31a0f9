"""What a home that trades says while it does, of its own terminal."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.trading import news as news_module
from api.trading.news import TerminalTrouble
from infra.stack.home import Home


def test_trouble_is_said_once_and_that_it_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = SimpleNamespace(reason=None, ready=False)
    monkeypatch.setattr(news_module, "trouble", lambda *_: state.reason)
    monkeypatch.setattr(news_module, "is_ready", lambda *_: state.ready)
    news: Any = TerminalTrouble(Home(tmp_path))
    said = []
    for state.reason, state.ready in ((None, True), ("no quotes", True), ("no quotes", True), (None, False)):
        said += news.poll()
    assert said == ["terminal: no quotes"]
    state.reason, state.ready = None, True
    assert news.poll() == ["terminal: all is well again"]
    assert news.poll() == []
