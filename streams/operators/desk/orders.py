"""An order's life: one table of states, and what every report does to them.

An impossible transition is no exception: the order is held in UNKNOWN until the venue's word (Reconciled) frees it, and
an OrderChanged says what contradicted what. Deals count for positions and cash whatever the table says of their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from schemas.executions import OrderState
from schemas.trading import OrderChanged
from streams.operators.desk.state import KEPT_ORDERS, Order
from streams.operators.desk.turn import Turn


class OrderEvent(StrEnum):
    """What happens to an order."""

    SUBMIT = "SUBMIT"
    DENY = "DENY"
    SENDING = "SENDING"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    PARTIAL = "PARTIAL"
    FILL = "FILL"
    CANCEL = "CANCEL"
    CANCEL_REFUSED = "CANCEL_REFUSED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


_S, _E = OrderState, OrderEvent
_ENDS: Final = {
    _E.REJECTED: _S.REJECTED,
    _E.PARTIAL: _S.PARTIALLY_FILLED,
    _E.FILL: _S.FILLED,
    _E.CANCELED: _S.CANCELED,
    _E.EXPIRED: _S.EXPIRED,
}


def _stays(state: OrderState, *events: OrderEvent) -> dict[OrderEvent, OrderState]:
    """Reports that come late or again and change nothing."""
    return dict.fromkeys(events, state)


TRANSITIONS: Final[Mapping[OrderState, Mapping[OrderEvent, OrderState]]] = MappingProxyType(
    {
        _S.INITIALIZED: {_E.SUBMIT: _S.SUBMITTED, _E.DENY: _S.DENIED},
        _S.DENIED: {},
        _S.SUBMITTED: {
            _E.SENDING: _S.SENDING,
            _E.ACCEPTED: _S.ACCEPTED,
            **_ENDS,
            _E.CANCEL: _S.CANCEL_REQUESTED,
        },
        _S.SENDING: {
            **_stays(_S.SENDING, _E.SENDING),
            _E.ACCEPTED: _S.ACCEPTED,
            **_ENDS,
            _E.CANCEL: _S.CANCEL_REQUESTED,
        },
        _S.ACCEPTED: {
            **_stays(_S.ACCEPTED, _E.SENDING, _E.ACCEPTED, _E.CANCEL_REFUSED),
            **_ENDS,
            _E.CANCEL: _S.CANCEL_REQUESTED,
        },
        _S.PARTIALLY_FILLED: {
            **_stays(_S.PARTIALLY_FILLED, _E.SENDING, _E.ACCEPTED, _E.PARTIAL, _E.CANCEL_REFUSED),
            _E.FILL: _S.FILLED,
            _E.CANCEL: _S.CANCEL_REQUESTED,
            _E.CANCELED: _S.CANCELED,
            _E.EXPIRED: _S.EXPIRED,
        },
        _S.CANCEL_REQUESTED: {
            **_stays(_S.CANCEL_REQUESTED, _E.SENDING, _E.ACCEPTED, _E.PARTIAL, _E.CANCEL),
            _E.REJECTED: _S.REJECTED,
            _E.FILL: _S.FILLED,
            _E.CANCEL_REFUSED: _S.ACCEPTED,
            _E.CANCELED: _S.CANCELED,
            _E.EXPIRED: _S.EXPIRED,
        },
        _S.FILLED: _stays(_S.FILLED, _E.SENDING, _E.ACCEPTED, _E.PARTIAL, _E.FILL, _E.CANCEL_REFUSED),
        _S.REJECTED: _stays(_S.REJECTED, _E.SENDING, _E.REJECTED, _E.CANCEL_REFUSED),
        _S.CANCELED: _stays(_S.CANCELED, _E.SENDING, _E.ACCEPTED, _E.PARTIAL, _E.CANCELED, _E.CANCEL_REFUSED),
        _S.EXPIRED: _stays(_S.EXPIRED, _E.SENDING, _E.ACCEPTED, _E.PARTIAL, _E.EXPIRED, _E.CANCEL_REFUSED),
        _S.UNKNOWN: {
            **_stays(_S.UNKNOWN, _E.SENDING, _E.CANCEL, _E.CANCEL_REFUSED),
            _E.ACCEPTED: _S.ACCEPTED,
            **_ENDS,
        },
    }
)
"""What is not here is impossible."""

FINAL: Final = (OrderState.DENIED, OrderState.FILLED, OrderState.REJECTED, OrderState.CANCELED, OrderState.EXPIRED)
"""States in which an order does nothing more."""
UNFILLED: Final = frozenset(FINAL) - {OrderState.FILLED}
"""Those in which something of it may never be filled."""


def move(turn: Turn, order: Order, event: OrderEvent, cause: str) -> None:
    """Takes `event` to the order, and says what changed."""
    if order.held:
        return
    state = TRANSITIONS[order.state].get(event)
    if state is None:
        order.held = True
        cause = f"{cause} after {order.state.lower()}: held until the venue's word"
        state = OrderState.UNKNOWN
    if state is not order.state or order.held:
        _change(turn, order, state, cause)


def reconcile(turn: Turn, order: Order, state: OrderState) -> None:
    """The venue's word on where the order stands, which ends every doubt but UNKNOWN."""
    known = state not in (OrderState.UNKNOWN, OrderState.INITIALIZED)
    order.held = order.held and not known
    if (state := state if known else OrderState.UNKNOWN) is not order.state:
        _change(turn, order, state, "reconciled with the venue")


def file(turn: Turn, order: Order) -> None:
    """Puts an order that is over among the finished, of which the newest are kept."""
    state = turn.state
    if order.state in FINAL and state.orders.pop(order.order_no, None) is not None:
        state.finished[order.order_no] = order
        if len(state.finished) > KEPT_ORDERS:
            del state.finished[min(state.finished)]
    elif order.state not in FINAL and state.finished.pop(order.order_no, None) is not None:
        state.orders[order.order_no] = order


def found(turn: Turn, order_no: int) -> Order | None:
    """An order of ours, working or finished."""
    return turn.state.orders.get(order_no) or turn.state.finished.get(order_no)


def _change(turn: Turn, order: Order, state: OrderState, cause: str) -> None:
    before, order.state = order.state, state
    file(turn, order)
    if turn.terse and state not in UNFILLED:
        turn.pass_over("orders")
        return
    turn.order(
        OrderChanged, order_no=order.order_no, state=state, before=before, filled=float(order.filled), cause=cause
    )
