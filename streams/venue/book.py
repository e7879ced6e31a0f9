"""What the engine keeps and says: orders, positions, and what became of them, in MT5's terms."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from agents.money import Quote
from schemas.events import Side
from schemas.executions import DealEntry, DealReason, OrderRequest
from schemas.trading import OrderType


@dataclass(slots=True, kw_only=True)
class Order:
    """An order at the venue: a pending one that waits for its price, or a working one that is being filled."""

    ticket: int
    order_no: int
    listing: str
    type: OrderType
    side: Side
    """LONG: buy, SHORT: sell."""
    volume: Decimal
    """Lots not filled yet."""
    price: float = 0.0
    sl: float | None = None
    tp: float | None = None
    position: int = 0
    """What it closes, or what its first deal has opened; 0 = none yet."""
    expires_ms: int = 0
    after_us: int = 0
    """Ticks up to this time are not for it."""
    deals: int = 0
    working: bool = False
    """Its first deal is made; the rest fills on the ticks that follow."""


@dataclass(slots=True, kw_only=True)
class Position:
    """An open position. Its number is the ticket of the order that opened it."""

    number: int
    order_no: int
    listing: str
    side: Side
    volume: Decimal
    price: float
    sl: float | None
    tp: float | None
    after_us: int
    """Ticks up to this time don't trigger its levels."""
    day: int
    """The server's day up to which swap is accrued."""
    margin: Decimal
    """What it binds, fixed when it was opened; account's currency."""
    swap: Decimal
    """Accrued and not yet booked."""


class Filling(Enum):
    """What becomes of a market order that its first deal doesn't fill."""

    RETURN = "the rest works on"
    IOC = "the rest is canceled"
    FOK = "there is no deal"


class Request(NamedTuple):
    """A new order, as MT5's order_send takes one: a deal (MARKET) or a pending order. `position`: what it closes."""

    order_no: int
    listing: str
    type: OrderType
    side: Side
    volume: float
    price: float | None = None
    sl: float | None = None
    tp: float | None = None
    position: int = 0
    expires_ms: int = 0
    filling: Filling = Filling.RETURN


class Placed(NamedTuple):
    """A pending order rests at the venue."""

    order_no: int
    ticket: int
    sl: float | None
    tp: float | None


class Changed(NamedTuple):
    """Stop and target that hold from now on; position 0: those of a pending order."""

    order_no: int
    ticket: int
    position: int
    sl: float | None
    tp: float | None


class Refused(NamedTuple):
    """A request was not taken."""

    order_no: int
    request: OrderRequest
    retcode: int
    why: str


class Deal(NamedTuple):
    """Lots changed hands. `n`, `bid`, `ask`: the tick; money in the account's currency, booked."""

    order_no: int
    ticket: int
    deal: int
    position: int
    listing: str
    side: Side
    entry: DealEntry
    reason: DealReason
    volume: float
    remaining: float
    price: float
    n: int
    bid: float
    ask: float
    commission: Decimal
    swap: Decimal
    profit: Decimal


class Removed(NamedTuple):
    """An order is gone before it was filled to its end."""

    order_no: int
    ticket: int
    remaining: float
    why: str


class Lapsed(NamedTuple):
    """A pending order's time ran out."""

    order_no: int
    ticket: int
    remaining: float
    expires_ms: int


Event = Placed | Changed | Refused | Deal | Removed | Lapsed


class MarginCall(NamedTuple):
    """The margin level fell below the account's margin call level; noted once until the account is flat."""

    at_us: int
    equity: Decimal
    margin: Decimal


def opposite(side: Side) -> Side:
    """The other side."""
    return Side.SHORT if side is Side.LONG else Side.LONG


def closing_price(side: Side, quote: Quote) -> float:
    """Where a position closes: a long at the bid, a short at the ask."""
    return quote.bid if side is Side.LONG else quote.ask
