"""`tickledger demo`: a recorded day from a simulated terminal through the whole stack, traded before your eyes."""

from __future__ import annotations

import time
import webbrowser
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from rich.console import Console

from api.accounts import Consensus
from api.demo import next_steps, screen
from api.demo.home import Wanted, check_lead, check_speed, demo_settings
from api.demo.played import Played
from api.demo.rehearsal import rehearse
from api.start import ConfigOption, HomeOption, make_log, tell
from infra import log
from infra.settings import Settings
from infra.stack.addresses import recorded_port, shown_postgres
from infra.stack.home import Home
from infra.stack.services import names_of, programs_of
from infra.stack.stack import Running, attach_or_start
from infra.stack.up import until_asked

INTERRUPTED: Final = 130


def demo(
    *,
    once: Annotated[
        bool, Parameter(negative="", help="Play as fast as it goes, hold the stages together, verify, and end.")
    ] = False,
    fresh: Annotated[
        bool, Parameter(negative="", help="Remove what the demo has left in this home, and play anew.")
    ] = False,
    data: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, help="Files of ticks to play instead.")] = (),
    format_: Annotated[str | None, Parameter(name="--format", help="Of these files; default: found.")] = None,
    symbol: Annotated[str | None, Parameter(help="Of these files, where their names don't tell it.")] = None,
    spec: Annotated[str | None, Parameter(help="Preset or file of what the broker's symbols cost.")] = None,
    strategy: Annotated[
        tuple[Path, ...], Parameter(consume_multiple=True, help="Strategy files to trade, beside BERSERKER and SNIPER.")
    ] = (),
    consensus: Annotated[
        Consensus | None, Parameter(help="BERSERKER and SNIPER: independent (default), agree, veto or weigh.")
    ] = None,
    speed: Annotated[float | None, Parameter(help="Times real time; 0 = as fast as it goes; default 20.")] = None,
    lead: Annotated[float | None, Parameter(help="Market seconds that the market is ahead at most; default 5.")] = None,
    no_browser: Annotated[bool, Parameter(negative="", help="Don't open the page.")] = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> int:
    """Play a day of EURUSD from a terminal through broker, strategies, desk and gateway back to it, and watch.

    Stays up until Ctrl-C; a page shows prices, signals, orders, fills and money. With --once: exit 0 if each stage
    agrees with the stage before it and nothing differs from what is derived again, 1 if not, 2 if it could not run.
    """
    check_speed(speed)
    check_lead(lead)
    wanted = Wanted(
        data=data, format=format_, symbol=symbol, spec=spec, speed=speed, lead_s=lead, strategies=strategy
    )  # fmt: skip

    def check(settings: Settings) -> None:
        rehearse(settings, strategy, consensus, once=once)

    settings = demo_settings(home, config, wanted, fresh=fresh, once=once, check=check)
    log.configure("demo", settings.log.level if settings.log.level != "info" else "warning")
    played = Played(settings, strategy, consensus, once=once)
    programs = programs_of(settings)
    prepare = make_log(settings, played.configure)
    code: int | None = None
    console = screen.new_console()
    with until_asked(), attach_or_start(settings, names_of(programs), prepare, tell, programs) as running:
        page = f"http://127.0.0.1:{recorded_port(Home(settings.home), 'api')}/"
        with played.watched(running) as day:
            day.set_pace(speed if speed is not None else 0.0 if once else None)
            # Behind it: who pauses the market on the page must not find it let on again.
            console.print(f"page {page}", style="bold", markup=False)
            if not once and not no_browser:
                webbrowser.open(page)
            if day.was_played:
                console.print("this home has been played to the end already: --fresh plays it anew", style="yellow")
            elif not once:
                console.print("in another terminal, while it plays (Ctrl-C here ends it, the next start goes on):")
                _to_copy(console, next_steps.lines_to_copy(settings, config, None, played=False))
            with screen.shown(console, day.view):
                day.wait(until_asked_for=not once)
            if once:
                findings = day.findings(console)
                console.print(screen.stages(day.view()))
                screen.tell_findings(console, findings)
                code = _said(console, [finding.stage for finding in findings if finding.problems])
            else:
                _to_copy(console, next_steps.lines_to_copy(settings, config, day.a_fill(), played=True))
                where = f"Kafka {running.kafka}   PostgreSQL {shown_postgres(settings)}   home {settings.home}"
                console.print(where, soft_wrap=True, markup=False)
                console.print("Ctrl-C ends everything; what is stored stays", style="bold")
                _stay(running)
    if code is None:
        return INTERRUPTED if once else 0
    return code


def _said(console: Console, wrong: list[str]) -> int:
    if wrong:
        console.print(f"these stages disagree: {', '.join(wrong)}", style="bold red")
        return 1
    console.print("all stages agree, and nothing differs from what was derived again", style="bold green")
    return 0


def _to_copy(console: Console, commands: list[str]) -> None:
    for command in commands:
        console.print(f"  {command}", soft_wrap=True, markup=False)


def _stay(running: Running) -> None:
    """Until a signal. Raises ServiceFailed."""
    while True:
        running.check()
        time.sleep(0.1)
