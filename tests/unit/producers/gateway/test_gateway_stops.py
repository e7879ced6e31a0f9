"""Positions of ours that have lost their stop at the terminal: it is set again, or they are closed as it would have."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from producers.gateway import stops
from producers.gateway.answers import Doubtful, Refused, Taken
from producers.terminal.ticks import Ticks
from schemas.configuration import PositionMode
from schemas.events import Side
from schemas.executions import Accepted, DealEntry, DealReason, Filled, OrderRequest, Rejected, Sending
from tests.unit.producers.gateway.room import BUY, SECOND_US, SELL, SETTLE_S, Room, entry, falling, leave


def rising() -> Ticks:
    return falling(step=-0.0001)


def without_stop(room: Room, side: Side = BUY, sl: float = 1.0950, tp: float | None = None) -> int:
    """A position of ours whose stop and target somebody has taken away; its number."""
    room.ask(entry(7, side, sl=sl, tp=tp))
    [position] = room.mt5.positions_get()
    assert room.mt5.order_send({"action": 6, "position": position.ticket, "symbol": "EURUSD"}).retcode == 10009
    time.sleep(SETTLE_S)  # Until then a gateway that has just begun closes nothing.
    return int(position.identifier)


class MachineClock:
    """The machine's time as far as stops look at it; it stands until it is told."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> MachineClock:
    clock = MachineClock()
    monkeypatch.setattr(stops, "time", clock)
    return clock


def told(room: Room, code: str) -> list[str]:
    """Messages of the alerts of a code."""
    return [message for one, message in room.alarms.ever if one == code]


def test_a_stop_that_is_missing_at_the_broker_is_set_again(make: Callable[..., Room]) -> None:
    room = make()
    number = without_stop(room, tp=1.12)
    room.turns(least=10)
    [position] = room.mt5.positions_get()
    assert (position.sl, position.tp) == (1.095, 1.12)
    assert [(s.order_no, s.request) for s in room.of(Sending)] == [(7, OrderRequest.PLACE), (0, OrderRequest.MODIFY)]
    restored = room.of(Accepted)[1]
    assert (restored.order_no, restored.position, restored.sl) == (0, number, 1.095)
    assert room.alarms.codes == []


@pytest.mark.parametrize(("ticks", "side", "sl"), [(falling, BUY, 1.0985), (rising, SELL, 1.1015)])
def test_a_position_whose_price_has_passed_the_lost_stop_is_closed(
    make: Callable[..., Room], ticks: Callable[[], Ticks], side: Side, sl: float
) -> None:
    room = make(ticks())
    number = without_stop(room, side, sl)
    room.control.step(30 * SECOND_US)
    room.turns()
    assert room.mt5.positions_get() == ()
    assert [(s.order_no, s.request) for s in room.of(Sending)[1:]] == [
        (0, OrderRequest.MODIFY),
        (0, OrderRequest.PLACE),
    ]
    assert [(r.order_no, r.retcode) for r in room.of(Rejected)] == [(0, 10016)]
    closed = room.of(Filled)[1]
    assert (closed.order_no, closed.position, closed.entry, closed.reason, closed.volume) == (
        0, number, DealEntry.OUT, DealReason.EXPERT, 0.1,
    )  # fmt: skip
    accepted = room.of(Accepted)[1]
    assert (accepted.order_no, accepted.request, accepted.ticket, accepted.position) == (
        0, OrderRequest.PLACE, closed.ticket, number,
    )  # fmt: skip
    assert room.chain.book.positions == {}
    assert [code for code, _ in room.alarms.ever] == ["no_stop", "stop_made_up"]
    room.restart()
    room.turns(least=10)
    assert len(room.terminal_deals()) == 2


def test_a_stop_that_is_passed_between_two_attempts_is_not_waited_for(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stops, "RESTORE_S", (3_600.0,))
    room = make(falling())
    without_stop(room, sl=1.0985)
    room.control.permit(algo_trading=False)
    room.turns()
    assert [r.retcode for r in room.of(Rejected)] == [10027]
    room.control.permit(algo_trading=True)
    room.control.step(30 * SECOND_US)
    room.turns()
    assert room.mt5.positions_get() == ()


