"""Without the log: exits by the spool, and flattening straight at the terminal."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.commands.flatten import flatten as command
from infra.errors import Refused, SettingsError
from infra.settings import Settings, TerminalSettings, TradeSettings, load_settings
from infra.stack.home import Home, read_json, write_json
from producers.gateway import direct, requests, service
from producers.gateway.answers import Taken
from producers.gateway.codes import Retcode
from producers.gateway.direct import Left, flatten
from producers.gateway.fence import Fence
from producers.gateway.requests import Impossible, market_filling
from producers.gateway.service import fence_of, keep_numbers, open_venue, pin_file, spool_of
from producers.gateway.spool import Intention
from producers.gateway.venue import NoAnswer, Venue, WrongAccount, pin_of
from producers.mt5 import connect
from producers.terminal.simulation import Simulation, in_process
from schemas.executions import Filled, OrderRequest, OrderState, Reconciled, Sending
from schemas.times import iso_ms
from tests.unit.producers.gateway.room import SECOND_US, Room, entry, flat, leave, modify
from tests.unit.streams.venue.venues import account

BASE = 1 << 24
"""The order base of an account as it is configured."""


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
    assert room.alarms.ever == [], "a spool of an older release doesn't have who flattened"


def test_who_flattened_by_hand_and_why_is_told_when_the_log_is_back(make: Callable[..., Room]) -> None:
    room = make()
    room.spool.append(Intention(0, OrderRequest.CANCEL, 0, 1_000_000, "ada", "the broker is dead"))
    room.spool.append(Intention(0, OrderRequest.PLACE, 0, 2_000_000, "ada", "the broker is dead"))
    room.spool.append(Intention(0, OrderRequest.MODIFY, 0, 2_500_000))
    room.spool.append(Intention(0, OrderRequest.PLACE, 0, 3_000_000, "bob", "to be sure"))
    room.restart()
    assert [s.request for s in room.of(Sending)] == ["CANCEL", "PLACE", "MODIFY", "PLACE"]
    assert room.alarms.ever == [
        (
            "flattened_directly",
            "ada flattened a straight at the terminal, 2 requests from 1970-01-01T00:00:01.000Z on: the broker is dead",
        ),
        (
            "flattened_directly",
            "bob flattened a straight at the terminal, 1 request from 1970-01-01T00:00:03.000Z on: to be sure",
        ),
    ]


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

    def pin(self, **numbers: Any) -> None:
        """What a gateway keeps of the account; an older one nothing of its numbers."""
        kept = pin_file(self.settings, "a")
        kept.parent.mkdir(exist_ok=True)
        write_json(kept, pin_of(self.mt5.account_info())._asdict() | numbers)

    def run(self, everything: bool = False) -> int:
        return self.left(everything).exit_code

    def left(self, everything: bool = False) -> Left:
        return flatten(self.settings, "a", who="ada", why="a test", everything=everything, say=self.said.append)

    @property
    def text(self) -> str:
        """All that was said."""
        return "\n".join(self.said)


def _terminal(**changed: Any) -> TerminalSettings:
    return TerminalSettings(kind="simulated", latency_ms=0.0, **changed)


@pytest.fixture
def flattening(home: Path, monkeypatch: pytest.MonkeyPatch) -> Flattening:
    return Flattening(home, monkeypatch)


def test_all_of_ours_is_closed_and_removed_and_others_stay(flattening: Flattening) -> None:
    flattening.pin(order_base=0, order_newest=9)
    flattening.trade(7, "tl7")
    flattening.trade(8, "tl8", type=1, volume=0.3)
    flattening.trade(9, "tl9", action=5, type=2, price=1.05, type_filling=2)
    flattening.trade(0, "by hand")
    flattening.trade(2**31 - 1, "other", action=5, type=2, price=1.05, type_filling=2)
    assert flattening.run() == 0
    assert [p.comment for p in flattening.mt5.positions_get()] == ["by hand"]
    assert [o.comment for o in flattening.mt5.orders_get()] == ["other"]
    told = [(i.request, i.who, i.why) for i in spool_of(flattening.settings).intentions()]
    assert told == [(request, "ada", "a test") for request in (OrderRequest.CANCEL, "PLACE", "PLACE")]
    text = flattening.text
    assert "not ours (magic 0, comment 'by hand'), it stays" in text
    assert "in EURUSD: not ours (magic 2147483647, comment 'other'), it stays" in text
    assert "nothing of ours is left open" in text
    assert text.count(": closed") == 2
    assert text.count(": removed") == 1
    assert "the desk isn't halted" in text


@pytest.mark.parametrize("comment", ["", "rewritten", "from #12", "tl5"])
def test_what_has_a_number_of_the_account_is_ours_whatever_the_broker_made_of_its_comment(
    flattening: Flattening, comment: str
) -> None:
    flattening.pin(order_base=BASE, order_newest=BASE + 40)
    flattening.trade(BASE + 1, comment)
    flattening.trade(BASE + 41 + 2**16, comment)  # Since the gateway's start.
    flattening.trade(BASE + 42, comment, action=5, type=2, price=1.05, type_filling=2)
    flattening.trade(0, f"tl{BASE + 43}")  # The magic is lost.
    assert flattening.left() == Left()
    assert flattening.mt5.positions_get() == flattening.mt5.orders_get() == ()


def test_what_is_marked_as_another_accounts_or_programs_is_not_ours(flattening: Flattening) -> None:
    flattening.pin(order_base=BASE, order_newest=BASE)
    kept = [flattening.trade(magic, "grid").order for magic in (BASE, 2 * BASE + 1)]
    assert flattening.left() == Left(others=tuple(kept))
    assert "nothing of ours is left open" in flattening.said[-1]


def test_far_beyond_the_newest_number_the_comment_decides(flattening: Flattening) -> None:
    """Other programs' magics are often dates, which lie among the first account's numbers."""
    flattening.pin(order_base=BASE, order_newest=BASE + 40)
    other = flattening.trade(20_240_131, "grid").order
    flattening.trade(20_240_131, "tl20240131")
    assert flattening.left() == Left(doubtful=(other,))


def test_what_may_be_ours_stays_and_is_no_success(flattening: Flattening) -> None:
    flattening.pin(order_base=BASE, order_newest=BASE)
    flattening.trade(BASE + 1, "tl16777217")
    position = flattening.trade(7, "tl7").order
    order = flattening.trade(8, "tl8", action=5, type=2, price=1.05, type_filling=2).order
    left = flattening.left()
    assert (left, left.exit_code) == (Left(doubtful=(order, position)), 1)
    assert f"position {position}, 0.1 lots in EURUSD: may be ours (magic 7, comment 'tl7'), it stays" in flattening.text
    assert f"order {order} in EURUSD: may be ours (magic 8, comment 'tl8'), it stays" in flattening.text
    assert "2 may be ours: close them in the terminal itself, or all there is with --everything" in flattening.said[-1]
    assert "nothing of ours is left" not in flattening.text


@pytest.mark.parametrize("numbers", [{}, {"order_base": "0", "order_newest": 9}, {"order_base": 0}])
def test_without_the_accounts_numbers_the_comment_says_ours_and_another_one_is_in_doubt(
    flattening: Flattening, numbers: dict[str, Any]
) -> None:
    flattening.pin(**numbers)
    flattening.trade(7, "tl7")
    doubtful = flattening.trade(8, "rewritten").order
    flattening.trade(0, "tl9")
    other = flattening.trade(0, "by hand").order
    left = flattening.left()
    assert (left, left.exit_code) == (Left(doubtful=(doubtful,), others=(other,)), 1)


def test_the_gateway_keeps_the_accounts_numbers_beside_its_pin(
    flattening: Flattening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "connect", lambda settings: flattening.simulation.connect())
    config = account(order_base=BASE)
    keep_numbers(flattening.settings, config, BASE + 9)
    assert read_json(pin_file(flattening.settings, "a")) is None, "only with the account at the terminal"
    _, pin = open_venue(flattening.settings, config)
    keep_numbers(flattening.settings, config, 0)
    kept = {"order_base": BASE, "order_newest": BASE}
    assert read_json(pin_file(flattening.settings, "a")) == pin._asdict() | kept
    assert open_venue(flattening.settings, config)[1] == pin
    keep_numbers(flattening.settings, config, BASE + 9)
    assert read_json(pin_file(flattening.settings, "a")) == pin._asdict() | kept | {"order_newest": BASE + 9}
    flattening.pin(login=5)
    with pytest.raises(WrongAccount, match=r"\(login 5 → \d+\)"):
        open_venue(flattening.settings, config)


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
    assert flattening.said[-1].startswith("1 of ours are left")


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

    monkeypatch.setattr(requests, "market_filling", first_two_fail)
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
    looks: list[Left] = []

    def look(*args: Any, **keys: Any) -> Left:
        looks.append(flatten_once(*args, **keys))
        if len(looks) == 1:
            flattening.trade(7, "tl7")  # It arrives right after the first look.
        return looks[-1]

    monkeypatch.setattr(direct, "_flatten", look)
    assert flattening.run() == 0
    assert flattening.mt5.positions_get() == ()
    assert looks == [Left(), Left()]


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


def switched(flattening: Flattening, monkeypatch: pytest.MonkeyPatch, name: str, calls: int) -> None:
    """After so many calls of a function of the venue somebody logs the terminal in to another account."""
    call, left, server = getattr(Venue, name), [calls], flattening.simulation.terminal.server

    def switching(venue: Venue, *args: Any) -> Any:
        answer = call(venue, *args)
        left[0] -= 1
        if not left[0]:
            server.account = dataclasses.replace(server.account, login=2_000_002)
        return answer

    monkeypatch.setattr(Venue, name, switching)


@pytest.mark.parametrize(
    ("name", "calls", "sent"),
    [("orders", 1, 0), ("positions", 2, 0), ("send", 1, 1), ("send", 2, 2), ("send", 3, 3), ("positions", 3, 3)],
    ids=["at the first look", "after it", "behind a removal", "between closes", "behind the last", "at the last look"],
)
def test_an_account_that_is_logged_in_meanwhile_is_left_alone(
    flattening: Flattening, monkeypatch: pytest.MonkeyPatch, name: str, calls: int, sent: int
) -> None:
    flattening.trade(7, "tl7")
    flattening.trade(8, "tl8")
    flattening.trade(9, "tl9", action=5, type=2, price=1.05, type_filling=2)
    pin = pin_of(flattening.mt5.account_info())
    switched(flattening, monkeypatch, name, calls)
    with pytest.raises(WrongAccount, match=r"login 2000002 at \S+ open, not 1000001 .*: nothing is sent to it"):
        flattening.run()
    left = len(flattening.mt5.positions_get()) + len(flattening.mt5.orders_get())
    assert left == 3 - sent
    assert "left open" not in flattening.text
    fence = Fence(fence_of(flattening.settings, pin), "gateway")
    assert fence.take() is False
    fence.release()


def test_a_terminal_that_doesnt_say_which_account_it_has_is_sent_nothing_and_asked_again(
    flattening: Flattening, monkeypatch: pytest.MonkeyPatch
) -> None:
    flattening.trade(7, "tl7")
    check, silent = Venue.check, iter([False, False, True])

    def checked(venue: Venue) -> None:
        if next(silent, False):
            raise NoAnswer("the terminal doesn't tell of the account")
        check(venue)

    monkeypatch.setattr(Venue, "check", checked)
    assert flattening.run() == 0
    assert "refused (0): the terminal doesn't tell of the account" in flattening.text
    assert flattening.mt5.positions_get() == ()


def test_a_position_larger_than_an_order_may_be_is_closed_piece_by_piece(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "small.toml"
    path.write_text('base = "vantage-raw"\nvolume_max = 0.1\n')
    flattening = Flattening(home, monkeypatch, spec=str(path), position_mode="netting")
    for number in range(1, direct.ATTEMPTS + 3):
        flattening.trade(number, f"tl{number}")
    assert flattening.run() == 0
    assert flattening.mt5.positions_get() == ()
    closing = [deal.volume for deal in flattening.mt5.history_deals_get(0, 2**31 - 1) if deal.entry == 1]
    assert closing == [0.1] * (direct.ATTEMPTS + 2)


def test_a_close_that_is_only_placed_has_the_settle_time(
    flattening: Flattening, monkeypatch: pytest.MonkeyPatch
) -> None:
    flattening.trade(7, "tl7")
    asked: list[Any] = []

    def placed(venue: Venue, request: dict[str, Any]) -> Taken:
        asked.append(request)
        return Taken(10008, 5, 0, 0.0, 0.0)

    def dealt(seconds: float) -> None:
        assert flattening.mt5.order_send(asked[-1]).retcode == 10009

    monkeypatch.setattr(Venue, "send", placed)
    monkeypatch.setattr(direct, "time", SimpleNamespace(sleep=dealt))
    assert flattening.run() == 0
    assert len(asked) == 1


def test_a_home_without_terminal_or_with_another_account_says_so(flattening: Flattening) -> None:
    with pytest.raises(SettingsError, match="isn't the one of this home"):
        flatten(flattening.settings, "b", who="ada", why="a test")
    nowhere = flattening.settings.model_copy(update={"terminal": TerminalSettings()})
    with pytest.raises(SettingsError, match="no terminal is named"):
        flatten(nowhere, "a", who="ada", why="a test")


@pytest.fixture
def commanded(flattening: Flattening, home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``commanded(...)``: the command in that home."""
    for name, value in {"TERMINAL__KIND": "simulated", "TRADE__ACCOUNT": "a", "TRADE__SETTLE_S": "0.05"}.items():
        monkeypatch.setenv(f"TICKLEDGER_{name}", value)
    return lambda **options: command(home=home, **options)


