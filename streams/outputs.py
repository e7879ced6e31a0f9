"""What operators proved, as records on its way to the topics: encoded, signals sealed, one by one in order."""

from __future__ import annotations

import dataclasses
from typing import Final

from confluent_kafka import Producer

from infra.kafka import hand_over
from schemas.catalogue import partition_of
from schemas.events import Derived, Signal, SignalKind
from schemas.integrity import KeyRing
from schemas.registry import encode, schemas, seal
from schemas.trading import Decided, Order
from streams.alarms import tell_failed
from streams.fold import Output

Made = Derived | Decided
"""What operators and desks make."""


def send(producer: Producer, keys: KeyRing, output: Output) -> None:
    """Hands the records of an output to the producer, with an alert about a strategy that raised; its owner flushes."""
    key, partition = output.listing.encode(), partition_of(output.topic, output.listing)
    for record in output.records():
        hand_over(producer, output.topic, partition, key, value_of(record, keys, keys.current))
        if isinstance(record, Signal) and record.kind is SignalKind.FAILED:
            tell_failed(producer, record)


def value_of(record: Made, keys: KeyRing, key_id: str) -> bytes:
    """A derived record as it lies on its topic; what makes others act is sealed with the key of that id."""
    if isinstance(record, Signal):
        return seal(dataclasses.replace(record, key_id=key_id), "signals", keys)
    if isinstance(record, Order):
        return seal(dataclasses.replace(record, key_id=key_id), "orders", keys)
    return encode(record)


def topic_of(record: Made) -> str:
    """Where a derived record lies."""
    return _TOPICS[type(record)]


_TOPICS: Final = {kind.record: kind.topic for kind in schemas().values()}
