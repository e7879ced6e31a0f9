"""What the decoder of TickBlocks refuses although Avro would take it, and what the encoder doesn't write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from schemas import codec
from schemas.registry import UnreadableRecord
from schemas.ticks import BlockKind, Columns, TickBlock, TickSource, decode_block, decode_into, encode_block
from tests.kernels import plain
from tests.records import COLUMNS, read_with_fastavro, same, ticks


@pytest.fixture(params=["compiled", "plain Python"], autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    with plain(codec) if request.param == "plain Python" else nullcontext():
        yield


def number(value: int, extra: int = 0) -> bytes:
    """A zigzag varint, with `extra` bytes more than it needs."""
    rest = (value << 1 ^ value >> 63) & 2**64 - 1
    out = bytearray()
    while rest > 0x7F or extra > 0:
        extra -= rest <= 0x7F
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


BLOCK = ticks(2, deals=True)._replace(
    listing="a/B", epoch=3, nonce=b"nonce..8", seq=4, first_n=5, ref_no=6, received_us=7, server_offset_s=8,
    watermark_ms=9, prev=b"p" * 16, mac=b"m" * 16,
)  # fmt: skip


def parts(block: TickBlock = BLOCK) -> dict[str, bytes]:
    """The encoding, field by field."""

    def run(values: np.ndarray, encoded: bytes) -> bytes:
        return number(len(values)) + encoded + b"\0" if len(values) else b"\0"

    return {
        "prefix": b"\0\0\0\0\x01",
        "kind": number(block.kind),
        "listing": number(len(block.listing.encode())) + block.listing.encode(),
        "epoch": number(block.epoch),
        "nonce": block.nonce,
        "seq": number(block.seq),
        "first_n": number(block.first_n),
        "ref_no": number(block.ref_no),
        "source": number(block.source),
        "received_us": number(block.received_us),
        "server_offset_s": number(block.server_offset_s),
        "gap": bytes([block.gap]),
        "watermark_ms": number(block.watermark_ms),
        "time_ms": run(block.time_ms, b"".join(map(number, block.time_ms.tolist()))),
        **{
            name: run(getattr(block, name), getattr(block, name).tobytes()) for name in ("bid", "ask", "last", "volume")
        },
        **{
            name: run(getattr(block, name), b"".join(map(number, getattr(block, name).tolist())))
            for name in ("flags", "quality")
        },
        "key_id": number(len(block.key_id)) + block.key_id.encode(),
        "prev": block.prev,
        "mac": block.mac,
    }


def value_with(**changed: bytes) -> bytes:
    return b"".join((parts() | changed).values())


def test_the_parts_are_the_encoding() -> None:
    assert value_with() == encode_block(BLOCK)


NUMBERS = ("kind", "epoch", "seq", "first_n", "ref_no", "source", "received_us", "server_offset_s", "watermark_ms")


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize("extra", [1, 2, 8])
def test_a_number_that_is_longer_than_it_need_be_is_refused(field: str, extra: int) -> None:
    value = value_with(**{field: number(getattr(BLOCK, field), extra)})
    assert read_with_fastavro(value)["mac"] == BLOCK.mac, "Avro takes it"
    with pytest.raises(UnreadableRecord, match="a number is not in its shortest form"):
        decode_block(value)


@pytest.mark.parametrize("field", ["epoch", "time_ms", "flags"])
def test_a_number_of_more_than_64_bits_is_refused(field: str) -> None:
    too_long = {"epoch": b"\xff" * 9 + b"\x02", "time_ms": number(2) + b"\xff" * 11, "flags": number(2) + b"\xff" * 11}
    with pytest.raises(UnreadableRecord, match="a number is not in its shortest form"):
        decode_block(value_with(**{field: too_long[field]}))


@pytest.mark.parametrize("value", [-(2**63), 2**63 - 1, -1, 0, 63, 64, -64, -65, 2**31, 2**35, -(2**41)])
def test_numbers_of_any_length_are_read(value: int) -> None:
    times = np.array([value, 1_399_334_400_000], np.int64)
    block = BLOCK._replace(epoch=value, watermark_ms=value, time_ms=times)
    assert b"".join(parts(block).values()) == encode_block(block)
    assert same(decode_block(encode_block(block)), block)


@pytest.mark.parametrize("field", ["time_ms", "bid", "ask", "last", "volume", "flags", "quality"])
class TestAnArray:
    def whole(self, field: str) -> bytes:
        return parts()[field][1:-1]

    def halves(self, field: str) -> tuple[bytes, bytes]:
        first = parts(ticks(1, deals=True))[field][1:-1]
        return first, self.whole(field)[len(first) :]

    def test_in_two_runs_is_refused(self, field: str) -> None:
        first, second = self.halves(field)
        value = value_with(**{field: number(1) + first + number(1) + second + b"\0"})
        assert read_with_fastavro(value)[field] == getattr(BLOCK, field).tolist(), "Avro takes it"
        with pytest.raises(UnreadableRecord, match=r"an array is not one run and an end|its columns differ in length"):
            decode_block(value)

    def test_with_a_negative_count_and_its_size_is_refused(self, field: str) -> None:
        whole = self.whole(field)
        value = value_with(**{field: number(-2) + number(len(whole)) + whole + b"\0"})
        assert read_with_fastavro(value)[field] == getattr(BLOCK, field).tolist(), "Avro takes it"
        with pytest.raises(UnreadableRecord, match="an array is not one run and an end"):
            decode_block(value)

    def test_without_its_end_is_refused(self, field: str) -> None:
        with pytest.raises(UnreadableRecord):
            decode_block(value_with(**{field: parts()[field][:-1]}))
        with pytest.raises(UnreadableRecord, match="an array is not one run and an end"):
            decode_block(value_with(**{field: parts()[field][:-1] + b"\x02"}))

    def test_of_another_length_is_refused(self, field: str) -> None:
        first, _ = self.halves(field)
        for other in (number(1) + first + b"\0", b"\0", number(3) + self.whole(field) + first + b"\0"):
            with pytest.raises(UnreadableRecord, match=r"its columns differ in length|it ends too early|not one run"):
                decode_block(value_with(**{field: other}))

    @pytest.mark.parametrize("count", [2**63 - 1, 2**61, 2**32, 4097, -1, -(2**63)])
    @pytest.mark.parametrize("first", [0, 50])
    def test_that_claims_any_size_writes_nothing_outside_of_its_room(self, field: str, count: int, first: int) -> None:
        """The sum of `first` and the greatest count is negative."""
        value = value_with(**{field: number(count) + b"\x02" * 50_000})
        with pytest.raises(UnreadableRecord):
            decode_into(value, Columns(100), first)


def test_deals_are_in_both_columns_or_in_none() -> None:
    without = BLOCK._replace(last=np.empty(0), volume=np.empty(0))
    assert same(decode_block(encode_block(without)), without)
    for field in ("last", "volume"):
        with pytest.raises(UnreadableRecord, match="its columns differ in length"):
            decode_block(value_with(**{field: b"\0"}))


@pytest.mark.parametrize("gap", [2, 3, 0x80, 0xFF])
def test_a_boolean_that_is_neither_0_nor_1_is_refused(gap: int) -> None:
    with pytest.raises(UnreadableRecord, match="a boolean is neither 0 nor 1"):
        decode_block(value_with(gap=bytes([gap])))


@pytest.mark.parametrize("field", ["kind", "source"])
@pytest.mark.parametrize("symbol", [-1, 5, 6, 2**40, -(2**63)])
def test_an_unknown_symbol_of_an_enum_is_refused(field: str, symbol: int) -> None:
    with pytest.raises(UnreadableRecord, match="an enum has an unknown symbol"):
        decode_block(value_with(**{field: number(symbol)}))


@pytest.mark.parametrize("wrong", [2**31, -(2**31) - 1, 2**62])
def test_a_32_bit_number_that_is_longer_is_refused(wrong: int) -> None:
    for changed in (
        {"server_offset_s": number(wrong)},
        {"flags": number(2) + number(6) + number(wrong) + b"\0"},
        {"quality": number(2) + number(wrong) + number(0) + b"\0"},
    ):
        with pytest.raises(UnreadableRecord, match="a number is out of its field's range"):
            decode_block(value_with(**changed))


@pytest.mark.parametrize("field", ["listing", "key_id"])
def test_a_text_that_is_not_utf8_or_runs_over_the_end_is_refused(field: str) -> None:
    with pytest.raises(UnreadableRecord, match="a text is not UTF-8"):
        decode_block(value_with(**{field: number(2) + b"\xc3\x28"}))
    for size in (-1, 10_000, 2**63 - 1, -(2**63)):
        with pytest.raises(UnreadableRecord):
            decode_block(value_with(**{field: number(size) + b"a/B"}))


def test_what_follows_the_end_is_refused() -> None:
    with pytest.raises(UnreadableRecord, match="bytes follow its end"):
        decode_block(value_with() + b"\0")


def test_another_schema_is_refused_by_its_id() -> None:
    with pytest.raises(UnreadableRecord, match="its schema id 10 is not a TickBlock's"):
        decode_block(value_with(prefix=b"\0\0\0\0\x0a"))
    with pytest.raises(UnreadableRecord, match="3 bytes are too few for a record"):
        decode_block(b"\0\0\0")


def test_too_little_room_is_the_readers_fault_and_not_the_blocks() -> None:
    """Called unreadable, a true block would be taken for a forged one."""
    with pytest.raises(ValueError, match="1 ticks from 9 on are too little room for a block") as error:
        decode_into(encode_block(BLOCK), Columns(10), 9)
    assert not isinstance(error.value, UnreadableRecord)


def test_any_script_is_read_back() -> None:
    block = BLOCK._replace(listing="börse-münchen/日経 225#€", key_id="ключ")
    assert same(decode_block(encode_block(block)), block)


def test_open_and_unknown_are_blocks_too() -> None:
    for kind, source in ((BlockKind.OPEN, TickSource.LIVE), (BlockKind.UNKNOWN, TickSource.UNKNOWN)):
        block = ticks(0)._replace(kind=kind, source=source)
        assert same(decode_block(encode_block(block)), block)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"nonce": b"short"}, "nonce has 5 bytes, not 8"),
        ({"prev": b""}, "prev has 0 bytes, not 16"),
        ({"mac": bytes(17)}, "mac has 17 bytes, not 16"),
        ({"kind": 3}, "kind 3 or source 4 is unknown"),
        ({"source": -1}, "kind 2 or source -1 is unknown"),
        ({"server_offset_s": 2**31}, "server_offset_s 2147483648 has more than 32 bits"),
        ({"flags": np.array([6, 6])}, "a column has values of type int64, not int32"),
        ({"time_ms": np.array([1.5, 2.5])}, "a column has values of type float64, not int64"),
        ({"bid": np.ones(3)}, "the columns of a block of 2 ticks differ in length"),
        ({"last": np.empty(0)}, "the columns of a block of 2 ticks differ in length"),
        ({"quality": np.zeros(1, np.int32)}, "the columns of a block of 2 ticks differ in length"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        encode_block(BLOCK._replace(**changed))


def test_columns_that_are_views_are_written_as_their_values() -> None:
    long = ticks(4, deals=True)
    strided = BLOCK._replace(**{name: getattr(long, name)[::2] for name in COLUMNS})
    copied = BLOCK._replace(**{name: getattr(long, name)[::2].copy() for name in COLUMNS})
    assert encode_block(strided) == encode_block(copied)
