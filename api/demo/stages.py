"""The stages of the way from terminal to database, and what each has."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, NamedTuple, Self

import psycopg

from infra.errors import NotReady, TickledgerError
from producers.terminal.control import Control, MarketState
from projections.database import connect, explain
from projections.extents import extents

EVERY_S: Final = 1.0


class Row(NamedTuple):
    """One stage: what it has, and what is before it and not through."""

    name: str
    has: str
    lag: int = 0
    lag_of: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the market, the topics and the database."""

    market: MarketState | None = None
    records: Mapping[str, int] = field(default_factory=dict)
    """On each topic."""
    projected: Mapping[str, int] = field(default_factory=dict)
    """Of each topic, in the database; refused ones included."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Of these: forged, stopped or ahead."""
    ticks: int = 0
    """In the database, of all listings."""
    broken: int = 0
    """Of these, refused by the judge."""
    kinds: Mapping[str, int] = field(default_factory=dict)
    """Records of the account by kind, in the database."""
    bars: int = 0
    signals: int = 0

    @property
    def left(self) -> int:
        """Records of all topics that the database lacks."""
        return sum(max(0, count - self.projected.get(topic, 0)) for topic, count in self.records.items())

    def rows(self) -> list[Row]:
        """The stages in their order."""
        market, kinds, on = self.market, self.kinds, self.records
        played = 0 if market is None else market.ticks
        of = "" if market is None else f" of {market.ticks_in_all:,}"
        deals = kinds.get("Filled", 0) + kinds.get("PartiallyFilled", 0)
        return [
            Row("terminal", f"{played:,}{of} ticks, {0 if market is None else market.requests:,} requests"),
            Row(
                "recorder",
                f"{self.ticks:,} ticks in {on.get('ticks', 0):,} blocks, {self.broken:,} refused",
                max(0, played - self.ticks),
                "ticks",
            ),
            Row("worker", f"{self.bars:,} bars, {self.signals:,} signals"),
            Row("sequencer", f"{on.get('journal', 0):,} journal entries"),
            Row(
                "desk",
                f"{kinds.get('RiskDecision', 0):,} decisions, {kinds.get('Submitted', 0):,} orders, "
                f"{on.get('fills', 0):,} fills",
            ),
            Row("gateway", f"{on.get('executions', 0):,} executions, {deals:,} deals"),
            Row("database", f"{sum(self.projected.values()):,} records", self.left, "records"),
        ]


class Watch:
    """Looks now and then, in a thread of its own, until it is left."""

    def __init__(self, control: Control, bootstrap: str, dsn: str) -> None:
        self._control, self._bootstrap, self._dsn = control, bootstrap, dsn
        self._seen = Seen()
        self._stop = threading.Event()
        self._looking = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="stages", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def seen(self) -> Seen:
        """What was found last."""
        return self._seen

    def look(self) -> Seen:
        """What is there now. Raises NotReady and what a connection raises."""
        with self._looking:
            market = self._control.state()
            try:
                with connect(self._dsn, "tickledger demo") as connection:
                    marks = connection.execute(_MARKS).fetchall()
                    ticks, broken = connection.execute(_TICKS).fetchall()[0]
                    kinds: dict[str, int] = dict(connection.execute(_KINDS).fetchall())
                    bars, signals = connection.execute(_DERIVED).fetchall()[0]
            except psycopg.errors.UndefinedTable:
                return Seen(market)
            except psycopg.Error as error:
                raise explain(error, self._dsn) from error
            records: dict[str, int] = {}
            for (topic, _), ends in extents(self._bootstrap).items():
                records[topic] = records.get(topic, 0) + ends.high - ends.low
            self._seen = Seen(
                market,
                records,
                {topic: read for topic, read, _ in marks},
                {topic: refused for topic, _, refused in marks},
                ticks,
                broken,
                kinds,
                bars,
                signals,
            )
            return self._seen

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            try:
                self.look()
            except (TickledgerError, NotReady):
                # It comes back, or the wait for what is to arrive says what is wrong.
                continue


_MARKS: Final = """
select topic, sum(taken + seen + void + forged + stopped + ahead + repaired)::bigint,
    sum(forged + stopped + ahead)::bigint from tickledger.marks group by topic
"""
_TICKS: Final = "select count(*), count(*) filter (where quality & 255 <> 0) from tickledger.ticks"
_KINDS: Final = "select kind, count(*) from tickledger.account_records group by kind"
_DERIVED: Final = "select (select count(*) from tickledger.bars), (select count(*) from tickledger.signals)"
