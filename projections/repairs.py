"""Going on where a chain stood still: a Repair on `reference` says from which head.

A Repair that is read before the damaged record needs nothing of this. One that comes after it finds the partition
read far past the record: what the chain has from there on is read again, the other chains' records are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from confluent_kafka import Message

from infra.kafka import read_range
from projections.batch import Batch
from projections.book import FACTS, Book
from projections.store import Store
from schemas.accept import Head
from schemas.chains import Chains, Position
from schemas.events import Alert, Repair
from schemas.integrity import KeyRing

Send = Callable[[list[Alert]], None]


def apply_repairs(
    store: Store, book: Book, repairs: Iterable[Repair], bootstrap: str, keys: KeyRing, send: Send
) -> list[Repair]:
    """Makes `repairs` hold in the book; what was passed is read again and written. Returns those that this took.

    `send` gets the alerts of a batch before it is committed.
    """
    late = []
    for repair in sorted(repairs, key=lambda r: (r.topic, r.partition, r.offset)):
        if repair.topic in FACTS:
            passed = _is_passed(book, repair)
            before = Chains(repair.topic, keys)
            before.heads[repair.chain] = book.facts[repair.topic].heads.get(repair.chain, Head())
            book.facts[repair.topic].add_repairs([repair])
            if passed:
                store.write_together(_again(book, before, repair, bootstrap, send), book)
                late.append(repair)
    return late


def _is_passed(book: Book, repair: Repair) -> bool:
    """Whether the chain stands still before the repair although its partition was read past it: once it was applied,
    the chain's last link is at the repair or behind it."""
    chain = repair.topic, repair.chain
    if chain not in book.stopped_at:
        return False
    last = book.at[chain].offset if chain in book.at else -1
    return last < repair.offset < book.offsets.get((repair.topic, repair.partition), 0)


def _again(book: Book, before: Chains, repair: Repair, bootstrap: str, send: Send) -> Iterator[Batch]:
    topic, partition = repair.topic, repair.partition
    end = book.offsets[topic, partition]
    batch = book.batch()
    for messages in read_range(bootstrap, topic, partition, repair.offset, end):
        for message in messages:
            if not _concerns(message, repair):
                continue
            if batch.full:
                send(batch.raised)
                yield batch
                batch = book.batch()
            position = Position(topic, partition, message.offset() or 0)
            old = before.judge(partition, position.offset, message.key(), message.value()).verdict
            book.take(batch, position, message.key(), message.value())
            batch.verdicts[topic, partition, old] -= 1
            batch.firsts[topic, partition] = end
    if batch.records:
        send(batch.raised)
        yield batch


def _concerns(message: Message, repair: Repair) -> bool:
    return message.offset() == repair.offset or repair.topic == "reference" or message.key() == repair.chain.encode()
