"""What the checks look at: the entry that is to be made, and the account as it is then."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from schemas.events import Side


class Candidate(NamedTuple):
    """An entry that has been sized. Money is in the account's currency; NaN = not known, or there is none."""

    side: Side
    """LONG or SHORT."""
    lots: float
    """Asked: the size by sizing."""
    price: float
    """At which it is expected to fill: the ask of a long, the bid of a short, a pending order's own price."""
    taken_us: int
    """The journal's time, UTC microseconds: now."""
    bid: float
    """Newest quote of the listing."""
    ask: float
    quote_ms: int
    """Its time, UTC milliseconds; 0 = there is none."""
    suspect: bool
    """The quality bits of that quote have one of schemas.quality.SUSPECT."""
    signal_price: float
    """Price that the signal was decided on, of the same side as `price`; NaN = none told."""
    margin_per_lot: float
    """What one more lot binds."""
    notional_per_lot: float
    """Value of one lot: lots x contract x price, converted."""
    base_per_lot: float
    """Value of one lot's base currency: of a currency pair the same as the notional but for rounding of rates."""
    stop_distance: float = math.nan
    """From `price` to the stop, in price; NaN or 0 = no stop."""
    target_distance: float = math.nan
    """From `price` to the target, in price; NaN or 0 = no target."""
    pending: bool = False
    """A limit or stop order, at `price`."""
    server_offset_s: int = 0
    """The server's clock less UTC, seconds: the sessions are by it."""


class AccountView(NamedTuple):
    """The account before the entry. Money is in the account's currency."""

    balance: float
    equity: float
    margin: float
    """Used now."""
    symbol_lots: float = 0.0
    """Lots of this listing, held and at the broker as entries not yet filled, both sides counted."""
    gross_notional: float = 0.0
    """Sum of all notionals, held and as entries not yet filled."""
    exposures: Mapping[str, float] = {}
    """Net exposure by currency, signed: a long of 1 lot EURUSD is +100,000 EUR and, at 1.1, -110,000 USD, both given
    in the account's currency."""
    positions: int = 0
    """Open positions, and entries not yet filled."""
    orders_last_minute: int = 0
    """New orders within the last 60 s."""
    requests_today: int = 0
    """Requests to the broker (orders, modifications, cancels) since the trading day began."""
    day_basis: float = math.nan
    """What a day's loss is counted from: `DayStart.basis`."""
    peak_equity: float = math.nan
    """Highest equity so far."""
    losses_in_row: int = 0
    """Of the instance, up to now."""
    paused_until_us: int = 0
    """The instance's cool-down ends then, UTC microseconds; 0 = none."""
