"""The way from a program to the simulated terminal: a socket in the home, or a pipe within one process.

Both ends speak the same: a request is (number, name, arguments, named arguments), an answer (number, kind, value). A
client waits for an answer as long as its time-out, then gives up and skips that answer when it comes. Both ends prove
that they have the home's key before anything that they send is looked at.
"""

from __future__ import annotations

import errno
import hmac
import os
import secrets
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from infra import log
from infra.clock import Stopwatch
from infra.errors import BadFile, TickledgerError, home_unusable
from infra.stack.home import Home
from producers.terminal.constants import CONSTANTS
from producers.terminal.failure import TerminalFailure

SOCKET: Final = "terminal.sock"
KEY: Final = "terminal.key"
DEFAULT_TIMEOUT_S: Final = 60.0

Handler = Callable[[str, tuple[Any, ...], dict[str, Any]], Any]
"""Answers a call by name; raises TerminalFailure, or a TickledgerError where it isn't MetaTrader5's."""

_logger = log.get(__name__)
_ANSWER, _FAILURE, _REFUSAL = "answer", "failure", "refusal"
_KEY_BYTES: Final = 32
_HELLO_S: Final = 5.0
_SEND_S: Final = 5.0
_BACKLOG: Final = 64
_LONGEST_PATH: Final = 100
"""Of a socket, bytes; the system's limit is 108."""


# -- client ------------------------------------------------------------------------------------------------------------


