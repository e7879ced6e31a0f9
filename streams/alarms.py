"""What worker and desk tell: on the log of the service, and as alerts that name the record they are about."""

from __future__ import annotations

from confluent_kafka import Producer

from infra.clock import Clock
from infra.log import get
from infra.notices import alert_about, alert_of, raise_alert
from schemas.chains import Judged, Position
from schemas.events import Severity

log = get(__name__)

SOURCE = "worker"


class Alarms:
    """Raises alerts through a producer, whose owner flushes."""

    def __init__(self, producer: Producer, clock: Clock, source: str = SOURCE) -> None:
        self._producer, self._clock, self._source = producer, clock, source

    def note(self, judged: Judged) -> None:
        """Tells of a record that somebody should look at; of others nothing."""
        if judged.alert:
            alert = alert_of(judged, self._source, self._clock.now_us())
            log.warning("record not taken", alert_id=alert.alert_id, reason=judged.reason, chain=judged.chain)
            raise_alert(self._producer, alert)

    def tell(self, code: str, subject: str, message: str, position: Position) -> None:
        """Tells that something about `subject` doesn't go on."""
        log.error(code, subject=subject, message=message)
        now = self._clock.now_us()
        raise_alert(self._producer, alert_about(code, Severity.CRITICAL, self._source, subject, position, now, message))
