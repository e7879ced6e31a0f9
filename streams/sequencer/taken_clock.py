"""The time at which things are taken: monotonic, anchored to the wall, and watched against it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from infra.clock import Clock, WallClock

APART_US: Final = 1_000_000
"""Wall and monotonic time further apart than this: one of them was set."""
_AT_ONCE_US: Final = 10_000
"""The two are compared by readings no further apart than this: a machine may stand between one and the other."""
_READINGS: Final = 100


class TakenClock:
    """Wall time as it was at the anchor, carried on by the monotonic clock; satisfies `infra.clock.Clock`.

    A wall that was set forward is followed by `follow`; one that was set back is not: time that entries were taken at
    doesn't come again.
    """

    def __init__(self, wall: Clock | None = None, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._wall, self._monotonic_ns = wall or WallClock(), monotonic_ns
        self._offset_us = 0
        self._offset_us = self._apart_us()
        self._known_us = 0

    def now_us(self) -> int:
        return self._monotonic_ns() // 1000 + self._offset_us

    def now_ms(self) -> int:
        return self.now_us() // 1000

    def stepped_us(self) -> int:
        """By how much the wall was set since the anchor or the last `follow`; 0 while it is less than APART_US."""
        apart_us = self._apart_us() - self._known_us
        return apart_us if abs(apart_us) > APART_US else 0

    def follow(self) -> None:
        """Goes on from the wall's time if it is later, else from its own, and counts steps from here."""
        apart_us = self._apart_us()
        if apart_us > 0:
            self._offset_us += apart_us
            apart_us = 0
        self._known_us = apart_us

    def _apart_us(self) -> int:
        """How much later the wall is than this clock."""
        apart_us = 0
        for _ in range(_READINGS):
            before_us, wall_us, after_us = self.now_us(), self._wall.now_us(), self.now_us()
            apart_us = wall_us - after_us
            if after_us - before_us <= _AT_ONCE_US:
                break
        return apart_us
