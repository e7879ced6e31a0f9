"""Journal entries as bytes, from columns and parts: what fastavro makes of the same JournalEntry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas import codec
from schemas.integrity import ZERO_MAC
from schemas.journal import EntryKind, JournalSource
from schemas.registry import schemas

MOST_ROWS: Final = 8_192
"""Most rows that a writer puts into one entry: some 500 KB."""


class Head(NamedTuple):
    """What every entry has."""

    source: JournalSource
    account: str
    epoch: int
    nonce: bytes
    seq: int
    key_id: str
    prev: bytes


def encode_clock(
    head: Head,
    names: Sequence[str],
    us: npt.NDArray[np.int64],
    listing: npt.NDArray[np.int32],
    n: npt.NDArray[np.int64],
    time_ms: npt.NDArray[np.int64],
    bid: npt.NDArray[np.float64],
    ask: npt.NDArray[np.float64],
    quality: npt.NDArray[np.int32],
    watermark_ms: npt.NDArray[np.int64],
) -> bytes:
    """The value of a CLOCK of at least one row on Kafka, its MAC still zero; columns as in the JournalEntry."""
    rows = len(us)
    texts = sum(len(name) + 12 for name in (head.account, head.key_id, *names)) * 4
    out = np.empty(256 + texts + rows * (4 * 10 + 2 * 8 + 2 * 5), np.uint8)

    def put(at: int, data: bytes) -> int:
        out[at : at + len(data)] = np.frombuffer(data, np.uint8)
        return at + len(data)

    def numbers(at: int, *values: int) -> int:
        return int(codec.encode_numbers(np.array(values, np.int64), out, at))

    def text(at: int, value: str) -> int:
        data = value.encode()
        return put(numbers(at, len(data)), data)

    at = put(0, _PREFIX)
    at = text(numbers(at, _place(EntryKind.CLOCK), _place(head.source)), head.account)
    at = put(numbers(at, head.epoch), head.nonce)
    at = text(numbers(at, head.seq, int(us[-1])), "")
    at = text(numbers(at, -1), "")
    if names:
        at = numbers(at, len(names))
    for name in names:
        at = text(at, name)
    at = put(at, b"\x00")
    for longs in (us, listing, n, time_ms):
        at = codec.encode_longs(np.ascontiguousarray(longs), out, at)
    for doubles in (bid, ask):
        at = codec.encode_doubles(np.ascontiguousarray(doubles), out, at)
    for longs in (quality, watermark_ms):
        at = codec.encode_longs(np.ascontiguousarray(longs), out, at)
    at = put(at, b"\x00\x00")
    at = put(put(text(at, head.key_id), head.prev), ZERO_MAC)
    return out[:at].tobytes()


def encode_taken(
    kind: EntryKind,
    head: Head,
    taken_us: int,
    stream: str,
    stream_seq: int,
    value: bytes,
    marks: Mapping[str, int] | None = None,
) -> bytes:
    """The value of an OPEN, INPUT or REFERENCE entry on Kafka, its MAC still zero; `marks` by stream."""
    names = sorted(marks or {})
    parts = [
        _PREFIX, _number(_place(kind)), _number(_place(head.source)), _text(head.account), _number(head.epoch),
        head.nonce, _number(head.seq), _number(taken_us), _text(stream), _number(stream_seq), _number(len(value)),
        value, bytes(9),
    ]  # fmt: skip
    if marks:
        parts += [_number(len(names)), *map(_text, names), b"\x00"]
        parts += [_number(len(names)), *(_number(marks[name]) for name in names), b"\x00"]
    else:
        parts.append(bytes(2))
    return b"".join((*parts, _text(head.key_id), head.prev, ZERO_MAC))


_PREFIX: Final = schemas()["JournalEntry"].prefix


def _number(value: int) -> bytes:
    """An Avro long."""
    rest = (value << 1) ^ (value >> 63)
    if rest < 0x80:
        return bytes((rest,))
    out = bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _text(value: str) -> bytes:
    data = value.encode()
    return _number(len(data)) + data


def _place(member: Any) -> int:
    return list(type(member)).index(member)
