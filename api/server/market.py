"""The market of a home: its time, and the controls of one that is played."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from infra.errors import NotReady, TickledgerError
from infra.settings import Settings
from infra.stack.home import Home
from producers.terminal.control import Control
from producers.terminal.transport import Remote
from schemas.times import iso_ms


class MarketRefused(TickledgerError):
    """The market can't be moved so; the message says why."""


class Market:
    """Asks the terminal of the home. One that isn't simulated, or serves live ticks, has a market that nobody plays."""

    def __init__(self, settings: Settings) -> None:
        self._control = Control(Remote(Home(settings.home))) if settings.terminal.kind == "simulated" else None
        self._is_live = bool(settings.paper.terminal)
        self._lock = threading.Lock()

    def state(self) -> dict[str, Any]:
        """The fields of MarketState. A terminal that doesn't answer has no time."""
        if self._control is None:
            return {"simulated": False}
        with self._lock, contextlib.suppress(NotReady):
            found = self._control.state()
            if self._is_live:
                return {"simulated": False, "now": iso_ms(found.now_us // 1000)}
            return {
                "simulated": True,
                "now": iso_ms(found.now_us // 1000),
                "played_from": iso_ms(found.from_us // 1000),
                "played_to": iso_ms(found.to_us // 1000),
                "speed": found.speed,
                "standing": found.standing,
                "ended": found.ended,
            }
        return {"simulated": not self._is_live}

    def act(self, action: str, value: float | None) -> None:
        """Pause, resume or speed. Raises MarketRefused."""
        if self._control is None:
            raise MarketRefused(f"this home's terminal is not simulated: there is no market to {action}")
        if self._is_live:
            raise MarketRefused(
                f"the market of this home is live, only its account is on paper: there is no market to {action}"
            )
        if (action == "speed") != (value is not None):
            raise MarketRefused("speed needs a value, times real time (0 = all it can); pause and resume take none")
        with self._lock:
            if value is not None:
                self._control.speed(value)
            elif action == "pause":
                self._control.pause()
            else:
                self._control.resume()

    def close(self) -> None:
        """Ends the connection."""
        if self._control is not None:
            self._control.close()
