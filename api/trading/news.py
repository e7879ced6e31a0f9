"""What comes up while a home trades, as lines for who watches."""

from __future__ import annotations

from typing import Final, Protocol

from confluent_kafka import Consumer, TopicPartition

from infra.errors import Unreachable
from infra.kafka import ends, new_consumer, split_batch, take
from infra.stack.home import Home
from infra.stack.services import TERMINAL, is_ready, trouble
from infra.stack.stack import Running
from schemas.catalogue import TOPICS
from schemas.events import Alert, Severity
from schemas.registry import UnreadableRecord, decode

_TOPIC: Final = "alerts"
_MOST: Final = 100


class News(Protocol):
    """What is worth a line."""

    def begin(self, running: Running) -> None:
        """Before any service of ours has started: what comes from now on is news."""
        ...

    def poll(self) -> list[str]:
        """What has come since the last call."""
        ...

    def close(self) -> None: ...


class TerminalTrouble:
    """What the home's own terminal says is wrong with it, and that it is well again."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._said: str | None = None

    def begin(self, running: Running) -> None:
        """Nothing has been said so far."""

    def poll(self) -> list[str]:
        now = trouble(self._home, TERMINAL.name)
        if now == self._said or (now is None and not is_ready(self._home, TERMINAL.name)):
            return []
        self._said = now
        return [f"terminal: {now or 'all is well again'}"]

    def close(self) -> None:
        """It holds nothing."""


class NewAlerts:
    """Alerts that come onto the log, but for mere information."""

    def __init__(self) -> None:
        self._consumer: Consumer | None = None

    def begin(self, running: Running) -> None:
        """Raises Unreachable."""
        consumer = self._consumer = new_consumer(running.kafka)
        partitions = range(TOPICS[_TOPIC].partitions)
        consumer.assign([TopicPartition(_TOPIC, one, ends(consumer, _TOPIC, one).high) for one in partitions])

    def poll(self) -> list[str]:
        """Nothing while the broker is away: what came meanwhile is told then."""
        assert self._consumer is not None
        try:
            records, _ = split_batch(take(self._consumer, _MOST, 0))
        except Unreachable:
            return []
        lines = []
        for message in records:
            try:
                alert = decode(message.value() or b"")
            except UnreadableRecord:
                continue
            if isinstance(alert, Alert) and alert.severity is not Severity.INFO:
                lines.append(f"alert {alert.code} ({alert.subject}): {alert.message}")
        return lines

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
