"""The broker's topics against the catalogue, and what the Kafka helpers say when something is amiss."""

from __future__ import annotations

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.cimpl import NewTopic

from infra.errors import Unreachable
from infra.kafka import (
    DeliveryFailed,
    TopicsWrong,
    check_topics,
    end_of,
    ends,
    ensure_topics,
    new_admin,
    new_consumer,
    new_producer,
    read_range,
    send_and_wait,
    split_batch,
)
from schemas.catalogue import TOPICS
from tests.conftest import StartStack, TestStack

pytestmark = pytest.mark.stack

NOWHERE = "127.0.0.1:1"


def test_topics_are_created_once_with_the_settings_of_the_catalogue(start_stack: StartStack) -> None:
    with start_stack(services={"kafka"}, topics=False) as own:
        with pytest.raises(TopicsWrong, match=r"lacks the topics reference \(1 partitions\), ticks \(32 partitions\)"):
            check_topics(own.kafka)
        assert set(ensure_topics(own.kafka)) == set(TOPICS)
        assert ensure_topics(own.kafka) == []
        check_topics(own.kafka)
        found = new_admin(own.kafka).list_topics(timeout=10).topics
        assert {name: len(found[name].partitions) for name in TOPICS} == {t.name: t.partitions for t in TOPICS.values()}


def test_a_topic_with_another_partition_count_is_refused(start_stack: StartStack) -> None:
    with start_stack(services={"kafka"}, topics=False) as own:
        admin = new_admin(own.kafka)
        admin.create_topics([NewTopic("ticks", 3, 1)])["ticks"].result()
        for check in (ensure_topics, check_topics):
            with pytest.raises(
                TopicsWrong, match=r"topic ticks at .* has 3 partitions, not 32: records would lie where"
            ):
                check(own.kafka)


def test_no_broker_is_said_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.kafka.REQUEST_TIMEOUT_S", 0.5)
    with pytest.raises(Unreachable, match=f"no Kafka broker answers at {NOWHERE}"):
        check_topics(NOWHERE)
    with pytest.raises(Unreachable, match="the Kafka broker doesn't answer as it should"):
        end_of(NOWHERE, "ticks", 0)


def test_a_record_that_is_not_acknowledged_or_refused_is_said(
    broker: TestStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DeliveryFailed, match=r"a record on ticks can't be sent: .*too large"):
        send_and_wait(new_producer(broker.kafka), "ticks", 0, None, bytes(1_100_000))
    lenient = new_producer(broker.kafka, **{"message.max.bytes": 2_000_000, "compression.type": "none"})
    with pytest.raises(DeliveryFailed, match=r"the broker refused a record on ticks: .*too large"):
        send_and_wait(lenient, "ticks", 0, None, bytes(1_100_000))
    monkeypatch.setattr("infra.kafka.STALLED_S", 0.5)
    producer = new_producer(NOWHERE)
    with pytest.raises(Unreachable, match="didn't acknowledge a record on ticks within"):
        send_and_wait(producer, "ticks", 0, None, b"x")
    producer.purge()


def test_a_range_is_read_from_start_to_end_and_no_further(broker: TestStack) -> None:
    producer = new_producer(broker.kafka)
    first = send_and_wait(producer, "alerts", 1, "k", b"0")
    for number in range(1, 50):
        send_and_wait(producer, "alerts", 1, "k", b"%d" % number)

    def numbers(start: int, end: int | None = None) -> list[int]:
        batches = read_range(broker.kafka, "alerts", 1, start, end, batch=7)
        return [int(m.value() or b"") for batch in batches for m in batch]

    assert numbers(first) == list(range(50))
    assert numbers(first + 10, first + 20) == list(range(10, 20))
    assert numbers(first + 49) == [49]
    assert numbers(first + 50) == numbers(first + 9, first + 9) == []


def test_a_part_is_never_taken_for_the_whole(broker: TestStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.kafka.REQUEST_TIMEOUT_S", 1.5)
    last = send_and_wait(new_producer(broker.kafka), "alerts", 2, "k", b"x")
    with pytest.raises(Unreachable, match="gave nothing of alerts/2 for a while"):
        list(read_range(broker.kafka, "alerts", 2, 0, last + 2))


def test_an_offset_that_is_not_there_is_an_error_and_no_jump(broker: TestStack) -> None:
    consumer = new_consumer(broker.kafka)
    consumer.assign([TopicPartition("alerts", 3, 1_000_000)])

    def read() -> None:
        for _ in range(50):
            split_batch(consumer.consume(10, timeout=0.2))

    with pytest.raises(Unreachable, match="the Kafka broker doesn't answer as it should"):
        read()
    assert ends(consumer, "alerts", 3).low == 0
    consumer.close()
