"""Kafka clients as this log needs them, and its topics."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewTopic

from infra.errors import TickledgerError, Unreachable
from schemas.catalogue import TOPICS, Topic

REQUEST_TIMEOUT_S = 30.0
"""How long a request to the broker may take before it counts as unreachable."""

ATTEMPT_S: Final = 5.0
"""How long the answer to one that changes nothing is waited for before it is sent once more."""

TOPICS_TIMEOUT_S = 90.0
"""How long a broker may take to make hundreds of partitions: seconds, more where others have the processor."""

LINGER_MS = 5
"""How long a producer waits for more to put into a batch."""

GATHERED: Final = {"fetch.wait.max.ms": 20, "fetch.min.bytes": 65_536}
"""Of a consumer that need not have each record at once: one fetch for all that comes within 20 ms, not one for each."""

COMPRESSION, COMPRESSION_LEVEL = "zstd", 3
"""How producers compress batches."""

STALLED_S = 60.0
"""How long a writer waits for its own records before it says that the broker doesn't answer."""


class TopicsWrong(TickledgerError):
    """Topics of the log are missing on the cluster, or have other partition counts than the catalogue."""


class DeliveryFailed(TickledgerError):
    """The broker refused a record for good."""


class Ends(NamedTuple):
    """The offsets of a partition: `low` is the first that is kept, `high` the next to be written."""

    low: int
    high: int


def new_producer(bootstrap: str, **more: Any) -> Producer:
    """An idempotent producer: acks=all, no delivery time-out, a bounded queue, zstd.

    It has no partitioner of its own: pass `partition_of(topic, key)` with every record.
    """
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": 0,
            "linger.ms": LINGER_MS,
            "batch.size": 900_000,
            "compression.type": COMPRESSION,
            "compression.level": COMPRESSION_LEVEL,
            "queue.buffering.max.messages": 100_000,
            "queue.buffering.max.kbytes": 65_536,
            "socket.keepalive.enable": True,
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 1_000,
            "logger": _silent(),
            **more,
        }
    )


def new_consumer(bootstrap: str, **more: Any) -> Consumer:
    """A consumer without a group: positions are its owner's, partitions are assigned by hand."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "tickledger-none",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
            "fetch.error.backoff.ms": 100,
            # A reader that is slower than the broker finds the queue full; by default the next fetch then waits 1 s.
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 20_000,
            "queued.max.messages.kbytes": 32_768,
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 1_000,
            "allow.auto.create.topics": False,
            "logger": _silent(),
            **more,
        }
    )


def ends(consumer: Consumer, topic: str, partition: int) -> Ends:
    """First and next offset of a partition. Raises Unreachable."""
    deadline = time.monotonic() + REQUEST_TIMEOUT_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ATTEMPT_S)
        except KafkaException as error:
            # A broker that has just made a topic, has just started, or was away for long, may not lead it yet.
            if error.args[0].code() not in _PASSING or time.monotonic() > deadline:
                raise unreachable(error) from error
            if error.args[0].code() == KafkaError._UNKNOWN_PARTITION:
                # The client keeps what it was told; it asks again only if it has to.
                with suppress(KafkaException):
                    consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_S)
            time.sleep(0.05)
        else:
            return Ends(low, high)


def take(consumer: Consumer, most: int, wait_s: float) -> list[Message]:
    """What has come, up to `most` messages; waits up to `wait_s` only while there is none."""
    messages = consumer.consume(1, timeout=wait_s)
    return messages + consumer.consume(most - 1, timeout=0) if messages and most > 1 else messages


def end_of(bootstrap: str, topic: str, partition: int) -> int:
    """The next offset to be written on a partition. Raises Unreachable."""
    consumer = new_consumer(bootstrap)
    try:
        return ends(consumer, topic, partition).high
    finally:
        consumer.close()


def send_and_wait(producer: Producer, topic: str, partition: int, key: str | None, value: bytes) -> int:
    """The offset at which the broker put the record. Raises DeliveryFailed, Unreachable."""
    report: list[tuple[object, int]] = []

    def delivered(error: object, message: Message) -> None:
        report.append((error, message.offset() or 0))

    key_bytes = None if key is None else key.encode()
    try:
        producer.produce(topic, key=key_bytes, value=value, partition=partition, on_delivery=delivered)
    except KafkaException as error:
        raise DeliveryFailed(f"a record on {topic} can't be sent: {error.args[0].str()}") from error
    waited_from = time.monotonic()
    while not report:
        producer.poll(0.1)
        if time.monotonic() - waited_from > STALLED_S:
            raise Unreachable(f"the broker didn't acknowledge a record on {topic} within {STALLED_S:.0f} s")
    problem, offset = report[0]
    if problem is not None:
        raise DeliveryFailed(f"the broker refused a record on {topic}: {problem}")
    return offset


def hand_over(producer: Producer, topic: str, partition: int, key: bytes, value: bytes | None) -> None:
    """Gives a record to the producer, waiting while its queue is full. Raises DeliveryFailed for one it can't take."""
    while True:
        try:
            producer.produce(topic, key=key, value=value, partition=partition)
            return
        except BufferError:
            producer.poll(0.05)
        except KafkaException as error:
            raise DeliveryFailed(f"a record on {topic} can't be sent: {error.args[0].str()}") from error


