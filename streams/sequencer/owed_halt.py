"""A halt that the sequencer owes its account: kept on the disk until it is on the log."""

from __future__ import annotations

from pathlib import Path

from infra.errors import home_unusable
from infra.stack.home import read_json, write_json


class OwedHalt:
    """Why a halt is owed, in a file that the next process reads. Raises HomeUnusable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.why: str = str((read_json(path) or {}).get("why", ""))
        """Empty: none is owed."""

    def owe(self, why: str) -> None:
        """One is owed from now on, whatever becomes of this process; an earlier one's reason stays."""
        self.why = f"{self.why}; {why}" if self.why else why
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise home_unusable(self._path, error) from None
        write_json(self._path, {"why": self.why})

    def paid(self) -> None:
        """The log has it."""
        self.why = ""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise home_unusable(self._path, error) from None
