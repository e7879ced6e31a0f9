"""Requests without an answer: never sent again, and always told what became of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.executions import (
    Accepted,
    Canceled,
    Filled,
    OrderRequest,
    OrderState,
    Reconciled,
    Rejected,
    Sending,
)
from schemas.trading import OrderType
from tests.unit.producers.gateway.room import Room, cancel, entry, falling, leave, modify, pending

LOST: dict[str, Any] = {"kind": "lost", "call": "order_send", "times": 1}
FAILED: dict[str, Any] = {"kind": "fail", "call": "order_send", "times": 1}


def test_an_order_whose_answer_was_lost_is_found_and_its_deal_comes_first(make: Callable[..., Room]) -> None:
    room = make()
    room.control.fault(**LOST)
    room.ask(entry(7))
    assert room.kinds == ["Sending", "Filled", "Reconciled"]
    [found] = room.of(Reconciled)
    assert (found.state, found.filled, found.ticket) == (OrderState.FILLED, 0.1, room.of(Filled)[0].ticket)
    assert len(room.terminal_deals()) == 1
    assert room.alarms.codes == ["no_answer"]


def test_an_order_that_never_arrived_is_rejected_once_the_settle_time_has_passed(make: Callable[..., Room]) -> None:
    room = make()
    room.control.fault(**FAILED)
    room.ask(entry(7))
    assert room.kinds == ["Sending", "Reconciled"]
    assert (room.of(Reconciled)[0].state, room.of(Reconciled)[0].ticket) == (OrderState.REJECTED, 0)
    assert room.terminal_deals() == []
    assert room.alarms.codes == ["no_answer", "not_executed"]


def test_an_exception_on_the_way_is_no_answer(make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch) -> None:
    room = make()
    send = room.venue._mt5.order_send

    def broken(request: dict[str, Any]) -> Any:
        send(request)
        raise ConnectionResetError("the line is gone")

    monkeypatch.setattr(room.venue._mt5, "order_send", broken)
    room.ask(entry(7))
    assert room.kinds == ["Sending", "Filled", "Reconciled"]


@pytest.mark.parametrize("retcode", [10011, 10012, 10031])
def test_codes_that_may_mean_anything_are_no_answer(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, retcode: int
) -> None:
    room = make()
    send: Any = room.venue._mt5.order_send

    def doubtful(request: dict[str, Any]) -> Any:
        result = send(request)
        return type(result)((retcode, *tuple(result)[1:]))

    monkeypatch.setattr(room.venue._mt5, "order_send", doubtful)
    room.ask(entry(7))
    assert room.kinds == ["Sending", "Filled", "Reconciled"]
    assert len(room.terminal_deals()) == 1


def test_a_pending_order_is_found_live(make: Callable[..., Room]) -> None:
    room = make(falling())
    room.control.fault(**LOST)
    room.ask(pending(7, OrderType.LIMIT, 1.0990))
    assert [(r.state, r.ticket) for r in room.of(Reconciled)] == [
        (OrderState.ACCEPTED, room.mt5.orders_get()[0].ticket)
    ]
    room.step(30)
    assert room.kinds == ["Sending", "Reconciled", "Filled"]


def test_others_go_on_while_one_is_in_doubt(make: Callable[..., Room]) -> None:
    room = make()
    room.control.fault(**FAILED)
    room.ask(entry(7), entry(8))
    assert [type(r).__name__ for r in room.chain.records if r.order_no == 8] == ["Sending", "Accepted", "Filled"]
    told = [(type(record), record.order_no) for record in room.chain.records]
    assert told[0] == (Sending, 7)
    assert told.index((Accepted, 8)) < told.index((Reconciled, 7))


def test_what_is_asked_of_an_order_in_doubt_waits_for_its_outcome(make: Callable[..., Room]) -> None:
    room = make()
    room.control.fault(**LOST)
    room.ask(pending(7, OrderType.LIMIT, 1.05), cancel(7))
    assert room.kinds == ["Sending", "Reconciled", "Sending", "Canceled"]


@pytest.mark.parametrize("fault", [LOST, FAILED], ids=["executed", "not executed"])
def test_a_modification_in_doubt_is_told_by_the_levels(make: Callable[..., Room], fault: dict[str, Any]) -> None:
    room = make()
    room.ask(entry(7, sl=1.09))
    position = room.of(Filled)[0].position
    room.control.fault(**fault)
    room.ask(modify(7, position, 1.0950))
    if fault is LOST:
        assert (room.of(Accepted)[1].request, room.of(Accepted)[1].sl) == (OrderRequest.MODIFY, 1.095)
    else:
        assert [(r.request, r.retcode) for r in room.of(Rejected)] == [(OrderRequest.MODIFY, 10012)]
    assert len(room.of(Sending)) == 2


@pytest.mark.parametrize("fault", [LOST, FAILED], ids=["executed", "not executed"])
def test_a_cancellation_in_doubt_is_told_by_the_order(make: Callable[..., Room], fault: dict[str, Any]) -> None:
    room = make()
    room.ask(pending(7, OrderType.LIMIT, 1.05))
    room.control.fault(**fault)
    room.ask(cancel(7))
    if fault is LOST:
        assert [c.order_no for c in room.of(Canceled)] == [7]
    else:
        assert [(r.request, r.retcode) for r in room.of(Rejected)] == [(OrderRequest.CANCEL, 10012)]
    assert len(room.mt5.orders_get()) == (0 if fault is LOST else 1)


def test_an_exit_in_doubt_closes_once(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7))
    room.control.fault(**LOST)
    room.ask(leave(8, room.of(Filled)[0].position))
    assert [type(r).__name__ for r in room.chain.records if r.order_no == 8] == ["Sending", "Filled", "Reconciled"]
    assert [deal.magic for deal in room.terminal_deals()] == [7, 8]


def test_an_execution_after_it_was_given_up_counts_and_frees_the_order(make: Callable[..., Room]) -> None:
    room = make()
    room.control.fault(**FAILED)
    room.ask(entry(7))
    # The same request arrives after all, as one that hung on the way does.
    room.mt5.order_send(
        {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1, "magic": 7, "comment": "tl7"}
    )
    room.turns()
    assert room.kinds == ["Sending", "Reconciled", "Filled", "Reconciled"]
    assert [r.state for r in room.of(Reconciled)] == [OrderState.REJECTED, OrderState.FILLED]
    assert "late_execution" in room.alarms.codes


def test_the_settle_time_begins_anew_when_the_terminal_was_away(make: Callable[..., Room]) -> None:
    room = make()
    room.control.fault(**FAILED)
    room.control.fault("fail", call="*_get", times=2)
    room.ask(entry(7))
    assert room.kinds == ["Sending", "Reconciled"]
    assert "terminal_away" not in room.alarms.codes


def test_nothing_is_given_up_while_the_terminal_is_silent(make: Callable[..., Room]) -> None:
    room = make()
    room.control.fault(**FAILED)
    room.control.fault("fail", call="*_get")
    room.gateway.receive(entry(7))
    room.gateway.turn()
    with pytest.raises(AssertionError, match="something to do"):
        room.turns(most=80)
    assert room.kinds == ["Sending"]
    assert "terminal_away" in room.alarms.codes
    room.control.clear_faults()
    room.turns()
    assert room.kinds == ["Sending", "Reconciled"]
