"""Whether time goes as it should: market time doesn't leap, and ticks don't have times that are still to come.

What comes late after a leap is suspect, what comes from the future is broken, by the rules of every tick; here is what
people are told of it: what, since when, and that it is over once ticks come in time again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from infra.clock import WaitingClock
from infra.market_clock import MarketClock
from producers.judge import AHEAD_MS
from producers.suspicion import STALE_MS
from schemas.events import Severity
from schemas.times import iso_ms

LEAP_US: Final = 60_000_000
"""By how much more than has passed a clock leaps; how far ahead of it ticks do."""
AHEAD_TOLD_S: Final = 1.0
"""So long ticks of a listing have to be ahead: one alone is just broken."""

Tell = Callable[[str, str, Severity], None]
"""Takes an alert's code, message and severity."""


class _Seen(NamedTuple):
    """What the clock showed."""

    us: int
    rate: float
    """Seconds of it a second of the machine."""
    at_s: float
    """On the machine's monotonic clock, not after it was read."""


class _Ahead(NamedTuple):
    """A listing whose ticks are ahead of the clock."""

    since_us: int
    since_s: float
    by_us: int


class MarketTime:
    """The time of one feed, which is told as it leaps and when that is over."""

    def __init__(self, clock: WaitingClock, tell: Tell) -> None:
        self._clock, self._tell = clock, tell
        self._seen: _Seen | None = None
        self._ahead: dict[str, _Ahead] = {}
        self._since_us: int | None = None
        """When the leap began that isn't over yet."""
        self._in_time = False

    def look(self) -> None:
        """Looks whether the clock has leapt since the last look."""
        at_s, us, rate = time.monotonic(), self._clock.now_us(), _rate_of(self._clock)
        seen, self._seen = self._seen, _Seen(us, rate, at_s)
        if seen is None:
            return
        # Whenever between the two looks its pace was changed, it went no farther than this.
        passed_us = int((time.monotonic() - seen.at_s) * max(rate, seen.rate) * 1e6)
        leapt_us = us - seen.us - passed_us
        if leapt_us > LEAP_US:
            self._begin(
                seen.us,
                f"the clock has gone {leapt_us / 1e6:.0f} s too far since {iso_ms(seen.us // 1000)}: it went to "
                f"{iso_ms(us // 1000)} at once. Ticks from in between come late, so they are suspect, and no entry is "
                "decided on them. If nobody moved the market, see whether this machine slept, or its clock was set",
            )

    def ticked(self, listing: str, time_us: int, now_us: int) -> None:
        """The newest tick of a listing, which has just come, has that time; UTC."""
        by_us = time_us - now_us
        if -STALE_MS * 1000 <= by_us <= AHEAD_MS * 1000:
            self._in_time = True
            self._ahead.pop(listing, None)
        elif by_us > LEAP_US:
            first = self._ahead.get(listing) or _Ahead(now_us, time.monotonic(), by_us)
            self._ahead[listing] = first._replace(by_us=by_us)

    def settle(self, listings: Collection[str]) -> None:
        """All listings that are recorded were read to their end: tells what is ahead, and what is over."""
        self.look()  # A clock that leapt since the ticks were asked for may be why they are in time.
        self._ahead = {name: ahead for name, ahead in self._ahead.items() if name in listings}
        for name, ahead in self._ahead.items():
            if time.monotonic() - ahead.since_s >= AHEAD_TOLD_S:
                self._begin(
                    ahead.since_us,
                    f"ticks of {name} have times {ahead.by_us / 1e6:.0f} s or more ahead of the clock since "
                    f"{iso_ms(ahead.since_us // 1000)}: they are broken, and nothing is decided on them. See whether "
                    "this machine's clock or the broker's is wrong; recorder.server_clock says how the broker's runs",
                )
        if self._since_us is not None and self._in_time and not self._ahead:
            message = (
                f"ticks come in time again: they hadn't since {iso_ms(self._since_us // 1000)}, and no entry was "
                "decided on those that didn't"
            )
            self._tell("time_steady", message, Severity.INFO)
            self._since_us = None

    def _begin(self, since_us: int, message: str) -> None:
        """Tells of a leap, unless one that was told isn't over yet."""
        if self._since_us is None:
            self._since_us, self._in_time = since_us, False
            self._tell("time_leapt", message, Severity.WARNING)


def _rate_of(clock: WaitingClock) -> float:
    return clock.pace().rate if isinstance(clock, MarketClock) else 1.0
