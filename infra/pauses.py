"""What keeps a service from answering for a while, and is of the interpreter's making: collections, and threads that
wait for each other."""

from __future__ import annotations

import gc
import sys
from typing import Final

SWITCH_S: Final = 0.0005
"""So long a thread may keep others waiting. Each call to the system hands the interpreter over, and by default its
thread then waits up to 5 ms to have it back."""


def shorten_pauses() -> None:
    """Before a service begins its work: no collection will look at what was made by then, for a tenth of a second or
    more, and no thread waits long for another."""
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
