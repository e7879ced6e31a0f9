"""TickBlock: all ticks of one listing that one poll returned, as columns; a link of the listing's chain."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas import codec
from schemas.catalogue import MAX_BLOCK_TICKS
from schemas.integrity import MAC_BYTES, NONCE_BYTES, ZERO_MAC, KeyRing
from schemas.registry import PREFIX_BYTES, UnreadableRecord, prefix_of, schema_id

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Doubles = npt.NDArray[np.float64]

TICK_BLOCK_ID: Final = 1
TOPIC: Final = "ticks"


class BlockKind(IntEnum):
    """What a block of a chain is: OPEN opens an epoch and carries nothing else, DATA is a link."""

    UNKNOWN = 0
    OPEN = 1
    DATA = 2


class TickSource(IntEnum):
    """How ticks came onto the log."""

    UNKNOWN = 0
    LIVE = 1
    BRIDGE = 2
    BACKFILL = 3
    IMPORT = 4


class TickBlock(NamedTuple):
    """A block as it lies on `ticks`; field by field as in `avro/TickBlock.avsc`, with the units given there.

    Columns have one value a tick: time_ms int64[n] (UTC), bid and ask float64[n], last and volume float64[n] or
    float64[0] where the symbol has none, flags and quality int32[n].
    """

    kind: int
    listing: str
    epoch: int
    nonce: bytes
    seq: int
    first_n: int
    ref_no: int
    source: int
    received_us: int
    server_offset_s: int
    gap: bool
    watermark_ms: int
    time_ms: Longs
    bid: Doubles
    ask: Doubles
    last: Doubles
    volume: Doubles
    flags: Ints
    quality: Ints
    key_id: str
    prev: bytes
    mac: bytes

    @property
    def size(self) -> int:
        """Ticks in the block."""
        return len(self.time_ms)


def open_block(listing: str, epoch: int, nonce: bytes, source: TickSource, received_us: int, key_id: str) -> TickBlock:
    """The OPEN of an epoch: seq, first_n, ref_no and prev are zero."""
    none, no_marks = np.empty(0, np.int64), np.empty(0, np.int32)
    no_prices = np.empty(0, np.float64)
    return TickBlock(
        kind=BlockKind.OPEN,
        listing=listing,
        epoch=epoch,
        nonce=nonce,
        seq=0,
        first_n=0,
        ref_no=0,
        source=source,
        received_us=received_us,
        server_offset_s=0,
        gap=False,
        watermark_ms=0,
        time_ms=none,
        bid=no_prices,
        ask=no_prices,
        last=no_prices,
        volume=no_prices,
        flags=no_marks,
        quality=no_marks,
        key_id=key_id,
        prev=ZERO_MAC,
        mac=ZERO_MAC,
    )


def encode_block(block: TickBlock) -> bytes:
    """The value of `block` on Kafka, canonical. Raises ValueError for what `decode_block` would not take."""
    n = block.size
    _check_fixed(block)
    columns = (block.bid, block.ask, block.flags, block.quality)
    if any(len(c) != n for c in columns) or len(block.last) not in (0, n) or len(block.volume) != len(block.last):
        raise ValueError(f"the columns of a block of {n} ticks differ in length")
    if n > MAX_BLOCK_TICKS:
        raise ValueError(f"a block of {n} ticks is longer than {MAX_BLOCK_TICKS}: cut it")
    listing, key_id = block.listing.encode(), block.key_id.encode()
    out = np.empty(256 + len(listing) + len(key_id) + n * (10 + 4 * 8 + 2 * 5), np.uint8)

    def put(at: int, data: bytes) -> int:
        out[at : at + len(data)] = np.frombuffer(data, np.uint8)
        return at + len(data)

    def numbers(at: int, *values: int) -> int:
        return int(codec.encode_numbers(np.array(values, np.int64), out, at))

    at = put(0, prefix_of(TICK_BLOCK_ID))
    at = put(numbers(at, block.kind, len(listing)), listing)
    at = put(numbers(at, block.epoch), block.nonce)
    at = numbers(at, block.seq, block.first_n, block.ref_no, block.source, block.received_us, block.server_offset_s)
    out[at] = block.gap
    at = numbers(at + 1, block.watermark_ms)
    at = codec.encode_longs(_column(block.time_ms, np.int64), out, at)
    for prices in (block.bid, block.ask, block.last, block.volume):
        at = codec.encode_doubles(_column(prices, np.float64), out, at)
    for marks in (block.flags, block.quality):
        at = codec.encode_longs(_column(marks, np.int32), out, at)
    at = put(put(put(numbers(at, len(key_id)), key_id), block.prev), block.mac)
    return out[:at].tobytes()


def _check_fixed(block: TickBlock) -> None:
    """What Avro's types ask of the fields that are no columns, and NumPy would let pass."""
    for name, size in (("nonce", NONCE_BYTES), ("prev", MAC_BYTES), ("mac", MAC_BYTES)):
        if len(getattr(block, name)) != size:
            raise ValueError(f"{name} has {len(getattr(block, name))} bytes, not {size}")
    if not 0 <= block.kind < len(BlockKind) or not 0 <= block.source < len(TickSource):
        raise ValueError(f"kind {block.kind} or source {block.source} is unknown")
    if not -(2**31) <= block.server_offset_s < 2**31:
        raise ValueError(f"server_offset_s {block.server_offset_s} has more than 32 bits")


