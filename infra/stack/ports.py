"""Ports on 127.0.0.1: the one that settings ask for, or the last one of this home if it is free, or any free one."""

from __future__ import annotations

import errno
import random
import socket
from pathlib import Path
from typing import Final

from infra.errors import PortTaken

ADDRESS = "127.0.0.1"
LOWEST: Final = 20_000
"""Ports that are chosen lie above, and below those that the system gives to outgoing connections: a client that calls a
server which has died would now and then be given the server's own port for its end, be connected with itself, and hold
the port when the server comes back."""
_OUTGOING: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_ATTEMPTS: Final = 100


def choose(setting: str, asked: int, last: int, avoid: set[int]) -> int:
    """A port that can be bound now. Raises PortTaken if ``asked`` (of ``setting``) is held by another program."""
    if asked:
        if not free(asked):
            raise taken(setting, asked)
        return asked
    if last and last not in avoid and free(last):
        return last
    below = _first_outgoing()
    for _ in range(_ATTEMPTS if below > LOWEST else 0):
        port = random.SystemRandom().randrange(LOWEST, below)
        if port not in avoid and free(port):
            return port
    while True:
        with socket.socket() as probe:
            probe.bind((ADDRESS, 0))
            port = int(probe.getsockname()[1])
        if port not in avoid:
            return port


def _first_outgoing() -> int:
    """The lowest port that the system gives to outgoing connections; 0 if it doesn't say."""
    try:
        return int(_OUTGOING.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def free(port: int) -> bool:
    """Whether a server could listen there now. Raises PortTaken if this user may not use the port at all."""
    held = _listening(port)
    if held is not None:
        held.close()
    return held is not None


def hold(setting: str, *candidates: int) -> socket.socket:
    """A socket that listens on the first of these ports that is free (0: any), so that nobody else can take it.

    Raises PortTaken if other programs hold all of them; ``setting`` is what asked for the first.
    """
    for port in candidates:
        held = _listening(port)
        if held is not None:
            return held
    raise taken(setting, candidates[0])


def answers(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def taken(setting: str, port: int) -> PortTaken:
    return PortTaken(
        f"port {port} on {ADDRESS} ({setting}) is taken by another program: end that program, set {setting} to "
        "another port, or to 0 for any free one"
    )


def _listening(port: int) -> socket.socket | None:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((ADDRESS, port))
        held.listen()
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            return None
        if isinstance(error, PermissionError):
            raise PortTaken(
                f"this user may not listen on port {port} of {ADDRESS}: set one from 1024 on, or 0 for any free one"
            ) from None
        raise
    return held
