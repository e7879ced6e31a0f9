"""A home that trades, from its start until Ctrl-C, with what it says."""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console

from api.demo import next_steps, screen
from api.start import make_log, tell
from api.trading.home import TradedHome
from api.trading.news import News
from api.trading.strategies import Trading
from infra.stack.addresses import recorded_port
from infra.stack.home import Home
from infra.stack.services import names_of, programs_of
from infra.stack.stack import Running, run_alone
from infra.stack.up import until_asked


def trade(
    found: TradedHome,
    own: Trading,
    config: Path | None,
    what: Callable[[], Sequence[str]],
    news: News,
    at_the_end: Sequence[str] = (),
    *,
    no_browser: bool,
) -> None:
    """Configures the account, starts the services and keeps them until a signal.

    `what`: lines that say what is traded where, once it is configured; `at_the_end`: lines when all has ended. Raises
    what a start and `Trading.configure` do, ServiceFailed.
    """
    settings = found.settings
    home = Home(settings.home)
    programs = programs_of(settings)
    prepare = make_log(settings, own.configure, news.begin)
    console = screen.new_console()
    with until_asked(), closing(news), run_alone(settings, names_of(programs), prepare, tell, programs) as running:
        page = f"http://127.0.0.1:{recorded_port(home, 'api')}/"
        console.print(f"page {page}", style="bold", markup=False)
        _say(console, [*what(), *_beside(found, config)])
        console.print("Ctrl-C ends everything; what is stored stays", style="bold")
        if not no_browser:
            webbrowser.open(page)
        _stay(running, news, console)
    _say(console, at_the_end)


def _stay(running: Running, news: News, console: Console) -> None:
    """Until a signal, telling what comes up. Raises ServiceFailed."""
    while True:
        running.check()
        _say(console, news.poll())
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
