"""One symbol's ticks at the simulated server: those that have happened, and those still to come.

All columns are there from the start (or grow ahead of market time); `played` says how many ticks have happened. A
terminal serves rows on the server's clock, in whole seconds; the block of `CACHED_ROWS` around the newest is kept made,
as the cache of a terminal, which has the last 4,096 ticks at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agents.money import Quote
from producers.clocks import ServerClock
from producers.mt5 import TICK_DTYPE
from producers.terminal.failure import invalid_params
from schemas.quality import BROKEN
from streams.venue.watch import Market as Columns

Rows: TypeAlias = NDArray[Any]
"""Rows of `TICK_DTYPE`."""
CACHED_ROWS: Final = 4_096
NEVER_MS: Final = 2**62
_OTHER_BIT: Final = 0x80
_BID_ASK: Final = 6
_DEAL: Final = 8 | 16 | 32 | 64


class Ticks(NamedTuple):
    """Ticks of one symbol in the order of time: time_ms int64[n], UTC; bid, ask, last, volume float64[n]; flags and
    quality int32[n]."""

    time_ms: NDArray[np.int64]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    last: NDArray[np.float64]
    volume: NDArray[np.float64]
    flags: NDArray[np.int32]
    quality: NDArray[np.int32]

    @property
    def size(self) -> int:
        return len(self.time_ms)

    @classmethod
    def of_quotes(cls, time_ms: NDArray[np.int64], bid: NDArray[np.float64], ask: NDArray[np.float64]) -> Ticks:
        """Quotes without deals, all good."""
        n = len(time_ms)
        flags = np.full(n, _BID_ASK, np.int32)
        return cls(time_ms, bid, ask, np.zeros(n), np.zeros(n), flags, np.zeros(n, np.int32))

    def part(self, start: int, end: int) -> Ticks:
        return Ticks._make(column[start:end] for column in self)

    def taken(self, index: NDArray[np.int64]) -> Ticks:
        """The rows of these places."""
        return Ticks._make(column[index] for column in self)


NONE: Final = Ticks.of_quotes(np.empty(0, np.int64), np.empty(0), np.empty(0))
"""No ticks."""


def joined(parts: list[Ticks]) -> Ticks:
    """One after the other."""
    return parts[0] if len(parts) == 1 else Ticks._make(map(np.concatenate, zip(*parts, strict=True)))


class TickHistory:
    """A symbol's ticks, played so far and to come."""

    def __init__(self, symbol: str, ticks: Ticks, clock: ServerClock, *, other_bit: bool = True) -> None:
        """Ticks are put in the order of time, as a server's history is; equal times stay as they are.

        `other_bit`: flags have now and then the bit that a real terminal's have; False where they come from one.
        """
        self.symbol, self.clock = symbol, clock
        self.played = 0
        """How many have happened."""
        self.next_ms = NEVER_MS
        """When the next one happens, UTC; `NEVER_MS` if none is left."""
        self.revision = 0
        """Counts changes of what was there, other than growing at its end."""
        self._other_bit = other_bit
        self._ticks: Ticks
        self._room: tuple[NDArray[Any], ...]
        """The columns with room behind the ticks."""
        self._stamps: NDArray[np.int64]
        """Times on the server's clock, in the same room."""
        self._cached: tuple[int, Rows]
        self._cuts: list[tuple[int, int]]
        """(first tick, seconds): where the server's offset from UTC changes."""
        self._hold(in_order(ticks))

    @property
    def ticks(self) -> Ticks:
        """All of them, to come as well."""
        return self._ticks

    def end(self, until_ms: int) -> int:
        """How many have happened once market time is `until_ms`."""
        if until_ms < self.next_ms:
            return self.played
        return self.played + int(self._ticks.time_ms[self.played :].searchsorted(until_ms, "right"))

    def play(self, end: int) -> None:
        """The ticks before `end` have happened."""
        self.played = end
        self.next_ms = int(self._ticks.time_ms[end]) if end < self._ticks.size else NEVER_MS

    def columns(self, start: int, end: int) -> Iterator[tuple[Columns, int, int]]:
        """Ticks [start, end) for the matching engine: columns of one offset each, with the places in them."""
        cuts = self._cuts
        for (at, offset_s), (behind, _) in zip(cuts, [*cuts[1:], (self._ticks.size, 0)], strict=True):
            first, last = max(start, at), min(end, behind)
            if first < last:
                own = self._ticks.part(at, behind)
                yield Columns(at, offset_s, own.time_ms, own.bid, own.ask, own.quality), first - at, last - at

    def quote(self) -> Quote | None:
        """The newest good one that has happened."""
        ticks = self._ticks
        for n in range(self.played - 1, -1, -1):
            if not int(ticks.quality[n]) & BROKEN:
                return Quote(float(ticks.bid[n]), float(ticks.ask[n]), n, int(ticks.time_ms[n]))
        return None

    def grow(self, more: Ticks) -> None:
        """More to come, in the order of time and none before what is there; room for them is made ahead."""
        self._make_room(more.size)
        self._put(more, self._ticks.size)

    def insert(self, more: Ticks) -> NDArray[np.int64]:
        """More ticks where they belong by their time, each behind those of the same one; their places, int64[n].

        They are in the order of time. Whoever knows places behind the first of them has to look again.
        """
        size = self._ticks.size
        places = np.searchsorted(self._ticks.time_ms, more.time_ms, "right").astype(np.int64)
        first = int(places[0]) if more.size else size
        if first == size:
            self.grow(more)
        else:
            merged = in_order(joined([self._ticks.part(first, size), more]))
            self._make_room(more.size)
            self._cuts = [cut for cut in self._cuts if cut[0] < first]
            self._cached = (0, np.empty(0, TICK_DTYPE))
            self._put(merged, first)
            self.revision += 1
        return places + np.arange(more.size)

    def forget(self, count: int) -> None:
        """The oldest ticks, that many, are gone; all that are left keep their order."""
        left, played = self._ticks.part(count, self._ticks.size), self.played - count
        self.played = 0
        self._hold(left)
        self.play(played)
        self.revision += 1

    def replace_rest(self, rest: Ticks) -> None:
        """Other ticks to come, each later than market time."""
        self._hold(joined([self._ticks.part(0, self.played), in_order(rest)]))

    # -- as a terminal serves it ---------------------------------------------------------------------------------------

    def rows(self, start: int, end: int) -> Rows:
        """Ticks [start, end) as `copy_ticks_*` gives them; a copy."""
        at, cached = self._cached
        if not at <= start <= end <= at + len(cached):
            if end - start > CACHED_ROWS:
                return self._made(start, end)
            at = max(0, min(start, self.played - CACHED_ROWS))
            cached = self._made(at, min(max(end, self.played) + CACHED_ROWS, self._ticks.size))
            self._cached = at, cached
        return cached[start - at : end - at].copy()

    def at_or_after(self, server_ms: int) -> int:
        """The place of the first tick from a time of the server's clock on."""
        return int(self._search_ms.searchsorted(server_ms, "left"))

    def after(self, server_ms: int) -> int:
        """The place behind the last tick up to a time of the server's clock."""
        return int(self._search_ms.searchsorted(server_ms, "right"))

    # -- inside --------------------------------------------------------------------------------------------------------

    def _hold(self, ticks: Ticks) -> None:
        self._room = tuple(map(np.ascontiguousarray, ticks))
        self._stamps = np.empty(ticks.size, np.int64)
        self._cuts = []
        self._cached = (0, np.empty(0, TICK_DTYPE))
        self._put(ticks, 0)

    def _make_room(self, more: int) -> None:
        size = self._ticks.size
        needed = size + more
        if needed > len(self._stamps):
            self._room = tuple(_roomier(column, size, 2 * needed) for column in self._room)
            self._stamps = _roomier(self._stamps, size, 2 * needed)

    def _put(self, more: Ticks, at: int) -> None:
        """Into the room, which is there, from `at` on."""
        end = at + more.size
        for column, new in zip(self._room, more, strict=True):
            column[at:end] = new
        offsets = self.clock.offsets_s(more.time_ms)
        self._stamps[at:end] = more.time_ms + offsets.astype(np.int64) * 1000
        changes = np.flatnonzero(np.diff(offsets, prepend=self._cuts[-1][1] if self._cuts else -(2**30)))
        self._cuts += [(at + place, int(offsets[place])) for place in changes.tolist()]
        self._ticks = Ticks._make(column[:end] for column in self._room)
        # Where the server's clock is set back its stamps go back too: what is found then is the later pass.
        stamps = self._stamps[:end]
        self._search_ms = stamps if len(self._cuts) <= 1 else np.maximum.accumulate(stamps)
        self.play(self.played)

    def _made(self, start: int, end: int) -> Rows:
        ticks, stamps = self._ticks.part(start, end), self._stamps[start:end]
        rows = np.empty(len(stamps), TICK_DTYPE)
        rows["time"] = stamps // 1000
        rows["bid"], rows["ask"], rows["last"] = ticks.bid, ticks.ask, ticks.last
        rows["volume"] = rows["volume_real"] = ticks.volume
        rows["time_msc"] = stamps
        rows["flags"] = ticks.flags
        if self._other_bit:
            # The real one sets a bit that no document explains, and not always.
            now_and_then = (np.arange(start, end) * 2_654_435_761 >> 8) & 3 == 0
            rows["flags"][now_and_then] |= _OTHER_BIT
        return rows


def wanted(rows: Rows, flags: int) -> Rows:
    """The rows that `COPY_TICKS_ALL`, `_INFO` or `_TRADE` asks for. Raises TerminalFailure for other flags."""
    if flags == -1:
        return rows
    if flags not in (1, 2):
        raise invalid_params()
    found: Rows = rows[(rows["flags"] & (_BID_ASK if flags == 1 else _DEAL)) != 0]
    return found


def in_order(ticks: Ticks) -> Ticks:
    """In the order of time; equal times stay as they are."""
    if bool(np.all(ticks.time_ms[1:] >= ticks.time_ms[:-1])):
        return ticks
    return ticks.taken(np.argsort(ticks.time_ms, kind="stable"))


def _roomier(column: NDArray[Any], size: int, room: int) -> NDArray[Any]:
    made = np.empty(room, column.dtype)
    made[:size] = column[:size]
    return made
