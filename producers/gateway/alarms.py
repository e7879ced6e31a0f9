"""What the gateway tells people: on its log, and as alerts, each once."""

from __future__ import annotations

from typing import Final, Protocol

from confluent_kafka import Producer

from infra.clock import Clock
from infra.log import get
from infra.notices import alert_of, raise_alert
from schemas.chains import Judged
from schemas.events import Alert, Severity

log = get(__name__)

SOURCE: Final = "gateway"


class Alarms(Protocol):
    """Where alerts go."""

    def tell(self, code: str, severity: Severity, about: str, message: str) -> None:
        """Says once, of the account, that something is up; `about` is what tells it from others of its code."""
        ...

    def over(self, code: str, about: str) -> None:
        """Forgets that it was told: when it happens again, it is told again."""
        ...


class KafkaAlarms:
    """Raises alerts of an account through a producer, whose owner flushes."""

    def __init__(self, producer: Producer, clock: Clock, account: str) -> None:
        self._producer, self._clock, self._account = producer, clock, account
        self._told: dict[tuple[str, str], int] = {}
        self._times: dict[tuple[str, str], int] = {}

    def tell(self, code: str, severity: Severity, about: str, message: str) -> None:
        if (code, about) in self._told:
            return
        now_us = self._clock.now_us()
        self._told[code, about] = now_us
        (log.error if severity is Severity.CRITICAL else log.warning)(code, about=about, message=message)
        # What comes again after it was over is another alert; what a restarted gateway finds still so, the same.
        again = self._times.get((code, about), 0)
        suffix = f"/{now_us}" if again else ""
        alert = Alert(
            alert_id=f"{code}/{self._account}/{about}{suffix}",
            code=code,
            severity=severity,
            source=SOURCE,
            subject=self._account,
            time_us=now_us,
            topic="",
            partition=-1,
            offset=-1,
            message=message,
        )
        raise_alert(self._producer, alert)

    def over(self, code: str, about: str) -> None:
        if self._told.pop((code, about), 0):
            self._times[code, about] = self._times.get((code, about), 0) + 1

    def note(self, judged: Judged) -> None:
        """Tells of a record that somebody should look at; of others nothing."""
        if judged.alert:
            alert = alert_of(judged, SOURCE, self._clock.now_us())
            log.warning("record not taken", alert_id=alert.alert_id, reason=judged.reason, chain=judged.chain)
            raise_alert(self._producer, alert)
