"""The line to the terminal and its server: made, held to the pinned source, watched, made again when it breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from infra.kafka import send_and_wait
from infra.settings import Settings
from infra.tick_writer import TickClients
from producers.mt5 import Mt5, TerminalError, failure, sign_in
from producers.recorder.pinned import Source, check_same, check_source, detail_of, feed_name, pinned, source_of
from producers.recorder.told import Told
from producers.recorder.watermark import Server
from producers.source_events import TOPIC, events_of, feed_event
from schemas.catalogue import partition_of
from schemas.events import Severity, SourceKind
from schemas.registry import encode
from schemas.times import iso_ms

FIRST_DELAY_S: Final = 0.25
LONGEST_DELAY_S: Final = 15.0


class Line:
    """One terminal's line. Methods raise SourceRefused if it isn't the feed's, TerminalError if it doesn't answer."""

    def __init__(self, mt5: Mt5, settings: Settings, bootstrap: str, clients: TickClients, told: Told) -> None:
        self.mt5 = mt5
        self.server = Server()
        self.recorded_before = False
        """Whether the feed was recorded before, once it is known."""
        self._settings, self._bootstrap, self._clients, self._told = settings, bootstrap, clients, told
        self._pinned: Source | None = None
        self._reason = self._since = ""

    def open(self, offset_at: Callable[[], int]) -> str:
        """Signs in and pins the source; the feed's name. Raises Refused for a feed that was imported, too."""
        source = source_of(sign_in(self.mt5, self._settings.terminal))
        feed = self._settings.recorder.feed or feed_name(source.server)
        events = events_of(self._bootstrap, feed)
        check_source(feed, source, events)
        self.recorded_before = pinned(events) is not None
        self._pinned, self._told.feed = source, feed
        # On the log before the first tick: whoever imports into this feed has to find it there.
        event = feed_event(
            feed,
            SourceKind.CONNECTED,
            time_us=self._told.now_us(),
            server_offset_s=offset_at(),
            detail=detail_of(source),
        )
        send_and_wait(self._clients.producer, TOPIC, partition_of(TOPIC, feed), feed, encode(event))
        self.server.connected = True
        return feed

    def look(self, offset_s: int) -> bool:
        """Whether the line is up again after it was not; tells when it breaks between terminal and server."""
        info = self.mt5.terminal_info()
        account = self.mt5.account_info()
        if info is None or account is None:
            raise failure(self.mt5, "the terminal doesn't answer")
        if not info.connected:
            reason = "the terminal has lost its trade server: look at its connection"
            self.lost(reason, offset_s, self._told.now_us())
            return False
        self._check(source_of(account))
        if self.server.connected:
            return False
        self._up(offset_s)
        return True

    def check(self) -> None:
        """That the terminal is still logged in to the feed's source."""
        account = self.mt5.account_info()
        if account is None:
            raise failure(self.mt5, "the terminal doesn't answer")
        self._check(source_of(account))

    def lost(self, reason: str, offset_s: int, since_us: int) -> None:
        """The line is down since then, if it wasn't already."""
        if self.server.connected:
            self.server.connected = False
            self._reason, self._since = reason, iso_ms(since_us // 1000)
            self._told.event(SourceKind.LOST, offset_s, reason)
            message = f"feed {self._told.feed} stands still since {self._since}: {reason}"
            self._told.alert("source_lost", self._told.feed, message)

    def restore(self, offset_s: int) -> bool:
        """Signs in again; whether that worked. A refused password is never tried twice: it raises."""
        try:
            source = source_of(sign_in(self.mt5, self._settings.terminal))
        except TerminalError as error:
            if error.final:
                raise
            return False
        self._check(source)
        self._up(offset_s)
        return True

    def _check(self, source: Source) -> None:
        if self._pinned is not None:
            check_same(self._told.feed, source, self._pinned)

    def _up(self, offset_s: int) -> None:
        if not self.server.connected and self._pinned is not None:
            self.server.connected = True
            self._told.event(SourceKind.CONNECTED, offset_s, detail_of(self._pinned))
            message = f"feed {self._told.feed} goes on; it stood still since {self._since}: {self._reason}"
            self._told.alert("source_back", self._told.feed, message, Severity.INFO)