class Channel:
    """A client's end of one connection; one call at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # `Connection.poll` makes a selector for each call, which takes longer than the call's own work.
        self._readable = select.poll()
        self._readable.register(connection.fileno(), select.POLLIN)
        self._number = 0
        self._lock = threading.Lock()

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout_s: float | None) -> Any:
        """The answer. Raises TerminalFailure: the terminal's own, or that it didn't answer in time or has gone."""
        with self._lock:
            self._number += 1
            try:
                self._connection.send((self._number, name, args, kwargs))
            except (OSError, ValueError):
                raise _lost("RES_E_INTERNAL_FAIL_SEND", "IPC send failed") from None
            try:
                kind, value = self._received(DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s)
            except (OSError, EOFError):
                raise _lost("RES_E_INTERNAL_FAIL_RECEIVE", "IPC recv failed") from None
        if kind == _FAILURE:
            raise TerminalFailure(*value)
        if kind == _REFUSAL:
            raise value
        return value

    def close(self) -> None:
        self._connection.close()

    def _received(self, timeout_s: float) -> tuple[str, Any]:
        waited = Stopwatch()
        while True:
            if not self._readable.poll(max(0.0, timeout_s - waited.seconds()) * 1_000):
                raise TerminalFailure(CONSTANTS["RES_E_INTERNAL_FAIL_TIMEOUT"], "IPC timeout")
            number, kind, value = self._connection.recv()
            if number == self._number:
                return kind, value


class Remote:
    """The terminal of a home, in a process of its own.

    `initialize` makes the connection anew, as MetaTrader5 does; once it has broken, other calls fail until then.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._channel: Channel | None = None

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout_s: float | None) -> Any:
        """As `Channel.call`. Raises TerminalFailure."""
        if name == "initialize":
            self.close()
            self._channel = self._connected(DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s)
        if self._channel is None:
            raise _lost("RES_E_INTERNAL_FAIL_SEND", "IPC send failed")
        try:
            return self._channel.call(name, args, kwargs, timeout_s)
        except _Gone:
            self.close()
            raise

    def close(self) -> None:
        """Ends the connection; the next `initialize` makes another."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _connected(self, timeout_s: float) -> Channel:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.settimeout(timeout_s)
            with _short(self._home.run / SOCKET) as address:
                client.connect(address)
            client.settimeout(None)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(_SEND_S), 0))
            connection = Connection(client.detach())
        except OSError:
            client.close()
            raise _unreachable(f"Process create failed '{self._home.root}'") from None
        try:
            key = terminal_key(self._home)
            if _answers(connection, key, b"server", timeout_s) and _proves(connection, key, b"client", timeout_s):
                return Channel(connection)
        except (OSError, EOFError):
            pass
        connection.close()
        raise _unreachable(f"Pipe server didn't answer in {timeout_s:g} sec")


class InProcess:
    """A terminal in this process: the same as `Remote`, over a pipe and a thread."""

    def __init__(self, handler: Handler) -> None:
        ours, theirs = Pipe()
        self._channel = Channel(ours)
        self._thread = threading.Thread(target=serve, args=(theirs, handler), name="terminal client", daemon=True)
        self._thread.start()

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout_s: float | None) -> Any:
        """As `Channel.call`. Raises TerminalFailure."""
        return self._channel.call(name, args, kwargs, timeout_s)

    def close(self) -> None:
        """Ends the connection, once what was asked last is done."""
        self._channel.close()
        self._thread.join()


# -- server ------------------------------------------------------------------------------------------------------------


class TerminalSocket:
    """The terminal's end in a home: a thread a client. One that hangs or ends doesn't touch the others."""

    def __init__(self, home: Home, handler: Handler) -> None:
        """Raises HomeUnusable. Who makes it holds the terminal's lock, so a socket that is there is a dead one's."""
        self._key, self._handler = terminal_key(home), handler
        self._path = home.run / SOCKET
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._path.unlink(missing_ok=True)
            with _short(self._path) as address:
                self._socket.bind(address)
            self._path.chmod(0o600)
            self._socket.listen(_BACKLOG)
        except OSError as error:
            self._socket.close()
            raise home_unusable(self._path, error) from None
        self._thread = threading.Thread(target=self._accept, name="terminal socket", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Takes no more clients."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ECONNABORTED):
                    _logger.warning("a client was turned away", reason=str(error))
                    continue
                return
            connection = Connection(client.detach())
            threading.Thread(target=self._client, args=(connection,), name="terminal client", daemon=True).start()

    def _client(self, connection: Connection) -> None:
        try:
            known = _proves(connection, self._key, b"server", _HELLO_S) and _answers(
                connection, self._key, b"client", _HELLO_S
            )
        except (OSError, EOFError):
            known = False
        if known:
            serve(connection, self._handler)
        else:
            connection.close()


def serve(connection: Connection, handler: Handler) -> None:
    """Answers one client until it goes away."""
    with connection:
        while True:
            try:
                number, name, args, kwargs = connection.recv()
            except (OSError, EOFError):
                return
            answer = _answer(handler, name, args, kwargs)
            try:
                connection.send((number, *answer))
            except OSError:
                return


def _answer(handler: Handler, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, Any]:
    try:
        return _ANSWER, handler(name, args, kwargs)
    except TerminalFailure as failure:
        return _FAILURE, (failure.code, failure.text)
    except TickledgerError as error:
        return _REFUSAL, error
    except Exception:
        _logger.exception("a call failed", call=name)
        return _FAILURE, (CONSTANTS["RES_E_FAIL"], "Terminal: Call failed")


# -- both --------------------------------------------------------------------------------------------------------------


def terminal_key(home: Home) -> bytes:
    """The secret that clients and terminal of a home share, made at first use. Raises BadFile, HomeUnusable."""
    path = home.keys / KEY
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise home_unusable(path, error) from None
    if len(key) != _KEY_BYTES:
        raise BadFile(f"{path} is not the key of a terminal ({len(key)} bytes): remove it, and start the terminal anew")
    return key


def _make_key(path: Path) -> None:
    """Who comes second keeps the first one's."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _answers(connection: Connection, key: bytes, role: bytes, timeout_s: float) -> bool:
    """Whether the other end answers a challenge with the key, in its role, in time."""
    challenge = secrets.token_bytes(_KEY_BYTES)
    connection.send_bytes(challenge)
    if not connection.poll(timeout_s):
        return False
    return hmac.compare_digest(connection.recv_bytes(_KEY_BYTES), hmac.digest(key, role + challenge, "sha256"))


def _proves(connection: Connection, key: bytes, role: bytes, timeout_s: float) -> bool:
    """Answers the other end's challenge; False if none comes in time."""
    if not connection.poll(timeout_s):
        return False
    connection.send_bytes(hmac.digest(key, role + connection.recv_bytes(_KEY_BYTES), "sha256"))
    return True


class _Gone(TerminalFailure):
    """The connection is broken."""


def _lost(constant: str, text: str) -> _Gone:
    return _Gone(CONSTANTS[constant], text)


def _unreachable(reason: str) -> _Gone:
    return _Gone(CONSTANTS["RES_E_INTERNAL_FAIL_INIT"], f"IPC initialize failed, {reason}")


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for a socket that the system takes, however long the home's path is."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
