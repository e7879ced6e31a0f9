"""Anchors: the head of each chain on a compacted topic, where a reader may start and against which a cut tail shows."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Producer

from infra.kafka import hand_over, read_range
from schemas.accept import Head
from schemas.events import Anchor
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.registry import UnreadableRecord, decode, seal

TOPIC = "anchors"


def chain_name(topic: str, key: str) -> str:
    """How a chain is called: topic/key."""
    return f"{topic}/{key}"


def make_anchor(
    topic: str, key: str, partition: int, head: Head, offset: int, scanned_to: int, now_us: int, key_id: str
) -> Anchor:
    """The anchor of a chain whose last taken record lies at `offset`, with nothing more of it before `scanned_to`.

    Never of a chain that stands still: its stop would be forgotten by who starts there.
    """
    return Anchor(
        chain=chain_name(topic, key),
        topic=topic,
        partition=partition,
        epoch=head.epoch,
        nonce=head.nonce,
        seq=head.seq,
        n=head.n,
        ref_no=head.ref_no,
        head_mac=head.mac,
        offset=offset,
        scanned_to=scanned_to,
        time_us=now_us,
        key_id=key_id,
        mac=ZERO_MAC,
    )


def head_of(anchor: Anchor) -> Head:
    """The head that the anchor witnesses."""
    return Head(anchor.epoch, anchor.nonce, anchor.seq, anchor.n, anchor.ref_no, anchor.head_mac)


def send(producer: Producer, keys: KeyRing, anchors: Iterable[Anchor]) -> None:
    """Hands the anchors to the producer; its owner flushes."""
    for anchor in anchors:
        hand_over(producer, TOPIC, 0, anchor.chain.encode(), seal(anchor, TOPIC, keys))


def read_anchors(bootstrap: str, keys: KeyRing) -> tuple[dict[str, list[Anchor]], list[tuple[int, str]]]:
    """(the anchors of each chain with the MAC right, in the order written; offset and reason of what is not one)."""
    found: dict[str, list[Anchor]] = {}
    bad: list[tuple[int, str]] = []
    for batch in read_range(bootstrap, TOPIC, 0):
        for message in batch:
            value = message.value()
            try:
                record = decode(value or b"")
            except UnreadableRecord as error:
                bad.append((message.offset() or 0, str(error)))
                continue
            if not isinstance(record, Anchor) or not keys.holds(TOPIC, record.key_id, value or b""):
                bad.append((message.offset() or 0, "its MAC is wrong, or it is no anchor"))
            else:
                found.setdefault(record.chain, []).append(record)
    return found, bad


def last_anchor(bootstrap: str, keys: KeyRing, topic: str, key: str) -> Anchor | None:
    """The last anchor of a chain, None if it has none."""
    anchors = read_anchors(bootstrap, keys)[0].get(chain_name(topic, key))
    return anchors[-1] if anchors else None
