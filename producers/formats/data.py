"""Files as listings of ticks: what a backtest or an import reads, parsed once and kept by content.

`open_data` is the whole of it. The blocks of a listing are those that an import of the same files puts onto an empty
log: the same ticks in the same places, judged by the same code.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta, tzinfo
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from infra.clock import SystemClock
from infra.errors import BadFile, FileUnreadable, Refused, SettingsError
from producers.cache import Entry, TickCache
from producers.clocks import ServerClock, clock_of
from producers.formats.asks import with_partners
from producers.formats.facts import FILL_RULE_BARS, FILL_RULE_TICKS, DataFacts, Gap
from producers.formats.gaps import KEPT, GapCount
from producers.formats.names import hint_of
from producers.formats.reading import read_into
from producers.formats.source import FORMATS, FileNotes, ReadOptions, file_clock
from producers.formats.text import content_hash
from producers.formats.weeks import week_warnings
from producers.judge import Judge
from producers.lean import QuoteFile
from producers.listing_spec import DEFAULT_SERVER_CLOCK
from producers.pieces import judged, refusals
from schemas.identity import InvalidName, Listing, check_feed, check_symbol
from schemas.integrity import ZERO_MAC
from schemas.ticks import BlockKind, TickBlock, TickSource
from schemas.times import iso_ms

BLOCK_TICKS: Final = 65_536
"""Most ticks of a block for a backtest: blocks that lie on no log may be longer than its."""

_FILE: Final = "\0"
_DATA_SUFFIXES: Final = (".csv", ".txt", ".tsv", ".prn", ".zip", ".gz", ".bi5", ".parquet", ".pq")


class ReadFile(NamedTuple):
    """A file as columns, with what was seen in it."""

    quotes: QuoteFile
    notes: FileNotes


@dataclass(frozen=True, slots=True, eq=False)
class ListingData:
    """One listing's ticks from files, in the order of time."""

    listing: Listing
    digits: int
    """Of a price: told, or found in the files."""
    server_clock: str
    """As `ServerClock` takes it: the clock that bars are cut on."""
    facts: DataFacts
    """What was found; the judge's part too, which costs one pass over the ticks."""
    files: tuple[ReadFile, ...]
    store: TickCache | None = field(default=None, repr=False)
    """Where the columns lie: a temporary folder goes with the last that holds it."""

    def blocks(self, ref_no: int = 1, most: int = BLOCK_TICKS) -> Iterator[TickBlock]:
        """DATA blocks of at most `most` ticks without keys: what an import of the files puts onto an empty log.

        seq counts from 1 and first_n from 0; quality, gaps, offsets and watermarks are the importer's; received_us is
        that of the last tick's time, since no fold reads it.
        """
        judge, clock = Judge(), ServerClock(self.server_clock)
        seq, first_n, before_ms = 0, 0, None
        for file in self.files:
            for piece in judged(file.quotes, 0, before_ms, clock, judge, most):
                seq += 1
                yield piece.columns._replace(
                    kind=BlockKind.DATA,
                    listing=str(self.listing),
                    epoch=1,
                    seq=seq,
                    first_n=first_n,
                    ref_no=ref_no,
                    source=TickSource.IMPORT,
                    received_us=int(piece.columns.time_ms[-1]) * 1000,
                    server_offset_s=piece.server_offset_s,
                    gap=piece.gap,
                    watermark_ms=piece.watermark_ms,
                    prev=ZERO_MAC,
                    mac=ZERO_MAC,
                )
                first_n += piece.columns.size
            if file.quotes.ticks:
                before_ms = int(file.quotes.time_ms[-1])


