"""How fast the simulated market goes, and how far ahead of those who follow it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from infra.errors import Refused
from infra.market_clock import MarketClockWriter
from infra.marks import Mark

FASTEST: Final = 10_000.0
"""Speed 0: market seconds a second while nothing holds the market."""
LEASE_S: Final = 120.0
"""How long market time goes on without its terminal, in seconds of the machine."""
UNMARKED_US: Final = 30_000_000
"""How far market time goes on, whatever the lead, while a follower has no mark: the recorder begins no more than a
minute behind the newest tick, and has to find the first one then."""
TAIL_US: Final = 60_000_000
"""How far market time goes on behind the last tick: what is on its way arrives."""


class Pace:
    """Sets market time: speed, standing, and its limit. A test owns it, or the terminal's thread renews it."""

    def __init__(
        self,
        clock: MarketClockWriter,
        now_us: int,
        end_us: int,
        *,
        speed: float = 1.0,
        standing: bool = False,
        lead_us: int = 5_000_000,
        marks: Sequence[Mark] = (),
        start_us: int | None = None,
    ) -> None:
        """`end_us`: when the last tick happens. `marks`: of those whom the market waits for at other speeds than 1.

        `start_us`: where the market started, if it goes on from a later time.
        """
        self.clock, self.lead_us, self.marks = clock, lead_us, tuple(marks)
        self.speed, self.standing = speed, standing
        self.last_us = end_us + TAIL_US
        """Here it stands for good."""
        self._start_us = now_us if start_us is None else start_us
        self._set(now_us)

    def now_us(self) -> int:
        return self.clock.now_us()

    @property
    def rate(self) -> float:
        """Market seconds a second while it isn't held."""
        return 0.0 if self.standing else self.speed or FASTEST

    def renew(self) -> None:
        """Lets market time go as far as it may by now."""
        pace = self.clock.pace()
        limit_us = self._limit_us(self.now_us())
        # A lease that has half its time left is good enough; a follower that has got on is not to wait.
        if limit_us > pace.limit_us + (0 if self._follows else self._lease_us // 2):
            self.clock.limit(limit_us)

    @property
    def held(self) -> bool:
        """Whether it stands at a limit: its followers' or its end."""
        return not self.standing and self.now_us() >= self.clock.pace().limit_us

    def set_speed(self, speed: float) -> None:
        """So many times real time; 0: as fast as it can. Raises Refused."""
        if not (math.isfinite(speed) and 0 <= speed <= FASTEST):
            raise Refused(f"a speed of {speed:g} can't be: it is from 0 (as fast as it can) to {FASTEST:g}")
        self.speed = speed
        self._set(self.now_us())

    def pause(self) -> None:
        self.standing = True
        self._set(self.now_us())

    def resume(self) -> None:
        self.standing = False
        self._set(self.now_us())

    def go_to(self, us: int) -> None:
        """Market time is `us` from now on, whoever follows. Raises Refused for a time before the present one."""
        now_us = self.now_us()
        if us < now_us:
            raise Refused(f"market time is {now_us} µs already, it can't go back to {us}: start a fresh home instead")
        self._set(us)

    def kept(self) -> dict[str, Any]:
        """Speed and standing, for a restart."""
        return {"speed": self.speed, "standing": self.standing}

    @property
    def _follows(self) -> bool:
        return bool(self.marks) and self.speed != 1

    @property
    def _lease_us(self) -> int:
        return int(LEASE_S * 1e6 * self.rate)

    def _set(self, now_us: int) -> None:
        self.clock.set(now_us, self.rate, self._limit_us(now_us))

    def _limit_us(self, now_us: int) -> int:
        if not self._follows:
            return min(self.last_us, now_us + self._lease_us)
        followed_us = [us for mark in self.marks if (us := mark.get()) is not None]
        unmarked_us = [self._start_us + min(self.lead_us, UNMARKED_US)] if len(followed_us) < len(self.marks) else []
        return min(self.last_us, *unmarked_us, *(us + self.lead_us for us in followed_us))
