"""What an account's desk asks: its records on `orders`, through accept(), each with its MAC checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from confluent_kafka import Consumer, Message, TopicPartition

from infra.kafka import end_of, new_consumer, read_range, split_batch, take
from schemas.accept import Verdict
from schemas.chains import Derivations, Judged
from schemas.integrity import KeyRing
from schemas.trading import CancelRequested, ModifyRequested, Submitted

Request = Submitted | ModifyRequested | CancelRequested
"""What the terminal is asked for."""

TOPIC = "orders"


class Intake:
    """Reads `orders` of an account from its start: what was handled is the chain's to say, not a position of ours.

    Numbers ahead aren't taken: the desk sends what is missing again, and all behind it. `note` gets every verdict that
    somebody should look at. Raises Unreachable.
    """

    def __init__(
        self, bootstrap: str, keys: KeyRing, account: str, partition: int, note: Callable[[Judged], None]
    ) -> None:
        self._bootstrap, self._key, self._partition, self._note = bootstrap, account.encode(), partition, note
        self._derivations = Derivations(TOPIC, keys, {account: partition})
        self._next = 0
        self._consumer: Consumer | None = None

    def backlog(self) -> Iterator[Request]:
        """What is on the log now."""
        end = end_of(self._bootstrap, TOPIC, self._partition)
        for batch in read_range(self._bootstrap, TOPIC, self._partition, self._next, end):
            yield from self._judge(batch)
        self._next = max(self._next, end)

    def poll(self, wait_s: float) -> list[Request]:
        """What has come since, waiting up to `wait_s` seconds only while there is nothing."""
        if self._consumer is None:
            self._consumer = new_consumer(self._bootstrap)
            self._consumer.assign([TopicPartition(TOPIC, self._partition, self._next)])
        records, _ = split_batch(take(self._consumer, 500, wait_s))
        return list(self._judge(records))

    def close(self) -> None:
        """Ends its consumer."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _judge(self, batch: list[Message]) -> Iterator[Request]:
        for message in batch:
            offset = message.offset() or 0
            self._next = offset + 1
            if message.key() != self._key:
                continue
            judged = self._derivations.judge(self._partition, offset, self._key, message.value())
            self._note(judged)
            if judged.verdict is Verdict.TAKE and isinstance(judged.record, Request):
                yield judged.record
