"""What changes, pushed: one thread asks the database, every page gets the sections that are new to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import psycopg

from api.server import sections
from infra.clock import Stopwatch
from infra.errors import TickledgerError
from infra.log import get
from projections.database import Connection, connect

PERIOD_S: Final = 0.2
SLOW_PERIOD_S: Final = 1.0
KEEP_ALIVE_S: Final = 10.0
MOST_LISTINGS: Final = 16
"""Listings whose candles are pushed at once."""

logger = get(__name__)

Extra = Callable[[], Mapping[str, Any]]


class Subscriber:
    """One open page. A section that waits is overwritten by the newer one: a slow page can't fill memory."""

    def __init__(self, listing: str | None) -> None:
        self.listing = listing
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, str] = {}
        self._is_filled = asyncio.Event()

    def put(self, name: str, text: str) -> None:
        """From any thread."""
        with contextlib.suppress(RuntimeError):  # its loop has ended
            self._loop.call_soon_threadsafe(self._take, name, text)

    def _take(self, name: str, text: str) -> None:
        self._waiting[name] = text
        self._is_filled.set()

    async def events(self) -> AsyncIterator[str]:
        """Server-sent events, for ever."""
        yield "retry: 1000\n\n"
        while True:
            try:
                await asyncio.wait_for(self._is_filled.wait(), KEEP_ALIVE_S)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            self._is_filled.clear()
            waiting, self._waiting = self._waiting, {}
            for name, text in waiting.items():
                yield f"event: {name}\ndata: {text}\n\n"


class Live:
    """Asks while anybody looks. `quick` and `slow` give further sections, each at its period."""

    def __init__(self, dsn: str, quick: Extra, slow: Extra) -> None:
        self._dsn, self._quick, self._slow = dsn, quick, slow
        self._subscribers: set[Subscriber] = set()
        self._texts: dict[str, str] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._stop.set()
        self._wanted.set()
        self._thread.join(5)

    @contextlib.asynccontextmanager
    async def subscribed(self, listing: str | None) -> AsyncIterator[Subscriber]:
        """A page, which gets all sections at once and then what changes."""
        subscriber = Subscriber(listing)
        with self._lock:
            self._subscribers.add(subscriber)
            for name, text in self._texts.items():
                if _concerns(name, subscriber):
                    subscriber.put(_plain(name), text)
        self._wanted.set()
        try:
            yield subscriber
        finally:
            with self._lock:
                self._subscribers.discard(subscriber)

    def _run(self) -> None:
        slow = Stopwatch()
        due = True
        connection: Connection | None = None
        kept = sections.Kept()
        while not self._stop.is_set():
            if not self._subscribers:
                self._wanted.wait()
                self._wanted.clear()
                due = True
                continue
            found: dict[str, Any] = {}
            try:
                if connection is None:
                    connection, kept = connect(self._dsn, "tickledger page"), sections.Kept()
                found |= sections.overall(connection, kept)
                for name in self._listings():
                    found[f"listing {name}"] = sections.of_listing(connection, name)
                found["database"] = ""
            except (psycopg.Error, TickledgerError) as error:
                if connection is not None:
                    with contextlib.suppress(psycopg.Error):
                        connection.close()
                    connection = None
                found["database"] = str(error).strip()
                logger.warning("the database can't be asked", reason=str(error).strip())
            found |= _told(self._quick)
            if due or slow.seconds() > SLOW_PERIOD_S:
                due = False
                slow.restart()
                found |= _told(self._slow)
            self._publish(found)
            self._stop.wait(PERIOD_S)
        if connection is not None:
            connection.close()

    def _listings(self) -> list[str]:
        with self._lock:
            wanted = Counter(s.listing for s in self._subscribers if s.listing is not None)
        return [name for name, _ in wanted.most_common(MOST_LISTINGS)]

    def _publish(self, found: Mapping[str, Any]) -> None:
        with self._lock:
            for name, value in found.items():
                text = json.dumps(value, separators=(",", ":"), default=str)
                if self._texts.get(name) == text:
                    continue
                self._texts[name] = text
                for subscriber in self._subscribers:
                    if _concerns(name, subscriber):
                        subscriber.put(_plain(name), text)
            for name in [n for n in self._texts if n.startswith("listing ") and n not in found]:
                del self._texts[name]


def _told(ask: Extra) -> Mapping[str, Any]:
    """What `ask` gives; nothing if it fails: the page goes on with everything else."""
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - whatever it is, the other sections don't wait for it
        logger.warning("a section can't be told", reason=str(error) or repr(error))
        return {}


def _concerns(name: str, subscriber: Subscriber) -> bool:
    return not name.startswith("listing ") or name == f"listing {subscriber.listing}"


def _plain(name: str) -> str:
    return name.partition(" ")[0]
