"""New orders that wait: their intentions go onto the log together, and each is then sent in its turn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from producers.gateway import sender
from producers.gateway.gateway import TOGETHER
from producers.gateway.venue import WrongAccount
from schemas.executions import Accepted, Expired, Filled, OrderRequest, OrderState, Reconciled, Rejected, Sending
from tests.unit.producers.gateway.room import SECOND_US, Room, entry, leave, modify


def sent(room: Room, then: Callable[[], object]) -> list[int]:
    """Magics of the orders that the terminal gets from now on, in their order; `then` after each."""
    magics: list[int] = []
    send = room.venue.send

    def watched(request: dict[str, Any]) -> Any:
        magics.append(request["magic"])
        answer = send(request)
        then()
        return answer

    room.venue.send = watched  # type: ignore[method-assign]  # this room's own, which ends with the test
    return magics


def unhurried(room: Room) -> Room:
    """A room whose gateway leaves nothing that waits for a look at the terminal, however slow the machine is."""
    room.trade = room.trade.model_copy(update={"poll_ms": 60_000})
    room.restart()
    return room


def another_account(room: Room) -> None:
    """Another account is open at the terminal from now on."""
    server = room.simulation.terminal.server
    server.account = dataclasses.replace(server.account, login=2_000_002)


def test_the_log_has_the_intentions_of_all_before_the_first_is_sent(make: Callable[..., Room]) -> None:
    room = make()
    magics = sent(room, lambda: None)
    seen: list[tuple[list[int], list[int]]] = []

    def confirmed(patience_s: float | None = None) -> bool:
        seen.append(([record.order_no for record in room.of(Sending)], [*magics]))
        return True

    room.chain.confirm = confirmed  # type: ignore[method-assign]  # as in `sent`
    numbers = [*range(1, TOGETHER + 3)]
    room.ask(*map(entry, numbers))
    assert seen == [(numbers[:TOGETHER], []), (numbers, numbers[:TOGETHER])]
    assert magics == numbers
    assert [record.order_no for record in room.of(Accepted)] == numbers
    assert {record.order_no for record in room.of(Filled)} == {*numbers}


def test_an_entry_that_came_too_late_behind_others_is_not_sent(make: Callable[..., Room]) -> None:
    room = make()
    magics = sent(room, lambda: room.control.step(10 * SECOND_US))
    room.ask(entry(7), entry(8, valid_until_us=room.clock.now_us() + 5 * SECOND_US), entry(9))
    assert magics == [7, 9]
    assert [record.order_no for record in room.of(Expired)] == [8]
    assert room.chain.book.unanswered() == []


def test_one_that_cant_be_asked_is_refused_unsent_and_the_others_go_on(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7), dataclasses.replace(entry(8), listing="t/NOTHING"), entry(9))
    assert room.kinds[:3] == ["Rejected", "Sending", "Sending"]
    assert [record.order_no for record in room.of(Rejected)] == [8]
    assert [deal.magic for deal in room.terminal_deals()] == [7, 9]


def test_an_account_that_changes_while_the_first_is_sent_gets_no_other(make: Callable[..., Room]) -> None:
    room = make()
    magics = sent(room, lambda: another_account(room))
    for order_no in (7, 8, 9):
        room.gateway.receive(entry(order_no))
    with pytest.raises(WrongAccount, match="login 2000002"):
        room.gateway.turn()
    assert magics == [7]
    assert [(record.order_no, record.reason[:9]) for record in room.of(Rejected)] == [
        (8, "not sent:"),
        (9, "not sent:"),
    ]
    assert room.chain.book.unanswered() == []


def test_a_server_that_is_lost_while_the_log_takes_its_time_gets_nothing(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make()
    monkeypatch.setattr(sender, "CHECKED_S", 0.0)

    def slow(patience_s: float | None = None) -> bool:
        room.control.fault("disconnect")
        return True

    monkeypatch.setattr(room.chain, "confirm", slow)
    room.gateway.receive(entry(7))
    room.gateway.turn()
    assert room.kinds == ["Sending", "Rejected"]
    assert room.alarms.codes == ["terminal_away"]


def test_all_wait_while_the_terminal_is_away(make: Callable[..., Room]) -> None:
    room = make()
    room.control.fault("disconnect")
    for order_no in (7, 8):
        room.gateway.receive(entry(order_no))
    room.gateway.turn()
    assert room.kinds == []
    room.control.clear_faults()
    room.turns()
    assert [deal.magic for deal in room.terminal_deals()] == [7, 8]


def test_while_the_log_is_silent_what_reduces_goes_by_the_spool_and_entries_wait(make: Callable[..., Room]) -> None:
    room = unhurried(make())
    room.ask(entry(6))
    position = room.of(Filled)[0].position
    waited: list[tuple[float | None, list[int], list[int]]] = []
    magics = sent(room, lambda: None)

    def silent(patience_s: float | None = None) -> bool:
        waited.append((patience_s, [one.order_no for one in room.spool.intentions()], [*magics]))
        return patience_s is None

    room.chain.confirm = silent  # type: ignore[method-assign]  # as in `sent`
    for request in (entry(7), leave(8, position), entry(9)):
        room.gateway.receive(request)
    room.gateway.turn()
    assert waited[:2] == [(sender.LOG_PATIENCE_S, [], []), (None, [8], [8])]
    assert magics == [8, 7, 9]
    assert room.alarms.codes == ["log_silent"]


def test_other_requests_between_them_keep_their_place(make: Callable[..., Room]) -> None:
    room = unhurried(make())
    room.ask(entry(6, sl=1.05))
    position, before = room.of(Filled)[0].position, len(room.chain.records)
    for request in (entry(7), modify(6, position, 1.06), entry(8), entry(9)):
        room.gateway.receive(request)
    room.gateway.turn()
    told = [(type(record).__name__, record.order_no) for record in room.chain.records[before:]]
    assert told[:4] == [("Sending", 7), ("Accepted", 7), ("Sending", 6), ("Accepted", 6)]
    assert told[4:8] == [("Sending", 8), ("Sending", 9), ("Accepted", 8), ("Accepted", 9)]


def test_a_gateway_killed_while_the_first_is_sent_sends_none_of_them_again(make: Callable[..., Room]) -> None:
    room = make()

    class Killed(BaseException):
        pass

    def killed() -> None:
        raise Killed

    sent(room, killed)
    for order_no in (7, 8):
        room.gateway.receive(entry(order_no))
        room.orders.append(entry(order_no))
    with pytest.raises(Killed):
        room.gateway.turn()
    room.restart()
    room.turns()
    assert [deal.magic for deal in room.terminal_deals()] == [7]
    assert len(room.of(Sending)) == 2
    assert {record.order_no: record.state for record in room.of(Reconciled)} == {
        7: OrderState.FILLED,
        8: OrderState.REJECTED,
    }
    assert all(record.request is OrderRequest.PLACE for record in room.of(Sending))
