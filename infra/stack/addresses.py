"""Where broker and database of a home listen: by settings, or as the stack has written it to run/services.json."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from infra.errors import NotReady
from infra.settings import Settings
from infra.stack.home import Home, read_json, write_json
from infra.stack.postgres import Server
from infra.stack.services import KAFKA, POSTGRES


class Addresses(NamedTuple):
    """``kafka`` is host:port[,host:port]; ``postgres_dsn`` has the password in it: never print it."""

    kafka: str
    postgres_dsn: str


def addresses(settings: Settings) -> Addresses:
    """For a process that needs both. Raises NotReady if the stack of this home has never been started."""
    return Addresses(kafka_address(settings), postgres_dsn(settings))


def kafka_address(settings: Settings) -> str:
    """The bootstrap servers. Raises NotReady."""
    return settings.kafka.bootstrap_servers or _recorded(settings, KAFKA)


def postgres_dsn(settings: Settings) -> str:
    """What psycopg.connect takes, with the password. Raises NotReady, PasswordRefused."""
    external = settings.postgres.dsn.get_secret_value()
    if external:
        return external
    port = int(_recorded(settings, POSTGRES).rpartition(":")[2])
    return Server(Path(), Home(settings.home), settings.postgres.max_connections).dsn(port)


def shown_postgres(settings: Settings) -> str:
    """host:port of the database, without what is secret. Raises NotReady."""
    external = settings.postgres.dsn.get_secret_value()
    if not external:
        return _recorded(settings, POSTGRES)
    parts = urlsplit(external)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}"


def record_address(home: Home, service: str, address: str) -> None:
    """Note where a service listens; it stays as the first choice of the next start."""
    # Broker and database start side by side in one process; neither may write over what the other has just noted.
    with _noting:
        known = read_json(home.run / "services.json") or {}
        known[service] = {"address": address}
        write_json(home.run / "services.json", known)


def recorded_port(home: Home, service: str) -> int:
    """The port of the last start; 0 if there was none."""
    entry = (read_json(home.run / "services.json") or {}).get(service)
    address = str(entry.get("address", "")) if isinstance(entry, dict) else ""
    port = address.rpartition(":")[2]
    return int(port) if port.isdecimal() and 0 < int(port) < 65536 else 0


def _recorded(settings: Settings, service: str) -> str:
    home = Home(settings.home)
    port = recorded_port(home, service)
    if not port:
        raise NotReady(f"{service} of {home.root} has never been started: run `tickledger up`, or set TICKLEDGER_HOME")
    return f"127.0.0.1:{port}"


_noting = threading.Lock()
