"""Rooms that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from producers.gateway import gateway
from tests.unit.producers.gateway.room import Room


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands for seconds hurries no comparison."""
    monkeypatch.setattr(gateway, "COMPARED_S", 3_600.0)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Room]]:
    """``make(ticks, **terminal settings)``: a gateway at a simulated terminal."""
    rooms: list[Room] = []

    def made(*args: Any, **keys: Any) -> Room:
        rooms.append(Room(tmp_path, *args, **keys))
        return rooms[-1]

    yield made
    for room in rooms:
        room.close()
