"""A home that trades, from its start until Ctrl-C, with what it says."""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from api.demo import next_steps, screen
from api.start import make_log, tell
from api.trading.home import TradedHome
from api.trading.strategies import Trading
from infra.stack.addresses import recorded_port
from infra.stack.home import Home
from infra.stack.services import KAFKA, POSTGRES, TERMINAL, is_ready, programs_of, trouble
from infra.stack.stack import Running, run_alone
from infra.stack.up import until_asked


def trade(
    found: TradedHome,
    own: Trading,
    config: Path | None,
    what: Callable[[], Sequence[str]],
    at_the_end: Sequence[str] = (),
    *,
    no_browser: bool,
) -> None:
    """Configures the account, starts the services and keeps them until a signal.

    `what`: lines that say what is traded where, once it is configured. Raises what a start and `Trading.configure` do,
    ServiceFailed.
    """
    settings = found.settings
    home = Home(settings.home)
    programs = programs_of(settings)
    services = {KAFKA, POSTGRES, *(program.name for program in programs)}
    before = make_log(settings)

    def prepare(running: Running) -> None:
        before(running)
        own.configure(running)

    console = screen.new_console()
    with until_asked(), run_alone(settings, services, prepare, tell, programs) as running:
        page = f"http://127.0.0.1:{recorded_port(home, 'api')}/"
        console.print(f"page {page}", style="bold", markup=False)
        _say(console, [*what(), *_beside(found, config)])
        console.print("Ctrl-C ends everything; what is stored stays", style="bold")
        if not no_browser:
            webbrowser.open(page)
        _stay(running, home, console)
    _say(console, at_the_end)


def _stay(running: Running, home: Home, console: Console) -> None:
    """Until a signal; tells when the terminal of the home is in trouble. Raises ServiceFailed."""
    said: str | None = None
    while True:
        running.check()
        now = trouble(home, TERMINAL.name)
        if now != said and (now is not None or is_ready(home, TERMINAL.name)):
            _say(console, [f"terminal: {now or 'all is well again'}"])
            said = now
        time.sleep(0.1)


def _beside(found: TradedHome, config: Path | None) -> list[str]:
    settings = found.settings
    lines = [f"left out: {why}" for why in found.left_out]
    if not found.clock_shown:
        lines.append(
            f"no fresh tick has shown the server's clock: recorder.server_clock = {settings.recorder.server_clock} is "
            "taken, and held against the first ones that come"
        )
    return [*lines, *(f"  {line}" for line in next_steps.lines_to_copy(settings, config, None, played=False))]


def _say(console: Console, lines: Sequence[str]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)
