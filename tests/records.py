"""Records for tests: random ones made from their schemas, and chains of sealed blocks."""

from __future__ import annotations

import dataclasses
import math
import typing
from enum import Enum
from io import BytesIO
from typing import Any

import fastavro
import numpy as np
from hypothesis import strategies as st

from schemas.events import Event
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.registry import schemas
from schemas.ticks import BlockKind, TickBlock, TickSource, open_block, seal_block

KEYS = KeyRing({"k1": b"a key of the tests' own"}, "k1")
STRANGER = KeyRing({"k1": b"somebody else's key"}, "k1")
LISTING = "test/EURUSD"

longs = st.integers(-(2**63), 2**63 - 1)
ints = st.integers(-(2**31), 2**31 - 1)
doubles = st.floats(width=64)
texts = st.text(st.characters(codec="utf-8"), max_size=12)


def records(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Records of a type with any values that its schema lets pass."""
    avro = schemas()[kind.__name__].avro
    hints = typing.get_type_hints(kind)
    named: dict[str, Any] = {}
    fields = {f["name"]: _values(f["type"], hints[f["name"]], named) for f in avro["fields"]}
    return st.builds(kind, **fields)


def _values(avro: Any, hint: Any, named: dict[str, Any]) -> st.SearchStrategy[Any]:
    if isinstance(avro, list):
        return st.one_of(*(_values(branch, hint, named) for branch in avro))
    if isinstance(avro, dict) and avro["type"] in ("fixed", "enum"):
        named[avro["name"]] = avro
    avro = named.get(avro, avro) if isinstance(avro, str) else avro
    if isinstance(avro, dict):
        match avro["type"]:
            case "bytes":
                return st.decimals(-(10**19), 10**19, places=8)
            case "fixed":
                return st.binary(min_size=avro["size"], max_size=avro["size"])
            case "enum":
                assert issubclass(hint, Enum)
                return st.sampled_from(list(hint))
            case "array":
                return st.lists(_values(avro["items"], None, named), max_size=4).map(tuple)
    simple = {
        "null": st.none(), "boolean": st.booleans(), "int": ints, "long": longs, "double": doubles, "string": texts,
        "bytes": st.binary(max_size=40),
    }  # fmt: skip
    return simple[avro]


@st.composite
def blocks(draw: st.DrawFn, most: int = 40) -> TickBlock:
    """Any block that can be encoded: extreme numbers, NaN with any payload, infinities, -0.0, no ticks, no deals."""
    count = draw(st.integers(0, most))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    wild = draw(st.booleans())
    deals = count if draw(st.booleans()) else 0
    some = st.lists(doubles, min_size=1, max_size=4)

    def prices(size: int) -> np.ndarray:
        bits = rng.integers(0, 2**64, size, dtype=np.uint64, endpoint=False).view(np.float64)
        known = rng.choice(np.array([*draw(some), math.nan, math.inf, -math.inf, -0.0, 1.38725]), size)
        return np.where(rng.random(size) < 0.5, bits, known) if wild else known

    def marks(low: int, high: int) -> np.ndarray:
        spread = rng.integers(low, high, count, dtype=np.int64, endpoint=True)
        return np.where(rng.random(count) < 0.7, rng.integers(0, 128, count), spread).astype(np.int32)

    times = 1_399_334_400_000 + np.cumsum(rng.integers(0, 5_000, count))
    if wild:
        any_time = rng.integers(-(2**63), 2**63 - 1, count, endpoint=True) >> rng.integers(0, 63, count)
        times = np.where(rng.random(count) < 0.5, any_time, times)
    return TickBlock(
        kind=draw(st.sampled_from(BlockKind)),
        listing=draw(texts),
        epoch=draw(longs),
        nonce=draw(st.binary(min_size=8, max_size=8)),
        seq=draw(longs),
        first_n=draw(longs),
        ref_no=draw(longs),
        source=draw(st.sampled_from(TickSource)),
        received_us=draw(longs),
        server_offset_s=draw(ints),
        gap=draw(st.booleans()),
        watermark_ms=draw(longs),
        time_ms=times.astype(np.int64),
        bid=prices(count),
        ask=prices(count),
        last=prices(deals),
        volume=prices(deals),
        flags=marks(-(2**31), 2**31 - 1),
        quality=marks(0, 2**17),
        key_id=draw(texts),
        prev=draw(st.binary(min_size=16, max_size=16)),
        mac=draw(st.binary(min_size=16, max_size=16)),
    )


COLUMNS = ("time_ms", "bid", "ask", "last", "volume", "flags", "quality")


def as_avro(block: TickBlock) -> dict[str, Any]:
    """The block as fastavro takes and gives it."""
    row = block._asdict() | {name: getattr(block, name).tolist() for name in COLUMNS}
    return row | {"kind": BlockKind(block.kind).name, "source": TickSource(block.source).name}


def with_fastavro(block: TickBlock) -> bytes:
    """The block's value on Kafka, made by the reference encoder."""
    schema = schemas()["TickBlock"]
    out = BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, as_avro(block))
    return schema.prefix + out.getvalue()


