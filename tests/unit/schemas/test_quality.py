"""The bits of quality and their names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.quality import BROKEN, SUSPECT, Quality, names

BITS = {
    "not_finite": 1,
    "non_positive": 2,
    "crossed": 4,
    "backwards": 8,
    "repeated": 16,
    "behind_watermark": 32,
    "future": 64,
    "stale": 256,
    "spike": 512,
    "spread_spike": 1024,
    "outside_session": 2048,
    "synthetic": 65536,
    "synthetic_open": 131072,
}
"""On every log there is: add to it, change nothing."""


def test_bits_never_change() -> None:
    assert {q.name.lower(): q.value for q in Quality} == BITS  # type: ignore[union-attr]
    assert (BROKEN, SUSPECT) == (0xFF, 0xFF00)


def test_a_good_tick_has_no_reason() -> None:
    assert names(0) == []


@pytest.mark.parametrize(("name", "bit"), BITS.items())
def test_each_bit_has_its_name(name: str, bit: int) -> None:
    assert names(bit) == [name]


def test_reasons_come_lowest_bit_first_and_unknown_bits_are_numbered() -> None:
    assert names(512 | 1 | 128 | 4) == ["not_finite", "crossed", "bit_7", "spike"]


@given(st.integers(-(2**31), 2**31 - 1))
def test_any_32_bits_have_names_also_with_the_sign_set(quality: int) -> None:
    assert len(names(quality)) == (quality & 0xFFFFFFFF).bit_count()


def test_synthetic_is_neither_broken_nor_suspect() -> None:
    synthetic = Quality.SYNTHETIC | Quality.SYNTHETIC_OPEN
    assert not synthetic & (BROKEN | SUSPECT)
    assert all(bool(q & BROKEN) + bool(q & SUSPECT) + bool(q & synthetic) == 1 for q in Quality)
