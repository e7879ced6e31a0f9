"""Exits and modifications that the terminal refuses again and again: people are told once, and when it is over."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from producers.gateway.answers import Refused
from producers.terminal.ticks import Ticks
from schemas.configuration import PositionMode
from schemas.executions import Canceled, Filled, Rejected
from schemas.times import iso_ms
from schemas.trading import OrderPurpose, Submitted
from tests.unit.producers.gateway.room import SECOND_US, Room, entry, leave, modify

FRIDAY_MS = 1_700_258_100_000
"""2023-11-17 21:55 UTC: five minutes before the week's end."""
SUNDAY_MS = FRIDAY_MS + 48 * 3_600_000 + 15 * 60_000


def weekend() -> Ticks:
    """A quote a second until the week's end, and again from the next one's beginning."""
    time_ms = np.concatenate([start + 1_000 * np.arange(280, dtype=np.int64) for start in (FRIDAY_MS, SUNDAY_MS)])
    bid = np.full(len(time_ms), 1.1)
    return Ticks.of_quotes(time_ms, bid, np.round(bid + 0.00001, 5))


def exit_of(room: Room, order_no: int, position: int, retry: int = 0, **changed: Any) -> Submitted:
    """An exit as the desk asks for it now."""
    return dataclasses.replace(
        leave(order_no, position), retry=retry, taken_us=room.clock.now_us(), operator="desk@1", **changed
    )


def told(room: Room) -> list[str]:
    """Codes of all alerts, in their order."""
    return [code for code, _ in room.alarms.ever]


def refuse(room: Room, monkeypatch: pytest.MonkeyPatch, retcode: int, reason: str = "Said") -> None:
    """The server refuses all requests from now on."""
    monkeypatch.setattr(room.venue, "send", lambda _: Refused(retcode, reason))


def test_an_exit_on_friday_evening_is_told_once_and_again_when_it_is_done(make: Callable[..., Room]) -> None:
    room = make(weekend())
    room.ask(entry(7))
    position = room.of(Filled)[0].position
    room.control.step(600 * SECOND_US)
    since = iso_ms(room.clock.now_ms())
    for retry in range(4):
        room.ask(exit_of(room, 8 + retry, position, retry))
        room.step(60)
    assert [r.retcode for r in room.of(Rejected)] == [10018] * 4
    [(code, message)] = room.alarms.ever
    assert code == "exit_refused"
    assert f"order 8 was refused with 10018 (Market closed): the exit of position {position} in t/EURUSD" in message
    assert f"isn't done, since {since}; " in message
    assert "close the position in the terminal" in message
    before = set(room.alarms.told)
    room.restart()
    room.turns()
    assert set(room.alarms.told) == before
    room.control.step(48 * 3_600 * SECOND_US)
    room.ask(exit_of(room, 12, position, 4))
    assert room.mt5.positions_get() == ()
    assert told(room) == ["exit_refused", "exit_done"]
    assert f"position {position} in t/EURUSD is closed; its exit wasn't done since {since}" in room.alarms.ever[1][1]


