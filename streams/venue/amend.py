"""Changing a pending order: its price, its levels and its time."""

from __future__ import annotations

from agents.money import Quote
from schemas.executions import OrderRequest
from streams.venue import checks
from streams.venue.book import Changed, Order, Refused
from streams.venue.engine import Engine
from streams.venue.retcodes import Refusal, Retcode


def amend(
    engine: Engine,
    at_us: int,
    order: Order,
    price: float,
    sl: float | None,
    tp: float | None,
    expires_ms: int,
    quote: Quote,
) -> Changed | Refused:
    """All of an open order anew: price, levels (None = none) and when it expires (0 = never); `quote` prevails then."""
    engine.quote(order.listing, quote)
    spec = engine.ledger.specs[order.listing]
    sl, tp = checks.on_grid(spec, sl), checks.on_grid(spec, tp)
    # What is being filled already keeps its price.
    price = order.price if order.working else checks.on_grid(spec, price) or 0.0
    try:
        if (price, sl, tp, expires_ms) == (order.price, order.sl, order.tp, order.expires_ms):
            raise Refusal(Retcode.NO_CHANGES, "price, stop, target and time are these already")
        checks.check_frozen(spec, order, quote)
        if price != order.price:
            checks.check_pending_price(spec, order.type, order.side, price, quote)
        checks.check_levels(spec, order.side, sl, tp, price)
        if expires_ms != order.expires_ms:
            checks.check_expiry(expires_ms, at_us)
    except Refusal as refusal:
        return Refused(order.order_no, OrderRequest.MODIFY, refusal.retcode, refusal.why)
    if price != order.price:
        order.price, order.after_us = price, at_us
    order.sl, order.tp, order.expires_ms = sl, tp, expires_ms
    engine.changed()
    return Changed(order.order_no, order.ticket, 0, sl, tp)
