"""Journal entries as they are read: header and input as bytes, a clock as columns.

`schemas/journal.py` has the record, and fastavro is the reference: tests hold both equal. An entry is read in one pass
that takes only the canonical encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from schemas.codec import ENUM, LENGTHS, OK, PROBLEMS, TRAILING, TRUNCATED, _problem, _varint
from schemas.integrity import MAC_BYTES, NONCE_BYTES
from schemas.jit import inline_kernel, kernel
from schemas.journal import EntryKind, JournalSource
from schemas.registry import UnreadableRecord, schemas
from schemas.ticks import Doubles, Ints, Longs


class ClockRows(NamedTuple):
    """Quotes as a CLOCK carries them, in the order in which they were taken.

    us int64[n] (strictly increasing from one second to the next; rows of one second, of several listings, have the
    same), listing int32[n] (index into `names`, -1 = none), n and time_ms int64[n], bid and ask float64[n],
    quality int32[n], watermark_ms int64[n].
    """

    names: tuple[str, ...]
    us: Longs
    listing: Ints
    n: Longs
    time_ms: Longs
    bid: Doubles
    ask: Doubles
    quality: Ints
    watermark_ms: Longs

    def part(self, start: int, end: int) -> ClockRows:
        """Rows [start, end)."""
        if not start and end == len(self.us):
            return self
        s = slice(start, end)
        return ClockRows(
            self.names, self.us[s], self.listing[s], self.n[s], self.time_ms[s], self.bid[s], self.ask[s],
            self.quality[s], self.watermark_ms[s],
        )  # fmt: skip


class Entry(NamedTuple):
    """What a JournalEntry says. `clock` is there in a CLOCK; `marks`, by stream, where an entry carries them."""

    kind: EntryKind
    source: JournalSource
    account: str
    epoch: int
    nonce: bytes
    seq: int
    taken_us: int
    stream: str
    stream_seq: int
    input: bytes
    clock: ClockRows | None
    marks: Mapping[str, int]
    key_id: str
    prev: bytes
    mac: bytes


def read_entry(value: bytes) -> Entry:
    """The entry in a value of `journal`. Raises UnreadableRecord: also for a clock whose columns don't fit together."""
    if not value.startswith(_PREFIX):
        raise UnreadableRecord("it is no JournalEntry")
    most = len(value) // _LEAST_ROW + 1
    head, longs, ints = np.empty(_HEAD, np.int64), np.empty((4, most), np.int64), np.empty((2, most), np.int32)
    prices = np.empty((2, most), np.float64)
    problem = scan(np.frombuffer(value, np.uint8), len(_PREFIX), head, longs, prices, ints)
    if problem != OK:
        raise UnreadableRecord(f"it can't be read as JournalEntry: {PROBLEMS[problem]}")
    at: list[int] = head.tolist()
    try:
        kind = _KINDS[at[_KIND]]
        clock = None
        rows = at[_ROWS]
        if kind is EntryKind.CLOCK:
            clock = ClockRows(
                _names(value[at[_NAMES_AT] : at[_NAMES_END]], at[_NAMES]), longs[0, :rows], ints[0, :rows],
                longs[1, :rows], longs[2, :rows], prices[0, :rows], prices[1, :rows], ints[1, :rows], longs[3, :rows],
            )  # fmt: skip
        elif rows or at[_NAMES]:
            raise UnreadableRecord(f"it is of kind {kind} and has rows of a clock")
        return Entry(
            kind,
            _SOURCES[at[_SOURCE]],
            _text(value[at[_ACCOUNT_AT] : at[_ACCOUNT_END]]),
            at[_EPOCH],
            value[at[_NONCE_AT] : at[_NONCE_AT] + NONCE_BYTES],
            at[_SEQ],
            at[_TAKEN_US],
            _text(value[at[_STREAM_AT] : at[_STREAM_END]]),
            at[_STREAM_SEQ],
            value[at[_INPUT_AT] : at[_INPUT_END]],
            clock,
            _marks(value, at) if at[_MARKS] else _NO_MARKS,
            _text(value[at[_KEY_AT] : at[_KEY_END]]),
            value[at[_PREV_AT] : at[_PREV_AT] + MAC_BYTES],
            value[-MAC_BYTES:],
        )
    except UnicodeDecodeError as error:
        raise UnreadableRecord(f"it can't be read as JournalEntry: {error}") from error


