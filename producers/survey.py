"""The files of an import, looked at before anything is written: put in the order of time, each taken once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, tzinfo
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from infra.errors import BadFile
from producers.cache import TickCache
from producers.clocks import clock_of
from producers.formats.asks import with_partners
from producers.formats.data import ReadFile, ordered, read_file
from producers.formats.source import FileNotes, ReadOptions
from producers.lean import QuoteFile

PART_TICKS: Final = 256 * 4_096
"""Most ticks of a file that are held against the log at once: longer files are gone through in such parts."""


class FileFacts(NamedTuple):
    """What is known of a file, or of a part of a long one, without its rows. Times are UTC milliseconds."""

    path: Path
    day: date
    starts_ms: int
    ends_ms: int
    """Its latest row's."""
    sha256: str
    """Of the whole file."""
    ticks: int
    digits: int
    damage: BadFile | None
    first_row: int = 0
    """Of the part, in the file's ticks."""


class QuoteFiles:
    """Reads files into columns that lie on the disk: memory is that of one part, however many and long they are.

    `zone`: the clock of all files; None for what each format has. `now_us`: UTC; LEAN's days still to come are refused.
    """

    def __init__(
        self, zone: tzinfo | None, now_us: int, options: ReadOptions | None = None, cache: Path | None = None
    ) -> None:
        told = ReadOptions() if options is None else options
        self.options: Final = replace(told, clock=None if zone is None else clock_of(zone), now_us=now_us)
        self._store = TickCache(cache)
        self._asks: dict[Path, Path] = {}

    def read(self, path: Path, asks: Path | None = None) -> ReadFile:
        """The file's rows, and what was seen in it; `asks`: its bars' asks, here and later. Raises BadFile."""
        if asks is not None:
            self._asks[path] = asks
        return read_file(path, self.options, self._store, self._asks.get(path))

    def read_again(self, facts: FileFacts) -> QuoteFile:
        """The rows of a part that was looked at before. Raises BadFile if the file isn't the same any more."""
        quotes = self.read(facts.path).quotes
        if quotes.sha256 != facts.sha256:
            raise BadFile(f"{facts.path}: was changed while it was imported: import it again")
        return part_of(quotes, facts.first_row, facts.first_row + facts.ticks)


class Survey(NamedTuple):
    """The files in the order of time, in parts, and those left out because their rows and day are another's."""

    files: list[FileFacts]
    twins: list[Path]
    whole: list[ReadFile]
    """The same files, whole."""


def survey(paths: Sequence[Path], files: QuoteFiles, seen: Callable[[int], None]) -> Survey:
    """Looks at all of `paths`; `seen` gets the number of rows of each. Raises BadFile, or Refused where two overlap."""
    found = []
    for path, asks in with_partners(paths):
        found.append(files.read(path, asks))
        seen(found[-1].quotes.ticks)
    whole, twins = ordered(found)
    parts = [facts for file in whole for facts in _parts(file.quotes, file.notes)]
    return Survey(parts, [file.quotes.path for file in twins], whole)


def part_of(quotes: QuoteFile, start: int, end: int) -> QuoteFile:
    """Rows of a file as a file."""
    if start == 0 and end == quotes.ticks:
        return quotes
    rows = slice(start, end)
    return replace(
        quotes,
        starts_ms=int(quotes.time_ms[start]),
        time_ms=quotes.time_ms[rows],
        bid=quotes.bid[rows],
        ask=quotes.ask[rows],
        last=quotes.last[rows],
        volume=quotes.volume[rows],
        flags=None if quotes.flags is None else quotes.flags[rows],
    )


def printable(name: str) -> str:
    """A file's name as text: bytes that are none in its encoding are written out."""
    return name.encode(errors="backslashreplace").decode()


def _parts(quotes: QuoteFile, notes: FileNotes) -> list[FileFacts]:
    parts = []
    for start in range(0, max(quotes.ticks, 1), PART_TICKS):
        one = part_of(quotes, start, min(start + PART_TICKS, quotes.ticks))
        last = start + one.ticks == quotes.ticks
        parts.append(
            FileFacts(
                path=quotes.path,
                day=quotes.day,
                starts_ms=one.starts_ms,
                ends_ms=int(np.max(one.time_ms, initial=one.starts_ms)),
                sha256=quotes.sha256,
                ticks=one.ticks,
                digits=notes.digits,
                damage=quotes.damage if last else None,
                first_row=start,
            )
        )
    return parts