def read_range(
    bootstrap: str, topic: str, partition: int, start: int = 0, end: int | None = None, batch: int = 1_000
) -> Iterator[list[Message]]:
    """The records of a partition with start <= offset < end (by default: its end now), in batches, in order.

    Raises Unreachable if nothing comes for a while before the end is reached: a reader never takes a part for all. (A
    broker that has just started again may for a moment say that the log ends earlier than it does.)
    """
    consumer = new_consumer(bootstrap)
    try:
        low, high = ends(consumer, topic, partition)
        stop = high if end is None else end
        start = max(start, low)
        if start >= stop:
            return
        consumer.assign([TopicPartition(topic, partition, start)])
        quiet_since = time.monotonic()
        while True:
            messages = take(consumer, batch, 0.2)
            records, met_end = split_batch(messages)
            done = met_end and _end_met(messages) >= stop
            if records and (records[-1].offset() or 0) >= stop - 1:
                done = True
                while records and (records[-1].offset() or 0) >= stop:
                    records.pop()
            if records:
                yield records
                quiet_since = time.monotonic()
            if done:
                return
            if time.monotonic() - quiet_since > REQUEST_TIMEOUT_S:
                raise Unreachable(f"the broker at {bootstrap} gave nothing of {topic}/{partition} for a while")
    finally:
        consumer.close()


def split_batch(messages: list[Message]) -> tuple[list[Message], bool]:
    """(records, whether the end of the partition was met). Passing errors are left to librdkafka; others raise."""
    if not any(m.error() for m in messages):
        return messages, False
    records, met_end = [], False
    for message in messages:
        error = message.error()
        if error is None:
            records.append(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            met_end = True
        elif error.fatal() or error.code() in _FINAL:
            raise unreachable(KafkaException(error))
    return records, met_end


def _end_met(messages: list[Message]) -> int:
    """The greatest offset at which the end of the partition was met, -1 if it wasn't."""
    met = (m.offset() for m in messages if (e := m.error()) is not None and e.code() == KafkaError._PARTITION_EOF)
    return max((offset for offset in met if offset is not None), default=-1)


def ensure_topics(bootstrap: str, replication: int = 1) -> list[str]:
    """Creates what is missing of the catalogue and checks the rest; the names of the created ones."""
    admin = new_admin(bootstrap)
    missing = _compare(admin, bootstrap)
    deadline = time.monotonic() + TOPICS_TIMEOUT_S
    left = [NewTopic(t.name, t.partitions, replication, config=t.settings()) for t in missing]
    while left:
        refused: dict[str, KafkaError] = {}
        for name, future in admin.create_topics(left, operation_timeout=TOPICS_TIMEOUT_S).items():
            try:
                future.result()
            except KafkaException as error:
                refused[name] = error.args[0]
        for name, reason in refused.items():
            # A broker that has just started answers before its controller counts it among those that can hold a topic.
            passing = reason.retriable() or reason.code() == KafkaError.INVALID_REPLICATION_FACTOR
            if reason.code() != KafkaError.TOPIC_ALREADY_EXISTS and (not passing or time.monotonic() > deadline):
                raise TopicsWrong(f"topic {name} could not be created: {reason.str()}")
        left = [t for t in left if t.topic in refused and refused[t.topic].code() != KafkaError.TOPIC_ALREADY_EXISTS]
        if left:
            time.sleep(0.1)
    _wait_for(bootstrap, [t.name for t in missing])
    return [t.name for t in missing]


def check_topics(bootstrap: str) -> None:
    """Raises TopicsWrong with what is missing, for a cluster that isn't ours to change."""
    missing = _compare(new_admin(bootstrap), bootstrap)
    if missing:
        wanted = ", ".join(f"{t.name} ({t.partitions} partitions)" for t in missing)
        raise TopicsWrong(f"the cluster at {bootstrap} lacks the topics {wanted}: create them as docs/topics says")


def new_admin(bootstrap: str) -> AdminClient:
    """An admin client."""
    config: dict[str, Any] = {"bootstrap.servers": bootstrap, "logger": _silent()}
    return AdminClient(config)


def unreachable(error: KafkaException) -> Unreachable:
    """What a Kafka error means to a person."""
    return Unreachable(f"the Kafka broker doesn't answer as it should: {error.args[0].str()} (see tickledger status)")


def _compare(admin: AdminClient, bootstrap: str) -> list[Topic]:
    try:
        found = admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics
    except KafkaException as error:
        raise Unreachable(f"no Kafka broker answers at {bootstrap}: {error.args[0].str()}") from error
    for topic in TOPICS.values():
        if topic.name in found and len(found[topic.name].partitions) != topic.partitions:
            raise TopicsWrong(
                f"topic {topic.name} at {bootstrap} has {len(found[topic.name].partitions)} partitions, not "
                f"{topic.partitions}: records would lie where no reader looks; use another cluster"
            )
    return [t for t in TOPICS.values() if t.name not in found]


def _wait_for(bootstrap: str, names: list[str]) -> None:
    """Until every partition of the new topics says where it ends: its leader serves it.

    A leader that is named and doesn't serve yet refuses an idempotent producer's first batch and takes the second;
    the first, sent again, then counts as a copy, and its records are gone though they were acknowledged.
    """
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    left = [TopicPartition(name, p) for name in names for p in range(TOPICS[name].partitions)]
    deadline = time.monotonic() + TOPICS_TIMEOUT_S
    while left:
        # A client of its own each time: one remembers for a while that a topic of this name had no leader.
        admin = new_admin(bootstrap)
        asked = admin.list_offsets(dict.fromkeys(left, latest), request_timeout=REQUEST_TIMEOUT_S)
        left, reason = [], ""
        for partition, future in asked.items():
            try:
                future.result()
            except KafkaException as error:
                left.append(partition)
                reason = error.args[0].str()
        if left and time.monotonic() > deadline:
            raise TopicsWrong(f"the topics {', '.join(names)} can't be used yet: {reason}")
        if left:
            time.sleep(0.1)


def _silent() -> logging.Logger:
    """librdkafka's own log lines go nowhere: what matters comes back as an error."""
    logger = logging.getLogger("tickledger.librdkafka")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


_PASSING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
    }
)
_FINAL = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)
