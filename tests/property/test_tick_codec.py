"""The columnar codec of TickBlocks, held equal to fastavro both ways; it takes nothing but the canonical encoding."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec
from schemas.catalogue import MAX_BLOCK_TICKS
from schemas.registry import UnreadableRecord
from schemas.ticks import Columns, TickBlock, decode_block, decode_into, encode_block
from tests.kernels import bounds_checked, plain
from tests.records import as_avro, blocks, read_with_fastavro, same, ticks, with_fastavro


@settings(deadline=None, max_examples=150)
@given(blocks())
def test_a_block_is_encoded_as_fastavro_does_and_read_back(block: TickBlock) -> None:
    value = encode_block(block)
    assert value == with_fastavro(block)
    assert same(decode_block(value), block)


@settings(deadline=None, max_examples=100)
@given(blocks())
def test_fastavro_reads_what_the_codec_writes(block: TickBlock) -> None:
    wanted = as_avro(block)
    found = read_with_fastavro(encode_block(block))
    assert list(found) == list(wanted)
    assert repr(found) == repr(wanted)


@settings(deadline=None, max_examples=40)
@given(blocks(most=6))
def test_the_kernels_as_plain_python_say_the_same(block: TickBlock) -> None:
    value = encode_block(block)
    with plain(codec):
        assert encode_block(block) == value
        assert same(decode_block(value), block)
        for wrong in (value[:-1], value[: len(value) // 2], value + b"\0"):
            with pytest.raises(UnreadableRecord):
                decode_block(wrong)


@settings(deadline=None, max_examples=60)
@given(st.lists(blocks(most=8), max_size=5), st.integers(0, 3))
def test_blocks_are_decoded_one_behind_the_other(some: list[TickBlock], first: int) -> None:
    room = Columns(first + sum(block.size for block in some))
    at, found = first, []
    for block in some:
        found.append(decode_into(encode_block(block), room, at))
        at += block.size
    for block, one in zip(some, found, strict=True):
        assert same(one, block)
        assert not one.size or one.time_ms.base is room.time_ms


@settings(deadline=None, max_examples=40)
@given(blocks(most=4))
def test_cut_at_any_byte_or_made_longer_it_is_no_block(block: TickBlock) -> None:
    value = encode_block(block)
    for end in range(len(value)):
        with pytest.raises(UnreadableRecord):
            decode_block(value[:end])
    for more in (b"\0", value, value[-16:]):
        with pytest.raises(UnreadableRecord):
            decode_block(value + more)


def reads_only_what_it_would_write(value: bytes) -> None:
    room = Columns(2 * MAX_BLOCK_TICKS)
    room.time_ms[:], room.prices[:], room.marks[:] = 7, 7.0, 7
    try:
        block = decode_into(value, room, MAX_BLOCK_TICKS)
    except UnreadableRecord:
        with pytest.raises(UnreadableRecord):
            decode_block(value)
    else:
        assert encode_block(block) == value
        assert same(decode_block(value), block)
    for column in (room.time_ms, *room.prices, *room.marks):
        assert (column[:MAX_BLOCK_TICKS] == 7).all(), "it wrote before its place"


@settings(deadline=None, max_examples=300)
@given(blocks(most=3), st.data())
def test_any_changed_byte_gives_another_block_or_none(block: TickBlock, data: st.DataObject) -> None:
    value = bytearray(encode_block(block))
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    reads_only_what_it_would_write(bytes(value))


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=120))
def test_any_bytes_are_read_as_what_they_encode_or_refused(body: bytes) -> None:
    reads_only_what_it_would_write(b"\0\0\0\0\x01" + body)


@settings(deadline=None, max_examples=200)
@given(blocks(most=3), st.data())
def test_nothing_is_read_or_written_out_of_bounds(block: TickBlock, data: st.DataObject) -> None:
    """Compiled code would do so in silence: with bounds checks it raises IndexError."""
    value = bytearray(encode_block(block))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(value) - 1))
        value[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.one_of(st.binary(max_size=3), st.just(b"\xfe" + b"\xff" * 8 + b"\x01"), st.just(b"\xff" * 9 + b"\x01"))
        )
    with bounds_checked(codec):
        assert encode_block(block) == with_fastavro(block)
        for first in (0, 5):
            try:
                decode_into(bytes(value), Columns(first + 8), first)
            except ValueError:
                # No block, or (by a count that was changed) more ticks than there is room for.
                continue


def test_a_block_of_the_greatest_size_fits_and_a_longer_one_is_refused() -> None:
    most = ticks(MAX_BLOCK_TICKS, deals=True)
    assert same(decode_block(encode_block(most)), most)
    longer = ticks(MAX_BLOCK_TICKS + 1)
    with pytest.raises(ValueError, match="a block of 4097 ticks is longer than 4096: cut it"):
        encode_block(longer)
    with pytest.raises(UnreadableRecord, match="more ticks than a block may have"):
        decode_block(with_fastavro(longer))
    with pytest.raises(UnreadableRecord, match="more ticks than a block may have"):
        decode_into(with_fastavro(longer), Columns(10_000), 0)
