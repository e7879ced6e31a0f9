"""What an account has done: orders that are no longer open, and deals, as rows of MetaTrader5's structures."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Final

from producers.terminal.groups import in_group
from producers.terminal.structures import Structure, TradeDeal, TradeOrder

Row = tuple[Any, ...]

_HOUR_S: Final = 3600


class Past:
    """Rows of one kind, in the order in which they came; times are whole seconds of the server's clock.

    A server's clock goes back an hour once a year: rows of that hour are out of order, and are found all the same.
    """

    def __init__(self, kind: type[Structure], time: str, ticket: str) -> None:
        names = kind.names()
        self._time, self._ticket = names.index(time), names.index(ticket)
        self._position, self._symbol = names.index("position_id"), names.index("symbol")
        self._rows: list[Row] = []
        self._times: list[int] = []
        self._texts: list[str] = []
        self._by_ticket: dict[int, list[Row]] = {}
        self._by_position: dict[int, list[Row]] = {}

    def add(self, row: Row) -> None:
        """The newest row."""
        self._rows.append(row)
        self._times.append(row[self._time])
        self._texts.append(json.dumps(row, separators=(",", ":")))
        self._by_ticket.setdefault(row[self._ticket], []).append(row)
        self._by_position.setdefault(row[self._position], []).append(row)

    def text(self) -> str:
        """All rows as JSON; each has been encoded once, when it came."""
        return f"[{','.join(self._texts)}]"

    def fill(self, rows: Sequence[Sequence[Any]]) -> None:
        """These rows and no others."""
        for kept in (self._rows, self._times, self._texts, self._by_ticket, self._by_position):
            kept.clear()
        for row in rows:
            self.add(tuple(row))

    def between(self, date_from: int, date_to: int) -> Iterator[Row]:
        """Rows of these seconds and those between."""
        start = bisect_left(self._times, date_from - _HOUR_S)
        end = bisect_right(self._times, date_to + _HOUR_S)
        return (row for row in self._rows[start:end] if date_from <= row[self._time] <= date_to)

    def get(
        self, date_from: int | None, date_to: int | None, ticket: int | None, position: int | None, group: str | None
    ) -> tuple[Row, ...]:
        """As MetaTrader5's calls ask: by ticket, by position, or by dates and symbols."""
        if ticket is not None:
            return tuple(self._by_ticket.get(ticket, ()))
        if position is not None:
            return tuple(self._by_position.get(position, ()))
        if date_from is None or date_to is None:
            return ()
        rows = self.between(date_from, date_to)
        return tuple(row for row in rows if group is None or in_group(group, row[self._symbol]))


def past_orders() -> Past:
    """Orders by the time at which they were done."""
    return Past(TradeOrder, "time_done", "ticket")


def past_deals() -> Past:
    """Deals; the ticket that they are asked for by is their order's."""
    return Past(TradeDeal, "time", "order")
