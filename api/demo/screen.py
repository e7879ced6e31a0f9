"""What the demo shows: the stages in place on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from api.demo.agreement import Finding
from api.demo.stages import Seen
from infra.clock import Stopwatch
from schemas.times import iso_ms

SAMPLE_S: Final = 0.25
LINE_S: Final = 10.0
"""How often the stages are told where there is no terminal."""


class View(NamedTuple):
    """One moment of the demo."""

    doing: str
    elapsed_s: float
    seen: Seen


def stages(view: View) -> RenderableType:
    """The stages and how far the day is played."""
    title = Text.assemble(("tickledger demo", "bold"), "  ", (view.doing, "cyan"), f"  {view.elapsed_s:.0f} s")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    table.add_column("stage", style="bold", no_wrap=True)
    table.add_column("has")
    table.add_column("not through", justify="right", no_wrap=True)
    for row in view.seen.rows():
        lag = Text(f"{row.lag:,} {row.lag_of}", "yellow") if row.lag else Text("")
        table.add_row(row.name, row.has, lag)
    return Group(title, Text(_market(view.seen), "dim"), "", table)


def line(view: View) -> str:
    """The stages in a line, where there is no terminal."""
    parts = [
        f"{row.name} {row.has}" + (f" (lag {row.lag:,} {row.lag_of})" if row.lag else "") for row in view.seen.rows()
    ]
    return f"{view.elapsed_s:5.0f} s  {_market(view.seen)}  " + " | ".join(parts)


def _market(seen: Seen) -> str:
    market = seen.market
    if market is None:
        return "the market has not begun"
    played = (market.now_us - market.from_us) / max(1, market.to_us - market.from_us)
    return f"market {iso_ms(market.now_us // 1000)[:19].replace('T', ' ')} UTC, {min(1.0, played):.1%} played"


def tell_findings(console: Console, findings: Sequence[Finding]) -> None:
    """A line a stage: whether it agrees with the one before, and what it has; below it what is wrong."""
    if console.is_terminal:
        console.print(_findings_table(findings))
        return
    widest = max(len(finding.stage) for finding in findings)
    for finding in findings:
        print(f"{'differs' if finding.problems else 'agrees':7}  {finding.stage:{widest}}  {finding.has}")
        for problem in finding.problems:
            print(f"{'':{widest + 11}}{problem}")


def _findings_table(findings: Sequence[Finding]) -> Table:
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        mark = Text("differs", "bold red") if finding.problems else Text("agrees", "green")
        table.add_row(mark, Text(finding.stage, "bold"), Text(finding.has))
        for problem in finding.problems:
            table.add_row("", "", Text(problem, "red"))
    return table


def new_console() -> Console:
    """Where it is shown: on a terminal as wide as that is, else 120 columns."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=120)


@contextmanager
def shown(console: Console, view: Callable[[], View]) -> Iterator[None]:
    """Meanwhile the view is shown as it changes."""
    if console.is_terminal:
        live = Live(get_renderable=lambda: stages(view()), console=console, refresh_per_second=1 / SAMPLE_S)
        live.transient = True
        with live:
            yield
        return
    done = threading.Event()

    def tell() -> None:
        watch = Stopwatch()
        while not done.wait(SAMPLE_S):
            if watch.seconds() >= LINE_S:
                watch.restart()
                print(line(view()), flush=True)

    thread = threading.Thread(target=tell, name="stages told", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
