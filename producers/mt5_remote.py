"""MetaTrader 5 on another host, over an rpyc classic server (as mt5linux and its kin run it beside the terminal).

A classic server executes whatever a client sends: who reaches its port owns that machine and its accounts. So bind it
to an address that nobody else reaches, or go through a tunnel, never over an open network: docs/recorder.md. The way
back is closed: this side offers the server nothing to call.

Calls go by value: a function that is sent once makes them there from plain values; arrays come back as their bytes,
structures as their fields. A call is one round trip and leaves no reference behind. That function also keeps, while
the server runs, the highest epoch that a gateway of an account has called with, and refuses a lower one.
"""

from __future__ import annotations

import contextlib
import importlib
import socket
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from infra.chain_follower import Fenced
from infra.errors import MissingPart
from producers.mt5 import NO_CONNECTION, TerminalError

_THERE: Final = """
import MetaTrader5

def tickledger_call(name, args, kwargs, chain, epoch):
    if chain:
        epochs = MetaTrader5.__dict__.setdefault("tickledger_epochs", {})
        epochs[chain] = max(epochs.get(chain, 0), epoch)
        if epochs[chain] > epoch:
            return ("fenced", epochs[chain])

    def given(value):
        return {key: given(inner) for key, inner in value[1]} if isinstance(value, tuple) else value

    def plain(value):
        if hasattr(value, "dtype") and hasattr(value, "tobytes") and getattr(value, "shape", ()):
            return ("array", tuple(tuple(field) for field in value.dtype.descr), value.tobytes())
        if hasattr(value, "_asdict"):
            return ("struct", tuple((key, plain(inner)) for key, inner in value._asdict().items()))
        if isinstance(value, tuple):
            return ("tuple", tuple(plain(inner) for inner in value))
        return ("value", value)

    call = getattr(MetaTrader5, name)
    return plain(call(*[given(a) for a in args], **{key: given(a) for key, a in kwargs}))
"""
_FALSE_ON_FAILURE: Final = ("initialize", "login", "symbol_select")
_NOT_THERE: Final = (-10_003, "IPC initialize failed")
_HUNG, _GONE = (-10_005, "IPC timeout"), (-10_002, "IPC recv failed")


class RemoteMt5:
    """The package's functions by their names; satisfies `Mt5`.

    A server that is gone or hangs gives what the package gives for a terminal that is or does: None or False, and its
    `last_error()`; the next `initialize()` dials again.
    """

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._host, self._port, self._timeout_s = host, port, timeout_s
        self._connection: Any = None
        self._stream: Any = None
        self._call: Any = None
        self._error: tuple[int, str] | None = None
        self._chain, self._epoch = "", 0

    @classmethod
    def dial(cls, host: str, port: int, timeout_s: float) -> RemoteMt5:
        """Connected. Raises MissingPart without rpyc, TerminalError if no server answers or it lacks the package."""
        remote = cls(host, port, timeout_s)
        try:
            remote._dial()
        except (OSError, EOFError) as error:
            raise TerminalError(
                f"no rpyc server answers at {host}:{port} ({error}): start it beside the terminal, or correct "
                "terminal.host and terminal.port",
                *_GONE,
            ) from error
        return remote

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self._ask(name, args, kwargs)

    def claim(self, chain: str, epoch: int) -> None:
        """From now on each call presents the epoch of the caller's chain, and raises Fenced once a later one called."""
        self._chain, self._epoch = chain, epoch

    def last_error(self) -> tuple[int, str]:
        """Why the last call failed: of the connection to the server, else what the package says."""
        if self._error is not None:
            return self._error
        code, text = self._ask("last_error", (), {}) or self._error or _GONE
        return int(code), str(text)

    def close(self) -> None:
        """Leaves the server."""
        connection, stream, self._connection, self._stream, self._call = (
            self._connection,
            self._stream,
            None,
            None,
            None,
        )
        with contextlib.suppress(EOFError, OSError):
            if connection is not None:
                connection.close()
        if stream is not None:
            stream.close()

    def _ask(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._error = None
        failed = False if name in _FALSE_ON_FAILURE else None
        try:
            if self._call is None:
                if name != "initialize":
                    self._error = (NO_CONNECTION, "No IPC connection")
                    return failed
                self._dial()
            pairs = tuple((key, _given(value)) for key, value in kwargs.items())
            answer = self._call(name, tuple(map(_given, args)), pairs, self._chain, self._epoch)
            if answer[0] != "fenced":
                return _read(answer)
            raise Fenced(
                f"epoch {answer[1]} of {self._chain} has called the terminal at {self._host}:{self._port}, and this "
                f"one's is {self._epoch}: another gateway trades the account; if the log was put back from an older "
                "copy, restart the rpyc server"
            )
        except TimeoutError:
            self._error = _HUNG
        except (EOFError, OSError):
            self._error = _GONE
        # An answer that comes late would be taken for the next one's by nobody: the connection is left with it.
        self.close()
        return failed

    def _dial(self) -> None:
        try:
            rpyc = importlib.import_module("rpyc")
        except ImportError as error:
            raise MissingPart("terminal.kind is rpyc, which isn't installed: pip install 'tickledger[rpyc]'") from error
        line = socket.create_connection((self._host, self._port), timeout=self._timeout_s)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._stream = rpyc.SocketStream(line)
        limits = {"sync_request_timeout": self._timeout_s}
        self._connection = rpyc.connect_stream(self._stream, rpyc.core.service.ClassicClient, limits)
        try:
            self._connection.execute(_THERE)
        except ImportError as error:
            self.close()
            raise TerminalError(
                f"the rpyc server at {self._host}:{self._port} has no package MetaTrader5: install it in the Python "
                "that runs that server"
            ) from error
        self._call = self._connection.namespace["tickledger_call"]


def _given(value: Any) -> Any:
    """An argument as values that rpyc copies: a request's dict as pairs."""
    return ("dict", tuple((key, _given(inner)) for key, inner in value.items())) if isinstance(value, dict) else value


def _read(answer: tuple[Any, ...]) -> Any:
    kind, value = answer[0], answer[1]
    if kind == "array":
        return np.frombuffer(answer[2], np.dtype([(name, form) for name, form in value])).copy()
    if kind == "struct":
        return SimpleNamespace(**{key: _read(inner) for key, inner in value})
    if kind == "tuple":
        return tuple(_read(inner) for inner in value)
    return value
