"""Journal entries as bytes, from columns and parts: what fastavro makes of the same JournalEntry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

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
    taken_us: int | None = None,
    marks: Mapping[str, int] | None = None,
) -> bytes:
    """The value of a CLOCK on Kafka, its MAC still zero; columns as in the JournalEntry, `marks` by stream.

    `taken_us` is the last row's, and has to be said where time went on without one: of no rows, it is all there is.
    """
    at_us = int(us[-1]) if taken_us is None else taken_us
    before = b"".join(
        (
            _PREFIX, _KINDS[EntryKind.CLOCK], _SOURCES[head.source], _text(head.account),
            _number(head.epoch), head.nonce, _number(head.seq), _number(at_us), b"\x00\x01\x00",
            *((_number(len(names)), *map(_text, names)) if names else ()), b"\x00",
        )
    )  # fmt: skip
    after = b"".join((*_marks(marks), _text(head.key_id), head.prev, ZERO_MAC))
    out = np.empty(len(us) * (5 * 10 + 2 * 8 + 2 * 5) + 8 * 12, np.uint8)
    at = 0
    for longs in (us, listing, n, time_ms):
        at = codec.encode_longs(np.ascontiguousarray(longs), out, at)
    for doubles in (bid, ask):
        at = codec.encode_doubles(np.ascontiguousarray(doubles), out, at)
    for longs in (quality, watermark_ms):
        at = codec.encode_longs(np.ascontiguousarray(longs), out, at)
    return before + out[:at].tobytes() + after


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
    parts = [
        _PREFIX, _KINDS[kind], _SOURCES[head.source], _text(head.account), _number(head.epoch),
        head.nonce, _number(head.seq), _number(taken_us), _text(stream), _number(stream_seq), _number(len(value)),
        value, bytes(9),
    ]  # fmt: skip
    return b"".join((*parts, *_marks(marks), _text(head.key_id), head.prev, ZERO_MAC))


def _marks(marks: Mapping[str, int] | None) -> list[bytes]:
    """The two arrays of an entry's marks."""
    if not marks:
        return [bytes(2)]
    names = sorted(marks)
    return [
        *(_number(len(names)), *map(_text, names), b"\x00"),
        *(_number(len(names)), *(_number(marks[name]) for name in names), b"\x00"),
    ]


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


_KINDS: Final = {kind: _number(place) for place, kind in enumerate(EntryKind)}
_SOURCES: Final = {source: _number(place) for place, source in enumerate(JournalSource)}
