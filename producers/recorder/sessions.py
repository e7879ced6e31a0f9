"""When a symbol trades, from the settings: the terminal's package tells no hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from infra.weekly_hours import weekly_hours
from schemas.configuration import SessionTable
from schemas.integrity import UNWRITTEN

OTHERS = "*"
"""In the settings: all symbols that have no hours of their own."""


class Hours:
    """The hours of each symbol, as `recorder.sessions` tells them."""

    def __init__(self, told: Mapping[str, str]) -> None:
        self._spans = {symbol: weekly_hours(text) for symbol, text in told.items()}

    def unused(self, symbols: Iterable[str]) -> list[str]:
        """Names that are none of the symbols."""
        return sorted(self._spans.keys() - {OTHERS, *symbols})

    def table(self, symbol: str, listing: str, now: SessionTable | None) -> SessionTable | None:
        """The SessionTable of a symbol, None if no hours are told; `now`: the one that holds."""
        spans = self._spans.get(symbol, self._spans.get(OTHERS))
        if spans is None:
            return None
        blank = SessionTable(listing=listing, from_minutes=(), to_minutes=(), **UNWRITTEN)
        starts, ends = tuple(start for start, _ in spans), tuple(end for _, end in spans)
        return replace(blank if now is None else now, from_minutes=starts, to_minutes=ends)


def table_of(listing: str, records: Iterable[object]) -> SessionTable | None:
    """The SessionTable that holds for `listing` by the records of `reference` in order; None if it has none."""
    found = [record for record in records if isinstance(record, SessionTable) and record.listing == listing]
    return found[-1] if found else None
