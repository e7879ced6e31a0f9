"""Who watches a live stack from outside: when a record can be read from a topic, and a tick's row from the database.

Neither touches a service. Both note the machine's monotonic clock, which the market clock's file relates to market
time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from confluent_kafka import Consumer, TopicPartition

from infra.kafka import new_consumer
from infra.stack.home import Home
from infra.stack.services import running
from projections.database import connect
from schemas.catalogue import TOPICS

LOOK_S: Final = 0.01
"""Between two looks at the database."""
_WAIT_S: Final = 0.1
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class Arrival(NamedTuple):
    """A record as a reader got it, at `mono_ns` of CLOCK_MONOTONIC."""

    mono_ns: int
    topic: str
    value: bytes


class TopicProbe:
    """Reads topics from their starts, record by record, in a thread of its own, until it is left."""

    def __init__(self, bootstrap: str, partitions: Mapping[str, range]) -> None:
        self.arrivals: list[Arrival] = []
        self._consumer: Consumer = new_consumer(bootstrap, **{"enable.partition.eof": False})
        self._consumer.assign([TopicPartition(topic, p, 0) for topic, own in partitions.items() for p in own])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="topics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            message = self._consumer.poll(_WAIT_S)
            if message is not None and message.error() is None:
                self.arrivals.append(Arrival(time.monotonic_ns(), message.topic() or "", message.value() or b""))


class RowProbe:
    """Looks how far each partition of `ticks` is in the database, in a thread of its own, until it is left.

    The projector's marks change in the transaction that brings the rows, so a mark that can be read says that the rows
    before it can be.
    """

    def __init__(self, dsn: str) -> None:
        self.seen: dict[int, list[tuple[int, int]]] = {p: [] for p in range(TOPICS["ticks"].partitions)}
        """Of each partition: (monotonic ns, offset before which all rows are there), each time that it moved."""
        self._dsn = dsn
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rows", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with connect(self._dsn, "tickledger bench live") as connection:
            while not self._stop.wait(LOOK_S):
                rows = connection.execute(_MARKS).fetchall()
                now = time.monotonic_ns()
                for partition, offset in rows:
                    moves = self.seen[partition]
                    if not moves or moves[-1][1] < offset:
                        moves.append((now, offset))


def cpu_seconds(home: Path, names: list[str]) -> dict[str, float]:
    """Processor seconds so far of each service, its children included."""
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told: list[Any] = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(told[1])
            spent[int(entry.name)] = sum(map(int, told[11:15])) / _TICKS_PER_S
    found = {}
    for name in names:
        process = running(Home(home), name)
        pids = set() if process is None else {process.pid}
        for _ in range(3):
            pids |= {pid for pid, parent in parents.items() if parent in pids}
        found[name] = sum(spent.get(pid, 0.0) for pid in pids)
    return found


_MARKS: Final = "select partition, next_offset from tickledger.marks where topic = 'ticks'"
