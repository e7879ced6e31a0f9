"""Records of a chain that are on their way: sent, and not yet read back through accept()."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from confluent_kafka import KafkaException, Message, Producer

from infra.chain_follower import ChainStopped, Fenced, stopped_message
from infra.errors import Unreachable
from infra.kafka import STALLED_S, DeliveryFailed
from schemas.accept import Head
from schemas.integrity import MAC_BYTES


class Outbox:
    """What one writer of a chain has on its way. `chain` and `what` (blocks, records) name it to people."""

    def __init__(self, producer: Producer, topic: str, partition: int, key: str, chain: str, what: str) -> None:
        self._producer = producer
        self._topic, self._partition, self._key = topic, partition, key.encode()
        self._chain, self._what = chain, what
        self._macs: deque[bytes] = deque()
        self._failure: DeliveryFailed | None = None

    def __len__(self) -> int:
        return len(self._macs)

    def send(self, value: bytes) -> None:
        """Hands the next link to the producer, waiting while its queue is full. Raises DeliveryFailed."""
        while True:
            try:
                self._producer.produce(
                    self._topic, key=self._key, value=value, partition=self._partition, on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(0.05)
            except KafkaException as error:
                reason = error.args[0].str()
                raise DeliveryFailed(f"no {self._what} of {self._chain} can be sent any more: {reason}") from error
            else:
                self._macs.append(value[-MAC_BYTES:])
                return

    def arrived(self, mac: bytes) -> bool:
        """Whether a link that was taken from the log is the next that was awaited."""
        if not self._macs or mac != self._macs[0]:
            return False
        self._macs.popleft()
        return True

    def check(self, head: Head, epoch: int) -> None:
        """Raises if, by what was read up to `head`, the writer of `epoch` can't go on: a link was refused
        (DeliveryFailed), another writer opened the chain (Fenced), or it stands still (ChainStopped)."""
        if self._failure is not None:
            raise self._failure
        if head.epoch > epoch:
            raise Fenced(
                f"another writer opened {self._chain} (epoch {head.epoch}): this one has ended; "
                f"{len(self)} of its {self._what} came too late and count for nothing"
            )
        if head.stopped:
            raise ChainStopped(stopped_message(self._chain, head))

    def wait_for(self, most: int, follow: Callable[[float], None]) -> None:
        """Returns once at most so many are on their way; `follow` reads back, waiting so long. Raises Unreachable."""
        waited_from = time.monotonic()
        while len(self) > most:
            before = len(self)
            follow(0.05)
            if len(self) < before:
                waited_from = time.monotonic()
            if time.monotonic() - waited_from > STALLED_S:
                raise Unreachable(f"the broker gave none of the written {self._what} back for {STALLED_S:.0f} s")

    def _delivered(self, error: object, message: Message) -> None:
        if error is not None:
            self._failure = DeliveryFailed(f"the broker refused {self._what} of {self._chain}: {error}")
