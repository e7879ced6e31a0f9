"""`tickledger import`: brings files of ticks onto the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from api.progress_line import ProgressLine
from api.start import ConfigOption, HomeOption, JsonOption, running_stack, settings_of, tell
from infra.clock import SystemClock
from infra.errors import BadFile, SettingsError
from infra.keys import load_or_create
from infra.stack.services import ALL
from producers.clocks import parse_zone
from producers.formats.data import told_options
from producers.formats.facts import DataFacts
from producers.importer import Derived, Importer, ImportRequest, ImportResult, look_at
from producers.listing_spec import read_spec
from producers.progress import Progress
from producers.survey import printable
from schemas.identity import InvalidName, Listing, check_feed, check_symbol
from schemas.integrity import KeyRing


def import_(
    *files: Annotated[Path, Parameter(help="Files, folders and globs, in any order.")],
    symbol: Annotated[
        str | None,
        Parameter(
            help="As the broker spells it, such as EURUSD; default what the files' names or rows say.",
            allow_leading_hyphen=True,
        ),
    ] = None,
    format_: Annotated[
        str | None,
        Parameter(name="--format", help="mt5, dukascopy, histdata, truefx, lean, csv or parquet; default found."),
    ] = None,
    columns: Annotated[
        str | None, Parameter(help="What the columns are: time,bid,ask or date,time,open,high,low,close,volume …")
    ] = None,
    feed: Annotated[str, Parameter(help="Name of the source of quotes; a feed is imported or recorded.")] = "import",
    tz: Annotated[
        str | None,
        Parameter(help="The files' clock: an IANA name, UTC-05 …; default the format's.", allow_leading_hyphen=True),
    ] = None,
    server_clock: Annotated[
        str | None,
        Parameter(
            help="The broker's clock: ny7, eu, utc or +H; default what the listing has, else ny7 (New York + 7 h).",
            allow_leading_hyphen=True,
        ),
    ] = None,
    point_factor: Annotated[float | None, Parameter(help="Points in a unit of the price (.bi5).")] = None,
    spread_points: Annotated[float | None, Parameter(help="Spread of bars that tell none, in points.")] = None,
    stamp: Annotated[
        Literal["open", "close"] | None, Parameter(help="Whether bars are stamped at their open or close.")
    ] = None,
    spec: Annotated[Path | None, Parameter(help="TOML that tells digits, contract_size … of the listing.")] = None,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Show what the files are found to be; write nothing, start nothing.")
    ] = False,
    no_wait: Annotated[bool, Parameter(negative="", help="Return when the ticks are on the log.")] = False,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Bring files of ticks onto the log, each row once, however often it is run.

    Returns when all that derives from the ticks is on the topics and in the database. Exit 0 done or nothing new, 1 a
    file is refused or damaged (what was whole before the damage is kept), 2 could not run.
    """
    settings = settings_of(home, config, "import")
    if not files:
        raise SettingsError("no file is named: tickledger import 20140506_quote.zip --symbol EURUSD")
    request = ImportRequest(
        listing=_listing(feed, symbol),
        files=files,
        zone=None if tz is None else parse_zone(tz),
        server_clock=server_clock,
        spec={} if spec is None else read_spec(spec),
        options=told_options(format_, columns, point_factor, spread_points, stamp),
    )
    clock, line = SystemClock(), ProgressLine()
    try:
        found = look_at(request, clock, _report(line))
        line.clear()
        for warning in found.facts.warnings:
            tell(f"warning: {printable(warning)}")
        if dry_run:
            facts = found.judged()
            print(json.dumps(facts.as_json()) if as_json else "\n".join(dry_text(facts)))
            _refuse_damage(found.damage)
            return 0
        with running_stack(settings, {"kafka"} if no_wait else frozenset(ALL)) as running:
            keys = load_or_create(settings)
            wait = None if no_wait else _wait(running.kafka, running.postgres_dsn, keys, running.check, line)
            result = Importer(running.kafka, keys, clock, progress=_report(line), wait=wait).run_looked_at(found)
            line.clear()
    finally:
        line.clear()
    print(json.dumps(as_json_of(result)) if as_json else _text(result))
    if result.damage is not None:
        raise BadFile(_damage(result))
    return 0


def as_json_of(result: ImportResult) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "listing": result.listing,
        "new": result.new,
        "refused": result.refused,
        "reasons": dict(sorted(result.reasons.items())),
        "ticks": result.n,
        "files": [
            {"file": str(file.path), "first_n": file.first_n, "ticks": file.ticks, "new": file.new}
            for file in result.files
        ],
        "twins": [str(path) for path in result.twins],
        "left_out": [str(path) for path in result.left_out],
        "error": None if result.damage is None else _damage(result),
    }


def dry_text(facts: DataFacts) -> list[str]:
    """What `--dry-run` prints: the first rows, and what was found."""
    return [*(f"  {printable(row)}" for row in facts.head), *map(printable, facts.lines())]


def _refuse_damage(damage: BadFile | None) -> None:
    if damage is not None:
        raise damage


def _listing(feed: str, symbol: str | None) -> Listing:
    try:
        return Listing(check_feed(feed), "" if symbol is None else check_symbol(symbol))
    except InvalidName as error:
        raise SettingsError(str(error)) from error


def _text(result: ImportResult) -> str:
    lines = [f"{printable(str(path))}: the same ticks as another file, taken once" for path in result.twins]
    if result.new:
        refused = ", ".join(f"{name} {count:,}" for name, count in sorted(result.reasons.items()))
        lines.append(
            f"{result.listing}: {result.new:,} new ticks"
            + (f", {result.refused:,} of them kept but refused ({refused})" if result.refused else "")
            + f"; the log has {result.n:,}"
        )
    elif result.damage is None:
        lines.append(f"nothing new: the log of {result.listing} has all ticks of these files; it has {result.n:,}")
    return "\n".join(lines)


def _damage(result: ImportResult) -> str:
    kept = result.files[-1].ticks if result.files else 0
    new = result.files[-1].new if result.files else 0
    said = f"{result.damage}"
    if kept:
        said += f" and kept on the log ({new:,} of them new)"
    if result.left_out:
        said += "; left out, since they come after it: " + ", ".join(str(path) for path in result.left_out)
    return f"{said}; mend the file and import it again"


def _wait(kafka: str, dsn: str, keys: KeyRing, check: Callable[[], None], line: ProgressLine) -> Derived:
    def wait(listing: str, n: int) -> None:
        from projections.derived import wait_until_derived

        def progress(done: int) -> None:
            line.show(f"deriving: {done:,} of {n:,} ticks", last=done == n)

        wait_until_derived(kafka, keys, dsn, listing, n, progress, check)

    return wait


def _report(line: ProgressLine) -> Callable[[Progress], None]:
    def report(at: Progress) -> None:
        if not at.ticks:
            line.show(f"{at.stage}: begun")
            return
        total = "" if at.total is None else f" of {at.total:,}"
        left = "" if at.left_s is None else f", {at.left_s:,.0f} s left"
        line.show(f"{at.stage}: {at.ticks:,}{total} ticks, {at.rate:,.0f} a second{left}", last=at.ticks == at.total)

    return report
