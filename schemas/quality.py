"""What the judge says of a tick: bits in two classes, kept with the tick for ever.

*Broken* ticks are used by no operator. *Suspect* ones are real prices: they feed bars, marks, stops and fills, but no
entry is decided on them. 0 is good. *Synthetic* marks a tick that was made from a bar.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Final


class Quality(IntFlag):
    """One bit a reason; a tick's `quality` is the sum of its reasons."""

    NOT_FINITE = 1
    """Bid, ask, last or volume is NaN or infinite."""
    NON_POSITIVE = 2
    """Bid or ask is zero or negative, or last or volume is negative."""
    CROSSED = 4
    """Ask is below bid."""
    BACKWARDS = 8
    """Its time is below that of the newest tick that isn't broken."""
    REPEATED = 16
    """All six columns equal those of the row directly before it."""
    BEHIND_WATERMARK = 32
    """Its time is below the listing's watermark: bars up to there are closed."""
    FUTURE = 64
    """Live, and more than 5 s ahead of the clock."""
    STALE = 256
    """Live, and more than 5 s old on arrival."""
    SPIKE = 512
    """Far from its neighbours."""
    SPREAD_SPIKE = 1024
    """A spread far from the usual."""
    OUTSIDE_SESSION = 2048
    """Outside the listing's trading hours."""
    SYNTHETIC = 65536
    """Made from a bar."""
    SYNTHETIC_OPEN = 131072
    """First of a bar's synthetic ticks: there is no path to it from the tick before."""


BROKEN: Final = 0x00FF
SUSPECT: Final = 0xFF00


def names(quality: int) -> list[str]:
    """The reasons in `quality` (32 bits), lowest bit first, in lower case; empty when good. Unknown bits: `bit_N`."""
    return [_NAMES.get(1 << bit, f"bit_{bit}") for bit in range(32) if quality >> bit & 1]


_NAMES: Final = {int(reason): str(reason.name).lower() for reason in Quality}
