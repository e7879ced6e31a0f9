"""The TickBlock body between Avro bytes and columns, as numba kernels.

`schemas/ticks.py` is the interface; fastavro is the reference that tests hold these kernels equal to. They take only
the canonical encoding: shortest varints, arrays as one counted run and an end, booleans 0 or 1, known enum symbols.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from schemas.catalogue import MAX_BLOCK_TICKS
from schemas.integrity import MAC_BYTES, NONCE_BYTES
from schemas.jit import inline_kernel, kernel

# Where decode() puts the header: index into `head`.
KIND, LISTING_AT, LISTING_END, EPOCH, NONCE_AT, SEQ, FIRST_N, REF_NO, SOURCE = range(9)
RECEIVED_US, OFFSET_S, GAP, WATERMARK_MS, TICKS, DEALS, KEY_AT, KEY_END, PREV_AT = range(9, 18)
HEAD: Final = 18

OK, TRUNCATED, VARINT, ENUM, BOOLEAN, ARRAY, LENGTHS, RANGE, TRAILING, FULL, ROOM = range(11)
PROBLEMS: Final = (
    "",
    "it ends too early",
    "a number is not in its shortest form",
    "an enum has an unknown symbol",
    "a boolean is neither 0 nor 1",
    "an array is not one run and an end",
    "its columns differ in length",
    "a number is out of its field's range",
    "bytes follow its end",
    "it has more ticks than a block may have",
    "there is no room for its ticks",
)

_INT32_MIN: Final = -(2**31)
_INT32_MAX: Final = 2**31 - 1
_KINDS: Final = 3
_DATA: Final = 2
_SOURCES: Final = 5
_MAC: Final = MAC_BYTES
_NONCE: Final = NONCE_BYTES
_MAX_TICKS: Final = MAX_BLOCK_TICKS

LEAST_TICK_BYTES: Final = 19
"""A tick takes at least a byte for the time, 16 for the prices and two for the marks."""


@inline_kernel
def _varint(buf: Any, at: int, end: int) -> Any:
    """(value, next position); a position of -1 is truncated, -2 not in shortest form."""
    result = np.uint64(0)
    shift = np.uint64(0)
    for k in range(10):
        if at >= end:
            return np.int64(0), -1
        b = buf[at]
        at += 1
        result |= np.uint64(b & 0x7F) << shift
        if b < 0x80:
            if (b == 0 and k > 0) or (k == 9 and b > 1):
                return np.int64(0), -2
            return np.int64(result >> np.uint64(1)) ^ -np.int64(result & np.uint64(1)), at
        shift += np.uint64(7)
    return np.int64(0), -2


@inline_kernel
def _doubles(buf: Any, at: int, end: int, out: Any, row: int, first: int, wanted: int) -> Any:
    """Copies one array of doubles into out[row, first:]; (count, next position), a negative position is a problem.

    Only `wanted` values have room there: another count is read no further.
    """
    count, at = _varint(buf, at, end)
    if at < 0:
        return count, at
    if count == 0:
        return count, at
    if count < 0:
        return count, -3
    if count != wanted:
        return count, -4
    if at + 8 * count >= end:
        return count, -1
    source, target = buf[at : at + 8 * count], out[row, first : first + count].view(np.uint8)
    # A plain loop over two slices is compiled to wide moves; numba's assignment to a slice takes ten times as long.
    for i in range(target.size):
        target[i] = source[i]
    at += 8 * count
    if buf[at] != 0:
        return count, -3
    return count, at + 1


@inline_kernel
def _short_ints(buf: Any, at: int, end: int, out: Any) -> bool:
    """Reads out.size numbers if each has one byte; else what is in `out` means nothing. Without a branch a number."""
    if at + out.size > end:
        return False
    source = buf[at : at + out.size]
    every = np.int32(0)
    for i in range(out.size):
        b = np.int32(source[i])
        every |= b
        out[i] = (b >> 1) ^ -(b & 1)
    return bool(every < 0x80)


@inline_kernel
def _six_byte_longs(buf: Any, at: int, end: int, out: Any) -> bool:
    """As _short_ints, of numbers that have six bytes each: times from 1987 to 2527."""
    if at + 6 * out.size > end:
        return False
    source = buf[at : at + 6 * out.size]
    go_on = np.uint64(0x80)
    last = np.uint64(0)
    least = np.uint64(0x7F)
    low = np.uint64(0x7F)
    for i in range(out.size):
        k = np.uint64(6 * i)
        b0, b1, b2 = np.uint64(source[k]), np.uint64(source[k + np.uint64(1)]), np.uint64(source[k + np.uint64(2)])
        b3, b4 = np.uint64(source[k + np.uint64(3)]), np.uint64(source[k + np.uint64(4)])
        b5 = np.uint64(source[k + np.uint64(5)])
        go_on &= b0 & b1 & b2 & b3 & b4
        last |= b5
        least = min(least, b5)
        raw = (b0 & low) | (b1 & low) << np.uint64(7) | (b2 & low) << np.uint64(14) | (b3 & low) << np.uint64(21)
        raw |= (b4 & low) << np.uint64(28) | b5 << np.uint64(35)
        out[i] = np.int64(raw >> np.uint64(1)) ^ -np.int64(raw & np.uint64(1))
    return bool(go_on != 0 and last < np.uint64(0x80) and least > np.uint64(0))


@inline_kernel
def _ints(buf: Any, at: int, end: int, out: Any, row: int, first: int, wanted: int) -> Any:
    """Reads one array of 32-bit numbers into out[row, first:]; as _doubles, -5 is out of range."""
    count, at = _varint(buf, at, end)
    if at < 0:
        return count, at
    if count == 0:
        return count, at
    if count < 0:
        return count, -3
    if count != wanted:
        return count, -4
    if not _short_ints(buf, at, end, out[row, first : first + count]):
        for i in range(count):
            value, at = _varint(buf, at, end)
            if at < 0:
                return count, at
            if value < _INT32_MIN or value > _INT32_MAX:
                return count, -5
            out[row, first + i] = value
    else:
        at += count
    if at >= end:
        return count, -1
    if buf[at] != 0:
        return count, -3
    return count, at + 1


@inline_kernel
def _problem(at: int) -> int:
    if at == -1:
        return TRUNCATED
    if at == -2:
        return VARINT
    if at == -3:
        return ARRAY
    if at == -4:
        return LENGTHS
    return RANGE


@kernel
def decode(buf: Any, at: int, head: Any, time_ms: Any, prices: Any, marks: Any, first: int) -> int:
    """Reads the body at buf[at:] into head and into the columns from index `first` on; returns a problem, 0 is none.

    buf: uint8[n]; head: int64[HEAD]; time_ms: int64[cap]; prices: float64[4, cap] (bid, ask, last, volume);
    marks: int32[2, cap] (flags, quality).
    """
    end = buf.shape[0]
    # kind, listing
    kind, at = _varint(buf, at, end)
    if at < 0:
        return _problem(at)
    if kind < 0 or kind >= _KINDS:
        return ENUM
    head[KIND] = kind
    size, at = _varint(buf, at, end)
    if at < 0:
        return _problem(at)
    if size < 0 or size > end - at:
        return TRUNCATED
    head[LISTING_AT] = at
    at += size
    head[LISTING_END] = at
    # epoch, nonce, seq, first_n, ref_no
    head[EPOCH], at = _varint(buf, at, end)
    if at < 0:
        return _problem(at)
    head[NONCE_AT] = at
    at += _NONCE
    for field in (SEQ, FIRST_N, REF_NO, SOURCE, RECEIVED_US, OFFSET_S):
        head[field], at = _varint(buf, at, end)
        if at < 0:
            return _problem(at)
    if head[SOURCE] < 0 or head[SOURCE] >= _SOURCES:
        return ENUM
    if head[OFFSET_S] < _INT32_MIN or head[OFFSET_S] > _INT32_MAX:
        return RANGE
    if at >= end:
        return TRUNCATED
    if buf[at] > 1:
        return BOOLEAN
    head[GAP] = buf[at]
    at += 1
    head[WATERMARK_MS], at = _varint(buf, at, end)
    if at < 0:
        return _problem(at)
    # time_ms
    count, at = _varint(buf, at, end)
    if at < 0:
        return _problem(at)
    if count < 0:
        return ARRAY
    if count > _MAX_TICKS:
        return FULL
    if count * LEAST_TICK_BYTES > end - at:
        return TRUNCATED
    if count > time_ms.shape[0] - first:
        return ROOM
    if not _six_byte_longs(buf, at, end, time_ms[first : first + count]):
        for i in range(count):
            value, at = _varint(buf, at, end)
            if at < 0:
                return _problem(at)
            time_ms[first + i] = value
    else:
        at += 6 * count
    if count > 0:
        if at >= end:
            return TRUNCATED
        if buf[at] != 0:
            return ARRAY
        at += 1
    head[TICKS] = count
    # bid, ask, last, volume
    deals = 0
    for row in range(4):
        n, at = _doubles(buf, at, end, prices, row, first, count)
        if at < 0:
            return _problem(at)
        if row < 2 and n != count:
            return LENGTHS
        if row == 2:
            deals = n
        if row == 3 and n != deals:
            return LENGTHS
    head[DEALS] = deals
    # flags, quality
    for row in range(2):
        n, at = _ints(buf, at, end, marks, row, first, count)
        if at < 0:
            return _problem(at)
        if n != count:
            return LENGTHS
    # key_id, prev, mac
    size, at = _varint(buf, at, end)
    if at < 0:
        return _problem(at)
    if size < 0 or size > end - at:
        return TRUNCATED
    head[KEY_AT] = at
    at += size
    head[KEY_END] = at
    head[PREV_AT] = at
    at += 2 * _MAC
    if at > end:
        return TRUNCATED
    if at < end:
        return TRAILING
    return OK


@inline_kernel
def _same(buf: Any, one: int, other: int, size: int) -> bool:
    same = True
    for i in range(size):
        same &= buf[one + i] == buf[other + i]
    return same


@inline_kernel
def _follows(buf: Any, before: Any, head: Any) -> bool:
    """Whether the DATA block of `head` is the next link of the same writer's chain after that of `before`."""
    listing, key = head[LISTING_END] - head[LISTING_AT], head[KEY_END] - head[KEY_AT]
    return bool(
        head[EPOCH] == before[EPOCH]
        and head[SEQ] == before[SEQ] + 1
        and head[FIRST_N] == before[FIRST_N] + before[TICKS]
        and head[REF_NO] >= before[REF_NO]
        and listing == before[LISTING_END] - before[LISTING_AT]
        and key == before[KEY_END] - before[KEY_AT]
        and _same(buf, before[NONCE_AT], head[NONCE_AT], _NONCE)
        and _same(buf, before[PREV_AT] + _MAC, head[PREV_AT], _MAC)
        and _same(buf, before[LISTING_AT], head[LISTING_AT], listing)
        and _same(buf, before[KEY_AT], head[KEY_AT], key)
    )


