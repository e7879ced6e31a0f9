"""The market of a real terminal's live ticks, and its time: that of this machine.

A tick happens when it comes, as at a broker's server, whatever time it has; one that the real terminal got late is put
where it belongs, and tells the trade server nothing any more. All that was missed while no ticks came happens in the
order of time once they do: stops and targets that were passed meanwhile are met then, at those ticks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from infra.clock import Clock
from infra.errors import Refused
from infra.market_clock import MarketClockWriter
from producers.clocks import ServerClock
from producers.judge import AHEAD_MS
from producers.terminal.live_source import LiveSource, tail_rows
from producers.terminal.market import Market
from producers.terminal.pace import Pace
from producers.terminal.symbols import SymbolDefinition
from producers.terminal.ticks import TickHistory, in_order
from schemas.quality import BROKEN

NEVER_US: Final = 253_402_300_799_000_000
"""9999-12-31: a live market has no last tick."""
MOST_TICKS: Final = 400_000
"""Of one symbol; once there are more, the older half is forgotten."""
_BEHIND_US: Final = 20_000


class LiveMarket(Market):
    """A market whose ticks come from a source, and have happened once they are there."""

    def __init__(
        self,
        symbols: Mapping[str, SymbolDefinition],
        histories: Mapping[str, TickHistory],
        clock: ServerClock,
        start_us: int,
        live: LiveSource,
    ) -> None:
        super().__init__(symbols, histories, clock, start_us, NEVER_US)
        self._live = live
        self._forgotten = 0

    @property
    def grows(self) -> bool:
        return True

    @property
    def connected(self) -> bool:
        return self._live.connected

    @property
    def trouble(self) -> tuple[str, ...]:
        return self._live.trouble

    @property
    def ticks(self) -> int:
        return super().ticks + self._forgotten

    def kept(self) -> dict[str, Any]:
        newest_ms = self._now_us // 1000 + AHEAD_MS
        return {"source": {name: tail_rows(own, newest_ms) for name, own in self.histories.items()}}

    def resume(self, at_us: int) -> None:
        """Stands at `at_us`; what the histories have was told before."""
        self._now_us = max(self.start_us, at_us)

    def _pass(self, until_us: int) -> None:
        if until_us <= self._now_us:
            return
        self._now_us = until_us
        moved: list[tuple[TickHistory, int]] = []
        for symbol, came in self._live.take().items():
            history, more = self.histories[symbol], in_order(came)
            places = history.insert(more)
            good = places[(more.quality & BROKEN) == 0]
            if len(good):
                # Good ones are none before the good ones that were there: all between the first and the last are new.
                history.play(int(good[0]))
                moved.append((history, int(good[-1]) + 1))
        self._happen(moved, until_us)
        for history in self.histories.values():
            history.play(history.ticks.size)
            if history.ticks.size > MOST_TICKS:
                self._forgotten += MOST_TICKS // 2
                history.forget(MOST_TICKS // 2)


class LivePace(Pace):
    """Market time is the machine's; nobody stops it. It never goes back: a machine's clock that was set back is waited
    for."""

    def __init__(self, clock: MarketClockWriter, now_us: int, machine: Clock) -> None:
        super().__init__(clock, max(now_us, machine.now_us()), NEVER_US)
        self._machine = machine

    def renew(self) -> None:
        now_us = self._machine.now_us()
        if now_us - self.now_us() > _BEHIND_US:
            self._set(now_us)
        else:
            super().renew()

    def set_speed(self, speed: float) -> None:
        if speed != 1:
            raise _live("played at another speed")

    def pause(self) -> None:
        raise _live("paused")

    def go_to(self, us: int) -> None:
        raise _live("moved")


def _live(what: str) -> Refused:
    return Refused(f"this market is live, it can't be {what}: `tickledger demo` plays one that can")
