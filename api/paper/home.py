"""The paper home: its settings, and whether the real terminal whose ticks it trades on can be reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import ValidationError

from api.settings_file import FILE, write_settings
from infra.clock import SystemClock
from infra.errors import Refused, SettingsError
from infra.settings import Settings, load_settings
from infra.stack.home import read_json
from producers.listing_spec import DEFAULT_SERVER_CLOCK
from producers.recorder.pinned import Source, feed_name
from producers.terminal.live_found import find, paper_server, server_clock_of
from producers.terminal.live_quotes import LiveTerminal
from producers.terminal.live_symbols import SYMBOLS_FILE, known_symbols

ACCOUNT: Final = "paper"
_FIRST_LINE: Final = (
    "# Written by `tickledger paper`: live ticks of a real terminal, which is asked for quotes only, and an account "
    "on paper."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for; None: as the home has it, at first the default."""

    terminal: Literal["official", "rpyc"] | None = None
    host: str | None = None
    port: int | None = None
    symbols: Sequence[str] = ()
    account: str | None = None
    balance: float | None = None
    spec: str | None = None


class PaperHome(NamedTuple):
    """A home to trade on paper in, with the real terminal as it was found just now."""

    settings: Settings
    source: Source
    symbols: tuple[str, ...]
    clock_shown: bool
    """Whether the server's clock was seen in fresh ticks; else it is as the settings say."""
    left_out: tuple[str, ...] = ()
    """Why symbols of the market watch aren't among them."""

    @property
    def listings(self) -> list[str]:
        return [f"{self.settings.recorder.feed}/{symbol}" for symbol in self.symbols]

    @property
    def terminal(self) -> LiveTerminal:
        return LiveTerminal.of(self.settings)


def paper_home(home: Path | None, config: Path | None, wanted: Wanted, usual_terminal: str) -> PaperHome:
    """The home; one without settings gets its file once the real terminal has been found.

    Raises MissingPart, TerminalError where no real terminal is reached; Refused for a home that isn't one for paper or
    has other settings than are wanted, and at the first start for a symbol that the real terminal hasn't, or that
    can't be reckoned with, if it was named: of its market watch such symbols are left out; SettingsError.
    """
    before = load_settings(home, config)
    if config is not None or (before.home / FILE).exists():
        return _known(before, wanted)
    log = before.home / "kafka"
    if log.exists() and any(log.iterdir()):
        raise Refused(
            f"{before.home} has a log already, and nothing is traded on paper there: choose another home (--home DIR)"
        )
    told = _updated(before, _asked(wanted, usual_terminal))
    found = find(LiveTerminal.of(told), told.paper.symbols)
    try:
        if told.paper.symbols and found.missing:
            raise Refused("; ".join(found.missing.values()))
        clock = server_clock_of(found, SystemClock())
    finally:
        found.quotes.shutdown()
    paper = told.paper
    sections: dict[str, dict[str, Any]] = {
        "paper": {
            "terminal": paper.terminal,
            **({"host": paper.host, "port": paper.port} if paper.terminal == "rpyc" else {}),
            "symbols": list(found.symbols),
        },
        "terminal": {"kind": "simulated", "spec": told.terminal.spec, "balance": told.terminal.balance},
        "recorder": {
            "feed": feed_name(paper_server(found.source)),
            "symbols": list(found.symbols),
            "server_clock": clock or DEFAULT_SERVER_CLOCK,
        },
        "trade": {"account": told.trade.account},
    }
    write_settings(before.home, _FIRST_LINE, sections)
    left_out = tuple(found.missing.values())
    return PaperHome(load_settings(home, config), found.source, tuple(found.symbols), clock is not None, left_out)


def _known(settings: Settings, wanted: Wanted) -> PaperHome:
    if not settings.paper.terminal or not settings.trade.account or not settings.recorder.feed:
        raise Refused(
            f"the settings of {settings.home} ({settings.file}) name no paper.terminal with a recorder.feed and a "
            "trade.account: choose another home to trade on paper in (--home DIR)"
        )
    for section, keys in _asked(wanted, "").items():
        for key, value in keys.items():
            there = getattr(getattr(settings, section), key)
            if value != there:
                raise Refused(
                    f"{settings.home} has {section}.{key} = {there!r}, as {settings.file} says, and {value!r} is asked "
                    "for: its log and account stand on the former; choose another home (--home DIR), or leave it out"
                )
    known = known_symbols(read_json(settings.home / "terminal" / SYMBOLS_FILE))
    found = find(LiveTerminal.of(settings), settings.paper.symbols, known)
    found.quotes.shutdown()
    # What can't be had now is the home's all the same: the terminal says so, and goes on with the others.
    return PaperHome(settings, found.source, settings.paper.symbols or tuple(found.symbols), True)


def _asked(wanted: Wanted, usual_terminal: str) -> dict[str, dict[str, Any]]:
    """What is wanted, as settings; with `usual_terminal`, also what a home has that isn't told."""
    asked: dict[str, dict[str, Any]] = {
        "paper": {
            "terminal": wanted.terminal,
            "host": wanted.host,
            "port": wanted.port,
            "symbols": tuple(wanted.symbols) or None,
        },
        "terminal": {"spec": wanted.spec, "balance": wanted.balance},
        "trade": {"account": wanted.account},
    }
    if usual_terminal:
        asked["paper"]["terminal"] = wanted.terminal or usual_terminal
        asked["terminal"]["kind"] = "simulated"
        asked["trade"]["account"] = wanted.account or ACCOUNT
    return {name: {key: value for key, value in keys.items() if value is not None} for name, keys in asked.items()}


def _updated(settings: Settings, asked: dict[str, dict[str, Any]]) -> Settings:
    """The settings with these, checked. Raises SettingsError."""
    sections = {}
    for name, keys in asked.items():
        section = getattr(settings, name)
        try:
            sections[name] = type(section)(**{**dict(section), **keys})
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            told = wrong["loc"][0]
            raise SettingsError(f"{name}.{told} = {wrong['input']!r}: {wrong['msg']}: correct that option") from error
    return settings.model_copy(update=sections)
