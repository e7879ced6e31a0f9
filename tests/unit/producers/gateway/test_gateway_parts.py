"""Orders that are filled in parts, and ends of orders that nobody answered for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from producers.terminal import constants as mt5
from schemas.executions import Canceled, Filled, OrderRequest, OrderState, PartiallyFilled, Reconciled, Rejected
from schemas.trading import OrderType
from tests.unit.producers.gateway.room import SECOND_US, Room, cancel, entry, falling, pending

LOST: dict[str, Any] = {"kind": "lost", "call": "order_send", "times": 1}


@pytest.fixture
def parts(tmp_path: Path) -> str:
    """A broker that deals at most 0.04 lots at once."""
    path = tmp_path / "parts.toml"
    path.write_text('base = "vantage-raw"\nmax_deal_lots = 0.04\n')
    return str(path)


def test_a_market_order_is_filled_as_far_as_it_goes_and_the_rest_is_canceled(
    make: Callable[..., Room], parts: str
) -> None:
    room = make(spec=parts)
    room.ask(entry(7))
    assert room.kinds == ["Sending", "Accepted", "PartiallyFilled", "Canceled"]
    assert [(p.volume, p.remaining) for p in room.of(PartiallyFilled)] == [(0.04, 0.06)]
    assert [(c.order_no, c.remaining) for c in room.of(Canceled)] == [(7, 0.06)]
    assert room.chain.book.order(7).state is OrderState.CANCELED


def test_a_partly_filled_order_in_doubt_is_canceled_with_its_deal_before(make: Callable[..., Room], parts: str) -> None:
    room = make(spec=parts)
    room.control.fault(**LOST)
    room.ask(entry(7))
    assert room.kinds == ["Sending", "PartiallyFilled", "Reconciled"]
    assert (room.of(Reconciled)[0].state, room.of(Reconciled)[0].filled) == (OrderState.CANCELED, 0.04)


def test_a_limit_order_is_filled_in_parts_over_its_ticks(make: Callable[..., Room], parts: str) -> None:
    room = make(falling(), spec=parts)
    room.ask(pending(7, OrderType.LIMIT, 1.0990))
    room.step(30)
    assert room.kinds == ["Sending", "Accepted", "PartiallyFilled", "PartiallyFilled", "Filled"]
    assert [(r.volume, r.remaining) for r in room.chain.records[2:]] == [(0.04, 0.06), (0.04, 0.02), (0.02, 0.0)]
    assert str(room.chain.book.positions[room.of(Filled)[0].position].volume) == "0.10"


def test_the_rest_of_a_partly_filled_order_can_be_taken_back(make: Callable[..., Room], parts: str) -> None:
    room = make(falling(), spec=parts)
    room.ask(pending(7, OrderType.LIMIT, 1.0990))
    while not room.of(PartiallyFilled):
        room.step(1)
    room.ask(cancel(7))
    assert room.kinds[-1] == "Canceled"
    assert room.of(Canceled)[0].remaining == room.of(PartiallyFilled)[-1].remaining > 0


def test_a_partly_filled_order_in_doubt_is_found_live(make: Callable[..., Room], parts: str) -> None:
    room = make(falling(), spec=parts)
    room.control.fault(**LOST)
    room.gateway.receive(pending(7, OrderType.LIMIT, 1.0990))
    room.gateway._work()
    while not room.terminal_deals():
        room.control.step(SECOND_US)
    room.turns()
    assert room.kinds == ["Sending", "PartiallyFilled", "Reconciled"]
    assert room.of(Reconciled)[0].state is OrderState.PARTIALLY_FILLED


def test_a_cancellation_that_came_too_late_is_refused(make: Callable[..., Room]) -> None:
    room = make(falling())
    room.ask(pending(7, OrderType.LIMIT, 1.0990))
    room.control.fault("fail", call="order_send", times=1)
    room.gateway.receive(cancel(7))
    room.gateway._work()
    room.control.step(30 * SECOND_US)
    room.turns()
    assert room.kinds[-2:] == ["Filled", "Rejected"]
    assert [(r.request, r.retcode) for r in room.of(Rejected)] == [(OrderRequest.CANCEL, 10035)]


def test_an_order_that_the_broker_rejected_later_is_rejected(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make()
    room.ask(pending(7, OrderType.LIMIT, 1.05))
    room.mt5.order_send({"action": 8, "order": room.mt5.orders_get()[0].ticket})
    ask: Any = room.venue._mt5.history_orders_get

    def rejected(*dates: int, **which: Any) -> Any:
        fields = [list(order) for order in ask(*dates, **which)]
        kind = type(ask(*dates, **which)[0])
        for row in fields:
            row[9] = mt5.ORDER_STATE_REJECTED
        return tuple(kind(row) for row in fields)

    monkeypatch.setattr(room.venue._mt5, "history_orders_get", rejected)
    room.turns()
    assert [(r.request, r.retcode) for r in room.of(Rejected)] == [(OrderRequest.PLACE, 10006)]


def test_an_order_that_a_person_took_back_is_canceled(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(pending(7, OrderType.LIMIT, 1.05))
    room.mt5.order_send({"action": 8, "order": room.mt5.orders_get()[0].ticket})
    room.turns()
    assert [(c.order_no, c.remaining) for c in room.of(Canceled)] == [(7, 0.1)]


@pytest.mark.parametrize("late", ["history_orders_get", "both"])
def test_a_history_that_comes_late_is_waited_for(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    room = make()
    monkeypatch.setattr(room.venue._mt5, "history_orders_get", lambda *dates, **which: ())
    if late == "both":
        monkeypatch.setattr(room.venue._mt5, "history_deals_get", lambda *dates, **which: ())
    room.control.fault(**LOST)
    room.ask(entry(7))
    if late == "both":
        # The position alone says that it was executed.
        assert room.kinds == ["Sending", "Reconciled"]
        assert room.of(Reconciled)[0].position == room.mt5.positions_get()[0].ticket
        monkeypatch.undo()
        room.turns()
        assert room.kinds[2] == "Filled"
    else:
        assert room.kinds == ["Sending", "Filled", "Reconciled"]
        assert room.of(Reconciled)[0].state is OrderState.FILLED
    assert len(room.terminal_deals()) == 1


def test_an_order_given_up_that_is_live_after_all_works_again(make: Callable[..., Room]) -> None:
    room = make()
    room.control.fault("fail", call="order_send", times=1)
    room.ask(pending(7, OrderType.LIMIT, 1.05))
    assert room.of(Reconciled)[0].state is OrderState.REJECTED
    request = {"action": 5, "symbol": "EURUSD", "volume": 0.1, "type": 2, "price": 1.05, "type_filling": 2}
    room.mt5.order_send(request | {"magic": 7, "comment": "tl7"})
    room.turns(least=10)
    assert [r.state for r in room.of(Reconciled)] == [OrderState.REJECTED, OrderState.ACCEPTED]
    room.ask(cancel(7))
    assert [c.order_no for c in room.of(Canceled)] == [7]


def test_old_orders_are_known_without_what_was_asked(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.gateway.gateway.KEPT_ORDERS", 1)
    room = make()
    room.ask(entry(7), entry(8, volume=0.015), entry(9, volume=0.015), entry(10, volume=0.015))
    room.turns(least=10)
    kept = {number: known.submitted is not None for number, known in room.chain.book.orders.items()}
    assert kept == {7: True, 8: False, 9: True, 10: True}
