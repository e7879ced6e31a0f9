"""What `tickledger status` says: each service's state, process and address, as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from infra.errors import Unreachable
from infra.settings import Settings
from infra.stack import ownership, ports
from infra.stack.addresses import recorded_port, shown_postgres
from infra.stack.home import Home, read_json
from infra.stack.services import (
    EVERY_PROGRAM,
    KAFKA,
    Service,
    is_ready,
    names_of,
    programs_of,
    refusal,
    running,
    trouble,
)
from infra.stack.stack import check_external, external

State = Literal["ready", "starting", "stopping", "stopped", "failed", "refused", "external"]
GOOD: frozenset[State] = frozenset({"ready", "external"})
PATIENCE_S = 3.0


class ServiceStatus(TypedDict):
    """``pid`` and ``address`` are None where there is none; ``reason`` says why a service failed, can't run or
    isn't as it should be."""

    state: State
    pid: int | None
    address: str | None
    reason: str | None


def status(settings: Settings, programs: Sequence[Service] | None = None) -> dict[str, ServiceStatus]:
    """By service, broker and database first. A server that settings name is "external" if it answers, else "failed".

    `programs`: default those that the settings ask for, and what else runs on the home.
    """
    named = external(settings)
    home = Home(settings.home)
    if programs is None:
        wanted = programs_of(settings)
        programs = [p for p in EVERY_PROGRAM if p in wanted or running(home, p.name) is not None]
    return {name: _external(settings, name) if name in named else _embedded(home, name) for name in names_of(programs)}


def all_ready(services: dict[str, ServiceStatus]) -> bool:
    """Whether every service can be used."""
    return all(service["state"] in GOOD for service in services.values())


def _external(settings: Settings, name: str) -> ServiceStatus:
    address = settings.kafka.bootstrap_servers if name == KAFKA else shown_postgres(settings)
    try:
        check_external(settings, {name}, PATIENCE_S)
    except Unreachable as error:
        return {"state": "failed", "pid": None, "address": address, "reason": str(error)}
    return {"state": "external", "pid": None, "address": address, "reason": None}


def _embedded(home: Home, name: str) -> ServiceStatus:
    process = running(home, name)
    port = recorded_port(home, name) if process is not None else 0
    refused = refusal(home, name)
    failed = None if process is not None else (read_json(home.ready_file(name)) or {}).get("failed")
    return {
        "state": _state(home, name, port, failed=failed is not None, refused=refused is not None),
        "pid": process.pid if process is not None else None,
        "address": f"{ports.ADDRESS}:{port}" if port else None,
        "reason": refused or failed or trouble(home, name),
    }


def _state(home: Home, name: str, port: int, *, failed: bool, refused: bool) -> State:
    if not ownership.locked(home, name):
        return "failed" if failed else "stopped"
    if ownership.ending(home, name):
        return "stopping"
    if refused:
        return "refused"
    if is_ready(home, name) and (not port or ports.answers(ports.ADDRESS, port)):
        return "ready"
    return "starting"
