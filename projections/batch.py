"""What one transaction of the projector writes: the records taken, and how far they bring it."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple

from schemas.accept import Verdict
from schemas.catalogue import MAX_BLOCK_TICKS
from schemas.chains import Position
from schemas.events import Alert, Bar, Configuration, ListingSpec, OperatorActivation, Repair, Signal, SourceEvent
from schemas.ticks import Columns, TickBlock

Numbered = ListingSpec | OperatorActivation | Repair | Configuration
"""What has a number on `reference`."""

MAX_TICKS: Final = 32 * MAX_BLOCK_TICKS
MAX_RECORDS: Final = 20_000
"""Bounds of a transaction: with them the projector's memory stays flat however much there is to read."""


class Run(NamedTuple):
    """Ticks of the batch from `start` to `end` (indices of its columns) that all have, or all lack, last and volume."""

    start: int
    end: int
    deals: bool


class Batch:
    """Records taken since the last transaction. Ticks lie one behind the other in `columns`, block after block."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.ticks = 0
        self.blocks: list[tuple[TickBlock, Position]] = []
        self.bars: list[Bar] = []
        self.signals: list[tuple[Signal, Position]] = []
        self.sources: list[tuple[SourceEvent, Position]] = []
        self.alerts: list[tuple[Alert, Position]] = []
        self.reference: list[tuple[Numbered, Position]] = []
        self.account: list[tuple[Any, Position]] = []
        """Records of the topics of accounts."""
        self.raised: list[Alert] = []
        self.verdicts: Counter[tuple[str, int, Verdict]] = Counter()
        self.firsts: dict[tuple[str, int], int] = {}
        self.chains: set[tuple[str, str]] = set()
        self.records = 0

    @property
    def full(self) -> bool:
        """Whether it has to be written before another block may come."""
        return self.ticks + MAX_BLOCK_TICKS > self.columns.capacity or self.records >= MAX_RECORDS

    def add_block(self, block: TickBlock, position: Position) -> None:
        """Takes a block whose columns begin at index `ticks`."""
        self.blocks.append((block, position))
        self.ticks += block.size

    def runs(self) -> list[Run]:
        """Its ticks, cut where blocks with last and volume meet blocks without."""
        found: list[Run] = []
        end = 0
        for block, _ in self.blocks:
            start, end, deals = end, end + block.size, len(block.last) > 0
            if start == end:
                continue
            if found and found[-1].deals == deals:
                found[-1] = Run(found[-1].start, end, deals)
            else:
                found.append(Run(start, end, deals))
        return found