def open_data(
    paths: Sequence[Path | str],
    *,
    symbol: str | None = None,
    feed: str = "import",
    format_: str | None = None,
    zone: tzinfo | None = None,
    server_clock: str | None = None,
    columns: str | None = None,
    point_factor: float | None = None,
    spread_points: float | Sequence[float] | None = None,
    digits: int | None = None,
    stamp: str | None = None,
    cache: Path | None = None,
    progress: Callable[[str, int], None] = lambda _path, _ticks: None,
) -> list[ListingData]:
    """The listings in files, folders and globs, by symbol; parsed into `cache`, or a temporary folder.

    None of an option: found in the files, or the format's own. `zone`: the clock of the files' times. `server_clock`:
    as `--server-clock`; MT5's exports are on it. `spread_points`: of bars that tell none; one number or 24 by hour of
    the server's day. `stamp`: whether bars are stamped at their open or close. `progress` is called with each file and
    its ticks. Raises BadFile, Refused and SettingsError with the way out.
    """
    options = replace(
        told_options(format_, columns, point_factor, spread_points, stamp),
        clock=None if zone is None else clock_of(zone),
        server_clock=server_clock,
        digits=digits,
        now_us=SystemClock().now_us(),
    )
    if server_clock is not None:
        ServerClock(server_clock)
    store = TickCache(cache)
    by_symbol: dict[str, list[ReadFile]] = {}
    for path, asks in with_partners(expand(paths)):
        file = read_file(path, options, store, asks)
        progress(str(path), file.quotes.ticks)
        if file.quotes.damage is not None:
            raise BadFile(f"{file.quotes.damage}; mend the file, or leave it out")
        by_symbol.setdefault(symbol_of(file, symbol), []).append(file)
    return [_listing(Listing(_feed(feed), name), files, options, store) for name, files in by_symbol.items()]


def told_options(
    format_: str | None,
    columns: str | None,
    point_factor: float | None,
    spread_points: float | Sequence[float] | None,
    stamp: str | None,
) -> ReadOptions:
    """The options of a command, checked. Raises SettingsError."""
    if format_ is not None and not any(name == format_ or name.startswith(format_ + "-") for name in FORMATS):
        raise SettingsError(
            f"there is no format {format_!r}; --format takes {', '.join(FORMATS)}, or a family: mt5, dukascopy, "
            "histdata"
        )
    if stamp not in (None, "open", "close"):
        raise SettingsError(f"--stamp {stamp}: bars are stamped at their open or at their close")
    if point_factor is not None and not 0 < point_factor < 1e12:
        raise SettingsError(f"--point-factor {point_factor}: points in a unit of the price, such as 100000")
    return ReadOptions(
        format=format_, columns=columns, point_factor=point_factor, spread_points=_spread(spread_points), stamp=stamp
    )


def expand(paths: Sequence[Path | str]) -> list[Path]:
    """The files that paths, folders (with all below them) and globs name, each once. Raises BadFile."""
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and p.name.lower().endswith(_DATA_SUFFIXES))
            if not inside:
                raise FileUnreadable(f"{path}: no file of data in this folder ({', '.join(_DATA_SUFFIXES)})")
        elif not path.exists() and any(sign in str(path) for sign in "*?["):
            base = Path(path.anchor) if path.is_absolute() else Path()
            inside = sorted(p for p in base.glob(str(path.relative_to(path.anchor))) if p.is_file())
            if not inside:
                raise FileUnreadable(f"{path}: no file is named so")
        else:
            inside = [path]
        found.update(dict.fromkeys(inside))
    if not found:
        raise SettingsError("no file is named")
    return list(found)


@cache
def _readers() -> str:
    """A hash of what reads files: a file is parsed anew once that has changed."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()


def read_file(path: Path, options: ReadOptions, store: TickCache, asks: Path | None = None) -> ReadFile:
    """A file's columns from the store, parsed if they aren't there; `asks`: its bars' asks. Raises BadFile, Refused."""

    def read(writer: object) -> dict[str, object]:
        found = read_into(path, options, writer, asks)  # type: ignore[arg-type]
        if asks is not None:
            found.sha256 = hashlib.sha256(f"{content_hash(path)} {beside}".encode()).hexdigest()
        return _named(found, str(path), _FILE).as_json()

    beside = "" if asks is None else content_hash(asks)
    entry: Entry = store.get(path, f"{_readers()} {options.form(hint_of(path))} {beside}".rstrip(), read)
    notes = _named(FileNotes.of_json(entry.meta), _FILE, str(path))
    columns = entry.columns
    clock = file_clock(notes, options)
    starts_ms = int(columns.time_ms[0]) if len(columns.time_ms) else notes.starts_ms
    quotes = QuoteFile(
        path=path,
        day=date(1970, 1, 1) + timedelta(days=int(clock.days(np.array([starts_ms], np.int64))[0])),
        starts_ms=starts_ms,
        sha256=notes.sha256 or entry.sha256,
        time_ms=columns.time_ms,
        bid=columns.bid,
        ask=columns.ask,
        damage=None if notes.damage is None else BadFile(notes.damage),
        clock=clock,
        last=columns.last,
        volume=columns.volume,
        flags=columns.flags,
        synthetic=notes.bars,
    )
    return ReadFile(quotes, notes)


