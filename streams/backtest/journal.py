"""The journal that a backtest makes: the same entries as a sequencer's, marked BACKTEST, chained and sealed.

Its key is known to everybody: the chain of a backtest's journal shows accidents, and names nobody. Entries are spooled
as they come, so a long run doesn't grow in memory.
"""

from __future__ import annotations

import struct
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final, NamedTuple

import numpy as np

from schemas.events import Signal
from schemas.executions import Command
from schemas.integrity import MAC_BYTES, ZERO_MAC, ZERO_NONCE, KeyRing
from schemas.journal import EntryKind, JournalSource
from schemas.journal_codec import MOST_ROWS, Head, encode_clock, encode_taken
from schemas.journal_columns import ClockRows
from schemas.registry import Record, encode

TOPIC: Final = "journal"
KEY_ID: Final = "backtest"
KEYS: Final = KeyRing({KEY_ID: b"a backtest's journal: known to everybody"}, KEY_ID)
_MARKS_EVERY: Final = 1_000
_IN_MEMORY: Final = 4 * 2**20
_FRAME: Final = struct.Struct("<qqqII")
"""taken_us, stream_seq, kind, length of the stream's name, length of the value."""
_KEPT: Final = ("_seq", "_opened", "_prev", "_waiting", "_rows", "_marks")
_KINDS: Final = tuple(EntryKind)


class JournalRow(NamedTuple):
    """An entry as it is kept."""

    seq: int
    taken_us: int
    kind: str
    stream: str
    stream_seq: int
    value: bytes


class Journal:
    """Entries in order. `keep`: False drops them."""

    def __init__(self, account: str, keep: bool = True) -> None:
        self.account = account
        self.keep = keep
        self._seq = 0
        self._opened = False
        self._prev = ZERO_MAC
        self._waiting: list[ClockRows] = []
        self._rows = 0
        self._marks: dict[str, int] = {}
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        weakref.finalize(self, self._spool.close)

    def __len__(self) -> int:
        return self._seq

    def input(self, taken_us: int, record: Record, value: bytes | None = None) -> None:
        """A record that reached the account; `value`: its encoding, if it is there already."""
        if not self.keep:
            return
        self._clocks()
        self._open(taken_us)
        stream, number = _stream(record)
        self._marks[stream] = number
        kind = EntryKind.REFERENCE if stream == "reference" else EntryKind.INPUT
        head = self._head()
        data = encode(record) if value is None else value
        marks = self._marks if self._seq % _MARKS_EVERY == 0 else None
        self._put(kind, taken_us, stream, number, encode_taken(kind, head, taken_us, stream, number, data, marks))

    def clock(self, rows: ClockRows) -> None:
        """Clocks; those between two inputs are one run, whatever pieces they come in."""
        if not self.keep:
            return
        self._waiting.append(rows)
        self._rows += len(rows.us)
        if self._rows >= MOST_ROWS:
            self._clocks(whole=False)

    def __iter__(self) -> Iterator[JournalRow]:
        """All entries, sealed, OPEN first."""
        self._clocks()
        self._spool.seek(0)
        seq = 0
        while frame := self._spool.read(_FRAME.size):
            taken_us, number, kind, name, size = _FRAME.unpack(frame)
            stream = self._spool.read(name).decode()
            yield JournalRow(seq, taken_us, str(_KINDS[kind]), stream, number, self._spool.read(size))
            seq += 1
        self._spool.seek(0, 2)

    def dump(self) -> dict[str, Any]:
        """All of it, to go on from."""
        self._spool.seek(0)
        data = self._spool.read()
        return {name: getattr(self, name) for name in _KEPT} | {"data": data}

    def load(self, kept: Mapping[str, Any]) -> None:
        """Goes on from a dump."""
        for name in _KEPT:
            setattr(self, name, kept[name])
        self._spool.seek(0)
        self._spool.truncate()
        self._spool.write(kept["data"])

    def _clocks(self, *, whole: bool = True) -> None:
        """Writes the clocks that wait; without `whole` only as many as make full entries."""
        if not self._waiting:
            return
        rows = joined(self._waiting)
        self._open(int(rows.us[0]))
        end = len(rows.us) if whole else len(rows.us) // MOST_ROWS * MOST_ROWS
        for at in range(0, end, MOST_ROWS):
            part = rows.part(at, min(at + MOST_ROWS, end))
            self._put(EntryKind.CLOCK, int(part.us[-1]), "", -1, encode_clock(self._head(), *part))
        self._waiting = [rows.part(end, len(rows.us))] if end < len(rows.us) else []
        self._rows = len(rows.us) - end

    def _open(self, taken_us: int) -> None:
        if not self._opened:
            self._opened = True
            head = Head(JournalSource.BACKTEST, self.account, 1, ZERO_NONCE, 0, KEY_ID, ZERO_MAC)
            self._write(EntryKind.OPEN, taken_us, "", -1, encode_taken(EntryKind.OPEN, head, taken_us, "", -1, b""))

    def _head(self) -> Head:
        self._seq += 1
        return Head(JournalSource.BACKTEST, self.account, 1, ZERO_NONCE, self._seq, KEY_ID, self._prev)

    def _put(self, kind: EntryKind, taken_us: int, stream: str, number: int, value: bytes) -> None:
        self._prev = self._write(kind, taken_us, stream, number, value)

    def _write(self, kind: EntryKind, taken_us: int, stream: str, number: int, value: bytes) -> bytes:
        sealed = KEYS.seal(TOPIC, KEY_ID, value)
        name = stream.encode()
        self._spool.write(_FRAME.pack(taken_us, number, _KINDS.index(kind), len(name), len(sealed)) + name + sealed)
        return sealed[-MAC_BYTES:]


def joined(parts: list[ClockRows]) -> ClockRows:
    """Consecutive rows of the same listings as one."""
    if len(parts) == 1:
        return parts[0]
    return ClockRows(
        parts[0].names,
        np.concatenate([part.us for part in parts]),
        np.concatenate([part.listing for part in parts]),
        np.concatenate([part.n for part in parts]),
        np.concatenate([part.time_ms for part in parts]),
        np.concatenate([part.bid for part in parts]),
        np.concatenate([part.ask for part in parts]),
        np.concatenate([part.quality for part in parts]),
        np.concatenate([part.watermark_ms for part in parts]),
    )


def _stream(record: Record) -> tuple[str, int]:
    if isinstance(record, Signal):
        return f"signals/{record.operator}/{record.listing}", record.out_seq
    if isinstance(record, Command):
        return "commands", record.seq
    if hasattr(record, "ref_no"):
        return "reference", record.ref_no
    return "executions", getattr(record, "seq", -1)
