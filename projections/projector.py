"""The projector: all topics into the database, each record exactly once.

A service, `python -P -m projections.projector`. Its positions are rows of the database that change in the transaction
which brings the records' rows; Kafka's consumer groups have no part in it. It may be killed at any moment.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import psycopg
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from infra import log
from infra.chain_follower import read_repairs
from infra.clock import Clock, Stopwatch, SystemClock
from infra.errors import HomeUnusable, NotReady, TickledgerError, Unreachable
from infra.kafka import (
    GATHERED,
    REQUEST_TIMEOUT_S,
    check_topics,
    new_consumer,
    new_producer,
    split_batch,
    take,
    unreachable,
)
from projections.accounts import AccountPartitions
from projections.batch import Batch
from projections.book import SERVICE, Book
from projections.database import address, explain
from projections.extents import Extents, extents
from projections.repairs import apply_repairs
from projections.store import Store
from schemas.catalogue import MAX_BLOCK_TICKS, partition_of
from schemas.chains import Position
from schemas.events import Alert, Repair
from schemas.integrity import KeyRing
from schemas.registry import encode

FETCH: Final = 200
_READ_AHEAD: Final = {**GATHERED, "queued.max.messages.kbytes": 16_384, "fetch.max.bytes": 8_388_608}
"""What is read ahead of the database at most: memory doesn't grow with what there is to read."""

POLL_S: Final = 0.05
MAX_AGE_S: Final = 0.2
"""A batch is written when nothing more comes for POLL_S, when it is full, or when it is so old."""

LIVE_AGE_S: Final = 0.03
LIVE_TICKS: Final = MAX_BLOCK_TICKS
"""One of fewer ticks, which is a live market's, is written when it is so old: its rows are waited for."""

BACK_OFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

_logger = log.get(__name__)


class WrongLog(TickledgerError):
    """The database was made from another log than the one that the broker has."""

    final = True


class Limited:
    """Warnings of a kind at most PER_MINUTE a minute; the next one after says how many were left out."""

    PER_MINUTE = 20

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._watch = Stopwatch()
        self._said: Counter[str] = Counter()

    def warning(self, event: str, **what: Any) -> None:
        """Logs it, or counts it as left out."""
        if self._watch.seconds() > 60:
            self._watch.restart()
            left_out = {name: n - self.PER_MINUTE for name, n in self._said.items() if n > self.PER_MINUTE}
            self._said.clear()
            if left_out:
                self._logger.warning("left out in the last minute", **left_out)
        self._said[event] += 1
        if self._said[event] <= self.PER_MINUTE:
            self._logger.warning(event, **what)


class Progress(NamedTuple):
    """What was written since the start of this projector, and what is left."""

    records: int
    ticks: int
    left: int


