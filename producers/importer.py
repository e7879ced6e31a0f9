"""The importer: puts files of ticks onto the end of a listing's log, each row once, however often it is run.

The log itself says what is there: one pass over it beside the files finds where an import that was killed goes on, and
cuts its blocks where they would have been cut. A log only grows at its end, so ticks that are older and not on it are
refused. What one run of the importer writes is a function of the files and the log before them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from infra.chain_follower import ChainFollower, ChainStopped, Fenced, Standing, read_repairs, stopped_message
from infra.clock import Clock
from infra.errors import BadFile, Refused
from infra.kafka import end_of
from infra.reference_log import append_reference, read_reference
from infra.tick_writer import TickWriter
from producers.clocks import ServerClock
from producers.file_writer import FileWriter
from producers.formats.data import expand, facts_of, judged_facts, listing_data, symbol_of
from producers.formats.facts import DataFacts
from producers.formats.source import ReadOptions
from producers.listing_spec import DEFAULT_SERVER_CLOCK, spec_of, wanted_spec
from producers.log_scan import LogScan, Place, rows_of
from producers.pieces import columns_of
from producers.progress import Meter, Progress, Stage
from producers.recorder.pinned import refuse_recorded
from producers.source_events import availability, events_of, write_missing
from producers.survey import QuoteFiles, Survey, printable, survey
from schemas.accept import Head, Verdict
from schemas.events import ListingSpec, ReferenceOpen, ReferenceRecord, SourceEvent
from schemas.identity import Listing
from schemas.integrity import KeyRing
from schemas.ticks import TickBlock, TickSource
from schemas.times import iso_ms

Derived = Callable[[str, int], None]
"""Returns once all that derives from a listing's first n ticks is on the topics and in the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What to import: `files` onto the log of `listing`."""

    listing: Listing
    """Its symbol may be empty: what the files or their names say."""
    files: Sequence[Path]
    """Files, folders and globs."""
    zone: tzinfo | None = None
    """The clock of the files; None for what each format has."""
    server_clock: str | None = None
    """The broker's clock, as `ServerClock` takes it; None: what the listing has, New York + 7 h if it has none."""
    spec: dict[str, Any] = field(default_factory=dict)
    """What a spec file tells of the listing (`listing_spec.read_spec`)."""
    options: ReadOptions = field(default_factory=ReadOptions)
    """What is told of the files' format; clocks and digits are those of the request."""
    cache: Path | None = None
    """Folder where parsed files are kept; None: a temporary one."""


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A file and its rows on the log: ticks first_n <= n < first_n + ticks, of which `new` were written now."""

    path: Path
    first_n: int
    ticks: int
    new: int


@dataclass(slots=True, kw_only=True)
class ImportResult:
    """What an import did."""

    listing: str
    files: list[ImportedFile] = field(default_factory=list)
    """In the order of the log."""
    twins: list[Path] = field(default_factory=list)
    """Files that are the same as another one, taken once."""
    left_out: list[Path] = field(default_factory=list)
    """Files behind a damaged one, not imported."""
    damage: BadFile | None = None
    """What ended the import early; all rows before it are on the log."""
    refused: int = 0
    """Of the new ticks, how many were judged broken: kept, and used by nothing."""
    reasons: Counter[str] = field(default_factory=Counter)
    """The same by reason; a tick can have several."""
    n: int = 0
    """Ticks on the log now."""

    @property
    def new(self) -> int:
        """Ticks written now."""
        return sum(file.new for file in self.files)


class LookedAt(NamedTuple):
    """The files of a request, looked at."""

    request: ImportRequest
    quotes: QuoteFiles
    survey: Survey
    facts: DataFacts
    """All but what the judge says."""

    @property
    def damage(self) -> BadFile | None:
        """What is wrong inside the first damaged file, if any."""
        return next((facts.damage for facts in self.survey.files if facts.damage is not None), None)

    def judged(self) -> DataFacts:
        """The facts with what the judge says of the ticks on a log of their own: one pass over them."""
        return judged_facts(listing_data(self.request.listing, self.survey.whole, self.facts, self.quotes.options))


def look_at(request: ImportRequest, clock: Clock, progress: Callable[[Progress], None] = lambda _: None) -> LookedAt:
    """Looks at the files of a request; needs no broker.

    Raises BadFile (one that can't be read or placed in time), Refused (two that overlap), UnknownClock.
    """
    if request.server_clock is not None:
        ServerClock(request.server_clock)
    meter = Meter(progress)
    meter.start(Stage.READING, None)
    digits = request.spec.get("digits", request.options.digits)
    options = replace(request.options, server_clock=request.server_clock, digits=digits)
    quotes = QuoteFiles(request.zone, clock.now_us(), options, request.cache)
    found = survey(expand(request.files), quotes, meter.add)
    symbols = {request.listing.symbol or symbol_of(file, None) for file in found.whole}
    if len(symbols) > 1:
        raise Refused(f"the files are of several symbols ({', '.join(sorted(symbols))}): import one at a time")
    request = replace(request, listing=Listing(request.listing.feed, symbols.pop()))
    return LookedAt(request, quotes, found, facts_of(request.listing.symbol, found.whole, found.twins, options))


class Importer:
    """Imports onto one cluster. `wait`: what to wait for at the end; None: nothing."""

    def __init__(
        self,
        bootstrap: str,
        keys: KeyRing,
        clock: Clock,
        *,
        progress: Callable[[Progress], None] = lambda _: None,
        wait: Derived | None = None,
    ) -> None:
        self._bootstrap, self._keys, self._clock = bootstrap, keys, clock
        self._progress, self._wait = progress, wait

    def run(self, request: ImportRequest) -> ImportResult:
        """Looks at the files of a request and imports them: see `look_at` and `run_looked_at`."""
        return self.run_looked_at(look_at(request, self._clock, self._progress))

    def run_looked_at(self, found: LookedAt) -> ImportResult:
        """Imports what isn't on the log yet. A file that is damaged inside ends it early, and is in the result.

        Raises Refused (older than the log, a recorder's feed), Fenced (another importer took the listing over),
        BadFile (a file was changed meanwhile), ChainStopped, Unreachable.
        """
        result = _Import(self._bootstrap, self._keys, self._clock, Meter(self._progress), found).run()
        if self._wait is not None and result.n:
            self._wait(result.listing, result.n)
        return result


class _Import:
    """One run."""

    def __init__(self, bootstrap: str, keys: KeyRing, clock: Clock, meter: Meter, found: LookedAt) -> None:
        self._bootstrap, self._keys, self._clock, self._meter = bootstrap, keys, clock, meter
        self._request, self._quotes, self._files = found.request, found.quotes, list(found.survey.files)
        self._listing, self._whole = str(found.request.listing), found.survey.whole
        self._result = ImportResult(listing=self._listing, twins=found.survey.twins)

    def run(self) -> ImportResult:
        refuse_recorded(self._request.listing.feed, events_of(self._bootstrap, self._request.listing.feed))
        self._end_at_damage()
        self._meter.start(Stage.COMPARING, None)
        scan, standing = self._scan()
        missing = self._missing(scan)
        server_clock, ref_no = self._reference(missing)
        if missing:
            self._meter.start(Stage.WRITING, missing)
            self._append(scan, standing, server_clock, ref_no)
        else:
            self._note(scan.places())
            self._result.n = scan.n
        write_missing(self._bootstrap, self._request.listing.feed, self._events(server_clock))
        self._result.files = _without_parts(self._result.files)
        return self._result

    def _end_at_damage(self) -> None:
        """Files behind a damaged one are left out: its rest can then still be put before them."""
        for i, facts in enumerate(self._files):
            if facts.damage is not None:
                self._result.damage = facts.damage
                self._result.left_out = list(dict.fromkeys(later.path for later in self._files[i + 1 :]))
                del self._files[i + 1 :]
                return

    def _scan(self) -> tuple[LogScan, Standing]:
        """The pass over the log. It opens nothing, since nothing is written if all is there already."""
        scan = LogScan(
            [facts.ticks for facts in self._files],
            lambda i: rows_of(columns_of(self._quotes.read_again(self._files[i]))),
        )
        repairs = read_repairs(self._bootstrap, self._keys)
        start = Standing(Head(), 0, 0)
        follower = ChainFollower(self._bootstrap, "ticks", self._listing, self._keys, start, repairs)

        def seen(record: TickBlock | ReferenceRecord | ReferenceOpen, verdict: Verdict) -> None:
            if verdict is Verdict.TAKE and isinstance(record, TickBlock):
                self._feed(scan, record)
                self._meter.add(record.size)

        follower.read_to(end_of(self._bootstrap, "ticks", follower.partition), seen)
        if follower.head.stopped:
            raise ChainStopped(stopped_message(self._listing, follower.head))
        return scan, follower.standing()

    def _feed(self, scan: LogScan, block: TickBlock) -> None:
        if block.source != TickSource.IMPORT:
            raise Refused(
                f"feed {self._request.listing.feed!r} belongs to a recorder, which has written {self._listing} "
                f"({TickSource(block.source).name}): a feed is recorded or imported, never both; name another by --feed"
            )
        scan.feed(block)

    def _missing(self, scan: LogScan) -> int:
        """How many rows aren't on the log. Raises Refused if they can't be put at its end."""
        missing, end_ms = 0, scan.judge.watermark_ms
        for facts, place in zip(self._files, scan.places(), strict=True):
            if facts.ticks and not place.rows and not missing and facts.starts_ms < end_ms:
                raise Refused(
                    f"{facts.path}: starts at {iso_ms(facts.starts_ms)}, before the log of {self._listing} ends at "
                    f"{iso_ms(end_ms)}, and isn't on it: a log only grows at its end. Import it under another name "
                    "(--feed NAME), with all files of that feed at once or one after the other in the order of time"
                )
            missing += facts.ticks - place.rows
        return missing

    def _reference(self, missing: int) -> tuple[ServerClock, int]:
        """(the server's clock, the last reference number), after the listing's spec was written if it has to be."""
        request, digits = self._request, max((facts.digits for facts in self._files), default=0)

        def wanted(records: list[ReferenceRecord]) -> list[ReferenceRecord]:
            now = spec_of(self._listing, records)
            self._check_clock(now)
            spec = wanted_spec(self._listing, now, request.spec, digits, request.server_clock)
            return [] if spec is None else [spec]

        if missing or request.spec:
            records = append_reference(self._bootstrap, self._keys, self._clock, wanted)
        else:
            records = read_reference(self._bootstrap, self._keys)[0]
        spec = spec_of(self._listing, records)
        last = max((record.ref_no for record in records if not isinstance(record, ReferenceOpen)), default=0)
        return ServerClock(DEFAULT_SERVER_CLOCK if spec is None else spec.server_clock), last

    def _check_clock(self, now: ListingSpec | None) -> None:
        """Files on the server's clock were put on UTC by the one that was told, or the usual one: the listing's?"""
        if now is None or self._request.server_clock is not None or now.server_clock == DEFAULT_SERVER_CLOCK:
            return
        for file in self._whole:
            if file.quotes.clock == ServerClock(DEFAULT_SERVER_CLOCK).wall:
                raise Refused(
                    f"{file.quotes.path}: its times are on the server's clock, which was taken for "
                    f"{DEFAULT_SERVER_CLOCK}, but "
                    f"{self._listing} has {now.server_clock}: say which by --server-clock"
                )

    def _append(self, scan: LogScan, standing: Standing, server_clock: ServerClock, ref_no: int) -> None:
        with TickWriter(
            self._bootstrap,
            self._keys,
            self._clock,
            self._listing,
            TickSource.IMPORT,
            start=standing,
            on_block=lambda block: self._feed(scan, block),
        ) as writer:
            try:
                writer.open()
                # Another importer may have come between the pass and this OPEN: what it wrote has been read just now.
                self._missing(scan)
                self._note(scan.places())
                files = FileWriter(writer, scan, server_clock, ref_no, self._clock, self._meter)
                for i, (facts, place) in enumerate(zip(self._files, scan.places(), strict=True)):
                    if place.rows < facts.ticks:
                        first_n = files.write(self._quotes.read_again(facts), place.rows)
                        self._result.files[i] = ImportedFile(facts.path, first_n, facts.ticks, facts.ticks - place.rows)
                writer.drain()
            except Fenced as error:
                raise Fenced(f"{error}; run the import again: it goes on where the log ends") from error
            writer.anchor()
            self._result.refused, self._result.reasons = files.refused, files.reasons
            self._result.n = writer.written.n

    def _note(self, places: list[Place]) -> None:
        self._result.files = [
            ImportedFile(facts.path, place.first_n, facts.ticks, 0)
            for facts, place in zip(self._files, places, strict=True)
        ]

    def _events(self, server_clock: ServerClock) -> list[SourceEvent]:
        """An event for each file, whoever wrote its rows: one that was killed may have left it out."""
        return [
            availability(
                self._request.listing,
                from_n=file.first_n,
                to_n=file.first_n + file.ticks,
                from_ms=facts.starts_ms,
                to_ms=facts.ends_ms + 1,
                server_offset_s=int(server_clock.offsets_s(np.array([facts.starts_ms]))[0]),
                time_us=self._clock.now_us(),
                detail=f"{printable(facts.path.name)}, {facts.ticks} ticks, sha256 {facts.sha256}",
            )
            for facts, file in zip(self._files, self._result.files, strict=True)
            if file.ticks
        ]


def _without_parts(files: Sequence[ImportedFile]) -> list[ImportedFile]:
    """The files with the parts of a long one put together again."""
    out: list[ImportedFile] = []
    for file in files:
        if out and out[-1].path == file.path:
            before = out.pop()
            file = replace(file, first_n=before.first_n, ticks=before.ticks + file.ticks, new=before.new + file.new)
        out.append(file)
    return out