@kernel
def decode_run(buf: Any, ends: Any, prefix: Any, heads: Any, time_ms: Any, prices: Any, marks: Any) -> int:
    """Decodes values that lie one behind the other in buf, value i up to ends[i], into columns one behind the other.

    Returns how many of them, from the first on, are DATA blocks each of which follows the one before it; stops there,
    or where the columns are full. heads: int64[n, HEAD], positions within buf. MACs are left to the caller.
    """
    size = prefix.shape[0]
    start = 0
    first = 0
    for i in range(ends.shape[0]):
        end = ends[i]
        head = heads[i]
        if end - start < size:
            return i
        for k in range(size):
            if buf[start + k] != prefix[k]:
                return i
        if decode(buf[start:end], size, head, time_ms, prices, marks, first) != OK:
            return i
        for field in (LISTING_AT, LISTING_END, NONCE_AT, KEY_AT, KEY_END, PREV_AT):
            head[field] += start
        if head[KIND] != _DATA or (i > 0 and not _follows(buf, heads[i - 1], head)):
            return i
        first += head[TICKS]
        start = end
    return int(ends.shape[0])


@inline_kernel
def _put(out: Any, at: int, value: Any) -> int:
    rest = (np.uint64(value) << np.uint64(1)) ^ np.uint64(value >> 63)
    while rest > np.uint64(0x7F):
        out[at] = np.uint8(rest & np.uint64(0x7F)) | np.uint8(0x80)
        rest >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(rest)
    return at + 1


@kernel
def encode_numbers(values: Any, out: Any, at: int) -> int:
    """Writes int64 values as varints, one after the other; returns the next position."""
    for i in range(values.shape[0]):
        at = _put(out, at, values[i])
    return at


@kernel
def encode_longs(values: Any, out: Any, at: int) -> int:
    """Writes an Avro array of longs (int64 or int32 values); returns the next position."""
    if values.shape[0] > 0:
        at = _put(out, at, values.shape[0])
        for i in range(values.shape[0]):
            at = _put(out, at, np.int64(values[i]))
    out[at] = 0
    return at + 1


@kernel
def encode_doubles(values: Any, out: Any, at: int) -> int:
    """Writes an Avro array of doubles; returns the next position."""
    if values.shape[0] > 0:
        at = _put(out, at, values.shape[0])
        source = values.view(np.uint8)
        out[at : at + source.shape[0]] = source
        at += source.shape[0]
    out[at] = 0
    return at + 1
