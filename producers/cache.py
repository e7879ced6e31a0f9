"""Files as columns on the disk: parsed once, then mapped into memory; no file is too long, the second run is fast.

An entry is a folder, named by the hash of the file's content and of everything that its reading depends on: a column a
file, raw, and `meta.json`, which is written last. It is made under a temporary name and renamed, so half an entry is
never found; one whose sizes or sums don't fit is made again.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from infra.clock import SystemClock
from infra.errors import CannotWrite
from producers.formats.text import content_hash

VERSION: Final = 2
"""Of what the readers make of a file: raise it when they make something else."""
QUOTE_FLAGS: Final = 6

_DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "time_ms": np.dtype("<i8"), "bid": np.dtype("<f8"), "ask": np.dtype("<f8"), "last": np.dtype("<f8"),
    "volume": np.dtype("<f8"), "flags": np.dtype("<i4"),
}  # fmt: skip
_SUM_PIECE: Final = 2**20
_SMALL_BYTES: Final = 2**20
"""Columns up to this size are read: a map costs more than they do."""
_LEFT_US: Final = 86_400_000_000
"""How old a half-made entry must be to be one that a killed run has left."""


class Columns(NamedTuple):
    """Ticks of one file: time_ms int64[n], UTC; bid, ask float64[n]; last, volume float64[n] or [0]; flags int32[n],
    or None where each tells bid and ask."""

    time_ms: NDArray[np.int64]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    last: NDArray[np.float64]
    volume: NDArray[np.float64]
    flags: NDArray[np.int32] | None


class Entry(NamedTuple):
    """A file's columns and what its reader said of it."""

    columns: Columns
    meta: dict[str, Any]
    sha256: str


