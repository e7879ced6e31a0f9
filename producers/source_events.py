"""Events on `sources`: which ticks of the log came from which file, and what happened to a feed that is recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from confluent_kafka import Producer

from infra.kafka import hand_over, new_producer, read_range, send_and_wait
from schemas.catalogue import partition_of
from schemas.events import SourceEvent, SourceKind
from schemas.identity import Listing
from schemas.registry import UnreadableRecord, decode, encode

TOPIC = "sources"


def availability(
    listing: Listing,
    *,
    from_n: int,
    to_n: int,
    from_ms: int,
    to_ms: int,
    server_offset_s: int,
    time_us: int,
    detail: str,
) -> SourceEvent:
    """Ticks from_n <= n < to_n are on the log; from_ms <= time < to_ms, UTC. `detail`: where they came from."""
    return SourceEvent(
        event_id=f"availability/{listing}/{from_n}-{to_n}",
        feed=listing.feed,
        kind=SourceKind.AVAILABILITY,
        time_us=time_us,
        listing=str(listing),
        from_n=from_n,
        to_n=to_n,
        from_ms=from_ms,
        to_ms=to_ms,
        server_offset_s=server_offset_s,
        detail=detail,
    )


def feed_event(
    feed: str,
    kind: SourceKind,
    *,
    time_us: int,
    server_offset_s: int,
    detail: str,
    listing: str = "",
    n: int = -1,
) -> SourceEvent:
    """What happened to a feed, or to one listing of it at tick `n`; -1: at none."""
    about = f"{listing}/{n}" if listing else f"{feed}/{time_us}"
    return SourceEvent(
        event_id=f"{kind.lower()}/{about}",
        feed=feed,
        kind=kind,
        time_us=time_us,
        listing=listing,
        from_n=n,
        to_n=n,
        from_ms=0,
        to_ms=0,
        server_offset_s=server_offset_s,
        detail=detail,
    )


def send_event(producer: Producer, event: SourceEvent) -> None:
    """Hands the event to the producer; its owner flushes."""
    hand_over(producer, TOPIC, partition_of(TOPIC, event.feed), event.feed.encode(), encode(event))


def events_of(bootstrap: str, feed: str) -> list[SourceEvent]:
    """What happened to a feed, in the order of the topic."""
    return [event for event in _events(bootstrap, partition_of(TOPIC, feed)) if event.feed == feed]


def write_missing(bootstrap: str, feed: str, events: Sequence[SourceEvent]) -> int:
    """Writes those of a feed's events whose ids aren't on `sources` yet; how many."""
    partition = partition_of(TOPIC, feed)
    known = {event.event_id for event in _events(bootstrap, partition)}
    missing = [event for event in events if event.event_id not in known]
    if missing:
        # An event that lands twice is one; an idempotent producer waits half a second for its id when it is new.
        producer = new_producer(bootstrap, **{"enable.idempotence": False})
        for event in missing:
            send_and_wait(producer, TOPIC, partition, feed, encode(event))
    return len(missing)


def _events(bootstrap: str, partition: int) -> Iterator[SourceEvent]:
    for batch in read_range(bootstrap, TOPIC, partition):
        for message in batch:
            try:
                event = decode(message.value() or b"")
            except UnreadableRecord:
                continue
            if isinstance(event, SourceEvent):
                yield event
