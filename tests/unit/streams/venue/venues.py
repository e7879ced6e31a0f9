"""Venues, orders and ticks for tests: EURUSD in dollars, five digits, no costs, unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from agents.money import Quote
from schemas.configuration import AccountConfig, MarginMode, PositionMode, SessionTable, SwapMode
from schemas.events import ListingSpec, Side
from schemas.executions import Execution
from schemas.quality import Quality
from schemas.trading import CancelRequested, ExitReason, ModifyRequested, OrderPurpose, OrderType, Submitted
from streams.venue.lab import Venue
from streams.venue.model import VenueModel
from streams.venue.watch import Market

EURUSD = "t/EURUSD"
BUY, SELL = Side.LONG, Side.SHORT
MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
PATH, BAR_OPEN = int(Quality.SYNTHETIC), int(Quality.SYNTHETIC | Quality.SYNTHETIC_OPEN)
START_MS = 1_700_000_000_000  # Tuesday, 2023-11-14 22:13:20 UTC
_CHAIN: dict[str, Any] = {
    "epoch": 1, "nonce": bytes(8), "seq": 1, "ref_no": 1, "effective_from_us": 0, "written_us": 0, "key_id": "",
    "prev": bytes(16), "mac": bytes(16),
}  # fmt: skip


def spec(listing: str = EURUSD, **changed: Any) -> ListingSpec:
    values: dict[str, Any] = {
        "listing": listing, "digits": 5, "digits_inferred": False, "contract_size": 100_000.0, "volume_min": 0.01,
        "volume_max": 100.0, "volume_step": 0.01, "stops_level": 0, "freeze_level": 0, "commission_per_lot_side": 0.0,
        "currency_base": listing[-6:-3], "currency_profit": listing[-3:], "server_clock": "utc", "description": "",
        "margin_mode": MarginMode.FOREX, "swap_mode": SwapMode.POINTS,
    }  # fmt: skip
    return ListingSpec(**{**_CHAIN, **values, **changed})


def account(**changed: Any) -> AccountConfig:
    values: dict[str, Any] = {
        "account": "a", "feed": "t", "currency": "USD", "currency_digits": 2, "balance": Decimal("10000.00"),
        "leverage": 100.0, "position_mode": PositionMode.HEDGING, "margin_call_level": 100.0, "stop_out_level": 50.0,
        "rate_currencies": (), "rates": (), "conversion_listings": (EURUSD,), "order_base": 0, "partition": 0,
        "day_clock": "utc", "active": True,
    }  # fmt: skip
    return AccountConfig(**{**_CHAIN, **values, **changed})


def sessions(*minutes: tuple[int, int]) -> dict[str, SessionTable]:
    """EURUSD's trading hours, minutes since Sunday 00:00 by the server's clock."""
    table = SessionTable(
        **_CHAIN, listing=EURUSD, from_minutes=tuple(m[0] for m in minutes), to_minutes=tuple(m[1] for m in minutes)
    )
    return {EURUSD: table}


def venue(
    model: VenueModel | None = None,
    of: Sequence[ListingSpec] = (),
    hours: dict[str, SessionTable] | None = None,
    **changed: Any,
) -> Venue:
    """A venue of the listings `of` (EURUSD if none); what has changed of the account."""
    return Venue({s.listing: s for s in of or [spec()]}, account(**changed), model or VenueModel(), hours)


def order(
    order_no: int, side: Side, volume: float, type: OrderType = MARKET, price: float | None = None, **changed: Any
) -> Submitted:
    values: dict[str, Any] = {
        "operator": "desk@1", "account": "a", "out_seq": 0, "ref_no": 1, "taken_us": 0, "order_no": order_no,
        "instance": "i", "listing": EURUSD, "signal_operator": "", "signal_listing": "", "signal_seq": -1,
        "purpose": OrderPurpose.ENTRY, "type": type, "side": side, "volume": volume, "price": price, "position": 0,
        "valid_until_us": 0, "expires_ms": 0, "reason": ExitReason.NONE, "retry": 0, "decision_n": 0,
        "decision_bid": 0.0, "decision_ask": 0.0, "key_id": "", "mac": bytes(16),
    }  # fmt: skip
    return Submitted(**{**values, **changed})


def move(
    order_no: int, sl: float | None = None, tp: float | None = None, position: int = 0, listing: str = EURUSD
) -> ModifyRequested:
    return ModifyRequested(
        operator="desk@1", account="a", out_seq=0, ref_no=1, taken_us=0, order_no=order_no, instance="i",
        listing=listing, position=position, sl=sl, tp=tp, reason=ExitReason.NONE, key_id="", mac=bytes(16),
    )  # fmt: skip


def take_back(order_no: int) -> CancelRequested:
    return CancelRequested(
        operator="desk@1", account="a", out_seq=0, ref_no=1, taken_us=0, order_no=order_no, instance="i",
        listing=EURUSD, reason=ExitReason.NONE, key_id="", mac=bytes(16),
    )  # fmt: skip


def ticks(*rows: tuple[float, ...], first_n: int = 1, start_ms: int = START_MS, offset_s: int = 0) -> Market:
    """Bid, ask, quality (0 if not given), one a second after `start_ms`; or also the milliseconds after it."""
    padded = [(*row, 0) if len(row) == 2 else row for row in rows]
    times = [int(row[3]) if len(row) > 3 else 1000 * (i + 1) for i, row in enumerate(padded)]
    return Market(
        first_n, offset_s, np.array(times, np.int64) + start_ms, np.array([row[0] for row in padded], np.float64),
        np.array([row[1] for row in padded], np.float64), np.array([row[2] for row in padded], np.int32),
    )  # fmt: skip


def quote(bid: float, ask: float, n: int = 0, time_ms: int = START_MS) -> Quote:
    return Quote(bid, ask, n, time_ms)


def run(at: Venue, market: Market, listing: str = EURUSD) -> list[Execution]:
    """All that the ticks do, as a driver has them looked at."""
    said: list[Execution] = []
    index, end = 0, len(market.time_ms)
    while at.open and (index := at.find(listing, market, index, end)) < end:
        said += at.apply(listing, market, index)
        index += 1
    return said


START_US = START_MS * 1000
HERE = quote(1.10000, 1.10010)
