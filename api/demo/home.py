"""The demo's home: its settings, and whether it may be played in."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from api.server.host import check_host
from api.settings_file import FILE, write_settings
from infra.errors import Refused, SettingsError, home_unusable
from infra.settings import (
    CONFIG_VARIABLE,
    LONGEST_LEAD_S,
    SHORTEST_LEAD_S,
    Settings,
    is_there,
    load_settings,
    settings_with,
)
from infra.stack.status import status
from infra.unreadable import unreadable

ACCOUNT: Final = "demo"
FEED: Final = "demo"
_FIRST_LINE: Final = "# Written by `tickledger demo`: a simulated terminal that plays recorded ticks, with an account."


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a demo is asked to play; None: as the home has it, at first the default."""

    data: Sequence[Path] = ()
    format: str | None = None
    symbol: str | None = None
    spec: str | None = None
    speed: float | None = None
    lead_s: float | None = None
    strategies: Sequence[Path] = ()
    """Files that are traded, which the settings don't name."""


def demo_settings(
    home: Path | None,
    config: Path | None,
    wanted: Wanted,
    *,
    fresh: bool,
    once: bool,
    check: Callable[[Settings], None],
) -> Settings:
    """The settings of the demo; a home without any gets its file.

    `fresh` removes what a demo has left in the home before. `check` raises what keeps a demo of such settings from
    being played: it is asked before anything is removed or written, so nothing is kept of a demo that is refused.

    Raises Refused for a home that isn't a demo's, or that plays other data, or for what a settings file of its own says
    already, SettingsError, and HomeUnusable.
    """
    if config is None and os.environ.get(CONFIG_VARIABLE):
        config = Path(os.environ[CONFIG_VARIABLE])
    root = (home or load_settings(home, config).home if config is None else load_settings(home, config).home).absolute()
    file = root / FILE
    if config is not None:
        _refuse_options(config, wanted)
        _checked(load_settings(home, config))
        if fresh and config.resolve().is_relative_to(root.resolve()):
            raise Refused(f"--fresh would remove {config} too: play without it (no --config), or move it out of {root}")
    there = is_there(file)
    clear = fresh and root.exists()
    if clear:
        _refuse_to_clear(root, file, wanted)
    if config is None and there and not fresh:
        return _known(root, file, wanted)
    if config is None and not clear and _has_log(root):
        raise Refused(
            f"{root} has a log already, and no terminal to go with it: choose another home for the demo "
            "(--home DIR), or name a terminal in its settings"
        )
    speed = wanted.speed if wanted.speed is not None else 0.0 if once else 20.0
    values = _values(wanted, speed)
    settings = _checked(settings_with(values, root) if config is None else load_settings(home, config))
    if config is None:
        _refuse_another_lead(settings, file, wanted)
    if clear or config is None:
        check(settings)
    if clear:
        _clear(root, file)
    if config is None:
        write_settings(root, _FIRST_LINE, _sections(values))
    return load_settings(home, config)


def _known(root: Path, file: Path, wanted: Wanted) -> Settings:
    """Of a home that has its settings: those."""
    if wanted.data or wanted.format or wanted.symbol or wanted.spec:
        raise Refused(
            f"{root} plays its own day, as {file} says: add --fresh to remove what is there and play another, or "
            "choose another home (--home DIR)"
        )
    settings = _checked(load_settings(root, None))
    _refuse_another_lead(settings, file, wanted)
    return settings


def _refuse_another_lead(settings: Settings, file: Path, wanted: Wanted) -> None:
    if wanted.lead_s not in (None, settings.terminal.lead_s):
        raise Refused(
            f"--lead {wanted.lead_s:g}: {settings.home} goes on with a lead of {settings.terminal.lead_s:g} s, as "
            f"{file} says: set terminal.lead_s there while it doesn't run, or add --fresh to remove what is there and "
            "play anew"
        )


def _refuse_options(config: Path, wanted: Wanted) -> None:
    """What a file of settings says isn't said by options beside it."""
    options = {
        "--data": ("terminal.data", wanted.data),
        "--format": ("terminal.data_format", wanted.format),
        "--symbol": ("terminal.symbol", wanted.symbol),
        "--spec": ("terminal.spec", wanted.spec),
        "--lead": ("terminal.lead_s", wanted.lead_s is not None),
    }
    told = {option: setting for option, (setting, value) in options.items() if value}
    if told:
        raise Refused(
            f"{', '.join(told)} can't be given where {config} has the settings: set {', '.join(told.values())} there, "
            f"or play without it (no --config, no {CONFIG_VARIABLE})"
        )


