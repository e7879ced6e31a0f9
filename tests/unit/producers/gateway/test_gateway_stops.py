"""Positions of ours that have lost their stop at the terminal: it is set again, or they are closed as it would have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from producers.gateway import stops
from producers.gateway.answers import Doubtful, Refused
from producers.terminal.ticks import Ticks
from schemas.configuration import PositionMode
from schemas.events import Side
from schemas.executions import Accepted, DealEntry, DealReason, Filled, OrderRequest, Rejected, Sending
from tests.unit.producers.gateway.room import BUY, SECOND_US, SELL, Room, entry, falling


def rising() -> Ticks:
    return falling(step=-0.0001)


def without_stop(room: Room, side: Side = BUY, sl: float = 1.0950, tp: float | None = None) -> int:
    """A position of ours whose stop and target somebody has taken away; its number."""
    room.ask(entry(7, side, sl=sl, tp=tp))
    [position] = room.mt5.positions_get()
    assert room.mt5.order_send({"action": 6, "position": position.ticket, "symbol": "EURUSD"}).retcode == 10009
    return int(position.identifier)


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
    monkeypatch.setattr(room.venue, "send", lambda _: Refused(10018, "Market closed"))
    room.turns()
    [message] = told(room, "unprotected")
    assert "(10018) Market closed" in message
    assert len(room.of(Rejected)) == 2


def test_a_close_without_an_answer_is_not_sent_again_before_the_settle_time(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stops, "RESTORE_S", (0.0,))
    room = make(falling(), begin=False)
    room.trade = room.trade.model_copy(update={"settle_s": 3_600.0})
    room.restart()
    without_stop(room, sl=1.0985)
    room.control.step(30 * SECOND_US)
    asked: list[dict[str, Any]] = []

    def silent(request: dict[str, Any]) -> Any:
        asked.append(request)
        return Refused(10016, "Invalid stops") if request["action"] == 6 else Doubtful("no answer")

    monkeypatch.setattr(room.venue, "send", silent)
    room.turns(least=10)
    assert [request["action"] for request in asked] == [6, 1]
    assert "no answer" in told(room, "unprotected")[0]


def test_a_close_of_a_symbol_that_is_gone_is_refused_unsent(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make(falling())
    without_stop(room, sl=1.0985)
    room.control.step(30 * SECOND_US)
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
    room.control.step(30 * SECOND_US)
    room.turns(least=10)
    assert [filled.volume for filled in room.of(Filled)[2:]] == [0.06, 0.06]
    assert room.mt5.positions_get() == ()
    assert room.chain.book.positions == {}