def _named(notes: FileNotes, before: str, after: str) -> FileNotes:
    """The notes with another name for the file: what is kept by its content may lie elsewhere the next time."""
    damage = None if notes.damage is None else notes.damage.replace(before, after)
    return replace(notes, damage=damage, warnings=[warning.replace(before, after) for warning in notes.warnings])


def symbol_of(file: ReadFile, told: str | None) -> str:
    """The symbol of a file: as told, or as its rows or its name have it. Raises SettingsError."""
    symbol = told or file.notes.symbol
    if symbol is None:
        raise SettingsError(
            f"{file.quotes.path}: which symbol it is isn't known from its name: tell it by --symbol, such as --symbol "
            "EURUSD"
        )
    try:
        return check_symbol(symbol)
    except InvalidName as error:
        raise SettingsError(str(error)) from error


def _feed(feed: str) -> str:
    try:
        return check_feed(feed)
    except InvalidName as error:
        raise SettingsError(str(error)) from error


def _spread(spread: float | Sequence[float] | None) -> float | tuple[float, ...] | None:
    if spread is None:
        return None
    values = (float(spread),) if isinstance(spread, int | float) else tuple(map(float, spread))
    if len(values) not in (1, 24) or not all(0 <= value < 1e6 for value in values):
        raise SettingsError("the spread is one number of points, zero or above, or 24 of them by the server's hour")
    return values[0] if len(values) == 1 else values


def ordered(files: Sequence[ReadFile]) -> tuple[list[ReadFile], list[ReadFile]]:
    """(the files in the order of time, those left out because they are the same as another).

    Raises Refused where two overlap, or bars and ticks are mixed.
    """
    unique: dict[str, ReadFile] = {}
    twins = []
    for file in files:
        key = f"{file.quotes.sha256} {file.quotes.starts_ms}"
        if unique.setdefault(key, file) is not file:
            twins.append(file)
    found = sorted(unique.values(), key=lambda file: (file.quotes.starts_ms, file.notes.ends_ms))
    full = [file for file in found if file.quotes.ticks]
    for one, other in pairwise(full):
        if other.quotes.starts_ms < one.notes.ends_ms:
            raise Refused(
                f"{one.quotes.path} and {other.quotes.path} overlap: the one goes on until "
                f"{iso_ms(one.notes.ends_ms)}, the other starts at {iso_ms(other.quotes.starts_ms)}; import one of "
                "them, or each into a feed of its own (--feed NAME)"
            )
    if len({file.notes.bar_ms for file in full}) > 1:
        one, other = full[0], next(file for file in full if file.notes.bar_ms != full[0].notes.bar_ms)
        raise Refused(
            f"{one.quotes.path} has {_kind(one)} and {other.quotes.path} {_kind(other)}: name files of one kind at a "
            "time"
        )
    return found, twins


def _kind(file: ReadFile) -> str:
    return f"bars of {file.notes.bar_ms // 60_000} minutes" if file.notes.bars else "ticks"


def _listing(listing: Listing, files: Sequence[ReadFile], options: ReadOptions, store: TickCache) -> ListingData:
    found, twins = ordered(files)
    facts = facts_of(listing.symbol, found, [file.quotes.path for file in twins], options)
    if not facts.ticks:
        raise BadFile(f"{', '.join(facts.files)}: no tick in it")
    data = listing_data(listing, found, facts, options)
    return replace(data, facts=judged_facts(data), store=store)


