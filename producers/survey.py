"""The files of an import, looked at before anything is written: put in the order of time, each taken once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from infra.errors import BadFile, Refused
from producers.lean import QuoteFile, read_quotes
from producers.listing_spec import digits_of
from schemas.times import iso_ms


class FileFacts(NamedTuple):
    """What is known of a file without its rows. Times are UTC milliseconds; `ends_ms` is its latest row's."""

    path: Path
    day: date
    starts_ms: int
    ends_ms: int
    sha256: str
    ticks: int
    digits: int
    damage: BadFile | None


class QuoteFiles:
    """Reads quote files on one clock, and keeps the last one read: memory is that of one file, however many there are.

    `now_us`: UTC; days still to come are refused.
    """

    def __init__(self, zone: tzinfo, now_us: int) -> None:
        self._zone, self._now_us = zone, now_us
        self._last: QuoteFile | None = None

    def read(self, path: Path) -> QuoteFile:
        """The file's rows. Raises BadFile."""
        if self._last is None or self._last.path != path:
            self._last = None
            self._last = read_quotes(path, self._zone, self._now_us)
        return self._last

    def read_again(self, facts: FileFacts) -> QuoteFile:
        """The rows of a file that was looked at before. Raises BadFile if it isn't the same any more."""
        quotes = self.read(facts.path)
        if quotes.sha256 != facts.sha256:
            raise BadFile(f"{facts.path}: was changed while it was imported: import it again")
        return quotes


class Survey(NamedTuple):
    """The files in the order of time, and those left out because their rows and day are another's."""

    files: list[FileFacts]
    twins: list[Path]


def survey(paths: Sequence[Path], files: QuoteFiles, seen: Callable[[int], None]) -> Survey:
    """Looks at all of `paths`; `seen` gets the number of rows of each. Raises BadFile, or Refused where two overlap."""
    found: dict[tuple[date, str], FileFacts] = {}
    twins = []
    for path in paths:
        facts = _facts(files.read(path))
        if found.setdefault((facts.day, facts.sha256), facts) is not facts:
            twins.append(path)
        seen(facts.ticks)
    ordered = sorted(found.values(), key=lambda facts: (facts.starts_ms, facts.ends_ms))
    for one, other in pairwise(facts for facts in ordered if facts.ticks):
        if other.starts_ms < one.ends_ms:
            raise Refused(
                f"{one.path} and {other.path} overlap: the one goes on until {iso_ms(one.ends_ms)}, the other starts "
                f"at {iso_ms(other.starts_ms)}; import one of them, or each into a feed of its own (--feed NAME)"
            )
    return Survey(ordered, twins)


def printable(name: str) -> str:
    """A file's name as text: bytes that are none in its encoding are written out."""
    return name.encode(errors="backslashreplace").decode()


def _facts(quotes: QuoteFile) -> FileFacts:
    return FileFacts(
        path=quotes.path,
        day=quotes.day,
        starts_ms=quotes.starts_ms,
        ends_ms=int(quotes.time_ms.max(initial=quotes.starts_ms)),
        sha256=quotes.sha256,
        ticks=quotes.ticks,
        digits=digits_of(quotes.bid, quotes.ask),
        damage=quotes.damage,
    )
