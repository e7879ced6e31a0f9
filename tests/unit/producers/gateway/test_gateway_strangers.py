"""What the log doesn't know, what the terminal doesn't have any more, and what must not be traded."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import pytest

from infra.chain_follower import Standing
from infra.errors import Unreachable
from producers.gateway import deals, gateway, quotes
from producers.gateway.answers import Refused
from producers.gateway.venue import WrongAccount
from producers.mt5 import AUTHORIZATION_FAILED, TerminalError
from producers.terminal.account import TradeAccount
from schemas.accept import Head
from schemas.configuration import PositionMode
from schemas.executions import (
    Adopted,
    DealEntry,
    DealReason,
    Filled,
    OrderState,
    Reconciled,
    Rejected,
    Sending,
)
from schemas.integrity import KeyRing
from schemas.times import iso_ms
from schemas.trading import OrderType
from tests.unit.producers.gateway.room import BUY, SECOND_US, SELL, Room, entry, falling, leave, modify, pending
from tests.unit.streams.venue.venues import account


def by_hand(room: Room, **changed: Any) -> Any:
    """A trade of a person or another program at the terminal."""
    request = {"action": 1, "symbol": "EURUSD", "volume": 0.2, "type": 0, "type_filling": 1, "magic": 0, "comment": ""}
    result = room.mt5.order_send(request | changed)
    assert result.retcode == 10009, result
    return result


def test_a_strangers_position_is_adopted_once_counted_and_never_touched(make: Callable[..., Room]) -> None:
    room = make()
    opened = by_hand(room, sl=1.05, magic=999, comment="other")
    room.turns(least=20)
    [adopted] = room.of(Adopted)
    assert (adopted.order_no, adopted.position, adopted.side, adopted.volume, adopted.sl) == (
        0, opened.order, BUY, 0.2, 1.05,
    )  # fmt: skip
    [filled] = room.of(Filled)
    assert (filled.order_no, filled.position, filled.deal) == (0, opened.order, opened.deal)
    assert room.kinds == ["Adopted", "Filled"]
    assert room.alarms.codes == ["adopted"]
    assert len(room.mt5.positions_get()) == 1


def test_an_adopted_position_that_is_gone_is_told_after_its_deal(make: Callable[..., Room]) -> None:
    room = make()
    opened = by_hand(room)
    room.turns()
    by_hand(room, type=1, position=opened.order)
    room.turns(least=20)
    assert room.kinds == ["Adopted", "Filled", "Filled", "Adopted"]
    assert room.of(Adopted)[1].volume == 0.0
    assert room.chain.book.adopted == {}


@pytest.mark.parametrize("mode", list(PositionMode)[-2:])
def test_the_deals_of_an_adopted_position_are_told_before_what_they_left(
    make: Callable[..., Room], mode: PositionMode
) -> None:
    room = make(position_mode=mode)
    opened = by_hand(room)
    room.turns()
    for volume in (0.05, 0.1):
        by_hand(room, type=1, volume=volume, position=opened.order)
        room.turns(least=20)
    assert room.kinds == ["Adopted", "Filled"] + ["Filled", "Adopted"] * 2
    assert [adopted.volume for adopted in room.of(Adopted)] == [0.2, 0.15, 0.05]


def test_a_netted_position_that_a_person_adds_to_and_turns_is_told_after_its_deals(make: Callable[..., Room]) -> None:
    room = make(position_mode=PositionMode.NETTING)
    by_hand(room)
    room.turns()
    for side, volume in ((0, 0.1), (1, 0.5)):
        by_hand(room, type=side, volume=volume)
        room.turns(least=20)
    assert room.kinds == ["Adopted", "Filled"] + ["Filled", "Adopted"] * 2
    assert [(adopted.side, adopted.volume) for adopted in room.of(Adopted)] == [(BUY, 0.2), (BUY, 0.3), (SELL, 0.2)]


def test_levels_of_an_adopted_position_are_told_once_its_deals_are(make: Callable[..., Room]) -> None:
    room = make()
    opened = by_hand(room)
    room.turns()
    by_hand(room, type=1, volume=0.1, position=opened.order)
    by_hand(room, action=6, position=opened.order, sl=1.05, tp=0.0)
    room.turns(least=20)
    assert room.kinds == ["Adopted", "Filled", "Filled", "Adopted"]
    assert (room.of(Adopted)[1].volume, room.of(Adopted)[1].sl) == (0.1, 1.05)


def test_a_position_from_before_the_chain_is_adopted_as_the_deals_since_left_it(make: Callable[..., Room]) -> None:
    room = make(begin=False)
    opened = by_hand(room)
    room.control.step(30 * SECOND_US)
    since_ms = room.clock.now_ms()
    room.control.step(SECOND_US)
    by_hand(room, type=1, volume=0.1, position=opened.order)
    room.restart()
    room.chain.book.since_ms = since_ms
    room.turns(least=20)
    assert room.kinds == ["Filled", "Adopted"]
    assert room.of(Adopted)[0].volume == 0.1


def test_a_position_from_before_the_chain_is_adopted_without_its_deals(make: Callable[..., Room]) -> None:
    room = make(begin=False)
    by_hand(room)
    room.control.step(30 * SECOND_US)
    room.chain.book.since_ms = room.clock.now_ms()
    since_ms = room.clock.now_ms()
    room.restart()
    room.chain.book.since_ms = since_ms
    room.turns(least=10)
    assert room.kinds == ["Adopted"]


def test_a_restart_adopts_nothing_again(make: Callable[..., Room]) -> None:
    room = make()
    by_hand(room)
    room.turns()
    before = list(room.chain.records)
    room.restart()
    room.turns(least=20)
    assert room.chain.records == before


def test_a_position_opened_and_closed_between_two_looks_is_told_by_its_deals(make: Callable[..., Room]) -> None:
    room = make()
    opened = by_hand(room)
    by_hand(room, type=1, position=opened.order)
    room.turns()
    assert [(f.order_no, f.entry) for f in room.of(Filled)] == [(0, DealEntry.IN), (0, DealEntry.OUT)]
    assert room.of(Adopted) == []


def test_a_person_who_closes_our_position_is_noticed_and_the_deal_counts(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7))
    position = room.of(Filled)[0].position
    by_hand(room, type=1, volume=0.1, position=position)
    room.turns()
    closed = room.of(Filled)[1]
    assert (closed.order_no, closed.position, closed.entry) == (0, position, DealEntry.OUT)
    assert room.chain.book.positions == {}
    assert room.alarms.codes == ["unknown_deal"]


def test_an_unknown_pending_order_is_told_once_and_left(make: Callable[..., Room]) -> None:
    room = make()
    by_hand(room, action=5, type=2, price=1.05, type_filling=2)
    room.turns(least=20)
    assert room.alarms.codes == ["unknown_order"]
    assert room.kinds == []
    assert len(room.mt5.orders_get()) == 1


def test_a_reconciliation_that_a_deal_kept_from_being_whole_is_made_up_for(make: Callable[..., Room]) -> None:
    room = make(begin=False)
    room.trade = room.trade.model_copy(update={"reconcile_s": 3_600.0})
    room.prices.known = False
    by_hand(room)
    by_hand(room, action=5, type=2, price=1.05, type_filling=2)
    room.restart()
    room.turns()
    assert room.kinds == ["Adopted", "Filled"]
    room.turns(least=200)
    assert "unknown_order" in room.alarms.codes


def test_a_fill_beyond_what_was_asked_is_recorded_as_it_is(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7))
    by_hand(room, volume=0.3, magic=7, comment="tl7")
    room.turns()
    beyond = room.of(Filled)[1]
    assert (beyond.order_no, beyond.volume, beyond.remaining) == (7, 0.3, 0.0)
    assert "overfilled" in room.alarms.codes


def test_a_fill_of_an_order_that_the_log_doesnt_know_has_no_number(make: Callable[..., Room]) -> None:
    room = make()
    by_hand(room, magic=4711, comment="tl4711")
    room.turns()
    assert [f.order_no for f in room.of(Filled)] == [0]
    assert room.alarms.codes == ["adopted"]


def test_a_stop_out_closes_under_the_order_that_opened(make: Callable[..., Room]) -> None:
    room = make(falling(), trade_account=TradeAccount(balance=Decimal(600), leverage=100))
    room.ask(entry(7, volume=0.5))
    room.step(80)
    out = room.of(Filled)[1]
    assert (out.order_no, out.reason) == (7, DealReason.SO)


def test_a_stop_that_was_moved_by_hand_is_told_and_left(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7, sl=1.0950))
    [position] = room.mt5.positions_get()
    by_hand(room, action=6, position=position.ticket, sl=1.09, tp=0.0)
    room.turns(least=10)
    assert room.mt5.positions_get()[0].sl == 1.09
    assert room.alarms.codes == ["levels_differ"]


def test_an_order_that_vanished_counts_as_canceled(make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch) -> None:
    room = make()
    room.ask(pending(7, OrderType.LIMIT, 1.05))
    monkeypatch.setattr(room.venue._mt5, "orders_get", lambda: ())
    room.turns(least=30)
    assert [r.state for r in room.of(Reconciled)] == [OrderState.CANCELED]
    assert room.alarms.codes == ["order_vanished"]


def test_a_position_that_vanished_without_a_deal_is_told(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make()
    room.ask(entry(7))
    monkeypatch.setattr(room.venue._mt5, "positions_get", lambda: ())
    room.turns(least=30)
    assert room.alarms.codes == ["position_differs"]
    assert room.kinds == ["Sending", "Accepted", "Filled"]


@pytest.mark.parametrize(
    ("permission", "retcode", "words"),
    [
        ({"algo_trading": False}, 10027, "switch Algo Trading on"),
        ({"api_trading": False}, 10027, "external Python API"),
    ],
)
def test_without_permission_orders_are_refused_and_a_person_is_told(
    make: Callable[..., Room], permission: dict[str, bool], retcode: int, words: str
) -> None:
    room = make()
    room.control.permit(**permission)
    room.ask(entry(7))
    assert [r.retcode for r in room.of(Rejected)] == [retcode]
    assert words in room.of(Rejected)[0].reason
    assert room.alarms.codes == ["refused"]
    room.control.permit(**dict.fromkeys(permission, True))
    room.ask(entry(8))
    assert room.alarms.codes == []


def test_a_refusal_that_comes_again_after_it_was_over_is_told_again(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7, volume=90), entry(8, volume=90), entry(9, sl=1.09), entry(10, volume=90))
    assert [r.retcode for r in room.of(Rejected)] == [10019] * 3
    assert [code for code, _ in room.alarms.ever] == ["refused", "refused"]


def test_what_reduces_says_nothing_of_the_money_for_entries(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7, sl=1.09), entry(8, volume=90))
    position = room.of(Filled)[0].position
    room.ask(modify(7, position, 1.095), leave(9, position), entry(10, volume=90))
    assert [code for code, _ in room.alarms.ever] == ["refused"]


@pytest.mark.parametrize("retcode", [10019, 10017, 10044])
def test_a_refusal_in_one_symbol_is_not_over_because_another_is_traded(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, retcode: int
) -> None:
    room = make(others=("GBPUSD",))
    send = room.venue.send

    def refusing(request: dict[str, Any]) -> Any:
        return Refused(retcode, "Said", lasting=True) if request["symbol"] == "GBPUSD" else send(request)

    def pounds(number: int) -> Any:
        return dataclasses.replace(entry(number), listing="t/GBPUSD")

    monkeypatch.setattr(room.venue, "send", refusing)
    room.ask(pounds(7), entry(8), pounds(9), entry(10), pounds(11))
    said = f"the terminal refuses requests of account a in t/GBPUSD with {retcode}: Said"
    assert room.alarms.ever == [("refused", said)]
    monkeypatch.undo()
    room.ask(pounds(12))
    assert room.alarms.codes == []


def test_a_permission_of_the_account_is_told_once_for_all_symbols(make: Callable[..., Room]) -> None:
    room = make(others=("GBPUSD",))
    room.control.permit(algo_trading=False)
    room.ask(entry(7), dataclasses.replace(entry(8), listing="t/GBPUSD"))
    assert room.alarms.codes == ["refused"]
    room.control.permit(algo_trading=True)
    room.ask(entry(9))
    assert room.alarms.codes == []


@pytest.mark.parametrize("retcode", [10017, 10026])
def test_a_permission_that_is_there_again_is_seen_by_any_request(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, retcode: int
) -> None:
    room = make()
    room.ask(entry(7, sl=1.09))
    position = room.of(Filled)[0].position
    monkeypatch.setattr(room.venue, "send", lambda _: Refused(retcode, "Said", lasting=True))
    room.ask(modify(7, position, 1.095))
    assert room.alarms.codes == ["refused"]
    monkeypatch.undo()
    room.ask(modify(7, position, 1.096))
    assert room.alarms.codes == []


def test_another_account_at_the_terminal_is_sent_nothing(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7))
    server = room.simulation.terminal.server
    server.account = dataclasses.replace(server.account, login=2_000_002)
    room.gateway.receive(leave(8, room.of(Filled)[0].position))
    with pytest.raises(WrongAccount, match="login 2000002 at Tickledger-Demo open, not 1000001"):
        room.gateway.turn()
    assert len(room.of(Sending)) == 1


@pytest.mark.parametrize(
    ("terminal", "configured", "words"),
    [
        (TradeAccount(trade_mode=2), {}, "real account"),
        (TradeAccount(currency="EUR"), {}, "kept in EUR.*configured in USD"),
        (TradeAccount(margin_mode=0), {}, "nets positions.*configured as hedging"),
        (TradeAccount(), {"position_mode": PositionMode.NETTING}, r"keeps positions apart.*configured as netting"),
    ],
)
def test_an_account_that_isnt_the_configured_one_is_refused(
    make: Callable[..., Room], terminal: TradeAccount, configured: dict[str, Any], words: str
) -> None:
    room = make(begin=False, trade_account=terminal)
    room.config = account(**configured)
    with pytest.raises(WrongAccount, match=words):
        room.restart()


def test_a_login_that_the_terminal_refuses_is_not_tried_again(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room, tried = make(), []

    def refused(**keys: Any) -> bool:
        tried.append(keys)
        return False

    room.control.fault("disconnect")
    room.gateway.receive(entry(7))
    room.gateway.turn()
    room.control.clear_faults()
    monkeypatch.setattr(room.venue._mt5, "initialize", refused)
    monkeypatch.setattr(room.venue._mt5, "last_error", lambda: (AUTHORIZATION_FAILED, "Authorization failed"))
    with pytest.raises(TerminalError, match=r"check terminal\.login, terminal\.password"):
        room.turns()
    assert len(tried) == 1
    assert room.kinds == []


def test_the_terminal_is_waited_for_and_entries_expire_meanwhile(make: Callable[..., Room]) -> None:
    room = make()
    room.control.fault("disconnect")
    room.gateway.receive(entry(7, valid_until_us=room.clock.now_us() + SECOND_US))
    room.gateway.receive(entry(8))
    room.gateway.turn()
    assert room.kinds == []
    assert room.alarms.codes == ["terminal_away"]
    room.control.step(5 * SECOND_US)
    room.control.clear_faults()
    room.turns()
    assert room.kinds == ["Expired", "Sending", "Accepted", "Filled"]
    assert room.alarms.codes == ["terminal_back"]


@pytest.mark.parametrize("fault", [("disconnect", {}), ("fail", {"call": "positions_get"})], ids=["server", "terminal"])
def test_a_terminal_that_is_away_is_told_of_though_nothing_waits_for_it(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, fault: tuple[str, dict[str, Any]]
) -> None:
    monkeypatch.setattr(gateway, "AWAY_TOLD_S", 0.05)
    monkeypatch.setattr(gateway, "AWAY_S", 0.01)
    room = make()
    room.turns()
    for outage in range(2):
        since = iso_ms(room.clock.now_ms())
        room.control.fault(fault[0], **fault[1])
        room.turns(least=10)
        assert [code for code, _ in room.alarms.ever[2 * outage :]] == ["terminal_away"]
        assert f", since {since}; nothing is sent" in room.alarms.ever[-1][1]
        room.control.step(5 * SECOND_US)
        room.turns()
        room.control.clear_faults()
        room.turns()
        assert [code for code, _ in room.alarms.ever[2 * outage :]] == ["terminal_away", "terminal_back"]
        assert f"it was away since {since}" in room.alarms.ever[-1][1]


def test_a_look_without_an_answer_is_no_outage_yet(make: Callable[..., Room]) -> None:
    room = make()
    room.control.fault("fail", call="positions_get", times=1)
    room.turns()
    time.sleep(gateway.AWAY_S)
    room.turns()
    # On a slow machine a look takes longer than the room's polls are apart, and the next would be due at once.
    room.gateway._trade = room.trade.model_copy(update={"poll_ms": 60_000})
    assert room.gateway.turn() > 0
    assert room.alarms.ever == []


def test_a_steady_flow_of_deals_does_not_keep_log_and_terminal_from_being_compared(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "COMPARED_S", 0.2)
    room = make()
    room.prices.known = False
    by_hand(room, action=5, type=2, price=1.05, type_filling=2)
    for _ in range(60):
        by_hand(room, volume=0.01)
        room.gateway.turn()
        time.sleep(0.02)
        if room.of(Adopted) and "unknown_order" in room.alarms.codes:
            return
    raise AssertionError(f"deals never came to rest: {room.alarms.codes}")


def test_a_new_deal_at_each_look_does_not_keep_what_is_adopted_from_being_told(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "COMPARED_S", 0.2)
    room = make(begin=False, position_mode=PositionMode.NETTING)
    room.trade = room.trade.model_copy(update={"reconcile_s": 3_600.0})
    room.restart()
    by_hand(room, volume=0.01)
    room.turns()
    before = len(room.of(Adopted))
    for _ in range(60):
        by_hand(room, volume=0.01)
        room.gateway._looked_s -= 1
        room.gateway.turn()
        time.sleep(0.02)
        if len(room.of(Adopted)) > before:
            return
    raise AssertionError("what is adopted was never told again")


@pytest.mark.parametrize("kind", ["entry", "exit"])
def test_an_account_that_changes_while_the_log_takes_its_time_is_sent_nothing(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    room = make()
    room.ask(entry(7))
    held = room.of(Filled)[0].position
    before = len(room.terminal_deals())

    def slow(patience_s: float | None = None) -> bool:
        server = room.simulation.terminal.server
        server.account = dataclasses.replace(server.account, login=2_000_002)
        return True

    monkeypatch.setattr(room.chain, "confirm", slow)
    room.gateway.receive(entry(8) if kind == "entry" else leave(8, held))
    with pytest.raises(WrongAccount, match="login 2000002"):
        room.gateway.turn()
    assert len(room.terminal_deals()) == before
    [rejected] = room.of(Rejected)
    assert (rejected.order_no, rejected.reason[:9]) == (8, "not sent:")
    assert room.chain.book.unanswered() == []


def test_a_deal_waits_while_it_is_not_known_where_its_ticks_are_but_not_for_ever(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deals, "TICK_WAIT_S", 0.0)
    monkeypatch.setattr(deals, "FIRST_WAIT_S", 3_600.0)
    room = make()
    room.prices.known, room.prices.since = False, math.inf
    opened = by_hand(room)
    for _ in range(5):
        room.gateway.turn()
    assert room.of(Filled) == []
    room.prices.since = 0.0
    room.turns()
    assert [filled.deal for filled in room.of(Filled)] == [opened.deal]
    room.prices.since = math.inf
    monkeypatch.setattr(deals, "FIRST_WAIT_S", 0.0)
    second = by_hand(room)
    room.turns()
    assert [filled.deal for filled in room.of(Filled)] == [opened.deal, second.deal]


def test_a_listing_that_could_not_be_followed_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [Unreachable("no broker"), Standing(Head(), 5, 0)]

    def standing_of(*_: Any) -> Standing:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return cast(Standing, answer)

    monkeypatch.setattr(quotes, "read_repairs", lambda *_: [])
    monkeypatch.setattr(quotes, "standing_of", standing_of)
    followed = quotes.Quotes("127.0.0.1:1", KeyRing({"k": bytes(32)}, "k"))
    followed.follow("t/EURUSD")
    assert followed.since_s("t/EURUSD") == math.inf
    while answers:
        followed.poll()
        followed.follow("t/EURUSD")
    while followed.since_s("t/EURUSD") == math.inf:
        followed.poll()
    followed.follow("t/EURUSD")
    followed.close()
