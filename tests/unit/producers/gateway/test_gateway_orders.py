"""Orders of the desk at a simulated terminal: what is sent, and what is written of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from schemas.configuration import PositionMode
from schemas.executions import (
    Accepted,
    Canceled,
    DealEntry,
    DealReason,
    Expired,
    Filled,
    OrderRequest,
    Rejected,
    Sending,
)
from schemas.trading import OrderType
from tests.unit.producers.gateway.room import (
    BUY,
    SECOND_US,
    SELL,
    Room,
    cancel,
    entry,
    falling,
    flat,
    leave,
    modify,
    pending,
)


def test_an_entry_is_sent_once_accepted_and_filled_with_the_tick_it_met(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7, sl=1.0950, tp=1.1100))
    assert room.kinds == ["Sending", "Accepted", "Filled"]
    [deal], filled = room.terminal_deals(), room.of(Filled)[0]
    assert (filled.order_no, filled.deal, filled.ticket, filled.position) == (7, deal.ticket, deal.order, deal.order)
    assert (filled.listing, filled.side, filled.entry, filled.reason) == (
        "t/EURUSD", BUY, DealEntry.IN, DealReason.EXPERT,
    )  # fmt: skip
    assert (filled.volume, filled.remaining, filled.price) == (0.1, 0.0, deal.price)
    assert (filled.n, filled.bid, filled.ask) == (3, 1.1, 1.10001)
    assert filled.commission == Decimal(repr(deal.commission)) != 0
    assert room.venue.server_ms(filled.time_ms) == deal.time_msc
    [position] = room.mt5.positions_get()
    assert (position.magic, position.comment, position.sl, position.tp) == (7, "tl7", 1.095, 1.11)
    assert room.alarms.told == {}


def test_the_ticks_of_an_orders_listing_are_followed_before_it_is_sent(make: Callable[..., Room]) -> None:
    room = make()
    room.chain.confirm = lambda _: (room.prices.followed == ["t/EURUSD"]) or pytest.fail("not followed yet")
    room.gateway.receive(entry(7))
    room.gateway.turn()
    assert room.kinds[:2] == ["Sending", "Accepted"]


def test_the_intention_is_written_before_the_order_is_sent(make: Callable[..., Room]) -> None:
    room = make()
    written: list[tuple[str, int]] = []
    write = room.chain.write

    def watched(record: Any) -> None:
        written.append((type(record).__name__, len(room.terminal_deals())))
        write(record)

    room.chain.write = watched  # type: ignore[method-assign]
    room.ask(entry(7))
    assert written == [("Sending", 0), ("Accepted", 1), ("Filled", 1)]


def test_an_entry_that_comes_too_late_expires_and_is_not_sent(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7, valid_until_us=room.clock.now_us() - 1), entry(8, valid_until_us=room.clock.now_us() + 1))
    assert room.kinds == ["Expired", "Sending", "Accepted", "Filled"]
    assert (room.of(Expired)[0].order_no, room.of(Expired)[0].ticket, room.of(Expired)[0].remaining) == (7, 0, 0.1)
    assert [deal.magic for deal in room.terminal_deals()] == [8]


def test_an_entry_expires_too_while_the_log_takes_its_time(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make()

    def slow(patience_s: float | None = None) -> bool:
        room.control.step(10 * SECOND_US)
        return True

    monkeypatch.setattr(room.chain, "confirm", slow)
    room.ask(entry(7, valid_until_us=room.clock.now_us() + 5 * SECOND_US))
    assert room.kinds == ["Sending", "Expired"]
    assert room.terminal_deals() == []
    room.restart()
    room.turns(least=20)
    assert room.kinds == ["Sending", "Expired"]


def test_an_exit_never_expires_and_closes_its_position(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7))
    position = room.of(Filled)[0].position
    room.control.step(60 * SECOND_US)
    room.ask(leave(8, position))
    closed = room.of(Filled)[1]
    assert (closed.order_no, closed.position, closed.entry, closed.side) == (8, position, DealEntry.OUT, SELL)
    assert closed.profit < 0
    assert room.mt5.positions_get() == ()
    assert room.chain.book.positions == {}


def test_a_stop_at_the_broker_closes_under_the_order_that_opened(make: Callable[..., Room]) -> None:
    room = make(falling())
    room.ask(entry(7, sl=1.0990))
    room.step(30)
    stopped = room.of(Filled)[1]
    assert (stopped.order_no, stopped.reason, stopped.entry) == (7, DealReason.SL, DealEntry.OUT)
    assert stopped.remaining == 0.0
    assert room.alarms.told == {}


def test_a_refusal_is_told_with_its_code_and_nothing_is_sent_again(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7, volume=0.015), entry(8, sl=1.2))
    assert [(r.order_no, r.retcode) for r in room.of(Rejected)] == [(7, 10014), (8, 10016)]
    assert room.kinds == ["Sending"] * 2 + ["Rejected"] * 2


@pytest.mark.parametrize(
    ("listing", "words"),
    [("t/GBPUSD", "no symbol GBPUSD"), ("other/EURUSD", "not of the account's feed t"), ("EURUSD", "has no feed")],
)
def test_an_order_for_what_the_terminal_doesnt_trade_is_refused_unsent(
    make: Callable[..., Room], listing: str, words: str
) -> None:
    room = make()
    room.ask(entry(7).__class__(**{**_fields(entry(7)), "listing": listing}))
    assert room.kinds == ["Rejected"]
    assert words in room.of(Rejected)[0].reason


def test_a_limit_order_rests_is_filled_at_its_price_and_told_once(make: Callable[..., Room]) -> None:
    room = make(falling())
    room.ask(pending(7, OrderType.LIMIT, 1.0990, sl=1.0900))
    accepted = room.of(Accepted)[0]
    assert accepted.ticket == room.mt5.orders_get()[0].ticket
    assert room.kinds == ["Sending", "Accepted"]
    room.step(30)
    assert room.kinds == ["Sending", "Accepted", "Filled"]
    assert room.of(Filled)[0].price == pytest.approx(1.0990, abs=0.00011)


def test_a_pending_order_lives_until_its_second_on_the_servers_clock(make: Callable[..., Room]) -> None:
    room = make()
    until_ms = room.clock.now_ms() + 20_300
    room.ask(pending(7, OrderType.LIMIT, 1.0500, expires_ms=until_ms))
    live = room.mt5.orders_get()[0]
    assert live.time_expiration == -(-room.venue.server_ms(until_ms) // 1000)
    room.step(30)
    [expired] = room.of(Expired)
    assert (expired.order_no, expired.ticket, expired.remaining) == (7, live.ticket, 0.1)


def test_a_cancellation_takes_a_pending_order_back(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(pending(7, OrderType.STOP, 1.2000))
    room.ask(cancel(7))
    [gone] = room.of(Canceled)
    assert (gone.order_no, gone.remaining) == (7, 0.1)
    assert [(s.order_no, s.request) for s in room.of(Sending)] == [(7, OrderRequest.PLACE), (7, OrderRequest.CANCEL)]
    assert room.mt5.orders_get() == ()
    assert room.alarms.told == {}


def test_a_cancellation_of_what_is_over_is_refused_unsent(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7))
    room.ask(cancel(7))
    assert [(r.request, r.retcode) for r in room.of(Rejected)] == [(OrderRequest.CANCEL, 10035)]
    assert len(room.of(Sending)) == 1


def test_levels_are_moved_and_the_book_expects_them_from_then_on(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7, sl=1.0950))
    position = room.of(Filled)[0].position
    room.ask(modify(7, position, 1.0960, 1.2))
    told = room.of(Accepted)[1]
    assert (told.request, told.position, told.sl, told.tp) == (OrderRequest.MODIFY, position, 1.096, 1.2)
    assert room.mt5.positions_get()[0].sl == 1.096
    room.ask(modify(7, position, 1.0960, 1.2))
    assert [(r.request, r.retcode) for r in room.of(Rejected)] == [(OrderRequest.MODIFY, 10025)]
    room.turns(least=10)
    assert room.alarms.told == {}


def test_levels_of_a_position_that_is_gone_are_refused_unsent(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7))
    position = room.of(Filled)[0].position
    room.ask(leave(8, position), modify(7, position, 1.05))
    assert [(r.order_no, r.retcode) for r in room.of(Rejected)] == [(7, 10036)]


def test_a_netting_account_is_traded_by_position_too(make: Callable[..., Room]) -> None:
    room = make(flat(), position_mode=PositionMode.NETTING)
    room.ask(entry(7, sl=1.0950))
    room.ask(entry(8, SELL, 0.3))
    first, turned = room.of(Filled)
    assert (turned.entry, turned.position) == (DealEntry.INOUT, first.position)
    assert room.chain.book.positions[first.position].side is SELL
    room.ask(modify(8, first.position, 1.2))
    assert room.mt5.positions_get()[0].sl == 1.2
    room.ask(leave(9, first.position, BUY, 0.2))
    assert room.mt5.positions_get() == ()
    assert room.chain.book.positions == {}


def test_a_restarted_gateway_sends_nothing_again(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7, sl=1.09), pending(8, OrderType.LIMIT, 1.05))
    position = room.of(Filled)[0].position
    room.ask(modify(7, position, 1.0960), cancel(8), entry(9, volume=0.015))
    before = list(room.chain.records)
    room.restart()
    room.turns(least=10)
    assert room.chain.records == before
    assert len(room.terminal_deals()) == 1


def test_a_new_activation_of_the_desk_is_heard_where_the_one_before_has_asked_already(
    make: Callable[..., Room],
) -> None:
    room = make()
    room.ask(entry(7, sl=1.0950), pending(8, OrderType.LIMIT, 1.05))
    position = room.of(Filled)[0].position
    room.ask(modify(7, position, 1.0960), modify(7, position, 1.0970))
    room.control.permit(algo_trading=False)
    room.ask(cancel(8))
    room.control.permit(algo_trading=True)
    room.ask(of_the_next_desk(modify(7, position, 1.0980)), of_the_next_desk(cancel(8)))
    assert room.mt5.positions_get()[0].sl == 1.098
    assert room.mt5.orders_get() == ()
    before = list(room.chain.records)
    room.restart()
    room.turns(least=10)
    assert room.chain.records == before


def test_a_modification_of_a_new_activation_in_doubt_is_found_after_a_restart(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7, sl=1.0950))
    position = room.of(Filled)[0].position
    room.ask(modify(7, position, 1.0960))
    room.control.fault("lost", call="order_send", times=1)
    last = of_the_next_desk(modify(7, position, 1.0970))
    room.orders.append(last)
    room.gateway.receive(last)
    room.gateway._work()
    room.restart()
    room.turns()
    assert [told.sl for told in room.of(Accepted)] == [1.095, 1.096, 1.097]
    assert room.of(Rejected) == []


def _fields(order: Any) -> dict[str, Any]:
    return {name: getattr(order, name) for name in order.__slots__}


def of_the_next_desk(request: Any) -> Any:
    """The same, asked by a desk that was activated later."""
    return dataclasses.replace(request, operator="desk@2")
