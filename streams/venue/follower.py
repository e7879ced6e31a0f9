"""Ticks in columns to the engine: which of them is the next that matters, and what it does."""

from __future__ import annotations

from typing import Final

from agents.money import Quote
from schemas.quality import BROKEN, Quality
from streams.venue.book import Event
from streams.venue.engine import Engine
from streams.venue.path import Tick, take_tick
from streams.venue.watch import Columns, scan

_BROKEN: Final = int(BROKEN)
_PATH: Final = int(Quality.SYNTHETIC)
_NO_PATH: Final = int(Quality.SYNTHETIC_OPEN)


class Follower:
    """Goes through the ticks of an engine's listings."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # The quotes before the newest told: the newest may be the very tick that is applied next.
        self._former: dict[str, Quote] = {}

    def quote(self, listing: str, quote: Quote) -> None:
        """The newest quote of a listing."""
        newest = self.engine.ledger.quotes.get(listing)
        if newest is not None and newest.n != quote.n:
            self._former[listing] = newest
        self.engine.quote(listing, quote)

    def find(self, listing: str, columns: Columns, start: int, end: int) -> int:
        """Index of the first good tick in [start, end) at which something may happen; `end` if there is none."""
        engine = self.engine
        due = engine.due_ms(listing, columns.server_offset_s)
        return scan(columns, start, end, engine.watch(listing), due)

    def apply(self, listing: str, columns: Columns, index: int) -> list[Event]:
        """What the tick does. All ticks of the listing before it have been looked at or can't matter."""
        quote = quote_at(columns, index)
        before = last_quote(columns, 0, index)
        if before is None:
            before = self.engine.ledger.quotes.get(listing)
            if before is not None and before.n == quote.n:
                before = self._former.get(listing)
        continuous = int(columns.quality[index]) & (_PATH | _NO_PATH) == _PATH
        return take_tick(self.engine, Tick(listing, quote, columns.server_offset_s, continuous, before))


def quote_at(columns: Columns, index: int) -> Quote:
    """The quote that a tick is."""
    return Quote(
        float(columns.bid[index]), float(columns.ask[index]), columns.first_n + index, int(columns.time_ms[index])
    )


def last_quote(columns: Columns, start: int, end: int) -> Quote | None:
    """The last good tick in [start, end)."""
    for index in range(end - 1, start - 1, -1):
        if int(columns.quality[index]) & _BROKEN == 0:
            return quote_at(columns, index)
    return None
