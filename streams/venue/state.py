"""The engine's state as bytes, and back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from decimal import Decimal
from typing import Any, Final

from agents.money import Quote
from schemas.events import Side
from schemas.trading import OrderType
from streams.operators.base import BadState as BadState
from streams.venue.book import MarginCall, Order, Position
from streams.venue.engine import Engine

_VERSION: Final = 1


def dump(engine: Engine, seq: int) -> bytes:
    """Version first, keys sorted: equal states give equal bytes."""
    ledger = engine.ledger
    fields = {
        "seq": seq,
        "tickets": engine.tickets,
        "deals": engine.deals,
        "called": engine.called,
        "margin_calls": [[call.at_us, str(call.equity), str(call.margin)] for call in engine.margin_calls],
        "balance": str(ledger.balance),
        "orders": [_fields(order) for order in engine.orders.values()],
        "positions": [_fields(position) for position in ledger.positions.values()],
        "quotes": {listing: list(quote) for listing, quote in ledger.quotes.items()},
    }
    return bytes([_VERSION]) + json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def load(engine: Engine, data: bytes) -> int:
    """Puts the state into the engine; returns the number of the last record. Raises BadState."""
    if data[:1] != bytes([_VERSION]):
        raise BadState(f"the state of a venue begins with {_VERSION}, this one with {data[:1].hex() or 'nothing'}")
    try:
        found = json.loads(data[1:])
        orders = [_thing(Order, each) for each in found["orders"]]
        positions = [_thing(Position, each) for each in found["positions"]]
        quotes = {listing: Quote(*values) for listing, values in found["quotes"].items()}
        calls = [MarginCall(at, Decimal(equity), Decimal(margin)) for at, equity, margin in found["margin_calls"]]
        balance, seq = Decimal(found["balance"]), int(found["seq"])
        tickets, deals, called = int(found["tickets"]), int(found["deals"]), bool(found["called"])
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise BadState(f"the state of a venue can't be read: {error}") from error
    engine.tickets, engine.deals, engine.called, engine.margin_calls = tickets, deals, called, calls
    engine.ledger.balance = balance
    engine.orders = {order.ticket: order for order in orders}
    engine.ledger.positions = {position.number: position for position in positions}
    engine.ledger.quotes.clear()
    engine.ledger.quotes.update(quotes)
    engine.changed()
    return seq


def digest(data: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def _fields(thing: Order | Position) -> dict[str, Any]:
    values = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in values.items()}


def _thing(kind: Any, values: dict[str, Any]) -> Any:
    decimals = {field.name for field in dataclasses.fields(kind) if field.type == "Decimal"}
    made: dict[str, Any] = {name: Decimal(value) if name in decimals else value for name, value in values.items()}
    made["side"] = Side(made["side"])
    if "type" in made:
        made["type"] = OrderType(made["type"])
    return kind(**made)
