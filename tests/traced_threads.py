"""A coverage plugin: threads that begin while another one's trace function is being installed begin all the same.

Python 3.11 raises a RuntimeError in such a thread before its first line, and whoever waits for it waits for ever.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Final

ATTEMPTS: Final = 1_000


def coverage_init(registry: Any, options: Any) -> None:
    """Called by coverage in each process that it measures, before it begins."""
    sys.settrace = patient(sys.settrace)


def patient(install: Callable[[Any], None]) -> Callable[[Any], None]:
    """The same, tried again while another thread is at it."""

    def settrace(function: Any) -> None:
        for _ in range(ATTEMPTS):
            try:
                install(function)
                return
            except RuntimeError:
                time.sleep(0)  # the other one gets the interpreter
        install(function)

    return settrace
