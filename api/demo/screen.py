"""What the demo shows: tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from api.demo.agreement import Finding
from api.demo.counts import ListingCounts
from api.demo.stages import Row
from api.demo.topics import OnTopics, Quote
from infra.clock import Stopwatch
from schemas.times import iso_ms

SAMPLE_S: Final = 0.2
LINE_S: Final = 1.0
"""How often the stages are told where there is no terminal."""

WIDE: Final = 100

_MEANING: Final = {
    "crossed": "ask below bid",
    "repeated": "the row before it once more",
    "backwards": "older than a tick before it",
    "non_positive": "a price of zero or less",
    "not_finite": "a price that is no number",
}


@dataclass(frozen=True, slots=True)
class View:
    """One moment of the demo."""

    doing: str
    elapsed_s: float
    rows: Sequence[Row]
    listings: Sequence[str]
    topics: OnTopics


def tables(view: View, width: int) -> RenderableType:
    """The stages, what was refused, and the listings; everything fits into 80 columns, and takes more if there are."""
    title = Text.assemble(("tickledger demo", "bold"), "  ", (view.doing, "cyan"), f"  {view.elapsed_s:.0f} s")
    return Group(title, "", _stages(view.rows, width), *_refused(view.rows), "", _listings(view, width))


def line(view: View) -> str:
    """The stages in a line, where there is no terminal."""
    parts = []
    for row in view.rows:
        counted = [(row.ticks_in, "ticks"), (row.bars, "bars"), (row.signals, "signals")]
        what = ", ".join(f"{count:,} {unit}" for count, unit in counted if count is not None)
        parts.append(f"{row.name} {what}" + (f" (lag {row.lag:,} {row.lag_of})" if row.lag else ""))
    return f"{view.elapsed_s:5.1f} s  " + " | ".join(parts)


def findings_table(findings: Sequence[Finding]) -> Table:
    """A line a stage: whether it agrees with the one before, and what it has."""
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        mark = Text("differs", "bold red") if finding.problems else Text("agrees", "green")
        table.add_row(mark, Text(finding.stage, "bold"), finding.has)
        for problem in finding.problems:
            table.add_row("", "", Text(problem, "red"))
    return table


def new_console() -> Console:
    """Where it is shown: on a terminal as wide as that is, else 100 columns."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=100)


@contextmanager
def shown(console: Console, view: Callable[[], View]) -> Iterator[None]:
    """Meanwhile the view is shown as it changes: in place on a terminal, else a line now and then."""
    if console.is_terminal:
        rate = 1 / SAMPLE_S
        live = Live(get_renderable=lambda: tables(view(), console.width), console=console, refresh_per_second=rate)
        live.transient = True
        with live:
            yield
        return
    done = threading.Event()

    def tell() -> None:
        watch = Stopwatch()
        while not done.wait(SAMPLE_S):
            now = view()
            if watch.seconds() >= LINE_S:
                watch.restart()
                print(line(now), flush=True)

    thread = threading.Thread(target=tell, name="stages told", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _stages(rows: Sequence[Row], width: int) -> Table:
    table = _table(width)
    table.add_column("stage\n", style="bold", no_wrap=True)
    for heading in ("records\nin", "ticks\nin", "ticks\nout", "bars\nout", "signals\nout", "ticks\nrefused"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("ticks\na second", justify="right", no_wrap=True, style="cyan")
    table.add_column("lag\n", justify="right", no_wrap=True)
    for row in rows:
        counts = (row.records_in, row.ticks_in, row.ticks, row.bars, row.signals, row.refused)
        pace = "" if row.pace is None else f"{row.pace:,.0f}"
        table.add_row(row.name, *map(_number, counts), pace, _lag(row.lag))
    return table


def _refused(rows: Sequence[Row]) -> list[RenderableType]:
    """Each reason with what each stage says of it."""
    stages = [(row.name, row.reasons) for row in rows if row.reasons is not None]
    lines: list[RenderableType] = []
    for reason in sorted({name for _, reasons in stages for name in reasons}):
        said = ", ".join(f"{stage} {reasons[reason]:,}" for stage, reasons in stages)
        meaning = f" ({_MEANING[reason]})" if reason in _MEANING else ""
        lines.append(Text.assemble("refused as ", (reason, "yellow"), f"{meaning}: {said}"))
    return lines


def _listings(view: View, width: int) -> Table:
    table = _table(width)
    table.add_column("listing", style="bold", no_wrap=True)
    for heading in ("ticks", "refused", "bars", "signals"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("market time", no_wrap=True)
    for heading in ("bid", "ask"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in view.listings:
        counts = view.topics.counts.listings.get(name, ListingCounts())
        numbers = (counts.ticks, counts.refused, counts.bars, counts.signals)
        table.add_row(name, *map(_number, numbers), *_quote(view.topics.quotes.get(name)))
    return table


def _quote(quote: Quote | None) -> tuple[str, str, str]:
    if quote is None:
        return "", "", ""
    time = iso_ms(quote.time_ms)[:16].replace("T", " ")
    return time, f"{quote.bid:.5f}", f"{quote.ask:.5f}"


def _table(width: int) -> Table:
    sides = 1 if width >= WIDE else 0
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, sides), show_edge=False, header_style="dim")


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _lag(lag: int | None) -> Text:
    if lag is None:
        return Text("")
    return Text(f"{lag:,}", "yellow") if lag else Text("0", "green")