def read_with_fastavro(value: bytes) -> dict[str, Any]:
    """A block's value as the reference decoder gives it."""
    source = BytesIO(value[5:])
    row = fastavro.schemaless_reader(source, schemas()["TickBlock"].parsed, None)
    assert source.read() == b""
    assert isinstance(row, dict)
    return row


def same(a: TickBlock, b: TickBlock) -> bool:
    """Whether two blocks are equal to the last bit, in values and types."""
    for x, y in zip(a, b, strict=True):
        if isinstance(x, np.ndarray):
            if x.dtype != y.dtype or x.tobytes() != y.tobytes():
                return False
        elif x != y:
            return False
    return True


def ticks(count: int, first_ms: int = 1_399_334_400_000, deals: bool = False) -> TickBlock:
    """A block with `count` plain ticks and nothing in its header: columns for a writer."""
    n = np.arange(count)
    none = np.empty(0)
    return open_block(LISTING, 0, bytes(8), TickSource.IMPORT, 0, "k1")._replace(
        kind=BlockKind.DATA,
        time_ms=first_ms + 100 * n,
        bid=1.38725 + n / 1e5,
        ask=1.38735 + n / 1e5,
        last=1.3873 + n / 1e5 if deals else none,
        volume=1.0 + n if deals else none,
        flags=np.full(count, 6, np.int32),
        quality=np.zeros(count, np.int32),
    )


@dataclasses.dataclass
class ChainOfTicks:
    """A writer without a broker: makes the sealed values of one listing's chain, one after the other."""

    listing: str = LISTING
    keys: KeyRing = dataclasses.field(default_factory=lambda: KEYS)
    epoch: int = 0
    nonce: bytes = bytes(8)
    seq: int = 0
    n: int = 0
    prev: bytes = ZERO_MAC

    def open(self, epoch: int | None = None) -> bytes:
        """The OPEN of the next epoch, or of `epoch`."""
        self.epoch = self.epoch + 1 if epoch is None else epoch
        self.nonce = self.epoch.to_bytes(8, "big")
        return seal_block(
            open_block(self.listing, self.epoch, self.nonce, TickSource.IMPORT, 0, self.keys.current), self.keys
        )

    def block(self, count: int = 3, **changed: Any) -> TickBlock:
        """What comes next, not yet sealed."""
        columns = ticks(count, 1_399_334_400_000 + 100 * self.n, deals=True)
        return columns._replace(
            listing=self.listing, epoch=self.epoch, nonce=self.nonce, seq=self.seq + 1, first_n=self.n, ref_no=1,
            key_id=self.keys.current, prev=self.prev,
        )._replace(**changed)  # fmt: skip

    def data(self, count: int = 3, **changed: Any) -> bytes:
        """The next link, sealed."""
        block = self.block(count, **changed)
        value = seal_block(block, self.keys)
        self.seq, self.n, self.prev = self.seq + 1, self.n + count, value[-16:]
        return value