def _checked(settings: Settings) -> Settings:
    if settings.terminal.kind != "simulated" or not settings.trade.account:
        raise Refused(
            f"the settings of {settings.home} have terminal.kind = {settings.terminal.kind!r} and trade.account = "
            f"{settings.trade.account!r}: the demo plays a simulated terminal and trades an account; choose another "
            "home (--home DIR), or run `tickledger up`"
        )
    check_host(settings)
    return settings


def _has_log(root: Path) -> bool:
    try:
        return (root / "kafka").exists() and any((root / "kafka").iterdir())
    except OSError as error:
        raise unreadable(root / "kafka", error) from None


def _refuse_to_clear(root: Path, file: Path, wanted: Wanted) -> None:
    if not _is_of_a_demo(file):
        raise Refused(f"{root} was not made by the demo, so --fresh leaves it alone: choose another home (--home DIR)")
    for told in (*wanted.data, *wanted.strategies, *([Path(wanted.spec)] if wanted.spec else [])):
        if told.exists() and told.resolve().is_relative_to(root.resolve()):
            raise Refused(f"--fresh would remove {told} too: move it out of {root}")
    try:
        settings = load_settings(root, None)
    except SettingsError:
        # Settings that can't be used are no reason to keep them.
        settings = settings_with({}, root)
    running = [name for name, service in status(settings).items() if service["state"] != "stopped"]
    if running:
        raise Refused(f"{', '.join(running)} of {root} run: end them first (tickledger down --home {root})")


def _is_of_a_demo(file: Path) -> bool:
    if not is_there(file):
        return False
    try:
        return _FIRST_LINE in file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise unreadable(file, error) from None


def _clear(root: Path, file: Path) -> None:
    try:
        # The file last: until then the home is still known as a demo's, if something can't be removed.
        for path in sorted(root.iterdir(), key=lambda path: path == file):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except OSError as error:
        raise home_unusable(root, error) from None


def _values(wanted: Wanted, speed: float) -> dict[str, dict[str, Any]]:
    """The settings of a new home."""
    terminal: dict[str, Any] = {
        "kind": "simulated",
        "data": [str(path.absolute()) if path.exists() else str(path) for path in wanted.data],
        "data_format": wanted.format or "",
        "symbol": wanted.symbol or "",
        "speed": speed,
        "followers": ["recorder", "worker", f"desk-{ACCOUNT}", "gateway"],
    }
    if wanted.spec is not None:
        terminal["spec"] = wanted.spec
    if wanted.lead_s is not None:
        terminal["lead_s"] = wanted.lead_s
    # Of other files only the terminal will know whether they trade at weekends.
    sessions = {} if wanted.data else {"*": "Mon-Fri 00:00-24:00"}
    return {"terminal": terminal, "recorder": {"feed": FEED, "sessions": sessions}, "trade": {"account": ACCOUNT}}


def _sections(values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The values as a file has them: a table within a section is a section of its own."""
    sections: dict[str, dict[str, Any]] = {}
    for name, keys in values.items():
        sections[name] = {key: value for key, value in keys.items() if not isinstance(value, dict)}
        for key, table in keys.items():
            if isinstance(table, dict) and table:
                sections[f"{name}.{key}"] = {json.dumps(inner): value for inner, value in table.items()}
    return sections


def check_lead(lead_s: float | None) -> None:
    """Raises SettingsError."""
    if lead_s is not None and not SHORTEST_LEAD_S <= lead_s <= LONGEST_LEAD_S:
        raise SettingsError(
            f"--lead {lead_s:g}: give seconds of market, at least {SHORTEST_LEAD_S} (the desk hears of the time once a "
            f"second) and at most {LONGEST_LEAD_S:,} (a day)"
        )


def check_speed(speed: float | None) -> None:
    """Raises SettingsError."""
    if speed is not None and not (math.isfinite(speed) and speed >= 0):
        what = "is below 0" if speed < 0 else "isn't finite"
        raise SettingsError(f"--speed {speed:g} {what}: give times real time, or 0 for as fast as it goes")
