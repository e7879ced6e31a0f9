"""The demo's home: its settings, and whether it may be played in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from api.settings_file import FILE, write_settings
from infra.errors import Refused, SettingsError, home_unusable
from infra.settings import CONFIG_VARIABLE, LONGEST_LEAD_S, SHORTEST_LEAD_S, Settings, load_settings
from infra.stack.status import status

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


def demo_settings(home: Path | None, config: Path | None, wanted: Wanted, *, fresh: bool, once: bool) -> Settings:
    """The settings of the demo; a home without any gets its file.

    `fresh` removes what a demo has left in the home before. Raises Refused for a home that isn't a demo's, or that
    plays other data, or for what a settings file of its own says already, and SettingsError.
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
    if fresh and root.exists():
        _clear(root, file)
    if config is not None:
        return _checked(load_settings(home, config))
    if not file.exists():
        if (root / "kafka").exists() and any((root / "kafka").iterdir()):
            raise Refused(
                f"{root} has a log already, and no terminal to go with it: choose another home for the demo "
                "(--home DIR), or name a terminal in its settings"
            )
        speed = wanted.speed if wanted.speed is not None else 0.0 if once else 20.0
        write_settings(root, _FIRST_LINE, _sections(wanted, speed))
    elif wanted.data or wanted.format or wanted.symbol or wanted.spec:
        raise Refused(
            f"{root} plays its own day, as {file} says: add --fresh to remove what is there and play another, or "
            "choose another home (--home DIR)"
        )
    settings = _checked(load_settings(home, None))
    if wanted.lead_s not in (None, settings.terminal.lead_s):
        raise Refused(
            f"--lead {wanted.lead_s:g}: {root} goes on with a lead of {settings.terminal.lead_s:g} s, as {file} says: "
            "set terminal.lead_s there while it doesn't run, or add --fresh to remove what is there and play anew"
        )
    return settings


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
    return settings


def _clear(root: Path, file: Path) -> None:
    if not file.exists() or _FIRST_LINE not in file.read_text(encoding="utf-8"):
        raise Refused(f"{root} was not made by the demo, so --fresh leaves it alone: choose another home (--home DIR)")
    running = [name for name, service in status(load_settings(root, None)).items() if service["state"] != "stopped"]
    if running:
        raise Refused(f"{', '.join(running)} of {root} run: end them first (tickledger down --home {root})")
    try:
        for path in root.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except OSError as error:
        raise home_unusable(root, error) from None


def _sections(wanted: Wanted, speed: float) -> Mapping[str, dict[str, Any]]:
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
    return {
        "terminal": terminal,
        "recorder": {"feed": FEED},
        # Of other files only the terminal will know whether they trade at weekends.
        **({} if wanted.data else {"recorder.sessions": {'"*"': "Mon-Fri 00:00-24:00"}}),
        "trade": {"account": ACCOUNT},
    }


def check_lead(lead_s: float | None) -> None:
    """Raises SettingsError."""
    if lead_s is not None and not SHORTEST_LEAD_S <= lead_s <= LONGEST_LEAD_S:
        raise SettingsError(
            f"--lead {lead_s:g}: give seconds of market, at least {SHORTEST_LEAD_S} (the desk hears of the time once a "
            f"second) and at most {LONGEST_LEAD_S:,} (a day)"
        )


def check_speed(speed: float | None) -> None:
    """Raises SettingsError."""
    if speed is not None and speed < 0:
        raise SettingsError(f"--speed {speed:g} is below 0: give times real time, or 0 for as fast as it goes")
