"""What the log has of each partition that is projected, asked for all of them at once."""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from infra.kafka import REQUEST_TIMEOUT_S, Ends, new_admin, unreachable
from schemas.catalogue import ACCOUNT_TOPICS
from schemas.catalogue import TOPICS as CATALOGUE

Extents = dict[tuple[str, int], Ends]

PROJECTED: Final = ("reference", "ticks", "bars", "signals", "sources", "alerts", *ACCOUNT_TOPICS)
"""Topics that are projected. The rest of the log (anchors, snapshots) is made of these."""

_PAUSE_S: Final = 0.1


def extents(bootstrap: str, topics: tuple[str, ...] = PROJECTED) -> Extents:
    """First and next offset of every partition of `topics`. Topics that were made just now, and a broker that comes
    back, are waited for. Raises Unreachable."""
    admin = new_admin(bootstrap)
    partitions = [(topic, p) for topic in topics for p in range(CATALOGUE[topic].partitions)]
    deadline = time.monotonic() + REQUEST_TIMEOUT_S
    while True:
        try:
            lows = _offsets(admin, partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
            highs = _offsets(admin, partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
            return {p: Ends(lows[p], highs[p]) for p in partitions}
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise unreachable(error) from error
            time.sleep(_PAUSE_S)


def _offsets(admin: AdminClient, partitions: list[tuple[str, int]], spec: OffsetSpec) -> dict[tuple[str, int], int]:
    asked = {TopicPartition(*p): spec for p in partitions}
    futures = admin.list_offsets(asked, request_timeout=REQUEST_TIMEOUT_S)
    return {(tp.topic, tp.partition): future.result().offset for tp, future in futures.items()}