@inline_kernel
def _spans(buf: Any, at: int, end: int) -> Any:
    """(count, next position) of an array of strings or bytes; a negative position is a problem."""
    count, at = _varint(buf, at, end)
    if at < 0 or count == 0:
        return count, at
    if count < 0:
        return count, -3
    for _ in range(count):
        size, at = _varint(buf, at, end)
        if at < 0:
            return count, at
        if size < 0 or size > end - at:
            return count, -1
        at += size
    if at >= end:
        return count, -1
    if buf[at] != 0:
        return count, -3
    return count, at + 1


@inline_kernel
def _numbers(buf: Any, at: int, end: int, out: Any, low: int, high: int) -> Any:
    """(count, next position) of an array of numbers in [low, high], read into `out` as far as it reaches."""
    count, at = _varint(buf, at, end)
    if at < 0 or count == 0:
        return count, at
    if count < 0:
        return count, -3
    if count > out.shape[0]:
        return count, -4
    for i in range(count):
        value, at = _varint(buf, at, end)
        if at < 0:
            return count, at
        if value < low or value > high:
            return count, -5
        out[i] = value
    if at >= end:
        return count, -1
    if buf[at] != 0:
        return count, -3
    return count, at + 1


@inline_kernel
def _floats(buf: Any, at: int, end: int, out: Any) -> Any:
    """(count, next position) of an array of doubles."""
    count, at = _varint(buf, at, end)
    if at < 0 or count == 0:
        return count, at
    if count < 0:
        return count, -3
    if count > out.shape[0]:
        return count, -4
    if at + 8 * count >= end:
        return count, -1
    source, target = buf[at : at + 8 * count], out[:count].view(np.uint8)
    for i in range(target.size):
        target[i] = source[i]
    at += 8 * count
    if buf[at] != 0:
        return count, -3
    return count, at + 1


@inline_kernel
def _spans_of_numbers(buf: Any, at: int, end: int) -> Any:
    """(count, next position) of an array of numbers that is passed over."""
    count, at = _varint(buf, at, end)
    if at < 0 or count == 0:
        return count, at
    if count < 0:
        return count, -3
    for _ in range(count):
        _number, at = _varint(buf, at, end)
        if at < 0:
            return count, at
    if at >= end:
        return count, -1
    if buf[at] != 0:
        return count, -3
    return count, at + 1


