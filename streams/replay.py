"""The replay driver: the operators over recorded blocks, as fast as they go. No Faust, no asyncio, no services.

Blocks come from a file's import, a range of the topic (`infra.kafka.read_range`, accepted and decoded) or an archive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from schemas.events import OperatorActivation
from schemas.identity import split_operator
from schemas.registry import decision_bytes
from schemas.ticks import TickBlock
from streams.fold import ListingFold, Output
from streams.operators.base import Operator
from streams.programs import program_of
from streams.reference import ReferenceView
from streams.segments import JOINED_TICKS

_MOST_BLOCKS: Final = 512
"""Blocks held back to be joined, whatever few ticks they have."""


def replay(
    blocks: Iterable[TickBlock],
    reference: ReferenceView,
    *,
    programs: Callable[[OperatorActivation], Operator] = program_of,
) -> Iterator[Output]:
    """The outputs of accepted blocks, in order for each operator and listing; any number of listings.

    Each listing's blocks are in order and start with its first. Short blocks are folded together, which changes no
    output. Raises as ListingFold.fold does.
    """
    waiting: dict[str, _Waiting] = {}
    for block in blocks:
        found = waiting.get(block.listing)
        if found is None:
            fold = ListingFold(block.listing, reference, programs)
            found = waiting[block.listing] = _Waiting(fold, [])
        run = found.blocks
        run.append(block)
        if len(block.quality) >= JOINED_TICKS or len(run) >= _MOST_BLOCKS or _ticks(run) >= JOINED_TICKS:
            yield from found.fold.fold(run)
            run.clear()
    for found in waiting.values():
        yield from found.fold.fold(found.blocks)


class Stream(NamedTuple):
    """The outputs of an instance on a topic for a listing."""

    topic: str
    instance: str
    listing: str


class Digests:
    """SHA-256 over decision bytes, by topic, instance and listing: equal if and only if the decisions are."""

    def __init__(self) -> None:
        self._digests: dict[Stream, hashlib._Hash] = {}
        self.counts: dict[Stream, int] = {}

    def add(self, output: Output) -> None:
        """Takes the records of an output; those of a stream come in order."""
        key = Stream(output.topic, split_operator(output.operator)[0], output.listing)
        digest = self._digests.setdefault(key, hashlib.sha256())
        self.counts[key] = self.counts.get(key, 0) + len(output.columns)
        for record in output.records():
            value = decision_bytes(record)
            digest.update(len(value).to_bytes(4, "big") + value)

    def hex(self) -> dict[Stream, str]:
        """The digests so far, sorted by stream."""
        return {key: self._digests[key].hexdigest() for key in sorted(self._digests)}


class _Waiting(NamedTuple):
    fold: ListingFold
    blocks: list[TickBlock]


def _ticks(run: list[TickBlock]) -> int:
    return run[-1].first_n + len(run[-1].quality) - run[0].first_n
