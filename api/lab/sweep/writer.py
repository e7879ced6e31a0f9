"""Writes a sweep's files: in a process of its own, which loads what writes while the first one reads and others run."""

from __future__ import annotations

import multiprocessing
import sys
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from api.lab.sweep.findings import Findings
from api.lab.sweep.pool import COPIES, starting
from infra.errors import TickledgerError

_FILES: Final = "api.lab.sweep.files"


class Writer:
    """A context manager. `apart`: a process of its own writes, if the system can copy one, and what writes isn't
    loaded here already: a copy would lack its threads."""

    def __init__(self, apart: bool) -> None:
        self._apart = apart and COPIES and "polars" not in sys.modules
        self._process: Any = None
        self._connection: Connection | None = None

    def __enter__(self) -> Writer:
        if self._apart:
            how = multiprocessing.get_context("fork")
            self._connection, theirs = how.Pipe()
            self._process = how.Process(target=_serve, args=(theirs, self._connection), daemon=True)
            with starting():
                self._process.start()
            theirs.close()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._connection is not None:
            self._connection.close()
            self._process.join()

    def write(self, found: Findings, folder: Path) -> None:
        """As `files.write_sweep`. Raises CannotWrite."""
        if not self._has_written(found, folder):
            # What kept the other process from it is met here again, and told.
            import_module(_FILES).write_sweep(found, folder)

    def _has_written(self, found: Findings, folder: Path) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.send((found, folder))
            return bool(self._connection.recv())
        except (EOFError, OSError):
            return False


def _serve(connection: Connection, inherited: Connection) -> None:
    inherited.close()
    files = import_module(_FILES)
    try:
        found, folder = connection.recv()
    except EOFError:
        return
    try:
        files.write_sweep(found, folder)
    except TickledgerError:
        connection.send(False)
    else:
        connection.send(True)
