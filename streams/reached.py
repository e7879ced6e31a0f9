"""How far in market time the worker is, for a simulated market that waits for it.

The recorder's mark says up to when everything is on the log. The worker is as far once it has folded what lay there
then, and the broker has what that proved.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from infra.errors import TickledgerError
from infra.kafka import REQUEST_TIMEOUT_S, ends, new_consumer, unreachable
from infra.log import get
from infra.marks import Mark
from infra.stack.home import Home, read_json
from schemas.catalogue import partition_of

RECORDER: Final = "recorder"
LOOK_S: Final = 0.005
"""How often what holds the market is looked at."""
RETRY_S: Final = 1.0

logger = get(__name__)


class Reached:
    """Sets the worker's mark from a thread of its own, for as long as the process lives."""

    def __init__(
        self, home: Home, name: str, bootstrap: str, group: str, folded: Callable[[], Mapping[int, int] | None],
        producer: Producer,
    ) -> None:  # fmt: skip
        """`folded`: by partition of `ticks` the next offset to fold, of those that gave a record since the start; None
        while something lies before it that isn't folded. `producer`: has what was proved. `group`: whose commits say
        where the others stand."""
        self._home, self._mark, self._recorder = home, Mark.of(home, name), Mark.of(home, RECORDER)
        self._bootstrap, self._group, self._folded, self._producer = bootstrap, group, folded, producer

    def start(self) -> None:
        threading.Thread(target=self._run, name="reached", daemon=True).start()

    def _run(self) -> None:
        consumer = new_consumer(self._bootstrap, **{"group.id": self._group})
        told = None
        while True:
            try:
                recorded_us = self._recorder.get()
                if recorded_us is None or recorded_us == told:
                    time.sleep(LOOK_S)
                    continue
                self.follow(consumer, recorded_us)
                told = recorded_us
            except TickledgerError as error:
                logger.warning("the market waits", reason=str(error))
                time.sleep(RETRY_S)

    def follow(self, consumer: Consumer, recorded_us: int) -> None:
        """Returns once everything recorded up to then is folded and delivered, and the mark says so; market time in
        microseconds. Raises Unreachable, HomeUnusable."""
        listings = (read_json(self._home.ready_file(RECORDER)) or {}).get("listings", [])
        partitions = {partition_of("ticks", str(listing)) for listing in listings}
        highs = {partition: ends(consumer, "ticks", partition).high for partition in partitions}
        # All in one look: the first record of a listing may bring strategies that read the others from their starts.
        while (folded := self._folded()) is None or any(
            self._next(consumer, folded, partition) < high for partition, high in highs.items()
        ):
            time.sleep(LOOK_S)
        while self._producer.flush(0) > 0:
            time.sleep(LOOK_S)
        self._mark.set(recorded_us)

    def _next(self, consumer: Consumer, folded: Mapping[int, int], partition: int) -> int:
        """The next offset to fold: what was folded before this start isn't handed over again."""
        if partition in folded:
            return folded[partition]
        try:
            (committed,) = consumer.committed([TopicPartition("ticks", partition)], timeout=REQUEST_TIMEOUT_S)
        except KafkaException as error:
            raise unreachable(error) from error
        return max(0, int(committed.offset))