def test_the_command_keeps_who_and_why_and_says_what_is_left_as_json(
    flattening: Flattening, commanded: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    flattening.trade(7, "tl7")
    other, doubtful = flattening.trade(0, "by hand").order, flattening.trade(8, "").order
    assert commanded(why="no broker", who="bob", direct=True, as_json=True) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {
        "kind": "FLATTEN", "direct": True, "account": "a", "who": "bob", "why": "no broker", "left": [],
        "doubtful": [doubtful], "others": [other],
    }  # fmt: skip
    assert ": closed" in shown.err
    assert [(i.who, i.why) for i in spool_of(flattening.settings).intentions()] == [("bob", "no broker")]
    assert commanded(why="no broker", direct=True, everything=True) == 0
    assert flattening.mt5.positions_get() == ()
    shown = capsys.readouterr()
    assert "nothing is left open" in shown.out


def test_the_command_needs_a_reason_and_takes_everything_only_at_the_terminal(commanded: Callable[..., int]) -> None:
    with pytest.raises(Refused, match="--why is empty"):
        commanded(why=" ", direct=True)
    with pytest.raises(Refused, match="--everything needs --direct"):
        commanded(why="no broker", everything=True)


def test_a_user_without_a_name_can_flatten_too(
    flattening: Flattening, commanded: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    flattening.trade(7, "tl7")
    assert commanded(why="no broker", direct=True) == 0
    (kept,) = spool_of(flattening.settings).intentions()
    assert kept.who.startswith("uid ")


@dataclasses.dataclass
class _Other:
    login: int = 5
    trade_mode: int = 0
    currency: str = "USD"
    hedging: bool = True


def test_a_simulated_terminal_that_is_not_running_is_told_with_what_starts_it(
    commanded: Callable[..., int], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "connect", connect)
    with pytest.raises(
        NoAnswer, match=rf"isn't running.*{home}.*start what the home runs \(`tickledger up`"
    ) as refusal:
        commanded(why="no broker", direct=True)
    assert "terminal.path" not in str(refusal.value)
