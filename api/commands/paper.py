"""`tickledger paper`: live ticks of a real terminal, traded on paper."""

from __future__ import annotations

import sys
import time
import webbrowser
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from api.demo import next_steps, screen
from api.lab.choice import choose, parsed_values
from api.lab.options import LabOptions
from api.paper.home import PaperHome, Wanted, paper_home
from api.paper.strategies import Paper, Traded
from api.server.host import check_host
from api.start import ConfigOption, HomeOption, make_log, tell
from infra import log
from infra.errors import SettingsError
from infra.stack.addresses import recorded_port
from infra.stack.home import Home
from infra.stack.services import KAFKA, POSTGRES, TERMINAL, is_ready, programs_of, trouble
from infra.stack.stack import Running, run_alone
from infra.stack.up import until_asked


def paper(
    *strategy: Annotated[str, Parameter(help="A file of one's own, FILE:NAME of several in it, or one that ships.")],
    symbol: Annotated[
        list[str] | None, Parameter(help="A symbol as the real terminal spells it; default its market watch.")
    ] = None,
    account: Annotated[str | None, Parameter(help="Name of the account on paper; default paper.")] = None,
    balance: Annotated[float | None, Parameter(help="What it begins with; default 10,000.")] = None,
    lots: Annotated[float | None, Parameter(help="Size of an entry, lots; default 0.1.")] = None,
    risk: Annotated[
        str | None, Parameter(help="Size by the loss at the stop instead: a share of equity, 0.5%.")
    ] = None,
    limits: Annotated[Path | None, Parameter(help="TOML of risk limits; default the usual ones.")] = None,
    p: Annotated[
        list[str] | None, Parameter(name=["-p", "--parameter"], help="A parameter of the one strategy, name=value.")
    ] = None,
    spec: Annotated[str | None, Parameter(help="Preset or file of commission and terms; default vantage-raw.")] = None,
    terminal: Annotated[
        Literal["official", "rpyc"] | None,
        Parameter(help="How the real terminal is reached; default official on Windows, rpyc elsewhere."),
    ] = None,
    host: Annotated[str | None, Parameter(help="Host of its rpyc server; default 127.0.0.1.")] = None,
    port: Annotated[int | None, Parameter(help="Port of its rpyc server; default 18812.")] = None,
    no_browser: Annotated[bool, Parameter(negative="", help="Don't open the page.")] = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Trade strategies on live ticks of a real terminal, on paper: no order is ever sent there.

    Orders go to a trade server of our own, which fills them on the real terminal's quotes. Stays up until Ctrl-C; a
    page shows all of it. A home goes on with what it traded before; strategies that are named come to it.
    """
    sized = LabOptions(lots=lots, risk=risk).sized()
    if p and len(strategy) != 1:
        raise SettingsError(
            f"-p {p[0]}: it is of one strategy, and {len(strategy)} are named: start with one, and add others by "
            "tickledger strategies add"
        )
    traded = [Traded(choose(one, parsed_values(p or [])), sized) for one in strategy]
    wanted = Wanted(
        terminal=terminal, host=host, port=port, symbols=symbol or (), account=account, balance=balance, spec=spec
    )  # fmt: skip
    found = paper_home(home, config, wanted, "official" if sys.platform == "win32" else "rpyc")
    settings = found.settings
    check_host(settings)
    log.configure("paper", settings.log.level if settings.log.level != "info" else "warning")
    own = Paper(found, traded, limits)
    programs = programs_of(settings)
    services = {KAFKA, POSTGRES, *(program.name for program in programs)}
    before = make_log(settings)

    def prepare(running: Running) -> None:
        before(running)
        own.configure(running)

    console = screen.new_console()
    with until_asked(), run_alone(settings, services, prepare, tell, programs) as running:
        page = f"http://127.0.0.1:{recorded_port(Home(settings.home), 'api')}/"
        console.print(f"page {page}", style="bold", markup=False)
        _tell(console, found, own, config)
        if not no_browser:
            webbrowser.open(page)
        told: str | None = None
        while True:
            running.check()
            now = trouble(Home(settings.home), TERMINAL.name)
            if now != told and (now is not None or is_ready(Home(settings.home), TERMINAL.name)):
                console.print(f"terminal: {now or 'all is well again'}", soft_wrap=True, markup=False)
                told = now
            time.sleep(0.1)


def _tell(console: Console, found: PaperHome, own: Paper, config: Path | None) -> None:
    settings = found.settings
    lines = [
        f"ticks of {', '.join(found.symbols)} from {found.terminal}, logged in as {found.source}; it is asked for "
        "quotes and never sent an order",
        f"account {settings.trade.account} trades {', '.join(own.instances)} on paper",
    ]
    lines += [f"left out: {why}" for why in found.left_out]
    if not found.clock_shown:
        lines.append(
            f"no fresh tick has shown the server's clock: recorder.server_clock = {settings.recorder.server_clock} is "
            "taken, and held against the first ones that come"
        )
    lines += [f"  {line}" for line in next_steps.lines_to_copy(settings, config, None, played=False)]
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)
    console.print("Ctrl-C ends everything; what is stored stays", style="bold")
