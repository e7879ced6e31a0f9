"""The log as it lies on the topics, counted record by record while it grows."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Final, NamedTuple, Self

from confluent_kafka import Message, TopicPartition

from api.demo.counts import ListingCounts, LogCounts
from infra.chain_follower import read_repairs
from infra.clock import Stopwatch
from infra.errors import NotReady, TickledgerError
from infra.kafka import REQUEST_TIMEOUT_S, new_consumer, split_batch, take
from projections.extents import extents
from schemas.accept import Verdict
from schemas.chains import Chains, Derivations
from schemas.events import Bar, Snapshot
from schemas.identity import split_operator
from schemas.integrity import KeyRing
from schemas.quality import BROKEN
from schemas.registry import UnreadableRecord, decode
from schemas.ticks import BlockKind, TickBlock

COUNTED: Final = ("ticks", "bars", "signals", "snapshots")
BATCH: Final = 200
WAIT_S: Final = 0.05
TAKEN: Final = (Verdict.TAKE, Verdict.REPAIRED)


class Quote(NamedTuple):
    """The newest good tick of a listing."""

    time_ms: int
    bid: float
    ask: float


class Fold(NamedTuple):
    """How far the worker says that one of its operators has folded a listing, and how many outputs it has sent."""

    n: int
    sent: int


@dataclass(slots=True)
class OnTopics:
    """What the topics have. `folds`: by operator and listing; `blocks`: DATA blocks."""

    counts: LogCounts = field(default_factory=LogCounts)
    blocks: int = 0
    derived: int = 0
    copies: int = 0
    odd: int = 0
    """Records of ticks, bars and signals that are not taken and no copies: void, forged or behind a stop."""
    quotes: dict[str, Quote] = field(default_factory=dict)
    folds: dict[tuple[str, str], Fold] = field(default_factory=dict)
    outputs: dict[tuple[str, str], int] = field(default_factory=dict)
    """Bars or signals taken, by operator and listing."""
    topic_of: dict[str, str] = field(default_factory=dict)
    """Where an operator's outputs were found."""

    def sent(self, topic: str, listing: str) -> int:
        """Outputs for the listing that the worker says it has sent to the topic."""
        folding = self.folding(listing).items()
        return sum(fold.sent for operator, fold in folding if self.topic_of.get(operator) == topic)

    def folding(self, listing: str) -> dict[str, Fold]:
        """The listing's operators that fold it now: of each instance the one activated last."""
        newest: dict[str, tuple[int, str]] = {}
        for operator, of in self.folds:
            if of == listing:
                instance, ref_no = split_operator(operator)
                newest[instance] = max((ref_no, operator), newest.get(instance, (0, operator)))
        return {operator: self.folds[operator, listing] for _, operator in newest.values()}

    def folded(self, listing: str) -> int:
        """Ticks of the listing that all its operators have folded."""
        return min((fold.n for fold in self.folding(listing).values()), default=0)


class TopicReader:
    """Reads the topics from their start, in a thread of its own, until it is left."""

    def __init__(self, bootstrap: str, keys: KeyRing) -> None:
        self._bootstrap, self._keys = bootstrap, keys
        self._chains = Chains("ticks", keys, read_repairs(bootstrap, keys))
        self._derivations = {topic: Derivations(topic, keys) for topic in ("bars", "signals")}
        self._state = OnTopics()
        self._next: dict[tuple[str, int], int] = {}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._error: TickledgerError | None = None
        self._thread = threading.Thread(target=self._run, name="topic reader", daemon=True)

    def __enter__(self) -> Self:
        self._next = {place: ends.low for place, ends in extents(self._bootstrap, COUNTED).items()}
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raises what the reading raised."""
        if self._error is not None:
            raise self._error

    def seen(self) -> OnTopics:
        """What was counted so far."""
        with self._lock:
            state = self._state
            listings = {name: replace(one, judged=one.judged.copy()) for name, one in state.counts.listings.items()}
            return replace(
                state,
                counts=LogCounts(listings),
                quotes=dict(state.quotes),
                folds=dict(state.folds),
                outputs=dict(state.outputs),
                topic_of=dict(state.topic_of),
            )

    def read_to_end(self) -> OnTopics:
        """What is on the topics now. Raises NotReady if the broker doesn't give it."""
        ends = extents(self._bootstrap, COUNTED)
        watch = Stopwatch()
        while any(self._next[place] < end.high for place, end in ends.items()):
            self.check()
            if watch.seconds() > REQUEST_TIMEOUT_S:
                raise NotReady(f"the broker at {self._bootstrap} didn't give all of its topics in time")
            self._stop.wait(0.02)
        return self.seen()

    def _run(self) -> None:
        try:
            consumer = new_consumer(self._bootstrap)
            try:
                consumer.assign([TopicPartition(*place, offset) for place, offset in self._next.items()])
                while not self._stop.is_set():
                    messages = take(consumer, BATCH, WAIT_S)
                    split_batch(messages)
                    with self._lock:
                        for message in messages:
                            self._pass(message)
            finally:
                consumer.close()
        except TickledgerError as error:
            self._error = error

    def _pass(self, message: Message) -> None:
        """Takes a record; an end of a partition says that nothing lies before it any more, removed records neither."""
        place = (message.topic() or "", message.partition() or 0)
        offset = message.offset() or 0
        if message.error() is None:
            self._take(*place, offset, message.key(), message.value())
            offset += 1
        self._next[place] = max(self._next[place], offset)

    def _take(self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None) -> None:
        if topic == "snapshots":
            self._snapshot(value)
            return
        reader = self._chains if topic == "ticks" else self._derivations[topic]
        judged = reader.judge(partition, offset, key, value)
        if judged.verdict is Verdict.SEEN:
            self._state.copies += 1
        elif judged.verdict not in TAKEN:
            self._state.odd += 1
        elif judged.verdict is Verdict.TAKE:
            record = judged.record
            counts = self._state.counts.listings.setdefault(record.listing, ListingCounts())
            if isinstance(record, TickBlock):
                self._block(counts, record)
                return
            self._state.derived += 1
            whose = (record.operator, record.listing)
            self._state.topic_of[record.operator] = topic
            self._state.outputs[whose] = self._state.outputs.get(whose, 0) + 1
            if isinstance(record, Bar):
                counts.bars += 1
            else:
                counts.signals += 1

    def _block(self, counts: ListingCounts, block: TickBlock) -> None:
        if block.kind != BlockKind.DATA:
            return
        self._state.blocks += 1
        counts.judge(block.quality)
        good = ((block.quality & BROKEN) == 0).nonzero()[0]
        if len(good):
            last = int(good[-1])
            quote = Quote(int(block.time_ms[last]), float(block.bid[last]), float(block.ask[last]))
            self._state.quotes[block.listing] = quote

    def _snapshot(self, value: bytes | None) -> None:
        try:
            record = decode(value) if value else None
        except UnreadableRecord:
            return
        if isinstance(record, Snapshot) and self._keys.holds("snapshots", record.key_id, value or b""):
            whose, fold = (record.operator, record.listing), Fold(record.n, record.out_seq)
            self._state.folds[whose] = max(fold, self._state.folds.get(whose, fold))
