"""A round of polls, spread over the time that it has."""

from __future__ import annotations

import time
from typing import Final

from infra.clock import WaitingClock

_SPREAD: Final = 0.8
"""Share of a round's time over which its polls are spread; the rest is for what comes between two rounds."""
_MOST_US: Final = 100_000
"""A round is spread over no more: between two rounds the recorder follows the log, and hears that it is to end."""
_LONGEST_S: Final = 0.005
"""Longest sleep at once: of a market that stands a clock can only say that it will take long."""


class Pacing:
    """Lets the polls of one round begin one after the other: what others do with each block takes as long as the poll,
    and all blocks at once would wait for each other.

    A market that stands isn't waited for, nor one that has gone on further than the round.
    """

    def __init__(self, clock: WaitingClock, start_us: int, length_us: int, polls: int) -> None:
        """A round of so many polls, from market time `start_us` on, in microseconds."""
        self._clock, self._start_us = clock, start_us
        self._each_us = min(length_us, _MOST_US) * _SPREAD / max(1, polls)
        self._goes_on = True

    def wait(self, place: int) -> None:
        """Returns when the poll at `place`, from 0 on, may begin."""
        until_us = self._start_us + int(place * self._each_us)
        while self._goes_on and (left_s := self._clock.wait_s(until_us)) > 0:
            before_us = self._clock.now_us()
            time.sleep(min(left_s, _LONGEST_S))
            self._goes_on = self._clock.now_us() > before_us
