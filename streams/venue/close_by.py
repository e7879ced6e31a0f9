"""Closing a position by an opposite one of the same listing, on a hedging account."""

from __future__ import annotations

from agents.money import ZERO, Quote
from schemas.executions import DealEntry, DealReason
from streams.venue import checks
from streams.venue.book import Deal, Position, opposite
from streams.venue.engine import Engine
from streams.venue.retcodes import Refusal, Retcode


def check_close_by(engine: Engine, number: int, by: int, quote: Quote) -> tuple[Position, Position]:
    """Both positions. Raises Refusal unless one can close the other."""
    held = engine.ledger.positions
    for ticket in (number, by):
        if ticket not in held:
            raise Refusal(Retcode.POSITION_CLOSED, f"position {ticket} is not open")
        if any(order.position == ticket for order in engine.orders.values()):
            raise Refusal(Retcode.CLOSE_ORDER_EXIST, f"position {ticket} is being closed already")
    closed, other = held[number], held[by]
    if closed.listing != other.listing or closed.side is other.side:
        raise Refusal(Retcode.INVALID, f"position {by} is not the opposite of {number}")
    for position in (closed, other):
        checks.check_frozen(engine.ledger.specs[closed.listing], position, quote)
    return closed, other


def close_by(engine: Engine, order_no: int, number: int, by: int, quote: Quote) -> list[Deal]:
    """Two deals, without commission, at the price at which `by` was opened, of the smaller volume of both.

    All profit is the first deal's, and all swap is booked with its own. Raises Refusal.
    """
    closed, other = check_close_by(engine, number, by, quote)
    ledger, volume, price = engine.ledger, min(closed.volume, other.volume), other.price
    engine.tickets += 1
    deals = []
    for position in (closed, other):
        profit, swap = ledger.reduce(position, volume, price)
        ledger.balance += profit + swap
        engine.deals += 1
        deal = Deal(
            order_no, engine.tickets, engine.deals, position.number, position.listing, opposite(position.side),
            DealEntry.OUT_BY, DealReason.EXPERT, float(volume), 0.0, price, quote.n, quote.bid, quote.ask,
            ledger.booked(ZERO), swap, profit,
        )  # fmt: skip
        deals.append(deal)
    if not ledger.positions:
        engine.called = False
    engine.changed()
    return deals
