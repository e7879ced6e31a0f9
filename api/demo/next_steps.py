"""What the demo says at its end: lines to copy, as they have to be called from here, and the addresses."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from infra.cache_dir import DEFAULT_HOME
from infra.settings import Settings


def command() -> str:
    """How this program is called from the working directory."""
    script = Path(sys.executable).with_name("tickledger")
    found = shutil.which("tickledger")
    if not script.exists() or (found is not None and Path(found).resolve() == script.resolve()):
        return "tickledger"
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))


def lines_to_copy(settings: Settings, config: Path | None, fill: str | None, *, played: bool) -> list[str]:
    """Commands that ask for what the demo has brought; with all of it there also the one that derives it again."""
    where = "" if settings.home.absolute() == DEFAULT_HOME.absolute() else f" --home {shlex.quote(str(settings.home))}"
    where += "" if config is None else f" --config {shlex.quote(str(config))}"
    account = settings.trade.account
    asked = [
        f"query bars --timeframe {'H1' if played else 'M1'}",
        "query orders",
        "query pnl",
        *([] if fill is None else [f"query audit {shlex.quote(fill)}"]),
        f"halt --account {account} --why 'looking at it'",
        *(["verify --terminal --run-code"] if played else [f"resume --account {account} --why 'seen'"]),
    ]
    return [f"{command()} {what}{where}" for what in asked]