class ColumnWriter:
    """Appends pieces of columns to files in `folder`; last, volume and flags are left out while they say nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}
        self._sums: dict[str, int] = {}
        self.ticks = 0

    def append(
        self,
        time_ms: NDArray[np.int64],
        bid: NDArray[np.float64],
        ask: NDArray[np.float64],
        last: NDArray[np.float64] | None = None,
        volume: NDArray[np.float64] | None = None,
        flags: NDArray[np.int32] | None = None,
    ) -> None:
        """The next ticks."""
        deals = last is not None and volume is not None and bool(np.any(last) or np.any(volume))
        for name, column in (("time_ms", time_ms), ("bid", bid), ("ask", ask)):
            self._put(name, column)
        for name, deal in (("last", last), ("volume", volume)):
            if deals or name in self._files:
                self._put(name, np.zeros(len(bid)) if deal is None else deal)
        if (flags is not None and bool(np.any(flags != QUOTE_FLAGS))) or "flags" in self._files:
            self._put("flags", np.full(len(bid), QUOTE_FLAGS, np.int32) if flags is None else flags, QUOTE_FLAGS)
        self.ticks += len(time_ms)

    def restart(self) -> None:
        """Forgets what was appended."""
        self.close()
        self._files, self._sums, self.ticks = {}, {}, 0

    def finish(self, meta: dict[str, Any]) -> None:
        """Closes the columns and writes `meta.json`."""
        for file in self._files.values():
            file.close()
        head = {"version": VERSION, "ticks": self.ticks, "sums": self._sums, "meta": meta}
        (self._folder / "meta.json").write_text(json.dumps(head))

    def close(self) -> None:
        """Closes the columns."""
        for file in self._files.values():
            file.close()

    def _put(self, name: str, column: NDArray[Any], before: float = 0.0) -> None:
        if name not in self._files:
            self._files[name] = (self._folder / name).open("wb")
            self._sums[name] = 0
            if name in ("last", "volume", "flags") and self.ticks:
                self._put(name, np.full(self.ticks, before))
        raw = np.ascontiguousarray(column, _DTYPES[name])
        self._sums[name] = (self._sums[name] + _sum(raw)) % 2**64
        raw.tofile(self._files[name])


class TickCache:
    """Columns of files below `root`; None: below a temporary folder that goes with this object."""

    def __init__(self, root: Path | None) -> None:
        try:
            if root is None:
                made = Path(tempfile.mkdtemp(prefix="tickledger-data-"))
                weakref.finalize(self, shutil.rmtree, made, ignore_errors=True)
            else:
                made = root
                made.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(root or Path(tempfile.gettempdir()), error) from error
        self.root: Final = made
        for half in made.glob("half-*"):
            with suppress(FileNotFoundError):  # another run has just finished it
                if SystemClock().now_us() - half.stat().st_mtime_ns // 1000 > _LEFT_US:
                    shutil.rmtree(half, ignore_errors=True)

    def get(self, path: Path, form: str, read: Callable[[ColumnWriter], dict[str, Any]]) -> Entry:
        """The entry of `path` as `form` (everything that its reading depends on) reads it.

        If there is none, `read` makes it: it appends the columns and returns what is to be remembered, as JSON.
        Raises what `read` raises, BadFile, and CannotWrite.
        """
        sha256 = self._hash(path)
        folder = self.root / f"{sha256[:40]}-{hashlib.sha256(form.encode()).hexdigest()[:16]}"
        found = _load(folder)
        if found is None:
            self._make(folder, read)
            found = _load(folder)
            if found is None:
                raise CannotWrite(f"{folder}: what was just written there can't be read: is the disk damaged?")
        return Entry(found[0], found[1], sha256)

    def _make(self, folder: Path, read: Callable[[ColumnWriter], dict[str, Any]]) -> None:
        try:
            half = Path(tempfile.mkdtemp(prefix="half-", dir=self.root))
        except OSError as error:
            raise _unwritable(self.root, error) from error
        writer = ColumnWriter(half)
        try:
            writer.finish(read(writer))
            if folder.exists():
                shutil.rmtree(folder, ignore_errors=True)
            try:
                half.rename(folder)
            except OSError:
                # Another run has made the same entry just now.
                if not folder.exists():
                    raise
        except OSError as error:
            raise _unwritable(self.root, error) from error
        finally:
            writer.close()
            shutil.rmtree(half, ignore_errors=True)

    def _hash(self, path: Path) -> str:
        """The hash of the content: read again only if size, time or path have changed."""
        try:
            stat = path.stat()
        except OSError:
            return content_hash(path)
        place = os.path.abspath(path)
        now = [place, stat.st_size, stat.st_mtime_ns, stat.st_ino]
        memo = self.root / "seen" / hashlib.sha256(place.encode(errors="surrogateescape")).hexdigest()[:32]
        try:
            kept = json.loads(memo.read_text())
            if kept["file"] == now and len(kept["sha256"]) == 64:
                return str(kept["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        sha256 = content_hash(path)
        half = memo.with_suffix(f".{os.getpid()}")
        try:
            memo.parent.mkdir(exist_ok=True)
            half.write_text(json.dumps({"file": now, "sha256": sha256}))
            half.replace(memo)
        except OSError as error:
            raise _unwritable(self.root, error) from error
        return sha256


def let_go(column: NDArray[Any] | None) -> None:
    """Says that a mapped column's pages aren't needed for now: memory stays that of what is being read."""
    base: Any = column
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is not None and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def _load(folder: Path) -> tuple[Columns, dict[str, Any]] | None:
    """An entry that is whole; None if there is none."""
    try:
        head = json.loads((folder / "meta.json").read_text())
        ticks, sums = int(head["ticks"]), dict(head["sums"])
        if head["version"] != VERSION:
            return None
        found: dict[str, NDArray[Any]] = {}
        for name, dtype in _DTYPES.items():
            if name in sums:
                found[name] = _mapped(folder / name, dtype, ticks)
                if _sum(found[name]) != sums[name]:
                    return None
                let_go(found[name])
        if ticks and not {"time_ms", "bid", "ask"} <= found.keys():
            return None
        meta = dict(head["meta"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    none = np.empty(0, np.float64)
    return Columns(
        time_ms=found.get("time_ms", np.empty(0, np.int64)),
        bid=found.get("bid", none),
        ask=found.get("ask", none),
        last=found.get("last", none),
        volume=found.get("volume", none),
        flags=found.get("flags"),
    ), meta


def _mapped(path: Path, dtype: np.dtype[Any], ticks: int) -> NDArray[Any]:
    if ticks * dtype.itemsize <= _SMALL_BYTES:
        column = np.fromfile(path, dtype)
        if len(column) != ticks or path.stat().st_size != column.nbytes:
            raise ValueError(path)
        return column
    if path.stat().st_size != ticks * dtype.itemsize:
        raise ValueError(path)
    # Copy on write: a kernel takes it as an array of its own, and the file can't change by it.
    return np.asarray(np.memmap(path, dtype, "c", shape=(ticks,)))


def _sum(column: NDArray[Any]) -> int:
    """The sum of the column's words, modulo 2^64."""
    words = column.view(np.uint64 if column.dtype.itemsize == 8 else np.uint32)
    return sum(int(words[i : i + _SUM_PIECE].sum(dtype=np.uint64)) for i in range(0, len(words), _SUM_PIECE)) % 2**64


def _unwritable(root: Path, error: OSError) -> CannotWrite:
    return CannotWrite(
        f"{root}: parsed data can't be kept there: {error.strerror or error}: free some space, or name another folder"
    )
