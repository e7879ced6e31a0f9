"""The simulated market: symbols, their ticks, and how far it has been played.

Everything happens in the order of time: ticks, then the requests that arrive at that very time. Where an account has
something open in several symbols, their ticks are handed to the trade server in one order; the outcome doesn't depend
on how often anybody looks.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np

from agents.money import Quote
from producers.clocks import ServerClock
from producers.terminal.symbols import SymbolDefinition
from producers.terminal.ticks import NEVER_MS, TickHistory
from streams.venue.watch import Columns


class Trading(Protocol):
    """What the market tells a trade server."""

    def on_ticks(self, symbol: str, columns: Columns, start: int, end: int) -> None: ...

    def watches(self, symbol: str) -> bool: ...


class Source(Protocol):
    """Makes ticks ahead of market time; recorded ones are there from the start."""

    def feed(self, histories: Mapping[str, TickHistory], until_us: int) -> None:
        """Lets the histories grow so that they reach beyond `until_us`."""
        ...


class _Arrival(NamedTuple):
    at_us: int
    number: int
    act: Callable[[], None]


class Market:
    """A market on a server's clock; satisfies `producers.terminal.market_view.MarketView`. Not thread-safe."""

    def __init__(
        self,
        symbols: Mapping[str, SymbolDefinition],
        histories: Mapping[str, TickHistory],
        clock: ServerClock,
        start_us: int,
        end_us: int,
        source: Source | None = None,
    ) -> None:
        """`start_us`: where it starts. `end_us`: when its last tick happens."""
        self._symbols, self.histories, self.clock = dict(symbols), dict(histories), clock
        self.start_us, self.end_us = start_us, end_us
        self.watched = dict.fromkeys(self._symbols)
        """Symbols in the market watch, in the order of their selection."""
        self._source = source
        self._now_us = start_us
        self._trading: Trading | None = None
        self._arrivals: list[_Arrival] = []
        self._numbered = 0

    @property
    def grows(self) -> bool:
        """Whether its ticks are made as they happen."""
        return self._source is not None

    @property
    def connected(self) -> bool:
        """Whether its server gets quotes."""
        return True

    @property
    def trouble(self) -> tuple[str, ...]:
        """What is wrong with its quotes, in sentences."""
        return ()

    def kept(self) -> dict[str, Any]:
        """What a restart needs to know of it beside its time: JSON."""
        return {}

    def attach(self, trading: Trading) -> None:
        """The trade server that ticks are told to from now on."""
        self._trading = trading

    # -- MarketView ----------------------------------------------------------------------------------------------------

    @property
    def symbols(self) -> Mapping[str, SymbolDefinition]:
        return self._symbols

    def now_us(self) -> int:
        """All up to here has happened."""
        return self._now_us

    def offset_s(self, time_ms: int) -> int:
        return int(self.clock.offsets_s(np.array([time_ms], np.int64))[0])

    def quote(self, symbol: str) -> Quote | None:
        history = self.histories.get(symbol)
        return None if history is None else history.quote()

    def is_open(self, symbol: str, time_ms: int) -> bool:
        return self._symbols[symbol].is_open((time_ms // 1000 + self.offset_s(time_ms)) // 60)

    def selected(self, symbol: str) -> bool:
        return symbol in self.watched

    # -- playing -------------------------------------------------------------------------------------------------------

    @property
    def ticks(self) -> int:
        """How many have happened."""
        return sum(history.played for history in self.histories.values())

    @property
    def ended(self) -> bool:
        """Whether the last tick has happened."""
        return self._now_us >= self.end_us

    def at(self, at_us: int, act: Callable[[], None]) -> None:
        """`act` is called once the market is at `at_us`: after the ticks of that time, before later ones."""
        self._numbered += 1
        heapq.heappush(self._arrivals, _Arrival(at_us, self._numbered, act))

    def arrive(self) -> None:
        """What is on its way to the server arrives now."""
        while self._arrivals:
            heapq.heappop(self._arrivals).act()

    def play(self, until_us: int) -> None:
        """Everything up to `until_us` happens; nothing if that has been already."""
        while self._arrivals and self._arrivals[0].at_us <= until_us:
            arrival = heapq.heappop(self._arrivals)
            self._pass(arrival.at_us)
            arrival.act()
        self._pass(until_us)

    def resume(self, at_us: int) -> None:
        """Stands at `at_us`, as after a restart: all ticks before it were told to the trade server already."""
        self._feed(at_us)
        for history in self.histories.values():
            history.play(history.end(at_us // 1000))
        self._now_us = max(self.start_us, at_us)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _feed(self, until_us: int) -> None:
        if self._source is not None:
            self._source.feed(self.histories, until_us)

    def _pass(self, until_us: int) -> None:
        if until_us <= self._now_us:
            return
        self._feed(until_us)
        until_ms = until_us // 1000
        self._happen([(h, h.end(until_ms)) for h in self.histories.values() if h.next_ms <= until_ms], until_us)
        self._now_us = until_us

    def _happen(self, moved: list[tuple[TickHistory, int]], until_us: int) -> None:
        """The ticks of each of these histories up to an end happen, the trade server's in the order of time."""
        trading = self._trading
        told = [] if trading is None else [(h, end) for h, end in moved if trading.watches(h.symbol)]
        if trading is not None and told:
            quiet = [(h, end) for h, end in moved if not trading.watches(h.symbol)]
            for history, start, end in _runs(told):
                # Time goes with the ticks: what they do is stamped with it, and asks for quotes of that time.
                self._now_us = min(until_us, max(self._now_us, int(history.ticks.time_ms[end - 1]) * 1000))
                now_ms = self._now_us // 1000
                for other, _ in quiet:
                    if other.next_ms <= now_ms:
                        other.play(other.end(now_ms))
                history.play(end)
                for columns, first, last in history.columns(start, end):
                    trading.on_ticks(history.symbol, columns, first, last)
        for history, end in moved:
            history.play(end)


def _runs(windows: list[tuple[TickHistory, int]]) -> Iterator[tuple[TickHistory, int, int]]:
    """The ticks still to happen up to each end, in the order of time, as runs of one symbol."""
    if len(windows) == 1:
        history, end = windows[0]
        yield history, history.played, end
        return
    starts = [history.played for history, _ in windows]
    times = [history.ticks.time_ms[start:end] for start, (history, end) in zip(starts, windows, strict=True)]
    whose = np.repeat(np.arange(len(windows)), [len(own) for own in times])
    whose = whose[np.argsort(np.concatenate(times), kind="stable")]
    cuts = [0, *(np.flatnonzero(np.diff(whose)) + 1).tolist(), len(whose)]
    for at, until in pairwise(cuts):
        place = int(whose[at])
        history = windows[place][0]
        yield history, starts[place], starts[place] + until - at
        starts[place] += until - at


def bounds_us(histories: Mapping[str, TickHistory], lead_us: int) -> tuple[int, int]:
    """(where a market of these ticks starts, when its last tick happens)."""
    first = min((history.next_ms for history in histories.values()), default=NEVER_MS)
    last = max((int(h.ticks.time_ms[-1]) for h in histories.values() if h.ticks.size), default=first)
    return first * 1000 - lead_us, last * 1000
