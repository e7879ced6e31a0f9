"""The server's side of a terminal's transport: MetaTrader5's calls, and what its owner asks (`Control`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra import log
from infra.errors import TickledgerError
from producers.terminal import constants as mt5
from producers.terminal.failure import TerminalFailure
from producers.terminal.pace import Pace
from producers.terminal.terminal import Terminal
from producers.terminal.transport import Handler

_logger = log.get(__name__)


def calls_of(terminal: Terminal) -> Handler:
    """Answers MetaTrader5's calls, and those that `producers.terminal.control.Control` makes, by a terminal."""
    owner = _owner(terminal)

    def handle(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        own = owner.get(name)
        if own is not None:
            return own(*args)
        try:
            return terminal.call(name, args, kwargs)
        except TickledgerError as error:
            # Its state can't be kept, for example: a client of MetaTrader5 knows its pairs only.
            _logger.error("a call failed", call=name, reason=str(error))
            raise TerminalFailure(mt5.RES_E_FAIL, "Terminal: Call failed") from error

    return handle


def _owner(terminal: Terminal) -> dict[str, Callable[..., Any]]:
    def step(us: int) -> None:
        def change(pace: Pace) -> None:
            pace.pause()
            pace.go_to(pace.now_us() + us)

        terminal.set_pace(change)

    def play_to_end() -> None:
        def change(pace: Pace) -> None:
            pace.set_speed(0.0)
            pace.resume()

        terminal.set_pace(change)

    answers: dict[str, Callable[..., Any]] = {
        "state": terminal.state,
        "pause": lambda: terminal.set_pace(lambda pace: pace.pause()),
        "resume": lambda: terminal.set_pace(lambda pace: pace.resume()),
        "speed": lambda speed: terminal.set_pace(lambda pace: pace.set_speed(speed)),
        "step": step,
        "go_to": lambda us: terminal.set_pace(lambda pace: pace.go_to(us)),
        "play_to_end": play_to_end,
        "fault": terminal.add_fault,
        "clear_faults": terminal.clear_faults,
        "permit": terminal.permit,
    }
    return {f"control.{name}": answer for name, answer in answers.items()}
