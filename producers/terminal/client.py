"""Ways to the simulated terminal that a home runs, in its own process."""

from __future__ import annotations

from pathlib import Path

from infra.stack.home import Home
from producers.terminal.control import Control
from producers.terminal.module import Mt5Module
from producers.terminal.transport import Remote


def connect(home: Path) -> Mt5Module:
    """A client of the terminal that a home runs; `initialize` connects it."""
    return Mt5Module(Remote(Home(home)))


def control(home: Path) -> Control:
    """The owner's functions of the terminal that a home runs."""
    return Control(Remote(Home(home)))
