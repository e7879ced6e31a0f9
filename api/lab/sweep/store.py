"""The folder of a sweep: what was asked, and every finished set as soon as it is finished."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from api.lab.choice import Chosen
from api.lab.command import Asked, from_manifest
from api.lab.data import Traded
from api.lab.sweep.outcome import Row, parse_row
from infra.errors import BadFile, CannotWrite, Refused

ASKED: Final = "sweep.json"
ROWS: Final = "results.jsonl"
_FORM: Final = 1

Plan = Mapping[str, Any]
"""Options of the sweep itself: axes (texts of -p), random, optuna, sampler, seed, by, min_trades, walk_forward."""


class Store:
    """An open folder of results; a context manager. `rows`: what was finished before, by (stage, number)."""

    def __init__(self, folder: Path, rows: Mapping[tuple[int, int], Row], file: IO[bytes]) -> None:
        self.folder = folder
        self.rows = dict(rows)
        self._file = file

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, rows: Sequence[Row]) -> None:
        """Keeps finished sets: they are on the disk when it returns. Raises CannotWrite."""
        # Known first: Ctrl-C may come while they are written.
        self.rows |= {(row.stage, row.number): row for row in rows}
        try:
            self._file.write(b"".join(row.line().encode() + b"\n" for row in rows))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise cannot_write(self.folder, error) from error


def create(folder: Path, asked: Asked, plan: Plan, chosen: Chosen, traded: Sequence[Traded]) -> Store:
    """A new folder. Raises CannotWrite where there is something in it already, or it can't be written."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise CannotWrite(
                f"{folder} is there already and is kept: name another folder with --out, go on with a sweep by "
                f"--resume {folder}, or remove it first"
            )
        folder.mkdir(parents=True, exist_ok=True)
        told = {"form": _FORM, "options": asked.as_json(), "plan": dict(plan), **_facts(chosen, traded)}
        text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
        (folder / ASKED).write_text(text, encoding="utf-8")
        return Store(folder, {}, (folder / ROWS).open("ab"))
    except OSError as error:
        raise cannot_write(folder, error) from error


def asked_of(folder: Path) -> tuple[Asked, Plan, dict[str, Any]]:
    """What the sweep in a folder was asked, and what it was made from. Raises BadFile."""
    path = folder / ASKED
    if not path.exists():
        raise BadFile(f"{path} is not there: --resume takes the folder of a sweep that was stopped")
    asked, found = from_manifest(path)
    if not isinstance(found.get("plan"), dict):
        raise BadFile(f"{path}: is not what a sweep was asked; --resume takes the folder of a sweep that was stopped")
    return asked, found["plan"], found


def reopen(folder: Path, found: Mapping[str, Any], chosen: Chosen, traded: Sequence[Traded]) -> Store:
    """The folder with all that is finished in it. Raises Refused where strategy or data have changed; CannotWrite."""
    now = _facts(chosen, traded)
    if found.get("source_sha256") != now["source_sha256"]:
        raise Refused(f"{chosen.path or chosen.name} has changed since the sweep in {folder} began: start a new one")
    if found.get("inputs") != now["inputs"]:
        raise Refused(f"the data is not what the sweep in {folder} began with: start a new one")
    path = folder / ROWS
    try:
        data = path.read_bytes() if path.exists() else b""
        whole = data.rfind(b"\n") + 1
        rows = _rows(path, data[:whole])
        file = path.open("ab")
        # A line that was cut short when the sweep was stopped is run again.
        file.truncate(whole)
        return Store(folder, rows, file)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _rows(path: Path, data: bytes) -> dict[tuple[int, int], Row]:
    rows = {}
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            row = parse_row(line.decode())
        except ValueError as error:
            raise BadFile(f"{path}, line {number}: {error}; remove the line to have its set run again") from error
        rows[row.stage, row.number] = row
    return rows


def _facts(chosen: Chosen, traded: Sequence[Traded]) -> dict[str, Any]:
    inputs = [{key: value for key, value in one.items() if key != "file"} for t in traded for one in t.source.inputs()]
    return {"source_sha256": hashlib.sha256(chosen.source.encode()).hexdigest(), "inputs": inputs}


def cannot_write(folder: Path, error: OSError) -> CannotWrite:
    """The reason why nothing more can be written, with the way out."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = "the disk is full: free some space" if full else f"{error.strerror or error}"
    return CannotWrite(
        f"cannot write {folder}: {reason}; sets that are finished are kept, and --resume {folder} goes on"
    )
