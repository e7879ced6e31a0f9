"""What a stage has of a listing, counted at its own place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from schemas.quality import BROKEN, names
from schemas.ticks import Ints


@dataclass(slots=True)
class ListingCounts:
    """Ticks, bars and signals of one listing in one place."""

    judged: Counter[int] = field(default_factory=Counter)
    """Ticks by the bits of what they were refused for; 0 is not refused."""
    bars: int = 0
    signals: int = 0

    @property
    def ticks(self) -> int:
        """All ticks, refused ones included."""
        return self.judged.total()

    @property
    def refused(self) -> int:
        """Ticks that nothing uses."""
        return self.judged.total() - self.judged[0]

    def judge(self, quality: Ints) -> None:
        """Counts the ticks of a block."""
        for bits, ticks in zip(*np.unique(quality & BROKEN, return_counts=True), strict=True):
            self.judged[int(bits)] += int(ticks)


@dataclass(frozen=True, slots=True)
class LogCounts:
    """What is in one place of the whole log, by listing."""

    listings: dict[str, ListingCounts] = field(default_factory=dict)

    def total(self) -> ListingCounts:
        """All listings together."""
        whole = ListingCounts()
        for one in self.listings.values():
            whole.judged.update(one.judged)
            whole.bars += one.bars
            whole.signals += one.signals
        return whole


def by_reason(judged: Counter[int]) -> Counter[str]:
    """Refused ticks by the name of the reason; a tick can have several."""
    reasons: Counter[str] = Counter()
    for bits, ticks in judged.items():
        reasons.update(dict.fromkeys(names(bits), ticks))
    return reasons
