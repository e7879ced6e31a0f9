"""The stages of the way from file to database, and what each has: a row a stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from api.demo.counts import ListingCounts, by_reason
from api.demo.database import InDatabase
from api.demo.importing import Importing
from api.demo.topics import OnTopics


@dataclass(slots=True)
class Pace:
    """Ticks a second of a stage, from the moment at which its count begins to move until it last moved."""

    _first: tuple[float, int] | None = None
    _last: tuple[float, int] | None = None
    _before: tuple[float, int] | None = None

    def at(self, now_s: float, count: int) -> float | None:
        """The pace when `count` is reached at `now_s`; None while nothing has moved."""
        if self._before is not None and count > self._before[1]:
            self._first = self._first or self._before
            self._last = (now_s, count)
        self._before = (now_s, count)
        if self._first is None or self._last is None or self._last[0] <= self._first[0]:
            return None
        return (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])


@dataclass(frozen=True, slots=True)
class Row:
    """One stage. None: it has no such number. `lag`: what is before it and not through, in `lag_of`."""

    name: str
    records_in: int | None = None
    ticks_in: int | None = None
    ticks: int | None = None
    bars: int | None = None
    signals: int | None = None
    refused: int | None = None
    reasons: Counter[str] | None = None
    pace: float | None = None
    lag: int | None = None
    lag_of: str = "ticks"


@dataclass(slots=True)
class Stages:
    """Makes the rows; keeps the pace of each."""

    listings: Sequence[str]
    _paces: dict[str, Pace] = field(default_factory=dict)

    def rows(self, now_s: float, importing: Importing, topics: OnTopics, database: InDatabase) -> list[Row]:
        """The stages as they are at `now_s`, of the demo's listings."""
        here = [topics.counts.listings.get(name, ListingCounts()) for name in self.listings]
        there = [database.counts.listings.get(name, ListingCounts()) for name in self.listings]
        on_topic, in_database = sum(one.ticks for one in here), sum(one.ticks for one in there)
        folded = sum(topics.folded(name) for name in self.listings)

        def pace(stage: str, count: int) -> float | None:
            return self._paces.setdefault(stage, Pace()).at(now_s, count)

        return [
            Row(
                "importer",
                records_in=len(importing.files),
                ticks_in=importing.rows,
                ticks=importing.ticks,
                refused=importing.refused if importing.new else None,
                reasons=importing.reasons if importing.new else None,
                pace=pace("importer", importing.new),
                lag=sum(file.rows for file in importing.files) - importing.ticks,
            ),
            Row(
                "ticks",
                records_in=topics.blocks,
                ticks_in=on_topic,
                ticks=on_topic,
                refused=sum(one.refused for one in here),
                reasons=_reasons(here),
                pace=pace("ticks", on_topic),
            ),
            Row(
                "worker",
                ticks_in=folded,
                bars=sum(topics.sent("bars", name) for name in self.listings),
                signals=sum(topics.sent("signals", name) for name in self.listings),
                pace=pace("worker", folded),
                lag=max(0, on_topic - folded),
            ),
            Row(
                "bars, signals",
                records_in=topics.derived,
                bars=sum(one.bars for one in here),
                signals=sum(one.signals for one in here),
            ),
            Row(
                "database",
                records_in=database.records,
                ticks_in=in_database,
                ticks=in_database,
                bars=sum(one.bars for one in there),
                signals=sum(one.signals for one in there),
                refused=sum(one.refused for one in there),
                reasons=_reasons(there),
                pace=pace("database", in_database),
                lag=database.left,
                lag_of="records",
            ),
        ]


def _reasons(listings: list[ListingCounts]) -> Counter[str]:
    return sum((by_reason(one.judged) for one in listings), Counter())
