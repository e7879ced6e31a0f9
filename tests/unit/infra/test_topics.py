"""Making topics on a broker that has only just started, or that will not."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from infra import kafka
from schemas.catalogue import TOPICS


class Starting:
    """An admin client whose broker refuses each topic some times, for one reason."""

    def __init__(self, code: int, times: int) -> None:
        self.code, self.times = code, times
        self.asked: list[list[str]] = []

    def create_topics(self, topics: list[Any], operation_timeout: float) -> dict[str, Future[None]]:
        self.asked.append([t.topic for t in topics])
        futures: dict[str, Future[None]] = {}
        for topic in topics:
            futures[topic.topic] = future = Future()
            if len(self.asked) <= self.times:
                future.set_exception(KafkaException(KafkaError(self.code)))
            else:
                future.set_result(None)
        return futures


def ensure(monkeypatch: pytest.MonkeyPatch, admin: Starting) -> list[str]:
    monkeypatch.setattr(kafka, "new_admin", lambda bootstrap: admin)
    monkeypatch.setattr(kafka, "_compare", lambda admin, bootstrap: list(TOPICS.values())[:2])
    monkeypatch.setattr(kafka, "_wait_for", lambda bootstrap, names: None)
    return kafka.ensure_topics("nowhere:1")


def test_a_broker_that_can_not_hold_topics_yet_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    admin = Starting(KafkaError.INVALID_REPLICATION_FACTOR, 2)
    assert ensure(monkeypatch, admin) == ["reference", "ticks"]
    assert admin.asked == [["reference", "ticks"]] * 3


def test_a_topic_that_another_process_made_meanwhile_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    admin = Starting(KafkaError.TOPIC_ALREADY_EXISTS, 1)
    assert ensure(monkeypatch, admin) == ["reference", "ticks"]
    assert len(admin.asked) == 1


def test_a_refusal_for_good_names_the_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    admin = Starting(KafkaError.TOPIC_AUTHORIZATION_FAILED, 1)
    with pytest.raises(kafka.TopicsWrong, match="topic reference could not be created"):
        ensure(monkeypatch, admin)


def test_a_broker_that_never_can_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "TOPICS_TIMEOUT_S", 0.0)
    with pytest.raises(kafka.TopicsWrong, match="could not be created"):
        ensure(monkeypatch, Starting(KafkaError.INVALID_REPLICATION_FACTOR, 1_000))
