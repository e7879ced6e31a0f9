"""`tickledger query`: asks the database."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import psycopg
from cyclopts import App, Parameter

from api.start import ConfigOption, HomeOption, running_stack, settings_of, tell, time_option
from infra.errors import CannotWrite, SettingsError
from infra.settings import Settings
from infra.stack.services import ALL
from projections import formats, migrate
from projections.account_answers import check_account, has_listing
from projections.audit import TICK_COLUMNS
from projections.columns import describe
from projections.database import Connection, connect, explain
from projections.fill_audit import walk
from projections.formats import Format
from projections.listings import Known, known_listings, resolve
from projections.moments import use_moments
from projections.query import Answer, answer
from projections.question import Question
from schemas.timeframes import TIMEFRAMES, Timeframe

TABLE_ROWS = 50

app = App(name="query", help="Ask the database for ticks, bars, signals and the rest. Rows ascend.")

SymbolOption = Annotated[
    str | None,
    Parameter(name="--symbol", help="feed/SYMBOL, or SYMBOL alone while only one feed has it; default all."),
]
FromOption = Annotated[
    str | None, Parameter(name="--from", help="From this time on, ISO 8601; without zone it is UTC.")
]
ToOption = Annotated[str | None, Parameter(name="--to", help="Up to this time, without it.")]
LimitOption = Annotated[
    int | None,
    Parameter(name="--limit", help="So many rows: the first ones; a table shows the last (default 50), others all."),
]
FormatOption = Annotated[
    Format | None, Parameter(name="--format", help="Default table, or what the ending of --output says.")
]
OutputOption = Annotated[Path | None, Parameter(name="--output", help="Write to this file.")]


@app.command(help="Ticks of the log in its order, refused ones included, listing by listing.\n\n" + describe("ticks"))
def ticks(
    *,
    symbol: SymbolOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    good: Annotated[bool, Parameter(negative="", help="Leave out refused, suspect and synthetic ticks.")] = False,
    limit: LimitOption = None,
    format_: FormatOption = None,
    output: OutputOption = None,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> int:
    return _ask("ticks", symbol, from_, to, limit, format_, output, home, config, good=good)


@app.command(
    help="Closed bars of bid prices on the server's clock, by opening time. Where the bar operator was activated more "
    "than once, each time's bars are those of the activation then in force.\n\n" + describe("bars")
)
def bars(
    *,
    symbol: SymbolOption = None,
    timeframe: Annotated[str | None, Parameter(help="M1, M5, M15, M30, H1, H4 or D1; default all.")] = None,
    from_: FromOption = None,
    to: ToOption = None,
    limit: LimitOption = None,
    format_: FormatOption = None,
    output: OutputOption = None,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> int:
    chosen = None if timeframe is None else _timeframe(timeframe)
    return _ask("bars", symbol, from_, to, limit, format_, output, home, config, timeframe=chosen)


AccountOption = Annotated[str | None, Parameter(name="--account", help="Name of an account; default all.")]


def _event_command(what: str, summary: str) -> None:
    @app.command(name=what, help=f"{summary}\n\n{describe(what)}")
    def command(
        *,
        symbol: SymbolOption = None,
        from_: FromOption = None,
        to: ToOption = None,
        limit: LimitOption = None,
        format_: FormatOption = None,
        output: OutputOption = None,
        home: HomeOption = None,
        config: ConfigOption = None,
    ) -> int:
        return _ask(what, symbol, from_, to, limit, format_, output, home, config)


_event_command("signals", "What strategies decided, of every activation, by time.")
_event_command("alerts", "What somebody should look at, by time.")
_event_command("sources", "What happened to feeds, by time.")
_event_command("reference", "What was configured, by number; --from and --to are of when it was written.")


def _account_command(what: str, summary: str) -> None:
    help_ = f"{summary}\n\n{describe(what)}"
    if has_listing(what):

        @app.command(name=what, help=help_)
        def of_listings(
            *,
            account: AccountOption = None,
            symbol: SymbolOption = None,
            from_: FromOption = None,
            to: ToOption = None,
            limit: LimitOption = None,
            format_: FormatOption = None,
            output: OutputOption = None,
            home: HomeOption = None,
            config: ConfigOption = None,
        ) -> int:
            return _ask(what, symbol, from_, to, limit, format_, output, home, config, account=account)

    else:

        @app.command(name=what, help=help_)
        def of_accounts(
            *,
            account: AccountOption = None,
            from_: FromOption = None,
            to: ToOption = None,
            limit: LimitOption = None,
            format_: FormatOption = None,
            output: OutputOption = None,
            home: HomeOption = None,
            config: ConfigOption = None,
        ) -> int:
            return _ask(what, None, from_, to, limit, format_, output, home, config, account=account)


_account_command("orders", "Orders with the state that each has now, by the time of their decision.")
_account_command("fills", "Deals matched to order, signal and decision price, by time.")
_account_command("decisions", "What was decided on each candidate entry, with every check, by time.")
_account_command("positions", "Positions as they are now, by the time of their last change.")
_account_command("equity", "Balance, equity and margin at whole minutes while something is held.")
_account_command("pnl", "What each closed part of a position earned, and what it went into.")
_account_command("executions", "What the venue did with orders, in the order of the account's chain.")
_account_command("journal", "What reached an account, in the one order in which it was taken.")
_account_command("commands", "What people asked of accounts.")


@app.command
def audit(
    record_id: Annotated[
        str,
        Parameter(
            help="A fill's id, such as desk@6/demo/0, the first column of query fills; or a signal's, such as "
            "berserker@3/demo/EURUSD/17, that of query signals."
        ),
    ],
    *,
    format_: Annotated[Literal["table", "json"], Parameter(name="--format", help="table or json.")] = "table",
    home: HomeOption = None,
    config: ConfigOption = None,
) -> int:
    """Walk from a fill to its deal, order, risk decision and signal, and from a signal to its ticks.

    A signal has the activation that decided it and its listing's specification; each tick its topic, partition and
    offset, its place in that block, and the block's MAC. JSON is {"signal", "activation", "specification", "ticks"}, of
    a fill before these {"fill", "deal", "order", "changes", "reports", "decision"}; a table shows the last 50 ticks.
    """
    settings = settings_of(home, config, "query")
    with _session(settings) as connection:
        parts, ticks = walk(connection, record_id)
    out = sys.stdout.buffer
    if format_ == "json":
        out.write((json.dumps(parts, ensure_ascii=False)[:-1] + ', "ticks": ').encode())
        formats.write_json([] if ticks is None else [ticks], TICK_COLUMNS, out)
        out.write(b"}\n")
        out.flush()
        return 0
    for title, values in parts.items():
        _show(title, values)
    if ticks is not None:
        print(f"ticks: {len(ticks)}" + (f", of these the last {TABLE_ROWS}" if len(ticks) > TABLE_ROWS else ""))
        sys.stdout.flush()
        formats.write_table([ticks.tail(TABLE_ROWS)], TICK_COLUMNS if len(ticks) else [], out)
    out.flush()
    return 0


def _show(title: str, values: Any) -> None:
    """A part of a walk: a line a field, or a line a record."""
    print(title)
    if isinstance(values, list):
        for row in values or ["none"]:
            print(f"  {row if isinstance(row, str) else '  '.join(f'{name} {value}' for name, value in row.items())}")
        return
    for name, value in (values or {"none": "on the log"}).items():
        if isinstance(value, list):
            for each in value:
                print(
                    f"  {name:<24} {'  '.join(f'{k} {v}' for k, v in each.items()) if isinstance(each, dict) else each}"
                )
        else:
            print(f"  {name:<24} {'' if value is None else value}")


def _ask(
    what: str,
    symbol: str | None,
    from_: str | None,
    to: str | None,
    limit: int | None,
    format_: Format | None,
    output: Path | None,
    home: Path | None,
    config: Path | None,
    *,
    good: bool = False,
    timeframe: Timeframe | None = None,
    account: str | None = None,
) -> int:
    from_ms = None if from_ is None else time_option(from_, "--from")
    to_ms = None if to is None else time_option(to, "--to")
    if from_ms is not None and to_ms is not None and from_ms >= to_ms:
        raise SettingsError(f"--from {from_} is not before --to {to}: nothing lies between")
    if limit is not None and limit < 0:
        raise SettingsError(f"--limit {limit} is below 0: give the number of rows that you want")
    chosen = format_ or _format_of(output)
    if chosen == "parquet" and output is None and sys.stdout.isatty():
        raise SettingsError("parquet is not for a terminal: give --output FILE, or another --format")
    settings = settings_of(home, config, "query")
    tail = chosen == "table"
    shown = TABLE_ROWS if tail and limit is None else limit
    with _session(settings) as connection:
        if account is not None:
            check_account(connection, account)
        question = Question(
            what,
            _listings(connection, what, symbol),
            timeframe,
            from_ms,
            to_ms,
            good=good,
            # One more than a table shows, to know whether there are more.
            limit=shown + 1 if tail and shown is not None else shown,
            tail=tail,
            account=account,
        )
        found = answer(connection, question)
        if tail:
            found = _cut(found, shown or 0)
        _write(found, chosen, output)
    return 0


def _cut(found: Answer, rows: int) -> Answer:
    """The last `rows` of an answer to a table; says so if there are more."""
    held = list(found.frames)
    total = sum(map(len, held))
    if total > rows:
        tell(f"the last {rows} rows; for more: --limit N, or --format csv")
        left = total - rows
        cut = []
        for frame in held:
            cut.append(frame.slice(left))
            left = max(0, left - len(frame))
        held = cut
    return Answer(found.columns, iter(held))


def _listings(connection: Connection, what: str, symbol: str | None) -> tuple[Known, ...]:
    """Whose rows are wanted. Without --symbol, ticks and bars name all listings; the rest take rows of none too."""
    if symbol is None:
        return tuple(known_listings(connection)) if what in ("ticks", "bars") else ()
    return (resolve(symbol, known_listings(connection)),)


def _timeframe(text: str) -> Timeframe:
    known = {t.name: t for t in TIMEFRAMES}
    if text.upper() not in known:
        raise SettingsError(f"--timeframe {text!r} is none: take one of {', '.join(known)}")
    return known[text.upper()]


def _format_of(output: Path | None) -> Format:
    endings: dict[str, Format] = {".csv": "csv", ".json": "json", ".parquet": "parquet"}
    return endings.get(output.suffix.lower(), "table") if output is not None else "table"


@contextmanager
def _session(settings: Settings) -> Iterator[Connection]:
    """A session of the database. If this command has to start the projector, it first waits for what the log has."""
    with running_stack(settings, frozenset(ALL)) as running:
        dsn = running.postgres_dsn
        if "projector" in running.started:
            from projections.derived import wait_until_projected

            wait_until_projected(running.kafka, dsn, running.check)
        with connect(dsn, "tickledger query") as connection:
            use_moments(connection)
            try:
                migrate.check(connection)
                yield connection
            except psycopg.Error as error:
                raise explain(error, dsn) from error


def _write(found: Answer, format_: Format, output: Path | None) -> None:
    """To the file, which has its name only when it is whole, or to stdout."""
    if output is None and format_ != "parquet":
        formats.STREAMED[format_](found.frames, found.columns, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    folder = output.parent if output is not None else Path(tempfile.gettempdir())
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".tickledger-", delete=False) as file:
            aside = Path(file.name)
            try:
                _write_file(found, format_, aside, file)
                if output is not None:
                    aside.chmod(0o666 & ~_umask())
                    aside.replace(output)
                else:
                    _pour(aside)
            finally:
                aside.unlink(missing_ok=True)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        reason = error.strerror or str(error)
        raise CannotWrite(f"cannot write {output or folder}: {reason}: name another file by --output") from error


def _write_file(found: Answer, format_: Format, path: Path, file: Any) -> None:
    if format_ == "parquet":
        formats.write_parquet(found.frames, found.columns, path)
    else:
        formats.STREAMED[format_](found.frames, found.columns, file)
        file.flush()


def _pour(path: Path) -> None:
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
