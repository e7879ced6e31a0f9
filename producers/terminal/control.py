"""What the owner of a simulated market does with it, from wherever: look, pause, set its speed, step, inject faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.errors import NotReady
from producers.terminal.failure import TerminalFailure
from producers.terminal.module import Transport

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketState:
    """How far a market has been played, and how it goes. Times are market time, microseconds UTC."""

    from_us: int
    """Where it started."""
    to_us: int
    """When its last tick happens."""
    now_us: int
    ended: bool
    """Its last tick has happened: a home that says so has been played to the end."""
    speed: float
    """Times real time; 0 = as fast as its followers allow."""
    standing: bool
    """It is paused, or steps."""
    held: bool
    """It waits for its followers, or stands behind its end."""
    ticks: int
    """How many have happened, of all symbols."""
    ticks_in_all: int
    """How many there are by now."""
    symbols: tuple[str, ...]
    calls: int
    """Of MetaTrader5's functions, since the terminal started."""
    requests: int
    """That went to the trade server, ever."""
    connected: bool
    """Whether the terminal has a line to its server."""
    faults: int
    """How many are set."""
    trouble: tuple[str, ...] = ()
    """Of a live market: what is wrong with its quotes, in sentences."""


class Control:
    """A market's owner at the other end of a transport. Methods raise NotReady if the terminal doesn't answer."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._connected = False

    def state(self) -> MarketState:
        return MarketState(**self._ask("state"))

    def pause(self) -> None:
        """Market time stands; requests on their way to the server arrive."""
        self._ask("pause")

    def resume(self) -> None:
        """Market time goes on at the speed that is set."""
        self._ask("resume")

    def speed(self, speed: float) -> None:
        """So many times real time; 0: as fast as its followers allow. Raises Refused."""
        self._ask("speed", speed)

    def step(self, us: int) -> None:
        """So much market time happens at once, whoever follows; then it stands. Raises Refused for less than 0."""
        self._ask("step", us)

    def go_to(self, us: int) -> None:
        """Market time is `us` at once, whoever follows. Raises Refused for a time that has passed."""
        self._ask("go_to", us)

    def play_to_end(self) -> None:
        """As fast as its followers allow; `state().ended` says when it has."""
        self._ask("play_to_end")

    def fault(self, kind: str, **keys: Any) -> None:
        """A fault as in a file of faults, from now on; times as `from_us`, `until_us`. Raises BadFile, Refused."""
        self._ask("fault", {"kind": kind, **keys})

    def clear_faults(self) -> None:
        """No faults from now on."""
        self._ask("clear_faults")

    def permit(self, *, algo_trading: bool | None = None, api_trading: bool | None = None) -> None:
        """The terminal's button for algorithmic trading, and its option for trading by Python; None: as it is."""
        self._ask("permit", algo_trading, api_trading)

    def close(self) -> None:
        """Ends its connection."""
        close: Callable[[], None] | None = getattr(self._transport, "close", None)
        if close is not None:
            close()

    def _ask(self, name: str, *args: Any) -> Any:
        try:
            if not self._connected:
                self._transport.call("initialize", (), {}, _TIMEOUT_S)
                self._connected = True
            return self._transport.call(f"control.{name}", args, {}, _TIMEOUT_S)
        except TerminalFailure as failure:
            self._connected = False
            raise NotReady(
                f"the simulated terminal doesn't answer ({failure.text}): see whether its service runs"
            ) from failure
