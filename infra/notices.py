"""Alerts about records: made from the record alone, so that two readers, or one that starts again, raise one alert."""

from __future__ import annotations

from typing import Final

from confluent_kafka import Producer

from infra.kafka import hand_over
from schemas.accept import Verdict
from schemas.catalogue import partition_of
from schemas.chains import Judged, Position
from schemas.events import Alert, Severity
from schemas.registry import encode


def alert_of(judged: Judged, source: str, time_us: int) -> Alert:
    """What `source` has to say about a record that somebody should look at; `time_us` is now, UTC epoch.

    Its id names the record; of outputs that are missing, the number that is due, however many come after it.
    """
    code, severity, way_out = _KINDS[judged.verdict]
    topic, partition, offset = judged.position
    about = f"{topic}/{partition}/{offset}"
    subject = judged.chain or f"{topic}/{partition}"
    if judged.verdict is Verdict.AHEAD:
        about = f"{topic}/{subject}/{judged.reason.rpartition(' where ')[2].split()[0]}"
    message = f"the record at {topic}/{partition}/{offset}: {judged.reason}; {way_out}"
    return Alert(
        alert_id=f"{code}/{about}",
        code=code,
        severity=severity,
        source=source,
        subject=subject,
        time_us=time_us,
        topic=topic,
        partition=partition,
        offset=offset,
        message=message,
    )


def alert_about(
    code: str, severity: Severity, source: str, subject: str, position: Position, time_us: int, message: str
) -> Alert:
    """An alert about `subject` at a record; the same code, subject and record make the same alert."""
    return Alert(
        alert_id=f"{code}/{subject}/{position.topic}/{position.partition}/{position.offset}",
        code=code,
        severity=severity,
        source=source,
        subject=subject,
        time_us=time_us,
        topic=position.topic,
        partition=position.partition,
        offset=position.offset,
        message=message,
    )


def raise_alert(producer: Producer, alert: Alert) -> None:
    """Hands the alert to the producer; its owner flushes."""
    key = alert.source
    hand_over(producer, "alerts", partition_of("alerts", key), key.encode(), encode(alert))


_KINDS: Final = {
    Verdict.FORGED: (
        "forged_record",
        Severity.CRITICAL,
        "it is in nothing that was made of the log: find who wrote it, and see tickledger verify",
    ),
    Verdict.STOP: (
        "chain_stopped",
        Severity.CRITICAL,
        "the chain stands still here, nothing after it is taken: see tickledger verify; a Repair leads past it",
    ),
    Verdict.SEEN: (
        "replayed_record",
        Severity.WARNING,
        "it changed nothing: find who wrote it again",
    ),
    Verdict.AHEAD: (
        "output_missing",
        Severity.WARNING,
        "what follows waits until the worker sends the missing ones again; if it doesn't: see tickledger verify",
    ),
}
