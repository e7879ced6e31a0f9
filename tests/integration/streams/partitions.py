"""A partition of `ticks` in the worker's hands, without Faust: started from what is on the topics, fed in order."""

from __future__ import annotations

from infra.kafka import end_of, new_producer, read_range
from streams import snapshots
from streams.driver import find
from streams.partition import Surroundings, TickPartition
from streams.reference_follower import ReferenceFollower
from streams.snapshots import State
from tests.integration.streams.line import CLOCK, KEYS, Line


class Reader:
    """One life of a worker on one partition. `position` of the group: the offset from which records are delivered."""

    def __init__(self, line: Line, states: list[State] | None = None, delivered_from: int | None = None) -> None:
        self.kafka, self.partition = line.kafka, line.partition
        self.producer = new_producer(line.kafka)
        self.reference = ReferenceFollower(line.kafka, KEYS, wait_s=0.3)
        world = Surroundings(line.kafka, KEYS, CLOCK, self.producer, self.reference)
        found = find(line.kafka, KEYS, [line.partition])
        self.stored = found.stored[line.partition]
        known = [s.state for s in self.stored] if states is None else states
        newest = [a for a in found.newest if a.partition == line.partition]
        self.part = TickPartition(line.partition, world, known, newest)
        self.next = line._from["ticks"] if delivered_from is None else delivered_from
        self.incarnation = len(self.stored) + max((s.incarnation for s in self.stored), default=0)

    def read(self, end: int | None = None, level: bool = True) -> Reader:
        """Takes what has come, up to offset `end`, and lets every listing catch up."""
        stop = end_of(self.kafka, "ticks", self.partition) if end is None else end
        for batch in read_range(self.kafka, "ticks", self.partition, self.next, stop):
            for message in batch:
                self.part.take(self.part.read(message.offset() or 0, message.key(), message.value()))
                self.next = (message.offset() or 0) + 1
                while level and self.part.behind:
                    self.part.catch_up()
        assert self.producer.flush(30) == 0
        return self

    def changed(self) -> list[State]:
        """The states of what was folded since the last call."""
        return [state for listing in self.part.changed() for state in self.part.states(listing)]

    def checkpoint(self) -> list[State]:
        """Writes snapshots of what changed."""
        states = self.changed()
        for state in states:
            snapshots.write(self.producer, KEYS, self.incarnation, state)
        assert self.producer.flush(30) == 0
        return states
