"""What worker and desk tell: on the log of the service, and as alerts that name the record they are about."""

from __future__ import annotations

from typing import Final

from confluent_kafka import Producer

from infra.clock import Clock
from infra.log import get
from infra.notices import alert_about, alert_of, raise_alert
from schemas.catalogue import partition_of
from schemas.chains import Judged, Position
from schemas.events import Alert, Severity, Signal
from schemas.identity import SignalId, split_operator

log = get(__name__)

SOURCE = "worker"
STRATEGY_FAILED: Final = "strategy_failed"
STRATEGY_PARKED: Final = "strategy_parked"
ACTIVATION_REFUSED: Final = "activation_refused"
LISTING_PARKED: Final = "listing_parked"
STANDSTILLS: Final = frozenset({STRATEGY_FAILED, STRATEGY_PARKED, ACTIVATION_REFUSED, LISTING_PARKED})
"""Codes of alerts that a strategy says nothing on a listing; the subject is `operator/feed/SYMBOL`, of LISTING_PARKED
`feed/SYMBOL`, on which none says anything. All but STRATEGY_FAILED are said again by a worker that starts, once
the listing moves, if it still is so."""


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


def tell_failed(producer: Producer, signal: Signal) -> None:
    """Tells of a strategy that raised, by its FAILED signal; the producer's owner flushes."""
    alert = failed_alert(signal)
    log.error(alert.code, subject=alert.subject, message=alert.message)
    raise_alert(producer, alert)


def failed_alert(signal: Signal) -> Alert:
    """The alert about a FAILED signal, made from it alone: sent again it is the same to the byte.

    Its subject is `operator/feed/SYMBOL`, its time that of the tick or bar at which the strategy raised.
    """
    instance, _ = split_operator(signal.operator)
    return Alert(
        alert_id=f"{STRATEGY_FAILED}/{SignalId(signal.operator, signal.listing, signal.out_seq)}",
        code=STRATEGY_FAILED,
        severity=Severity.CRITICAL,
        source=SOURCE,
        subject=f"{signal.operator}/{signal.listing}",
        time_us=signal.time_ms * 1000,
        topic="signals",
        partition=partition_of("signals", signal.listing),
        offset=-1,
        message=f"{instance} on {signal.listing}: {signal.message}; it says nothing more on this listing, its "
        "positions keep their stops and plans. Mend it, then "
        f"`tickledger strategies remove {instance}` and add it again",
    )
