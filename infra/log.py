"""Structured logs: one JSON object a line on stderr, so that stdout belongs to results.

A line has ``time`` (ISO 8601 UTC), ``level``, ``service``, ``logger``, ``event`` and whatever identifies what it is
about: ``topic``, ``partition``, ``offset``, ``listing``, ``n``, ``epoch``, ``seq``, ``out_seq``. Names of secrets are
cut out whatever their value.
"""

from __future__ import annotations

import faulthandler
import logging
import signal
import sys
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_SECRET_WORDS = ("password", "secret", "dsn", "token", "key_bytes")

_state: dict[str, str] = {"service": "tickledger"}


def configure(service: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Send this process's logs, those of libraries too, to ``stream`` (default: stderr as it is at each line).

    ``level`` is one of LEVELS; libraries log from warning on unless it is debug.
    """
    _state["service"] = service
    number = LEVELS[level]
    structlog.configure(
        processors=[*_STEPS, _json()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _Lines(stream),
        cache_logger_on_first_use=False,
    )
    handler = _LibraryHandler(stream)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number if number == logging.DEBUG else max(number, logging.WARNING))
    _tell_stacks_when_asked()


def _tell_stacks_when_asked() -> None:
    """SIGUSR1 has the process say on stderr where each of its threads is, whatever it waits for; where there is such a
    signal and a file behind stderr."""
    if hasattr(signal, "SIGUSR1"):
        with suppress(OSError, ValueError):
            faulthandler.register(signal.SIGUSR1)


def get(name: str) -> Any:
    """The logger of a module: ``get(__name__).info("block written", listing=..., n=..., offset=...)``."""
    return structlog.get_logger(logger_name=name)


class _Lines:
    """Writes whole lines; looks stderr up each time, so that a test or a redirection sees them."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def _write(self, line: str) -> None:
        stream = self._stream or sys.stderr
        stream.write(line + "\n")
        stream.flush()

    debug = info = warning = error = critical = exception = msg = _write


class _LibraryHandler(logging.Handler):
    """Gives the lines of libraries that use ``logging`` the same shape."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._lines = _Lines(stream)

    def emit(self, record: logging.LogRecord) -> None:
        event: MutableMapping[str, Any] = {"event": record.getMessage(), "logger": record.name}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        level = record.levelname.lower()
        for step in _STEPS:
            event = step(None, level, event)
        self._lines.msg(cast(str, _json()(None, level, event)))


_iso_time = structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")


def _stamp(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    body = dict(event)
    stamped: dict[str, Any] = {}
    _iso_time(logger, method, stamped)
    stamped["level"] = "error" if method == "exception" else method
    stamped["service"] = _state["service"]
    stamped["logger"] = body.pop("logger_name", None) or body.pop("logger", "")
    return stamped | body


def _cut_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in event:
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = "***"
    return event


def _json() -> structlog.processors.JSONRenderer:
    return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)


_STEPS: tuple[Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]], ...] = (
    _stamp,
    _cut_secrets,
    structlog.processors.format_exc_info,
)


class Calm(logging.Filter):
    """Lets a library's line pass once in ``seconds``, however often it is said: a broker away says it by the hundred.

    Lines are the same if their logger and message template are. The number held back is told with the next one.
    """

    def __init__(self, seconds: float = 10.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line passes."""
        said = (record.name, str(record.msg))
        at, held = self._said.get(said, (-self._seconds, 0))
        now = time.monotonic()
        if now - at < self._seconds:
            self._said[said] = (at, held + 1)
            return False
        self._said[said] = (now, 0)
        if held:
            record.msg = f"{record.msg} (and {held} times more in between)"
        return True


def calm(seconds: float = 10.0) -> None:
    """Holds back repeated lines of libraries in this process; call it after ``configure``."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(Calm(seconds))
