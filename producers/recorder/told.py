"""What the recorder tells: on its log, as alerts for people, and as events of the feed."""

from __future__ import annotations

from confluent_kafka import Producer

from infra.clock import Clock
from infra.log import get
from infra.notices import raise_alert
from producers.source_events import feed_event, send_event
from schemas.events import Alert, Severity, SourceKind

SOURCE = "recorder"

_log = get(__name__)


class Told:
    """Tells of one feed through a producer, whose owner flushes."""

    def __init__(self, producer: Producer, clock: Clock) -> None:
        self.feed = ""
        """Known once the terminal has said whose it is."""
        self._producer, self._clock = producer, clock

    def now_us(self) -> int:
        """By the clock of records."""
        return self._clock.now_us()

    def alert(self, code: str, subject: str, message: str, severity: Severity = Severity.CRITICAL) -> None:
        """Something that somebody should look at: what, and the way out."""
        now_us = self._clock.now_us()
        _log.log(_LEVELS[severity], code, subject=subject, message=message)
        raise_alert(
            self._producer,
            Alert(
                alert_id=f"{code}/{subject}/{now_us}",
                code=code,
                severity=severity,
                source=SOURCE,
                subject=subject,
                time_us=now_us,
                topic="",
                partition=-1,
                offset=-1,
                message=message,
            ),
        )

    def of_feed(self, code: str, message: str, severity: Severity) -> None:
        """The same about the feed as a whole."""
        self.alert(code, self.feed, f"feed {self.feed}: {message}", severity)

    def event(self, kind: SourceKind, server_offset_s: int, detail: str, listing: str = "", n: int = -1) -> None:
        """Something that happened to the feed, or to a listing of it at tick `n`."""
        time_us = self._clock.now_us()
        _log.info(kind.lower(), feed=self.feed, listing=listing, n=n, detail=detail)
        event = feed_event(
            self.feed, kind, time_us=time_us, server_offset_s=server_offset_s, detail=detail, listing=listing, n=n
        )
        send_event(self._producer, event)


_LEVELS = {Severity.INFO: 20, Severity.WARNING: 30, Severity.CRITICAL: 40}