class Projector:
    """Projects the log at `bootstrap` into the database at `dsn`.

    `quiet` raises no alerts: for a rebuild, whose alerts are on the log already.
    """

    def __init__(self, dsn: str, bootstrap: str, keys: KeyRing, clock: Clock, *, quiet: bool = False) -> None:
        self._dsn, self._bootstrap, self._keys, self._clock = dsn, bootstrap, keys, clock
        self._quiet = quiet
        self._stop = threading.Event()
        self._producer: Producer | None = None
        self._noisy = Limited(_logger)
        self._records = self._ticks = 0

    def stop(self) -> None:
        """Makes `run` return after the batch in hand; from any thread or signal handler."""
        self._stop.set()

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Projects until `stop`, whatever happens to broker and database meanwhile; `ready` is called when reading
        begins. Raises Fenced, WrongLog, PasswordRefused or WrongShape, which no waiting cures."""
        failures = 0
        while not self._stop.is_set():
            before = self._records
            try:
                with Store(self._dsn) as store:
                    self._project(store, None, ready, lambda _: None)
            except (Unreachable, NotReady, HomeUnusable, psycopg.Error, KafkaException) as error:
                failures = 0 if self._records > before else failures + 1
                pause = BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)]
                self._noisy.warning("starts again from its marks", reason=self._reason(error), pause_s=pause)
                self._stop.wait(pause)

    def run_to_end(self, progress: Callable[[Progress], None] = lambda _: None) -> Progress:
        """Projects what is on the log now and returns. Raises what `run` raises, Unreachable and NotReady."""
        try:
            with Store(self._dsn) as store:
                return self.fold_to_end(store, progress)
        except psycopg.Error as error:
            raise explain(error, self._dsn) from error

    def fold_to_end(self, store: Store, progress: Callable[[Progress], None] = lambda _: None) -> Progress:
        """As `run_to_end`, in a session that is there already."""
        targets = extents(self._bootstrap)
        self._project(store, targets, lambda: None, progress)
        return Progress(self._records, self._ticks, 0)

    def _project(
        self,
        store: Store,
        targets: Extents | None,
        ready: Callable[[], None],
        progress: Callable[[Progress], None],
    ) -> None:
        check_topics(self._bootstrap)
        repairs = read_repairs(self._bootstrap, self._keys)
        accounts = AccountPartitions(self._bootstrap, self._keys)
        book = store.load(Book(self._keys, self._clock, accounts, quiet=self._quiet))
        self._repair(store, book, repairs)
        consumer = new_consumer(self._bootstrap, **_READ_AHEAD)
        try:
            self._assign(consumer, store, book)
            ready()
            batch, age = book.batch(), Stopwatch()
            while not self._stop.is_set() and (targets is None or _left(book, targets)):
                messages = take(consumer, FETCH, POLL_S)
                records, _ = split_batch(messages)
                for message in records:
                    if batch.full:
                        batch = self._write(store, book, batch)
                        age.restart()
                    position = Position(str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))
                    book.take(batch, position, message.key(), message.value())
                oldest_s = LIVE_AGE_S if batch.ticks < LIVE_TICKS else MAX_AGE_S
                if batch.records and (not messages or age.seconds() > oldest_s):
                    batch = self._write(store, book, batch)
                    progress(Progress(self._records, self._ticks, _left(book, targets or {})))
                if not batch.records:
                    age.restart()
            if batch.records:
                self._write(store, book, batch)
                progress(Progress(self._records, self._ticks, _left(book, targets or {})))
        finally:
            consumer.close()

    def _assign(self, consumer: Consumer, store: Store, book: Book) -> None:
        """Reads every partition from its mark on. Raises WrongLog if the marks can't be of this log."""
        try:
            cluster_id = consumer.list_topics(timeout=REQUEST_TIMEOUT_S).cluster_id or ""
        except KafkaException as error:
            raise unreachable(error) from error
        known = store.cluster_id()
        way_out = "rebuild it from this log (tickledger rebuild), or take the broker or database that belong together"
        if known is None:
            store.set_cluster_id(cluster_id)
        elif known != cluster_id:
            raise WrongLog(
                f"the database at {address(self._dsn)} was made from the log of Kafka cluster {known}, and the broker "
                f"at {self._bootstrap} is cluster {cluster_id}: {way_out}"
            )
        assignment = []
        for (topic, partition), (low, high) in extents(self._bootstrap).items():
            mark = book.offsets.get((topic, partition), low)
            if not low <= mark <= high:
                raise WrongLog(
                    f"the database at {address(self._dsn)} stands at offset {mark} of {topic}/{partition}, and the log "
                    f"has {low} to {high}: its end or start was lost. Bring the log back, or {way_out}"
                )
            assignment.append(TopicPartition(topic, partition, mark))
        consumer.assign(assignment)

    def _write(self, store: Store, book: Book, batch: Batch) -> Batch:
        self._send(batch.raised)
        store.write(batch, book)
        self._records += batch.records
        self._ticks += batch.ticks
        if book.new_repairs:
            new, book.new_repairs = book.new_repairs, []
            self._repair(store, book, new)
        return book.batch()

    def _repair(self, store: Store, book: Book, repairs: list[Repair]) -> None:
        for repair in apply_repairs(store, book, repairs, self._bootstrap, self._keys, self._send):
            _logger.info("chain goes on after a repair", chain=repair.chain, topic=repair.topic, offset=repair.offset)

    def _send(self, alerts: list[Alert]) -> None:
        """Delivers the alerts before their batch is committed: the other way round a kill between would lose them."""
        if not alerts or self._quiet:
            return
        if self._producer is None:
            self._producer = new_producer(self._bootstrap)
        lost: list[str] = []

        def delivered(error: object, _: object) -> None:
            if error is not None:
                lost.append(str(error))

        partition = partition_of("alerts", SERVICE)
        for alert in alerts:
            self._noisy.warning("alert", alert_id=alert.alert_id, subject=alert.subject, message=alert.message)
            value = encode(alert)
            self._producer.produce("alerts", value, SERVICE.encode(), partition=partition, on_delivery=delivered)
        while self._producer.flush(1.0):
            if self._stop.is_set():
                raise NotReady("ended before its alerts were delivered: the next start raises them again")
        if lost:
            raise Unreachable(f"the broker at {self._bootstrap} refused an alert: {lost[0]}")

    def _reason(self, error: Exception) -> str:
        return str(explain(error, self._dsn)) if isinstance(error, psycopg.Error) else str(error)


def _left(book: Book, targets: Extents) -> int:
    """Records up to the targets that are not judged yet."""
    return sum(max(0, end.high - max(end.low, book.offsets.get(p, 0))) for p, end in targets.items())


def main() -> int:
    """The service of this home, until SIGTERM or SIGINT."""
    from infra.keys import load_or_create
    from infra.pauses import shorten_pauses
    from infra.settings import load_settings
    from infra.stack.addresses import addresses
    from infra.stack.services import announce, exit_code_of

    try:
        settings = load_settings()
        log.configure(SERVICE, settings.log.level)
        where = addresses(settings)
        projector = Projector(where.postgres_dsn, where.kafka, load_or_create(settings), SystemClock())

        def end(*_: Any) -> None:
            projector.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        shorten_pauses()
        projector.run(lambda: announce(settings.home, SERVICE))
    except TickledgerError as error:
        _logger.error("ends", reason=str(error))
        return exit_code_of(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
