"""What the recorder waits for before it records."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings, load_settings
from producers.mt5 import AUTHORIZATION_FAILED, TerminalError
from producers.recorder import __main__ as service

AWAY = TerminalError("no server answers", -10_003, "IPC initialize failed")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path)


def answers(monkeypatch: pytest.MonkeyPatch, *told: Any) -> None:
    """What connecting gives, one after the other."""
    left = list(told)

    def connect(settings: Settings) -> Any:
        answer = left.pop(0)
        if isinstance(answer, TerminalError):
            raise answer
        return answer

    monkeypatch.setattr(service, "connect", connect)
    monkeypatch.setattr(service, "_TERMINAL_S", 0.001)


def test_a_server_that_comes_late_is_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal: Any = object()
    answers(monkeypatch, AWAY, AWAY, terminal)
    assert service.connected(settings, threading.Event()) is terminal


def test_a_refusal_ends_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, AWAY, TerminalError("wrong password", AUTHORIZATION_FAILED))
    with pytest.raises(TerminalError, match="wrong password"):
        service.connected(settings, threading.Event())


def test_it_ends_while_it_waits(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    stop.set()
    answers(monkeypatch)
    assert service.connected(settings, stop) is None