def test_a_position_that_something_else_closes_needs_no_exit_any_more(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make()
    room.ask(entry(7))
    position = room.of(Filled)[0].position
    refuse(room, monkeypatch, 10006, "Rejected")
    room.ask(exit_of(room, 8, position))
    assert told(room) == ["exit_refused"]
    room.mt5.order_send(
        {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 1, "type_filling": 1, "position": position}
    )
    room.turns()
    assert told(room)[:2] == ["exit_refused", "exit_done"]
    monkeypatch.undo()
    room.ask(exit_of(room, 9, position, 1))
    assert told(room).count("exit_refused") == 1


def test_a_partial_exit_that_is_done_at_last_ends_it_too(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make()
    room.ask(entry(7))
    position = room.of(Filled)[0].position
    refuse(room, monkeypatch, 10006)
    room.ask(exit_of(room, 8, position, volume=0.05))
    monkeypatch.undo()
    room.ask(exit_of(room, 9, position, 1, volume=0.05))
    assert told(room) == ["exit_refused", "exit_done"]
    assert f"the exit of position {position} in t/EURUSD is done; it wasn't since 2023" in room.alarms.ever[1][1]
    refuse(room, monkeypatch, 10006)
    room.ask(exit_of(room, 10, position))
    assert told(room)[2:] == ["exit_refused"]


def test_an_exit_that_left_no_trace_is_told(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7))
    position = room.of(Filled)[0].position
    room.control.fault("fail", call="order_send", times=1)
    room.ask(exit_of(room, 8, position))
    room.turns()
    assert told(room) == ["no_answer", "not_executed", "exit_refused"]
    assert "order 8 was not executed: the exit" in room.alarms.ever[-1][1]


def test_an_exit_that_fell_short_is_told_only_once_it_was_asked_for_again(
    make: Callable[..., Room], tmp_path: Path
) -> None:
    path = tmp_path / "parts.toml"
    path.write_text('base = "vantage-raw"\nmax_deal_lots = 0.04\n')
    room = make(spec=str(path), position_mode=PositionMode.NETTING)
    room.ask(*[entry(number, volume=0.04) for number in (5, 6, 7)])
    position = room.of(Filled)[0].position
    room.ask(exit_of(room, 8, position, volume=0.12))
    assert [c.remaining for c in room.of(Canceled)] == [0.08]
    assert told(room) == []
    room.ask(exit_of(room, 9, position, 1, volume=0.08))
    assert told(room) == ["exit_refused"]
    assert "order 9 ended canceled with 0.04 lots of it left: the exit" in room.alarms.ever[0][1]
    room.ask(exit_of(room, 10, position, 2, volume=0.04))
    assert told(room) == ["exit_refused", "exit_done"]


def test_an_exit_of_what_is_closed_already_is_no_alert(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7))
    position = room.of(Filled)[0].position
    room.ask(exit_of(room, 8, position), exit_of(room, 9, position, 1))
    assert [r.retcode for r in room.of(Rejected)] == [10036]
    assert told(room) == []


def test_modifications_that_are_refused_again_and_again_are_told_once(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make()
    room.ask(entry(7, sl=1.09))
    position = room.of(Filled)[0].position
    for sl in (1.2, 1.3):
        room.ask(modify(7, position, sl))
    room.turns()
    assert told(room) == []
    since = iso_ms(room.of(Rejected)[0].time_ms)
    for sl in (1.2, 1.3):
        room.ask(modify(7, position, sl))
    [(code, message)] = room.alarms.ever
    assert code == "levels_refused"
    assert f"3 modifications of position {position} in t/EURUSD in a row" in message
    assert "10016" in message
    assert f"since {since}; it keeps its stop at 1.09 and its target at 0 (0 = none)" in message
    before = set(room.alarms.told)
    room.restart()
    room.turns()
    assert set(room.alarms.told) == before
    room.ask(modify(7, position, 1.095))
    assert told(room) == ["levels_refused", "levels_taken"]
    assert room.alarms.codes == ["levels_taken"]


def test_levels_that_are_there_already_count_as_taken(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7, sl=1.09))
    position = room.of(Filled)[0].position
    room.ask(*[modify(7, position, 1.09)] * 4)
    assert [r.retcode for r in room.of(Rejected)] == [10025] * 4
    assert told(room) == []


def test_a_position_that_is_gone_keeps_no_levels(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7, sl=1.09))
    position = room.of(Filled)[0].position
    room.ask(*[modify(7, position, 1.2)] * 3)
    room.ask(leave(8, position))
    assert told(room) == ["levels_refused", "levels_taken"]
    assert f"position {position} is closed" in room.alarms.ever[1][1]


def test_entries_that_are_refused_are_none_of_it(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(*[entry(number, volume=0.015) for number in range(7, 12)])
    assert {order.purpose for order in room.orders} == {OrderPurpose.ENTRY}
    assert told(room) == []
