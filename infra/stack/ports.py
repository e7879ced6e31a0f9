"""Ports on 127.0.0.1: the one that settings ask for, or the last one of this home if it is free, or any free one."""

from __future__ import annotations

import errno
import socket

from infra.errors import PortTaken

ADDRESS = "127.0.0.1"


def choose(setting: str, asked: int, last: int, avoid: set[int]) -> int:
    """A port that can be bound now. Raises PortTaken if ``asked`` (of ``setting``) is held by another program."""
    if asked:
        if not free(asked):
            raise taken(setting, asked)
        return asked
    if last and last not in avoid and free(last):
        return last
    while True:
        with socket.socket() as probe:
            probe.bind((ADDRESS, 0))
            port = int(probe.getsockname()[1])
        if port not in avoid:
            return port


def free(port: int) -> bool:
    """Whether a server could listen there now. Raises PortTaken if this user may not use the port at all."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
            probe.listen(1)
        except PermissionError:
            raise PortTaken(
                f"this user may not listen on port {port} of {ADDRESS}: set one from 1024 on, or 0 for any free one"
            ) from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


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
