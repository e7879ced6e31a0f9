"""Judges the ticks of a log again, for verify: every bit of their quality that the log itself tells.

OUTSIDE_SESSION, which needs the sessions that were known then, and the bits of synthetic ticks are taken as they lie.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from producers.judge import Judge
from producers.suspicion import LIVE, RECOMPUTED, Suspicion
from schemas.quality import BROKEN
from schemas.ticks import TickBlock


class Recheck:
    """Of one listing's blocks in order."""

    def __init__(self) -> None:
        self._judge, self._suspicion = Judge(), Suspicion()

    def recheck(self, block: TickBlock) -> NDArray[np.int32]:
        """What `quality` of the next DATA block on the log must be, int32[n]; then follows the block as it lies there.

        Ticks that didn't come live are never suspect.
        """
        expected = self._judge.recheck(block)
        if block.source not in LIVE:
            return expected
        suspect = np.where(expected & BROKEN, np.int32(0), self._suspicion.recheck(block))
        return (expected & ~np.int32(RECOMPUTED)) | suspect
