"""What the database has, counted in it by SQL."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import psycopg

from api.demo.counts import ListingCounts, LogCounts
from infra.errors import TickledgerError
from projections.database import connect, explain
from projections.extents import extents

EVERY_S: Final = 0.4


@dataclass(frozen=True, slots=True)
class InDatabase:
    """Rows of the database; `records`: of all topics that were projected, `left`: how many are still to be."""

    counts: LogCounts = field(default_factory=LogCounts)
    records: int = 0
    odd: int = 0
    """Records of them that are void, forged or behind a stop."""
    left: int = 0


class DatabaseWatch:
    """Looks into the database now and then, in a thread of its own, until it is left."""

    def __init__(self, dsn: str, bootstrap: str, listings: list[str]) -> None:
        self._dsn, self._bootstrap, self._listings = dsn, bootstrap, listings
        self._seen = InDatabase()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="database watch", daemon=True)

    def __enter__(self) -> Self:
        self.refresh()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def seen(self) -> InDatabase:
        """What was found last, of the listings watched."""
        return self._seen

    def refresh(self) -> None:
        """Looks at once. Raises what a connection raises."""
        self._seen = self.look(self._listings)

    def look(self, listings: list[str] | None = None) -> InDatabase:
        """What is there now of these listings, or of all. Raises what a connection raises."""
        try:
            with connect(self._dsn, "tickledger demo") as connection:
                ids = connection.execute("select id, name from tickledger.listings").fetchall()
                wanted = {key: name for key, name in ids if listings is None or name in listings}
                found = {name: ListingCounts() for name in wanted.values()}
                for key, bits, count in connection.execute(_TICKS, (list(wanted),)).fetchall():
                    found[wanted[key]].judged += Counter({bits: count})
                for key, count in connection.execute(_BARS, (list(wanted),)).fetchall():
                    found[wanted[key]].bars = count
                for key, count in connection.execute(_SIGNALS, (list(wanted),)).fetchall():
                    found[wanted[key]].signals = count
                marks = connection.execute(_MARKS).fetchall()
        except psycopg.Error as error:
            raise explain(error, self._dsn) from error
        next_offsets = {(topic, partition): offset for topic, partition, offset, _, _ in marks}
        left = sum(end.high - next_offsets.get(at, end.low) for at, end in extents(self._bootstrap).items())
        return InDatabase(LogCounts(found), sum(m[3] for m in marks), sum(m[4] for m in marks), max(0, left))

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            try:
                self._seen = self.look(self._listings)
            except TickledgerError:
                # It comes back, or the wait for what is to arrive says what is wrong.
                continue


_TICKS: Final = """
select listing_id, quality & 255, count(*) from tickledger.ticks where listing_id = any(%s) group by 1, 2
"""
_BARS: Final = "select listing_id, count(*) from tickledger.bars where listing_id = any(%s) group by 1"
_SIGNALS: Final = "select listing_id, count(*) from tickledger.signals where listing_id = any(%s) group by 1"
_MARKS: Final = """
select topic, partition, next_offset, taken + seen + void + forged + stopped + ahead + repaired,
    void + forged + stopped + ahead
from tickledger.marks
"""
