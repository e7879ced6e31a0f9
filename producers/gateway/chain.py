"""The chain of executions as the gateway writes it: each record goes to the log and into the book at once."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Final, Protocol

from infra.account_log import AccountWriter
from infra.clock import Clock
from infra.errors import Unreachable
from infra.kafka import STALLED_S
from producers.gateway.book import Book
from schemas.executions import Execution

_LOOK_S: Final = 0.05


class Chain(Protocol):
    """Where executions are written."""

    book: Book

    def write(self, record: Execution) -> None:
        """Hands a record to the log; the book has it from now on."""
        ...

    def confirm(self, patience_s: float | None = None) -> bool:
        """Waits until the log has given everything back; False if that takes longer than `patience_s`."""
        ...


class ExecutionsChain:
    """The chain on the broker. Raises what AccountWriter does: Fenced, ChainStopped, DeliveryFailed, Unreachable."""

    def __init__(self, writer: AccountWriter, book: Book, clock: Clock, beat: Callable[[], None]) -> None:
        """`beat` is called while it waits."""
        self.book = book
        self._writer, self._clock, self._beat = writer, clock, beat

    def write(self, record: Execution) -> None:
        self._writer.write(record)
        self.book.fold(dataclasses.replace(record, written_us=self._clock.now_us()))

    def confirm(self, patience_s: float | None = None) -> bool:
        waited_from, most_s = time.monotonic(), STALLED_S if patience_s is None else patience_s
        while self._writer.pending:
            self._writer.follow(_LOOK_S)
            self._beat()
            if self._writer.pending and time.monotonic() - waited_from > most_s:
                if patience_s is not None:
                    return False
                raise Unreachable(f"the broker gave none of the written executions back for {STALLED_S:.0f} s")
        return True
