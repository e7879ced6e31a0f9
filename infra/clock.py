"""The clock port: the only place that asks what time it is.

Operators never see it (their time is the time in their records). Everything else takes a ``Clock``, so that tests and
a simulated market can set it.
"""

from __future__ import annotations

import time
from typing import Final, Protocol

STANDING_WAIT_S: Final = 0.05
"""After what time to ask a clock again that stands still."""


class Clock(Protocol):
    """Wall time in UTC since the epoch."""

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC."""
        ...

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC, cut."""
        ...


class WaitingClock(Clock, Protocol):
    """A clock that also says how long to wait for a time on it: it may be faster than the machine's, or stand."""

    def wait_s(self, us: int) -> float:
        """Seconds of the machine until the clock gets to ``us`` (microseconds since the epoch); 0.0 if it is there.

        A clock whose pace may change names a short time at most: wait, and ask again.
        """
        ...


class SystemClock:
    """The machine's wall time, anchored once and carried on by the monotonic clock: it never runs backwards.

    A step of the wall clock of more than ``STEP_NS`` forward is followed (a machine that slept); a step back is not.
    """

    STEP_NS = 2_000_000_000

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_us(self) -> int:
        monotonic_ns = time.monotonic_ns()
        wall_ns = time.time_ns()
        if wall_ns - monotonic_ns - self._offset_ns > self.STEP_NS:
            self._offset_ns = wall_ns - monotonic_ns
        return (monotonic_ns + self._offset_ns) // 1000

    def now_ms(self) -> int:
        return self.now_us() // 1000

    def wait_s(self, us: int) -> float:
        return max(0, us - self.now_us()) / 1e6


class WallClock:
    """The machine's wall time as it is, steps and all: for who watches whether it was set."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def now_ms(self) -> int:
        return self.now_us() // 1000


class FixedClock:
    """A clock that stands still until it is told to go on; for tests."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def now_ms(self) -> int:
        return self._now_us // 1000

    def advance(self, us: int) -> None:
        """Go on by ``us`` microseconds."""
        self._now_us += us

    def wait_s(self, us: int) -> float:
        return 0.0 if us <= self._now_us else STANDING_WAIT_S


class Stopwatch:
    """Seconds since it was made, on the monotonic clock; for time limits and rates, never for records."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._start

    def restart(self) -> float:
        """Seconds until now; counts from now on."""
        now = time.monotonic()
        elapsed, self._start = now - self._start, now
        return elapsed