def listing_data(listing: Listing, found: Sequence[ReadFile], facts: DataFacts, options: ReadOptions) -> ListingData:
    """Files in the order of time as a listing."""
    server_clock = ServerClock(options.server_clock or DEFAULT_SERVER_CLOCK).name
    return ListingData(listing, facts.digits, server_clock, facts, tuple(found))


def judged_facts(data: ListingData) -> DataFacts:
    """The facts with what the judge says: one pass over the ticks."""
    refused, reasons = 0, Counter[str]()
    for block in data.blocks():
        count, why = refusals(block)
        refused += count
        reasons.update(why)
    return replace(data.facts, refused=refused, reasons=dict(reasons))


def facts_of(symbol: str, found: Sequence[ReadFile], twins: Sequence[Path], options: ReadOptions) -> DataFacts:
    """The facts of files in the order of time, all but the judge's."""
    notes = [file.notes for file in found]
    full = [note for note in notes if note.rows] or notes
    gaps = _together(found)
    ticks, synthetic = sum(n.ticks for n in notes), sum(n.ticks for n in notes if n.bars)
    warnings = [warning for note in notes for warning in note.warnings]
    most = max((note.digits for note in notes), default=0)
    digits = most if options.digits is None else options.digits
    named = {note.symbol for note in notes if note.symbol is not None and not _alike(note.symbol, symbol)}
    if named:
        warnings.append(f"the files say {', '.join(sorted(named))}, and {symbol} was told: is it the right symbol?")
    if options.digits is not None and most > options.digits:
        warnings.append(
            f"prices have {most} digits, more than the {options.digits} that were told: is the spec of this symbol?"
        )
    warnings += week_warnings(gaps, full[0], options)
    if len({tuple(note.clock) for note in full}) > 1:
        warnings.append("the files are on different clocks: " + ", ".join(sorted({note.clock[0] for note in full})))
    return DataFacts(
        files=tuple(str(file.quotes.path) for file in found),
        twins=tuple(map(str, twins)),
        formats=tuple(dict.fromkeys(note.format for note in notes)),
        symbol=symbol,
        clock=full[0].clock[0],
        clock_from=full[0].clock[1],
        bar_ms=full[0].bar_ms,
        stamp=full[0].stamp,
        stamp_from=full[0].stamp_from,
        digits=digits,
        digits_from="found" if options.digits is None else "told",
        rows=sum(note.rows for note in notes),
        ticks=ticks,
        starts_ms=full[0].starts_ms,
        ends_ms=max(note.ends_ms for note in full),
        real_share=(ticks - synthetic) / ticks if ticks else 0.0,
        spread_from=full[0].spread_from,
        fill_rule=FILL_RULE_BARS if full[0].bars else FILL_RULE_TICKS,
        missing=gaps.missing_steps,
        gaps=tuple(Gap(a, b, missing) for missing, a, b in gaps.gaps),
        duplicates=sum(note.duplicates for note in notes),
        skipped=sum(note.skipped for note in notes),
        refused=0,
        head=tuple(full[0].head),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _alike(one: str, other: str) -> bool:
    """Whether two spellings may be one instrument: EURUSD and EURUSD.a."""
    a, b = (re.sub(r"[^A-Z0-9]", "", text.upper()) for text in (one, other))
    return a.startswith(b) or b.startswith(a)


def _together(found: Sequence[ReadFile]) -> GapCount:
    """The gaps of all files, and those between them."""
    total = GapCount()
    for file in found:
        one = file.notes.gaps
        if one.last_ms is None:
            continue
        if total.last_ms is None:
            total.step_ms = one.step_ms
        else:
            start = np.array([file.notes.starts_ms], np.int64)
            total.add(start)
            total.rows -= 1
        total.rows += one.rows
        total.weekend_rows += one.weekend_rows
        total.missing += one.missing
        total.missing_always += one.missing_always
        total.gaps = sorted([*total.gaps, *one.gaps], key=lambda gap: (-gap[0], gap[1]))[:KEPT]
        total.weekends += one.weekends
        total.last_ms = one.last_ms
    return total
