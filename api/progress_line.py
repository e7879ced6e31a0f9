"""One line of progress on stderr: over the one before on a terminal, else a line now and then."""

from __future__ import annotations

import sys

from infra.clock import Stopwatch

QUIET_S = 5.0
"""How often a stage tells its progress where no terminal shows it."""


class ProgressLine:
    """Shows texts of the form `stage: how far`."""

    def __init__(self) -> None:
        self._stage, self._text = "", ""
        self._watch = Stopwatch()
        self._over = sys.stderr.isatty()

    def show(self, text: str, *, last: bool = False) -> None:
        """Shows `text` if it is time to; the first and the `last` of a stage always."""
        stage = text.partition(":")[0]
        if self._over:
            print(f"\r\x1b[2K{text}", end="", file=sys.stderr, flush=True)
        elif text != self._text and (last or stage != self._stage or self._watch.seconds() >= QUIET_S):
            self._watch.restart()
            self._text = text
            print(text, file=sys.stderr, flush=True)
        self._stage = stage

    def clear(self) -> None:
        """Takes the line away, before something else is printed."""
        if self._over and self._stage:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
        self._stage = ""
