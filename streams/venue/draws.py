"""What a model assumes of single orders: slippage, refusals, deals; chance without a random source.

A drawn number comes from the seed, the order's number and what is drawn.
"""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum
from typing import Final

from agents.money import exact
from schemas.events import ListingSpec, Side
from schemas.trading import OrderType
from streams.venue.book import Order
from streams.venue.checks import floor_lots
from streams.venue.model import VenueModel
from streams.venue.retcodes import Refusal, Retcode

_MASK: Final = 2**64 - 1
_TENTH: Final = Decimal("0.1")


class Draw(IntEnum):
    """What is drawn. The numbers never change: a drawn number depends on them."""

    LATENCY = 1
    REJECT = 2
    REQUOTE = 3
    PARTIAL = 4
    SLIPPAGE = 5
    STOP_SLIPPAGE = 6


def slipped(
    model: VenueModel, spec: ListingSpec, side: Side, price: float, order_no: int, what: Draw, count: int = 0
) -> float:
    """A price with the slippage against who buys (LONG) or sells; `count`: deals of the order before."""
    points = exact(model.slippage_points)
    if model.slippage_jitter_points:
        jitter = model.slippage_jitter_points * draw(model.seed, order_no, what, count)
        points += exact(jitter).quantize(_TENTH)
    if not points:
        return price
    move = points.scaleb(-spec.digits)
    return float(exact(price) + (move if side is Side.LONG else -move))


def refuse_by_chance(model: VenueModel, order_no: int) -> None:
    """Raises Refusal for the shares of market orders that are rejected and requoted."""
    for share, what, retcode, words in (
        (model.reject_share, Draw.REJECT, Retcode.REJECT, "rejected"),
        (model.requote_share, Draw.REQUOTE, Retcode.REQUOTE, "requoted"),
    ):
        if share and draw(model.seed, order_no, what) < share:
            raise Refusal(retcode, f"{words} by the model's share of {share:g}")


def deal_size(model: VenueModel, spec: ListingSpec, order: Order) -> Decimal:
    """Lots of the order's next deal: what is left of it, its first half, or the largest deal."""
    volume = order.volume
    if order.type is OrderType.MARKET and not order.deals and model.partial_share:
        half = floor_lots(spec, volume / 2)
        drawn = draw(model.seed, order.order_no, Draw.PARTIAL) < model.partial_share
        if drawn and half and half >= exact(spec.volume_min):
            volume = half
    if model.max_deal_lots:
        most = floor_lots(spec, exact(model.max_deal_lots))
        volume = min(volume, most or exact(spec.volume_step))
    return volume


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
