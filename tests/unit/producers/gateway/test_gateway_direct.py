"""Without the log: exits by the spool, and flattening straight at the terminal."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.errors import SettingsError
from infra.settings import Settings, TerminalSettings, TradeSettings, load_settings
from infra.stack.home import Home, write_json
from producers.gateway import direct
from producers.gateway.codes import Retcode
from producers.gateway.direct import flatten
from producers.gateway.fence import Fence
from producers.gateway.requests import Impossible, market_filling
from producers.gateway.service import fence_of, pin_file, spool_of
from producers.gateway.spool import Intention
from producers.gateway.venue import NoAnswer, WrongAccount, pin_of
from producers.terminal.simulation import Simulation, in_process
from schemas.executions import Filled, OrderRequest, OrderState, Reconciled, Sending
from schemas.times import iso_ms
from tests.unit.producers.gateway.room import SECOND_US, Room, entry, flat, leave, modify


def test_an_exit_goes_on_by_the_spool_while_the_log_is_silent(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7))
    position = room.of(Filled)[0].position
    room.chain.silent = True
    room.ask(leave(8, position))
    assert [i.order_no for i in room.spool.intentions()] == [8]
    assert room.mt5.positions_get() == ()
    assert room.alarms.codes == ["log_silent"]
    since = iso_ms(room.clock.now_ms())
    assert f"since {since}; exits and modifications go on by the spool" in room.alarms.ever[-1][1]
    room.chain.silent = False
    room.turns()
    assert room.spool.intentions() == []
    assert room.alarms.codes == ["log_back"]
    assert f"away since {since}" in room.alarms.ever[-1][1]


def test_what_only_the_spool_has_is_never_sent_again(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7))
    position, before = room.of(Filled)[0].position, list(room.chain.records)
    room.chain.silent = True
    room.ask(leave(8, position))
    room.chain.records = before  # The broker never got the rest, and the gateway is killed.
    room.restart()
    room.turns()
    assert [type(r).__name__ for r in room.chain.records[3:]] == ["Sending", "Filled", "Reconciled"]
    assert room.of(Reconciled)[0].state is OrderState.FILLED
    assert [deal.magic for deal in room.terminal_deals()] == [7, 8]
    assert room.spool.intentions() == []


def test_what_only_the_spool_has_is_found_however_long_the_log_was_away(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7))
    position, before = room.of(Filled)[0].position, list(room.chain.records)
    room.chain.silent = True
    room.ask(dataclasses.replace(leave(8, position), taken_us=room.clock.now_us()))
    room.chain.records = before
    room.control.step(300 * SECOND_US)
    room.restart()
    room.turns()
    assert [type(r).__name__ for r in room.chain.records[3:]] == ["Sending", "Filled", "Reconciled"]
    assert (room.of(Reconciled)[0].state, room.of(Reconciled)[0].filled) == (OrderState.FILLED, 0.1)


def test_a_modification_that_only_the_spool_has_is_told_by_the_levels(make: Callable[..., Room]) -> None:
    room = make()
    room.ask(entry(7, sl=1.09))
    position = room.of(Filled)[0].position
    room.ask(modify(7, position, 1.0950))
    before = list(room.chain.records)
    room.chain.silent = True
    room.ask(modify(7, position, 1.0960))
    room.chain.records = before
    room.restart()
    room.turns()
    assert [(type(r).__name__, getattr(r, "sl", None)) for r in room.chain.records[len(before) :]] == [
        ("Sending", None), ("Accepted", 1.096),
    ]  # fmt: skip


def test_a_flattening_by_hand_is_appended_when_the_log_is_back(make: Callable[..., Room]) -> None:
    room = make()
    room.spool.append(Intention(0, OrderRequest.PLACE, 0, 1))
    room.restart()
    assert [(s.order_no, s.request) for s in room.of(Sending)] == [(0, OrderRequest.PLACE)]
    assert room.spool.intentions() == []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Home(tmp_path / "home").create()
    return tmp_path / "home"


class Flattening:
    """A home with a terminal in this process, and what a flattening says."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, **terminal: Any) -> None:
        clock = Home(home).run / "market.clock"
        self.simulation: Simulation = in_process({"EURUSD": flat()}, settings=_terminal(**terminal), clock=clock)
        self.simulation.control.step(5 * SECOND_US)
        self.settings: Settings = load_settings(home=home).model_copy(
            update={"terminal": _terminal(**terminal), "trade": TradeSettings(account="a", settle_s=0.05)}
        )
        self.mt5: Any = self.simulation.connect()
        self.mt5.initialize()
        self.said: list[str] = []
        monkeypatch.setattr(direct, "connect", lambda settings: self.simulation.connect())
        monkeypatch.setattr(direct, "WAIT_S", 0.05)

    def trade(self, magic: int, comment: str, **changed: Any) -> Any:
        request = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}
        result = self.mt5.order_send(request | {"magic": magic, "comment": comment} | changed)
        assert result.retcode == 10009
        return result

    def run(self, everything: bool = False) -> int:
        return flatten(self.settings, "a", everything=everything, say=self.said.append)


def _terminal(**changed: Any) -> TerminalSettings:
    return TerminalSettings(kind="simulated", latency_ms=0.0, **changed)


@pytest.fixture
def flattening(home: Path, monkeypatch: pytest.MonkeyPatch) -> Flattening:
    return Flattening(home, monkeypatch)


