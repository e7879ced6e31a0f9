"""The services of a stack: what each is, whether it is ready, and where it listens."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.errors import TickledgerError
from infra.settings import CONFIG_VARIABLE, PREFIX, Settings
from infra.stack.home import Home, read_json, write_json
from infra.stack.process import Identity

KAFKA = "kafka"
POSTGRES = "postgres"


@dataclass(frozen=True)
class Service:
    """A service that is a program of ours: it says by ``announce`` when it is ready, and ends on SIGTERM."""

    name: str
    command: tuple[str, ...]
    depends_on: tuple[str, ...] = (KAFKA, POSTGRES)
    env: Mapping[str, str] = field(default_factory=dict)
    stop_timeout_s: float = 6.0


def _program(name: str, module: str, *depends_on: str) -> Service:
    return Service(name, (sys.executable, "-P", "-m", module), depends_on)


WORKER = _program("worker", "streams.worker", KAFKA)
PROJECTOR = _program("projector", "projections.projector", KAFKA, POSTGRES)
PROGRAMS: tuple[Service, ...] = (WORKER, PROJECTOR)
"""What every home runs."""


def names_of(programs: Iterable[Service]) -> tuple[str, ...]:
    """Of broker, database and these programs."""
    return (KAFKA, POSTGRES, *(program.name for program in programs))


ALL: tuple[str, ...] = names_of(PROGRAMS)

TERMINAL = _program("terminal", "producers.terminal")
RECORDER = _program("recorder", "producers.recorder", KAFKA, "terminal")
DESK = _program("desk", "streams.desk_service", KAFKA)
SEQUENCER = _program("sequencer", "streams.sequencer", KAFKA)
GATEWAY = _program("gateway", "producers.gateway", KAFKA, "terminal")
API = _program("api", "api.server", KAFKA, POSTGRES)
EVERY_PROGRAM: tuple[Service, ...] = (*PROGRAMS, TERMINAL, RECORDER, DESK, SEQUENCER, GATEWAY, API)
"""What any home may run."""

FENCED = 3
"""Exit code of a service that another one of its kind has replaced: it is started again after a minute."""

REFUSED = 4
"""Exit code of a service that can't run until somebody changes something: it isn't started again."""


def programs_of(settings: Settings) -> tuple[Service, ...]:
    """What a home runs by its settings: with a terminal the recorder, with an account all that trades it."""
    found = [*PROGRAMS]
    if settings.terminal.kind:
        found += [TERMINAL] if settings.terminal.kind == "simulated" else []
        found += [RECORDER]
        found += [DESK, SEQUENCER, GATEWAY] if settings.trade.account else []
    return (*found, API)


def exit_code_of(error: TickledgerError) -> int:
    """The exit code of a service that an error ended."""
    return REFUSED if error.final else error.exit_code


def announce(home: Path, service: str, ready: bool = True, **extra: Any) -> None:
    """Tell the stack of ``home`` that this process, which is ``service``, is ready (or not any more).

    ``extra`` goes into the record, of which ``status`` shows ``reason``: what is wrong. Raises HomeUnusable.
    """
    announce_for(Home(home), service, Identity.own(), ready=ready, **extra)


def announce_for(home: Home, service: str, process: Identity, *, ready: bool, **extra: Any) -> None:
    write_json(home.ready_file(service), {**extra, "ready": ready, **process._asdict()})


def identity(record: Mapping[str, Any] | None) -> Identity | None:
    """The process that a record names, if it has one."""
    if record is None:
        return None
    try:
        return Identity(int(record["pid"]), int(record["start_ticks"]), str(record["boot_id"]))
    except (KeyError, TypeError, ValueError):
        return None


def running(home: Home, service: str) -> Identity | None:
    """The process that runs ``service`` now by the supervisor's record; None if it is not alive."""
    found = identity(read_json(home.pid_file(service)))
    return found if found is not None and found.alive() else None


def is_ready(home: Home, service: str) -> bool:
    """Whether the process that runs ``service`` now has been announced as ready."""
    process = running(home, service)
    record = read_json(home.ready_file(service))
    return process is not None and record is not None and identity(record) == process and record.get("ready") is True


def running_since_ms(home: Home, service: str) -> int | None:
    """When the process that runs ``service`` now was started, by this machine's clock; None if none runs."""
    if running(home, service) is None:
        return None
    return int(home.pid_file(service).stat().st_mtime * 1000)


def refusal(home: Home, service: str) -> str | None:
    """Why ``service``, which the stack runs no more, was refused; None if it wasn't."""
    reason = (read_json(home.ready_file(service)) or {}).get("refused")
    return None if reason is None else str(reason)


def trouble(home: Home, service: str) -> str | None:
    """What the process that runs ``service`` now says is wrong with it; None if nothing is."""
    record = read_json(home.ready_file(service))
    reason = None if record is None or identity(record) != running(home, service) else record.get("reason")
    return None if reason is None else str(reason)


def child_env(settings: Settings) -> dict[str, str]:
    """The environment of a program of ours: this process's, with the home and file that are in force here."""
    env = dict(os.environ)
    env[PREFIX + "HOME"] = str(settings.home)
    if settings.file is not None and settings.file != settings.home / "tickledger.toml":
        env[CONFIG_VARIABLE] = str(settings.file)
    else:
        env.pop(CONFIG_VARIABLE, None)
    return env
