"""What a reader of files gives and is told: options, batches of rows, and notes of what was seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, timedelta, timezone
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from producers.clocks import FileClock, ServerClock
from producers.formats.bars import Spread
from producers.formats.gaps import GapCount
from producers.formats.names import Hint
from producers.listing_spec import DEFAULT_SERVER_CLOCK

FORMATS: Final = (
    "mt5-ticks", "mt5-bars", "dukascopy-bi5", "dukascopy-ticks", "dukascopy-bars", "histdata-ticks", "histdata-bars",
    "truefx", "lean", "csv", "parquet",
)  # fmt: skip
"""What `--format` takes; a family's name (mt5, dukascopy, histdata) too."""

EST: Final = timezone(timedelta(hours=-5))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What is told about files; None: to be found, or the format's own."""

    format: str | None = None
    clock: FileClock | None = None
    """The clock of the times in the files."""
    server_clock: str | None = None
    columns: str | None = None
    point_factor: float | None = None
    spread_points: Spread | None = None
    digits: int | None = None
    stamp: str | None = None
    """Of bars: open or close."""
    now_us: int = 2**62
    """UTC; days still to come are refused (LEAN)."""

    def form(self, hint: Hint) -> str:
        """All that the reading of a file of such a name depends on besides its content, as text."""
        told = {name: getattr(self, name) for name in self.__slots__ if name not in ("now_us", "clock")}
        if isinstance(self.spread_points, list | tuple):
            told["spread_points"] = list(self.spread_points)
        clock = None if self.clock is None else [str(self.clock.zone), self.clock.shift_s]
        return json.dumps([told, clock, asdict(hint)], sort_keys=True, default=str)


@dataclass(slots=True, kw_only=True)
class FileNotes:
    """What was seen in one file; kept beside its columns. Times UTC milliseconds."""

    format: str
    symbol: str | None = None
    """As the rows or the name have it."""
    clock: list[Any] = field(default_factory=lambda: ["UTC", "told"])
    """(name, told | by the format | assumed)."""
    bars: bool = False
    bar_ms: int = 0
    stamp: str = ""
    stamp_from: str = ""
    digits: int = 0
    rows: int = 0
    ticks: int = 0
    starts_ms: int = 0
    ends_ms: int = 0
    duplicates: int = 0
    skipped: int = 0
    backwards: int = 0
    crossed: int = 0
    spread_from: str = "ask"
    second_passes: int = 0
    """Rows in the later pass of an hour that the clock shows twice."""
    gaps: GapCount = field(default_factory=GapCount)
    head: list[str] = field(default_factory=list)
    """Its first rows as text."""
    warnings: list[str] = field(default_factory=list)
    damage: str | None = None
    sha256: str | None = None
    """Of the content unpacked (LEAN)."""

    def as_json(self) -> dict[str, Any]:
        """To be kept."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "gaps": self.gaps.as_json()}

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> FileNotes:
        """What `as_json` gave."""
        return cls(**{**kept, "gaps": GapCount.of_json(kept["gaps"])})


class Batch(NamedTuple):
    """Rows as read: their times on the file's clock (or UTC, if the rows tell their offsets), and values by name."""

    wall_ms: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    is_utc: bool
    digits: int
    first_line: int
    skipped: int = 0
    """Rows left out before these: bid or ask wasn't known yet."""


class Source(NamedTuple):
    """A file's rows to come, and what is known of them before the first."""

    format: str
    batches: Iterator[Batch]
    bars: bool
    clock: str
    """One of layouts.CLOCKS."""
    symbol: str | None
    stamp: str
    """open or close where the format tells it, else empty."""
    head: list[str]
    warnings: tuple[str, ...] = ()
    ask_side: bool = False
    """Bars of asks rather than bids."""
    starts_ms: int = 0
    """UTC: where the file stands in time if no row of it is whole."""
    sha256: str | None = None
    """Of the content unpacked, where the reader knows it."""


class Damage(Exception):
    """What ended the reading: ", line 7: reason"."""


def file_clock(notes: FileNotes, options: ReadOptions) -> FileClock:
    """The clock by which the times of a file were put on UTC."""
    how = notes.clock[1]
    if how == "told" and options.clock is not None:
        return options.clock
    if notes.clock[0].startswith("the server's"):
        return ServerClock(options.server_clock or DEFAULT_SERVER_CLOCK).wall
    return FileClock(notes.clock[0], EST if notes.clock[0].startswith("UTC-05") else UTC)
