"""Whether a broker is ready: what it says, or doesn't say in time."""

from __future__ import annotations

from typing import Any

import pytest

from infra.stack import broker


class Admin:
    """A client of a broker that answers slowly at first."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.brokers = {1: settings["bootstrap.servers"]}

    def list_topics(self, timeout: float) -> Admin:
        return self


@pytest.fixture(autouse=True)
def at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("confluent_kafka.admin.AdminClient", Admin)
    monkeypatch.setattr(broker, "answers", lambda *_: True)
    monkeypatch.setattr(broker, "_pause", lambda _: None)


def test_a_broker_that_does_not_say_in_time_where_partitions_end_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Admin] = []

    def leads(client: Any) -> bool:
        asked.append(client)
        if len(asked) < 3:
            raise TimeoutError
        return True

    monkeypatch.setattr(broker, "_leads", leads)
    assert broker.wait_ready("127.0.0.1:9092", 60, leading=True)
    assert len(asked) == 3


def test_nobody_waits_for_a_broker_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "_leads", lambda _: False)
    left = iter([False, False, True])
    assert not broker.wait_ready("127.0.0.1:9092", 60, lambda: next(left), leading=True)