@kernel
def scan(buf: Any, at: int, head: Any, longs: Any, prices: Any, ints: Any) -> int:
    """Reads the body at buf[at:]; returns a problem, 0 is none.

    buf: uint8[size]; head: int64[_HEAD]; longs: int64[4, cap] (us, n, time_ms, watermark_ms); prices: float64[2, cap]
    (bid, ask); ints: int32[2, cap] (listing, quality).
    """
    end = buf.shape[0]
    for field, count in ((_KIND, _KIND_COUNT), (_SOURCE, _SOURCE_COUNT)):
        head[field], at = _varint(buf, at, end)
        if at < 0:
            return _problem(at)
        if head[field] < 0 or head[field] >= count:
            return ENUM
    for field in (_ACCOUNT_AT, _EPOCH, _SEQ, _TAKEN_US, _STREAM_AT, _STREAM_SEQ, _INPUT_AT):
        number, at = _varint(buf, at, end)
        if at < 0:
            return _problem(at)
        if field in (_ACCOUNT_AT, _STREAM_AT, _INPUT_AT):
            if number < 0 or number > end - at:
                return TRUNCATED
            head[field] = at
            at += number
            head[field + 1] = at
        else:
            head[field] = number
        if field == _EPOCH:
            if at + _NONCE > end:
                return TRUNCATED
            head[_NONCE_AT] = at
            at += _NONCE
    head[_NAMES_AT] = at
    names, at = _spans(buf, at, end)
    if at < 0:
        return _problem(at)
    head[_NAMES], head[_NAMES_END] = names, at
    rows, at = _numbers(buf, at, end, longs[0], _LONG_MIN, _LONG_MAX)
    if at < 0:
        return _problem(at)
    head[_ROWS] = rows
    count, at = _numbers(buf, at, end, ints[0], -1, names - 1)
    if at < 0:
        return _problem(at)
    if count != rows:
        return LENGTHS
    for row in (1, 2):
        count, at = _numbers(buf, at, end, longs[row], _LONG_MIN, _LONG_MAX)
        if at < 0:
            return _problem(at)
        if count != rows:
            return LENGTHS
    for row in (0, 1):
        count, at = _floats(buf, at, end, prices[row])
        if at < 0:
            return _problem(at)
        if count != rows:
            return LENGTHS
    count, at = _numbers(buf, at, end, ints[1], _INT_MIN, _INT_MAX)
    if at < 0:
        return _problem(at)
    if count != rows:
        return LENGTHS
    count, at = _numbers(buf, at, end, longs[3], _LONG_MIN, _LONG_MAX)
    if at < 0:
        return _problem(at)
    if count != rows:
        return LENGTHS
    head[_MARKS_AT] = at
    marks, at = _spans(buf, at, end)
    if at < 0:
        return _problem(at)
    head[_MARKS], head[_SEQS_AT] = marks, at
    seqs, at = _spans_of_numbers(buf, at, end)
    if at < 0:
        return _problem(at)
    if seqs != marks:
        return LENGTHS
    size, at = _varint(buf, at, end)
    if at < 0:
        return _problem(at)
    if size < 0 or size > end - at:
        return TRUNCATED
    head[_KEY_AT] = at
    at += size
    head[_KEY_END] = at
    head[_PREV_AT] = at
    at += 2 * _MAC
    if at > end:
        return TRUNCATED
    if at < end:
        return TRAILING
    return OK


def warm_entries() -> None:
    """Compiles the kernel, at set-up: it takes some seconds."""
    with suppress(UnreadableRecord):
        read_entry(_PREFIX)


def _marks(value: bytes, at: list[int]) -> dict[str, int]:
    streams = _names(value[at[_MARKS_AT] : at[_SEQS_AT]], at[_MARKS])
    _, place = _read_number(value, at[_SEQS_AT])
    found = {}
    for stream in streams:
        found[stream], place = _read_number(value, place)
    return found


@lru_cache(maxsize=1_024)
def _names(data: bytes, count: int) -> tuple[str, ...]:
    """The strings of an array."""
    found, at = [], 0
    if count:
        _, at = _read_number(data, 0)
    for _ in range(count):
        size, at = _read_number(data, at)
        found.append(data[at : at + size].decode())
        at += size
    return tuple(found)


@lru_cache(maxsize=1_024)
def _text(data: bytes) -> str:
    return data.decode()


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """An Avro long that was found to be sound, and the next position."""
    raw, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        raw |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (raw >> 1) ^ -(raw & 1), at


_PREFIX: Final = schemas()["JournalEntry"].prefix
_KINDS: Final = tuple(EntryKind)
_SOURCES: Final = tuple(JournalSource)
_NO_MARKS: Final[Mapping[str, int]] = {}
_LEAST_ROW: Final = 22
"""A row takes at least six bytes of numbers and sixteen of prices."""

# Where scan() puts what it finds: index into `head`; an *_END follows its *_AT.
_KIND, _SOURCE, _ACCOUNT_AT, _ACCOUNT_END, _EPOCH, _NONCE_AT, _SEQ, _TAKEN_US, _STREAM_AT, _STREAM_END = range(10)
_STREAM_SEQ, _INPUT_AT, _INPUT_END, _NAMES_AT, _NAMES_END, _NAMES, _ROWS, _MARKS_AT, _MARKS, _SEQS_AT = range(10, 20)
_KEY_AT, _KEY_END, _PREV_AT = range(20, 23)
_HEAD: Final = 23
_KIND_COUNT: Final = len(EntryKind)
_SOURCE_COUNT: Final = len(JournalSource)
_NONCE: Final = NONCE_BYTES
_MAC: Final = MAC_BYTES
_LONG_MIN: Final = -(2**63)
_LONG_MAX: Final = 2**63 - 1
_INT_MIN: Final = -(2**31)
_INT_MAX: Final = 2**31 - 1
