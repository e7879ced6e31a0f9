"""Sending what a desk said, and how far in the journal's time all of it is delivered."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaException

from infra.kafka import DeliveryFailed
from schemas.integrity import KeyRing
from schemas.trading import Decided
from streams.outbox import Outbox
from streams.outputs import topic_of, value_of


class _Batch:
    """What one entry had said, or none: the time up to which all is done once `left` of it are delivered."""

    __slots__ = ("left", "us")

    def __init__(self, us: int, left: int) -> None:
        self.us, self.left = us, left


class Delivery:
    """One account's outputs on their way to its partition. `mark` is told the time of the last entry of which, as of
    all before it, everything is delivered."""

    def __init__(
        self, outbox: Outbox, keys: KeyRing, account: str, partition: int, mark: Callable[[int], None]
    ) -> None:
        self._outbox, self._keys, self._key, self._partition, self._mark = (
            outbox, keys, account.encode(), partition, mark,
        )  # fmt: skip
        self._waiting: deque[_Batch] = deque()
        self._lock = threading.Lock()

    def send(self, us: int, said: Iterable[Decided]) -> None:
        """Hands over what the entry taken at `us` had decided. Raises DeliveryFailed."""
        values = [(topic_of(record), value_of(record, self._keys, self._keys.current)) for record in said]
        batch = _Batch(us, len(values))
        with self._lock:
            if not values and not self._waiting:
                self._mark(us)
                return
            if values:
                self._waiting.append(batch)
            else:
                self._waiting[-1].us = us
                return
        delivered = functools.partial(self._delivered, batch)
        for topic, value in values:
            self._produce(topic, value, delivered)

    def _produce(self, topic: str, value: bytes, delivered: Callable[[object, Any], None]) -> None:
        producer = self._outbox.producer
        while True:
            try:
                producer.produce(
                    topic, key=self._key, value=value, partition=self._partition, on_delivery=delivered
                )  # fmt: skip
                return
            except BufferError:
                producer.poll(0.05)
            except KafkaException as error:
                raise DeliveryFailed(f"a record on {topic} can't be sent: {error.args[0].str()}") from error

    def _delivered(self, batch: _Batch, error: object, message: Any) -> None:
        if error is not None:
            self._outbox.refused(message.topic(), error)
            return
        with self._lock:
            batch.left -= 1
            done = 0
            while self._waiting and not self._waiting[0].left:
                done = self._waiting.popleft().us
            if done:
                self._mark(done)
