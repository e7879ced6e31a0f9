"""What a service hands to the broker: a producer whose failure ends the process, and steps that the event loop takes.

Faust goes on with the next record after an error in a step; these services must not.
"""

from __future__ import annotations

import asyncio
import functools
import math
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from infra import log
from infra.errors import TickledgerError
from infra.kafka import DeliveryFailed, new_producer

logger = log.get(__name__)

WAITING_RECORDS: Final = 20_000
"""Records that may wait for the broker before the input has to."""

T = TypeVar("T")


class Outbox:
    """A producer of one service, and whether the broker refused anything."""

    def __init__(self, bootstrap: str, **config: Any) -> None:
        self.producer = new_producer(bootstrap, on_delivery=self._delivered, **config)
        self._failure: Exception | None = None

    def check(self) -> None:
        """Takes delivery reports. Raises DeliveryFailed if a record was refused."""
        self.producer.poll(0)
        self._raise()

    async def flush(self, within_s: float = math.inf) -> bool:
        """Whether the broker has everything; without a limit it has then, however long it was away."""
        until = time.monotonic() + within_s
        while self.producer.flush(0) > 0:
            left = until - time.monotonic()
            if left <= 0:
                return False
            await off_loop(functools.partial(self.producer.flush, min(left, 0.5)))
            self.check()
        self.check()
        return True

    async def make_room(self) -> None:
        """Waits while too many records wait. Raises DeliveryFailed if one was refused."""
        self._raise()
        if not len(self.producer):
            # To look for reports hands the interpreter over: not after each record, of which few say anything.
            return
        self.check()
        while len(self.producer) > WAITING_RECORDS:
            await off_loop(functools.partial(self.producer.flush, 0.2))
            self.check()

    def refused(self, topic: str, error: object) -> None:
        """The broker refused a record: the next `check` raises."""
        self._failure = DeliveryFailed(f"the broker refused an output on {topic}: {error}")

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _delivered(self, error: object, message: Any) -> None:
        if error is not None:
            self.refused(message.topic(), error)


async def or_end(step: Awaitable[None], what: str) -> None:
    """Runs one step of the service `what`; an error in it ends the process at once, before anything later is
    acknowledged."""
    try:
        await step
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        if isinstance(error, TickledgerError):
            logger.error(f"{what} ends", reason=str(error))
        else:
            logger.error(f"{what} ends", reason=repr(error), exc_info=error)
        sys.stderr.flush()
        os._exit(1)


async def off_loop(function: Callable[[], T]) -> T:
    """The function's result, computed in a thread."""
    return await asyncio.get_running_loop().run_in_executor(None, function)
