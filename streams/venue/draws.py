"""Chance without a random source: a number from the seed, the order's number and what is drawn."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

_MASK: Final = 2**64 - 1


class Draw(IntEnum):
    """What is drawn. The numbers never change: a drawn number depends on them."""

    LATENCY = 1
    REJECT = 2
    REQUOTE = 3
    PARTIAL = 4
    SLIPPAGE = 5
    STOP_SLIPPAGE = 6


def draw(seed: int, order_no: int, what: Draw, count: int = 0) -> float:
    """In [0, 1), evenly spread; equal arguments give the same number on every machine.

    The words are folded one after the other through the finalizer of splitmix64 (Steele, Lea and Flood, 2014).
    """
    word = 0
    for value in (seed, order_no, int(what), count):
        word = _mixed((word ^ value) & _MASK)
    return (word >> 11) / 2**53


def _mixed(word: int) -> int:
    word = (word + 0x9E3779B97F4A7C15) & _MASK
    word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ word >> 27) * 0x94D049BB133111EB) & _MASK
    return word ^ word >> 31