def test_a_stop_that_cant_be_set_again_is_told_with_what_to_do(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stops, "RESTORE_S", (0.0,))
    room = make()
    without_stop(room)
    room.control.permit(algo_trading=False)
    room.turns(least=10)
    [message] = told(room, "unprotected")
    assert "runs without its stop 1.095" in message
    assert "switch Algo Trading on" in message
    assert "close it in the terminal, or by `tickledger flatten`" in message
    room.control.permit(algo_trading=True)
    room.turns()
    assert room.mt5.positions_get()[0].sl == 1.095
    assert room.alarms.codes == []


def test_a_close_that_is_refused_is_told_at_once(make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch) -> None:
    room = make(falling())
    without_stop(room, sl=1.0985)
    room.control.step(30 * SECOND_US)
    monkeypatch.setattr(stops, "RESTORE_S", (3_600.0,))
    monkeypatch.setattr(room.venue, "send", lambda _: Refused(10018, "Market closed"))
    room.turns()
    [message] = told(room, "unprotected")
    assert "(10018) Market closed" in message
    assert len(room.of(Rejected)) == 2


def test_a_close_of_a_symbol_that_is_gone_is_refused_unsent(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make(falling())
    without_stop(room, sl=1.0985)
    room.control.step(30 * SECOND_US)
    monkeypatch.setattr(stops, "RESTORE_S", (3_600.0,))
    monkeypatch.setattr(room.venue, "symbol", lambda _: None)
    room.turns()
    assert [(r.request, r.retcode) for r in room.of(Rejected)] == [
        (OrderRequest.MODIFY, 10013),
        (OrderRequest.PLACE, 10013),
    ]
    assert "the terminal has no symbol EURUSD" in told(room, "unprotected")[0]


def test_a_position_that_is_closed_meanwhile_is_no_matter_for_anybody(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make()
    number = without_stop(room)
    send = room.venue.send

    def closed(request: dict[str, Any]) -> Any:
        room.mt5.order_send(
            {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 1, "type_filling": 1, "position": number}
        )
        return send(request)

    monkeypatch.setattr(room.venue, "send", closed)
    monkeypatch.setattr(stops, "TOLD_AFTER", 1)
    room.turns(least=10)
    assert told(room, "unprotected") == []
    assert room.chain.book.positions == {}


def test_what_is_left_of_a_position_that_was_closed_in_part_is_closed_too(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stops, "RESTORE_S", (0.0,))
    path = tmp_path / "parts.toml"
    path.write_text('base = "vantage-raw"\nmax_deal_lots = 0.06\n')
    room = make(falling(), spec=str(path), position_mode=PositionMode.NETTING)
    room.ask(entry(7, volume=0.06, sl=1.0985), entry(8, volume=0.06, sl=1.0985))
    [position] = room.mt5.positions_get()
    assert room.mt5.order_send({"action": 6, "position": position.ticket, "symbol": "EURUSD"}).retcode == 10009
    time.sleep(SETTLE_S)
    room.control.step(30 * SECOND_US)
    room.turns(least=10)
    assert [filled.volume for filled in room.of(Filled)[2:]] == [0.06, 0.06]
    assert room.mt5.positions_get() == ()
    assert room.chain.book.positions == {}


def settling(make: Callable[..., Room], ticks: Ticks | None = None, **keys: Any) -> Room:
    """A room whose settle time is ten seconds, and which compares everything only at its start."""
    room = make(ticks, begin=False, **keys)
    room.trade = room.trade.model_copy(update={"settle_s": 10.0, "reconcile_s": 3_600.0})
    room.restart()
    return room


def answering(room: Room, monkeypatch: pytest.MonkeyPatch, levels: Any, close: Any) -> list[int]:
    """Answers levels and closes so; the actions that are asked for from now on."""
    asked: list[int] = []

    def send(request: dict[str, Any]) -> Any:
        asked.append(request["action"])
        return levels if request["action"] == 6 else close

    monkeypatch.setattr(room.venue, "send", send)
    return asked


WRONG_SIDE = Refused(10016, "Invalid stops")


@pytest.mark.parametrize(
    "answer", [Doubtful("no answer"), Taken(10008, 5, 0, 0.0, 0.0)], ids=["no answer", "only placed"]
)
def test_a_close_that_may_still_be_dealt_is_not_sent_again_before_the_settle_time(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, machine: MachineClock, answer: Any
) -> None:
    room = settling(make, falling())
    without_stop(room, sl=1.0985)
    room.control.step(30 * SECOND_US)
    machine.now_s += 10
    asked = answering(room, monkeypatch, WRONG_SIDE, answer)
    room.turns()
    machine.now_s += 9.9
    room.turns()
    assert asked == [6, 1]
    assert len(told(room, "unprotected")) == isinstance(answer, Doubtful)
    machine.now_s += 0.2
    room.turns()
    assert asked == [6, 1, 6, 1]


def test_a_restarted_gateway_closes_nothing_before_what_was_on_its_way_has_settled(
    make: Callable[..., Room], machine: MachineClock
) -> None:
    room = settling(make, falling())
    number = without_stop(room, sl=1.0985)
    room.control.step(30 * SECOND_US)
    machine.now_s += 10
    room.restart()
    for _ in range(4):
        room.turns()
        machine.now_s += 2.4
    assert {(s.order_no, s.request) for s in room.of(Sending)[1:]} == {(0, OrderRequest.MODIFY)}
    assert "3 attempts" in told(room, "unprotected")[0]
    machine.now_s = 1_020.0
    room.turns()
    assert room.of(Filled)[1].position == number
    assert room.mt5.positions_get() == ()


def test_a_close_that_was_on_its_way_has_the_settle_time_again_when_the_terminal_is_back(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, machine: MachineClock
) -> None:
    room = settling(make, falling())
    without_stop(room, sl=1.0985)
    room.control.step(30 * SECOND_US)
    machine.now_s += 10
    asked = answering(room, monkeypatch, WRONG_SIDE, Doubtful("no answer"))
    room.turns()
    machine.now_s += 60
    room.gateway._away.begin(room.clock.now_us())
    room.gateway._looked_s -= 60
    room.gateway.turn()
    assert asked == [6, 1, 6]
    machine.now_s += 10.1
    room.turns()
    assert asked == [6, 1, 6, 6, 1]


@pytest.mark.parametrize("asked", ["waits", "in doubt", "only placed"])
def test_a_position_that_the_desk_is_closing_is_left_to_it(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, machine: MachineClock, asked: str
) -> None:
    room = settling(make, falling())
    number = without_stop(room, sl=1.0985)
    room.control.step(30 * SECOND_US)
    machine.now_s += 10
    if asked == "waits":
        monkeypatch.setattr(room.gateway, "_work", lambda: None)
    elif asked == "in doubt":
        room.control.fault("fail", call="order_send", times=1)
        monkeypatch.setattr(room.gateway._doubts, "resolve", lambda: None)
    else:
        answering(room, monkeypatch, WRONG_SIDE, Taken(10008, 5, 0, 0.0, 0.0))
    room.gateway.receive(leave(8, number))
    for _ in range(5):
        room.gateway.turn()
        room.gateway._looked_s -= 1
    acts = [s.order_no for s in room.of(Sending)[1:] if not s.order_no]
    assert acts == []
    assert told(room, "no_stop") == []


@pytest.mark.parametrize(
    ("side", "sl", "tp", "ticks"), [(BUY, 1.0950, 1.1010, rising), (SELL, 1.1050, 1.0990, falling)]
)
def test_a_position_whose_price_has_passed_its_target_gets_its_stop_back_alone(
    make: Callable[..., Room], side: Side, sl: float, tp: float, ticks: Callable[[], Ticks]
) -> None:
    room = make(ticks())
    without_stop(room, side, sl, tp)
    room.control.step(30 * SECOND_US)
    room.turns(least=10)
    [position] = room.mt5.positions_get()
    assert (position.sl, position.tp) == (sl, 0.0)
    assert [(r.order_no, r.request, r.retcode) for r in room.of(Rejected)] == [(0, OrderRequest.MODIFY, 10016)]
    assert [code for code, _ in room.alarms.ever] == ["no_stop", "levels_differ"]
    assert f"has its stop {sl} back and not its target {tp}" in told(room, "levels_differ")[0]
    room.restart()
    room.turns(least=10)
    assert room.alarms.ever == [], "the log says which levels it has now"
    assert len(room.of(Sending)) == 3


def test_a_target_that_is_too_near_keeps_no_stop_away(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make()
    without_stop(room, tp=1.12)
    send = room.venue.send
    monkeypatch.setattr(room.venue, "send", lambda request: WRONG_SIDE if request.get("tp") else send(request))
    room.turns()
    [position] = room.mt5.positions_get()
    assert (position.sl, position.tp) == (1.095, 0.0)
    assert "has passed or is too near to" in told(room, "levels_differ")[0]


def test_a_stop_alone_that_is_refused_too_is_told_as_any(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, machine: MachineClock
) -> None:
    room = make(rising())
    without_stop(room, tp=1.1010)
    room.control.step(30 * SECOND_US)
    asked = answering(room, monkeypatch, WRONG_SIDE, None)
    for _ in range(4):
        room.turns()
        machine.now_s += 10
    assert asked == [6] * 2 * 4
    assert "(10016) Invalid stops" in told(room, "unprotected")[0]


def test_a_close_that_fails_once_is_tried_again_soon_however_long_the_stop_could_not_be_set(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, machine: MachineClock
) -> None:
    room = make(falling())
    without_stop(room, sl=1.0985)
    asked = answering(room, monkeypatch, Refused(10018, "Market closed"), Refused(10004, "Requote"))
    for _ in range(8):
        room.turns()
        machine.now_s += 60
    assert asked == [6] * 8
    machine.now_s -= 59
    room.control.step(30 * SECOND_US)
    room.turns()
    assert asked == [6] * 9 + [1]
    machine.now_s += 1.1
    room.turns()
    assert asked[10:] == [6, 1]


def test_what_is_larger_than_an_order_may_be_is_closed_piece_by_piece(
    make: Callable[..., Room], machine: MachineClock, tmp_path: Path
) -> None:
    path = tmp_path / "small.toml"
    path.write_text('base = "vantage-raw"\nvolume_max = 0.05\n')
    room = make(falling(), spec=str(path), position_mode=PositionMode.NETTING)
    room.ask(*(entry(number, volume=0.05, sl=1.0985) for number in (7, 8, 9)))
    [position] = room.mt5.positions_get()
    assert room.mt5.order_send({"action": 6, "position": position.ticket, "symbol": "EURUSD"}).retcode == 10009
    room.control.step(30 * SECOND_US)
    for _ in range(4):
        machine.now_s += 1.1
        room.turns()
    assert [filled.volume for filled in room.of(Filled)[3:]] == [0.05] * 3
    assert room.mt5.positions_get() == ()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_close_whose_comment_the_broker_rewrites_is_the_gateways_own(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, machine: MachineClock, restarted: bool
) -> None:
    room = make(falling())
    without_stop(room, sl=1.0985)
    room.control.step(30 * SECOND_US)
    machine.now_s += 10
    send = room.venue.send
    monkeypatch.setattr(room.venue, "send", lambda request: send(request | {"comment": ""}))
    if restarted:
        monkeypatch.setattr(room.gateway._deals, "take", lambda deals: 0)
    room.turns()
    if restarted:
        room.restart()
        room.turns(least=10)
    assert room.mt5.positions_get() == ()
    assert len(room.of(Filled)) == 2
    assert "unknown_deal" not in [code for code, _ in room.alarms.ever]
