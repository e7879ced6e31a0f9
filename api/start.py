"""What every command does before the log is used: topics, and the built-in activations before any other writer.

What touches services is imported where it is used: a backtest of files starts without any.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, Token

from infra.errors import SettingsError
from schemas.times import parse_time_ms

if TYPE_CHECKING:
    from infra.settings import Settings
    from infra.stack.stack import Running


def _folder(_: object, tokens: Sequence[Token]) -> Path:
    """Raises SettingsError for an empty text, which `Path` takes for the working directory."""
    if not tokens[0].value:
        raise SettingsError("--home is empty: name a folder, or leave it out (a variable that isn't set?)")
    return Path(tokens[0].value)


HomeOption = Annotated[
    Path | None,
    Parameter(name="--home", converter=_folder, help="Folder of everything stored; default TICKLEDGER_HOME."),
]
ConfigOption = Annotated[
    Path | None, Parameter(name="--config", help="Settings file; default tickledger.toml in the home.")
]
JsonOption = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON value and nothing else.")]


def settings_of(home: Path | None, config: Path | None, command: str) -> Settings:
    """The settings of this run; logs go to stderr from here on."""
    from infra import log
    from infra.settings import load_settings

    settings = load_settings(home, config)
    log.configure(command, settings.log.level if settings.log.level != "info" else "warning")
    return settings


def make_log(settings: Settings, *then: Callable[[Running], None]) -> Callable[[Running], None]:
    """What has to be on a broker before any service starts: topics (checked on a cluster of others), activations, and
    what `then` writes."""

    def prepare(running: Running) -> None:
        from infra.clock import SystemClock
        from infra.kafka import check_topics, ensure_topics
        from infra.keys import load_or_create
        from streams.activations import ensure

        if running.kafka:
            if settings.kafka.bootstrap_servers:
                check_topics(running.kafka)
            else:
                ensure_topics(running.kafka)
            ensure(running.kafka, load_or_create(settings), SystemClock())
        for step in then:
            step(running)

    return prepare


def running_stack(settings: Settings, services: set[str] | frozenset[str]) -> AbstractContextManager[Running]:
    """The services of the home: used as they run, or started and ended with the command."""
    from infra.stack.stack import attach_or_start

    return attach_or_start(settings, services, on_start=make_log(settings), progress=tell)


def time_option(text: str, option: str) -> int:
    """The time that an option gives, milliseconds UTC. Raises SettingsError."""
    try:
        return parse_time_ms(text)
    except ValueError as error:
        raise SettingsError(f"{option}: {error}") from error


def tell(message: str) -> None:
    """A line of progress."""
    print(message, file=sys.stderr, flush=True)