def test_all_of_ours_is_closed_and_removed_and_others_stay(flattening: Flattening) -> None:
    flattening.trade(7, "tl7")
    flattening.trade(8, "tl8", type=1, volume=0.3)
    flattening.trade(9, "tl9", action=5, type=2, price=1.05, type_filling=2)
    flattening.trade(4711, "other")
    assert flattening.run() == 0
    assert [p.magic for p in flattening.mt5.positions_get()] == [4711]
    assert flattening.mt5.orders_get() == ()
    assert len(spool_of(flattening.settings).intentions()) == 3
    text = "\n".join(flattening.said)
    assert "not ours (magic 4711, comment 'other'), it stays" in text
    assert text.count(": closed") == 2
    assert text.count(": removed") == 1
    assert "the desk isn't halted" in text


def test_everything_is_closed_where_that_is_asked_for(flattening: Flattening) -> None:
    flattening.trade(4711, "other")
    flattening.trade(0, "")
    assert flattening.run(everything=True) == 0
    assert flattening.mt5.positions_get() == ()


def test_nothing_open_is_nothing_done(flattening: Flattening) -> None:
    assert flattening.run() == 0
    assert spool_of(flattening.settings).intentions() == []


@pytest.mark.parametrize("kind", ["lost", "fail"])
def test_a_close_without_an_answer_is_looked_at_again_before_it_is_repeated(flattening: Flattening, kind: str) -> None:
    flattening.trade(7, "tl7")
    flattening.simulation.control.fault(kind, call="order_send", times=1)
    assert flattening.run() == 0
    closing = [deal for deal in flattening.mt5.history_deals_get(0, 2**31 - 1) if deal.entry == 1]
    assert len(closing) == 1
    assert "it is looked at again" in "\n".join(flattening.said)


def test_what_cant_be_closed_is_told_and_counted(flattening: Flattening) -> None:
    flattening.trade(7, "tl7")
    flattening.simulation.control.permit(algo_trading=False)
    assert flattening.run() == 1
    assert "refused (10027)" in flattening.said[0]
    assert flattening.said[-1].startswith("1 are left")


def test_one_symbol_that_cant_be_dealt_in_keeps_no_other_position_open(
    flattening: Flattening, monkeypatch: pytest.MonkeyPatch
) -> None:
    flattening.trade(7, "tl7")
    flattening.trade(8, "tl8")
    answers: Any = iter([Impossible(Retcode.INVALID_FILL, "no filling mode"), NoAnswer("no word of it")])

    def first_two_fail(symbol: Any) -> Any:
        for failure in answers:
            raise failure
        return market_filling(symbol)

    monkeypatch.setattr(direct, "market_filling", first_two_fail)
    assert flattening.run() == 0
    assert flattening.mt5.positions_get() == ()
    text = "\n".join(flattening.said)
    assert "refused (10030): no filling mode" in text
    assert "no word of it" in text


def test_what_an_ended_gateway_had_on_its_way_is_closed_too(
    flattening: Flattening, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, flatten_once = Fence.take, direct._flatten
    monkeypatch.setattr(Fence, "take", lambda fence, *, now: take(fence, now=now) or True)
    looks: list[int] = []

    def look(*args: Any, **keys: Any) -> int:
        looks.append(flatten_once(*args, **keys))
        if len(looks) == 1:
            flattening.trade(7, "tl7")  # It arrives right after the first look.
        return looks[-1]

    monkeypatch.setattr(direct, "_flatten", look)
    assert flattening.run() == 0
    assert flattening.mt5.positions_get() == ()
    assert looks == [0, 0]


def test_who_flattens_is_seen_at_work_while_the_terminal_takes_its_time(
    flattening: Flattening, monkeypatch: pytest.MonkeyPatch
) -> None:
    flattening.trade(7, "tl7")
    path = fence_of(flattening.settings, pin_of(flattening.mt5.account_info()))
    seen: list[str] = []
    close = direct._close

    def slow(venue: Any, position: Any) -> Any:
        before = path.read_bytes()
        seen.extend(["beat"] if until(lambda: path.read_bytes() != before) else [])
        return close(venue, position)

    monkeypatch.setattr(direct, "_close", slow)
    assert flattening.run() == 0
    assert seen == ["beat"]


def until(reached: Callable[[], bool]) -> bool:
    """Whether it comes to be so, within half a minute."""
    give_up = time.monotonic() + 30
    while not reached() and time.monotonic() < give_up:
        time.sleep(0.01)
    return reached()


def test_the_fence_is_taken_and_given_back(flattening: Flattening) -> None:
    flattening.run()
    account = flattening.mt5.account_info()
    fence = Fence(fence_of(flattening.settings, pin_of(account)), "gateway")
    assert fence.take() is False
    fence.release()


def test_another_account_at_the_terminal_is_left_alone(flattening: Flattening) -> None:
    kept = pin_file(flattening.settings, "a")
    kept.parent.mkdir()
    pin = pin_of(flattening.mt5.account_info())
    write_json(kept, dataclasses.asdict(_Other()) | {"server": pin.server})
    flattening.trade(7, "tl7")
    with pytest.raises(WrongAccount, match="has login 1000001"):
        flattening.run()
    assert len(flattening.mt5.positions_get()) == 1


def test_a_home_without_terminal_or_with_another_account_says_so(flattening: Flattening) -> None:
    with pytest.raises(SettingsError, match="isn't the one of this home"):
        flatten(flattening.settings, "b", say=flattening.said.append)
    nowhere = flattening.settings.model_copy(update={"terminal": TerminalSettings()})
    with pytest.raises(SettingsError, match="no terminal is named"):
        flatten(nowhere, "a", say=flattening.said.append)


@dataclasses.dataclass
class _Other:
    login: int = 5
    trade_mode: int = 0
    currency: str = "USD"
    hedging: bool = True
