"""The server's side of a terminal's transport: MetaTrader5's calls, and what its owner asks (`Control`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from producers.terminal.pace import Pace
from producers.terminal.terminal import Terminal
from producers.terminal.transport import Handler


def calls_of(terminal: Terminal) -> Handler:
    """Answers MetaTrader5's calls, and those that `producers.terminal.control.Control` makes, by a terminal."""
    owner = _owner(terminal)

    def handle(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        own = owner.get(name)
        return terminal.call(name, args, kwargs) if own is None else own(*args)

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
        "pause": lambda: terminal.set_pace(Pace.pause),
        "resume": lambda: terminal.set_pace(Pace.resume),
        "speed": lambda speed: terminal.set_pace(lambda pace: pace.set_speed(speed)),
        "step": step,
        "go_to": lambda us: terminal.set_pace(lambda pace: pace.go_to(us)),
        "play_to_end": play_to_end,
        "fault": terminal.add_fault,
        "clear_faults": terminal.clear_faults,
        "permit": terminal.permit,
    }
    return {f"control.{name}": answer for name, answer in answers.items()}
