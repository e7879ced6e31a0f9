"""A home that trades on a real terminal's ticks: it stands on the settings of its first start, and holds to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from infra.clock import SystemClock
from infra.errors import Refused, SettingsError
from infra.settings import Settings
from producers.recorder.pinned import Source, feed_name
from producers.terminal.live_found import Found, server_clock_of
from producers.terminal.live_quotes import LiveTerminal

Sections = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for; None: as the home has it, at first the default."""

    terminal: Literal["official", "rpyc"] | None = None
    host: str | None = None
    port: int | None = None
    symbols: Sequence[str] = ()
    account: str | None = None


class TradedHome(NamedTuple):
    """A home, with its real terminal as it was found just now."""

    settings: Settings
    terminal: LiveTerminal
    source: Source
    symbols: tuple[str, ...]
    clock_shown: bool
    """Whether the server's clock was seen in fresh ticks; else it is as the settings say."""
    left_out: tuple[str, ...] = ()
    """Why symbols of the market watch aren't among them."""

    @property
    def listings(self) -> list[str]:
        feed = self.settings.recorder.feed or feed_name(self.source.server)
        return [f"{feed}/{symbol}" for symbol in self.symbols]


def told(sections: Sections) -> Sections:
    """What of it was told: without the keys that are None."""
    return {name: {key: value for key, value in keys.items() if value is not None} for name, keys in sections.items()}


def check_new(settings: Settings, where: str) -> None:
    """Raises Refused for a home without settings that has a log: it is of something else."""
    log = settings.home / "kafka"
    if log.exists() and any(log.iterdir()):
        raise Refused(
            f"{settings.home} has a log already, and nothing is traded {where} there: choose another home (--home DIR)"
        )


def check_same(settings: Settings, asked: Sections) -> None:
    """Raises Refused if the home has another value of what is asked for."""
    for section, keys in asked.items():
        for key, value in keys.items():
            there = getattr(getattr(settings, section), key)
            if value != there:
                raise Refused(
                    f"{settings.home} has {section}.{key} = {there!r}, as {settings.file} says, and {value!r} is asked "
                    "for: its log and account stand on the former; choose another home (--home DIR), or leave it out"
                )


def first_look(found: Found, named: Sequence[str]) -> str | None:
    """The server's clock by fresh ticks, None if none shows it; the connection that `found` came by ends.

    Raises Refused if what can't be had was `named`: of the market watch such symbols are left out.
    """
    try:
        if named and found.missing:
            raise Refused("; ".join(found.missing.values()))
        return server_clock_of(found, SystemClock())
    finally:
        found.quotes.shutdown()


def reached(key: str, kind: str, host: str, port: int) -> dict[str, Any]:
    """How a terminal is reached, as a section of the settings; `key`: what the section calls the kind."""
    return {key: kind, **({"host": host, "port": port} if kind == "rpyc" else {})}


def updated(settings: Settings, asked: Sections) -> Settings:
    """The settings with these, checked. Raises SettingsError."""
    sections = {}
    for name, keys in asked.items():
        section = getattr(settings, name)
        try:
            sections[name] = type(section)(**{**dict(section), **keys})
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            key = wrong["loc"][0]
            raise SettingsError(f"{name}.{key} = {wrong['input']!r}: {wrong['msg']}: correct that option") from error
    return settings.model_copy(update=sections)