def _column(values: npt.NDArray[np.generic], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
    """`values` as a contiguous column. Raises ValueError if a value could change on the way."""
    if not np.can_cast(values.dtype, dtype, "safe"):
        raise ValueError(f"a column has values of type {values.dtype}, not {np.dtype(dtype)}")
    return np.ascontiguousarray(values, dtype)


def seal_block(block: TickBlock, keys: KeyRing) -> bytes:
    """The value of `block` with the MAC of its own key as its last 16 bytes, whatever its `mac` says."""
    return keys.seal(TOPIC, block.key_id, encode_block(block))


class Columns:
    """Room for `capacity` ticks that blocks are decoded into, one behind the other, without a copy between.

    time_ms: int64[capacity]; prices: float64[4, capacity] (bid, ask, last, volume); marks: int32[2, capacity]
    (flags, quality). A listing without deals leaves the rows last and volume as they were.
    """

    __slots__ = ("capacity", "marks", "prices", "time_ms")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.time_ms: Longs = np.empty(capacity, np.int64)
        self.prices: Doubles = np.empty((4, capacity), np.float64)
        self.marks: Ints = np.empty((2, capacity), np.int32)


def decode_block(value: bytes) -> TickBlock:
    """The TickBlock in `value`, with columns of its own. Raises UnreadableRecord for what isn't canonical."""
    return decode_into(value, Columns(min(MAX_BLOCK_TICKS, len(value) // codec.LEAST_TICK_BYTES)), 0)


def decode_into(value: bytes, columns: Columns, first: int) -> TickBlock:
    """As `decode_block`, but the block's columns are views of `columns` from index `first` on.

    Raises ValueError if they don't fit in there: with room for MAX_BLOCK_TICKS from `first` on, every block does.
    """
    if value[:PREFIX_BYTES] != _PREFIX:
        raise UnreadableRecord(f"its schema id {schema_id(value)} is not a TickBlock's")
    head = np.empty(codec.HEAD, np.int64)
    problem = codec.decode(
        np.frombuffer(value, np.uint8), PREFIX_BYTES, head, columns.time_ms, columns.prices, columns.marks, first
    )
    if problem == codec.ROOM:
        raise ValueError(f"{columns.capacity - first} ticks from {first} on are too little room for a block")
    if problem:
        raise UnreadableRecord(f"it can't be read as a TickBlock: {codec.PROBLEMS[problem]}")
    (
        kind, listing_at, listing_end, epoch, nonce_at, seq, first_n, ref_no, source,
        received_us, offset_s, gap, watermark_ms, ticks, deals, key_at, key_end, prev_at,
    ) = head.tolist()  # fmt: skip
    try:
        listing = value[listing_at:listing_end].decode()
        key_id = value[key_at:key_end].decode()
    except UnicodeDecodeError as error:
        raise UnreadableRecord("it can't be read as a TickBlock: a text is not UTF-8") from error
    end, deals_end = first + ticks, first + deals
    prices, marks = columns.prices, columns.marks
    return TickBlock(
        kind,
        listing,
        epoch,
        value[nonce_at : nonce_at + NONCE_BYTES],
        seq,
        first_n,
        ref_no,
        source,
        received_us,
        offset_s,
        gap == 1,
        watermark_ms,
        columns.time_ms[first:end],
        prices[0, first:end],
        prices[1, first:end],
        prices[2, first:deals_end],
        prices[3, first:deals_end],
        marks[0, first:end],
        marks[1, first:end],
        key_id,
        value[prev_at : prev_at + MAC_BYTES],
        value[prev_at + MAC_BYTES :],
    )


_PREFIX: Final = prefix_of(TICK_BLOCK_ID)
