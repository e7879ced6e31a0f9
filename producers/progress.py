"""How far a long piece of work is: counts, rate and time left, given to a callback a few times a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from infra.clock import Stopwatch

EVERY_S: Final = 0.2
"""Least time between two reports of a stage; its first and last are always given."""


class Stage(StrEnum):
    """What is being done."""

    READING = "reading"
    """Files are looked at."""
    COMPARING = "comparing"
    """The log is read beside the files."""
    WRITING = "writing"
    """Ticks are put onto the log."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is. `rate`: ticks a second since it began; `left_s`: None where the total isn't known."""

    stage: Stage
    ticks: int
    total: int | None
    rate: float
    left_s: float | None


class Meter:
    """Counts ticks of one stage after another."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self._report = report
        self._stage, self._ticks = Stage.READING, 0
        self._total: int | None = None
        self._since_start, self._since_report = Stopwatch(), Stopwatch()

    def start(self, stage: Stage, total: int | None) -> None:
        """A stage begins; `total`: the ticks that it will have, if known."""
        self._stage, self._ticks, self._total = stage, 0, total
        self._since_start = Stopwatch()
        self._tell()

    def add(self, ticks: int) -> None:
        """So many more ticks are done."""
        self._ticks += ticks
        if self._ticks == self._total or self._since_report.seconds() >= EVERY_S:
            self._tell()

    def _tell(self) -> None:
        self._since_report.restart()
        seconds = self._since_start.seconds()
        rate = self._ticks / seconds if seconds > 0 else 0.0
        left = None if self._total is None or not rate else (self._total - self._ticks) / rate
        self._report(Progress(self._stage, self._ticks, self._total, rate, left))
