"""Trading on paper after a real terminal: what comes through row by row, what happens when it doesn't answer."""

from __future__ import annotations

import itertools
import socket
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clock import FixedClock
from infra.errors import MissingPart, Refused
from infra.settings import PaperSettings, Settings
from producers.clocks import ServerClock
from producers.mt5 import Mt5, TerminalError
from producers.terminal import constants as codes
from producers.terminal.control import Control
from producers.terminal.live_found import Found, find, server_clock_of
from producers.terminal.live_market import MOST_TICKS
from producers.terminal.live_quotes import CALLS, LiveTerminal, NotAQuote, QuotesOnly
from producers.terminal.owner import calls_of
from producers.terminal.simulation import in_process
from producers.terminal.ticks import NONE, TickHistory, Ticks
from producers.terminal.transport import InProcess
from tests.unit.producers.terminal.papering import SECOND_US, SERVER, SOURCE, Paper, Real, paper, until
from tests.unit.producers.terminal.playing import LEAD_US, OFFSET_S, START_MS, market_order, ticks, walk

ORDERS = ("order_send", "order_check", "Buy", "Sell", "Close", "login", "positions_get", "orders_get")


def test_every_tick_comes_once_as_the_real_terminal_has_it(tmp_path: Path) -> None:
    """Equal milliseconds, deals, flags of the broker's own, several symbols, bursts beyond a page."""
    markets = {"EURUSD": walk(3_000, every_ms=20), "GBPUSD": walk(900, seed=2, every_ms=60)}
    with paper(tmp_path, markets, page=10) as own:
        for us in (SECOND_US, 50_000, 7 * SECOND_US, 1_000, 20 * SECOND_US):
            own.goes_on(us)
            for symbol in markets:
                until(lambda symbol=symbol: own.rows(symbol) == own.real.rows(symbol))  # type: ignore[misc]
        assert len(own.rows()) > 1_000
        assert own.terminal.state()["ticks"] == len(own.rows()) + len(own.rows("GBPUSD"))
        assert any(row[5] & 0x80 for row in own.rows())


def test_flags_are_the_brokers_own_wherever_the_history_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.terminal.live_source.CONTEXT_S", 1)
    with paper(tmp_path, {"EURUSD": walk(900, every_ms=20)}, LEAD_US + 5 * SECOND_US) as own:
        own.goes_on(2 * SECOND_US)
        until(lambda: own.rows()[-1] == own.real.rows()[-1])
        rows = own.rows()
        assert len(own.real.rows()) - len(rows) in range(50, 250)
        assert rows == own.real.rows()[-len(rows) :]


def test_orders_are_executed_on_paper_and_never_reach_the_real_account(tmp_path: Path) -> None:
    with paper(tmp_path, {"EURUSD": walk(400)}) as own:
        own.has_all()
        account = own.mt5.account_info()
        assert account.trade_mode == codes.ACCOUNT_TRADE_MODE_DEMO
        assert (account.server, account.company) == (f"{SERVER}-Paper", "A broker")
        done = own.mt5.order_send(market_order())
        assert done.retcode == codes.TRADE_RETCODE_DONE
        newest = own.real.owner.symbol_info_tick("EURUSD")
        assert done.price == newest.ask
        assert [deal.symbol for deal in own.mt5.history_deals_get(0, 2**31 - 1)] == ["", "EURUSD"]
        assert own.mt5.positions_total() == 1
        assert own.real.history() == 0


@pytest.mark.parametrize("name", sorted(name for name in dir(Mt5) if not name.startswith("_")))
def test_the_face_of_a_real_terminal_has_calls_for_quotes_and_no_others(name: str) -> None:
    with in_process({"EURUSD": ticks((0, 1.1, 1.2))}) as simulation:
        client: Any = simulation.connect()
        quotes = QuotesOnly(client)
        assert hasattr(quotes, name) == (name in CALLS or name == "shutdown")


@pytest.mark.parametrize("name", ORDERS)
def test_what_makes_the_calls_makes_no_other(name: str) -> None:
    asked: list[str] = []

    class Terminal:
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return lambda *args, **kwargs: None

    terminal: Any = Terminal()
    quotes = QuotesOnly(terminal)
    asked.clear()
    with pytest.raises(NotAQuote, match=f"{name} isn't asked of a real terminal"):
        quotes._ask(name)
    assert asked == []


def test_a_real_terminal_that_ended_shows_as_a_lost_connection_and_what_was_missed_comes(tmp_path: Path) -> None:
    """A stop that the market passed meanwhile is met at the tick that passed it, as at a broker's server."""
    rows = [(at * 1000, 1.1 - 0.0001 * at, 1.1002 - 0.0001 * at) for at in range(60)]
    with paper(tmp_path, {"EURUSD": ticks(*rows)}) as own:
        own.has_all()
        assert own.mt5.order_send(market_order(sl=1.0985)).retcode == codes.TRADE_RETCODE_DONE
        own.real.broken = (-10_002, "IPC recv failed")
        until(lambda: not own.mt5.terminal_info().connected)
        refused = own.mt5.order_send(market_order())
        assert (refused.retcode, refused.comment) == (codes.TRADE_RETCODE_CONNECTION, "No connection")
        before = own.rows()
        own.goes_on(30 * SECOND_US)
        assert own.rows() == before
        assert own.mt5.positions_total() == 1
        own.real.broken = None
        until(lambda: own.mt5.terminal_info().connected)
        own.has_all()
        assert own.mt5.positions_total() == 0
        stopped = own.mt5.history_deals_get(0, 2**31 - 1)[-1]
        passed = next(row for row in own.mt5.copy_ticks_from("EURUSD", 1, 100, -1) if row["bid"] <= 1.0985 + 1e-9)
        assert (stopped.time_msc, stopped.price) == (passed["time_msc"], passed["bid"])
        assert own.mt5.order_send(market_order()).retcode == codes.TRADE_RETCODE_DONE


def test_a_real_terminal_without_its_trade_server_is_none(tmp_path: Path) -> None:
    with paper(tmp_path, {"EURUSD": walk(400)}) as own:
        own.real.connected = False
        until(lambda: not own.mt5.terminal_info().connected)
        own.real.connected = True
        until(lambda: own.mt5.terminal_info().connected)
        own.goes_on(5 * SECOND_US)
        own.has_all()


def test_a_real_terminal_that_hangs_is_none_until_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.terminal.live_source.SILENT_S", 0.3)
    hanging, asked = threading.Event(), threading.Event()
    answer = Real._answer

    def slow(real: Real, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if asked.is_set():
            hanging.wait(20)
        return answer(real, name, args, kwargs)

    monkeypatch.setattr(Real, "_answer", slow)
    with paper(tmp_path, {"EURUSD": walk(400)}) as own:
        own.has_all()
        asked.set()
        until(lambda: not own.mt5.terminal_info().connected)
        assert own.mt5.symbol_info("EURUSD").name == "EURUSD"
        hanging.set()
        until(lambda: own.mt5.terminal_info().connected)
        own.goes_on(5 * SECOND_US)
        own.has_all()


def test_another_accounts_quotes_are_never_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with paper(tmp_path, {"EURUSD": walk(400)}) as own:
        own.has_all()
        own.real.broken = (-10_001, "IPC send failed")
        until(lambda: not own.mt5.terminal_info().connected)
        own.real.login, own.real.broken = 99, None
        until(lambda: not own.source._thread.is_alive())
        before = own.rows()
        own.real.login = 1_000_001
        own.goes_on(5 * SECOND_US)
        assert own.rows() == before
        assert not own.mt5.terminal_info().connected


def test_a_server_whose_clock_is_not_the_one_that_is_set_is_not_worked_with(tmp_path: Path) -> None:
    """Its ticks would be put on wrong times: stops and days by another clock than the broker's."""
    with paper(tmp_path, {"EURUSD": walk(4_000)}, server_clock="+5") as own:
        own.has_all()
        own.goes_on(2 * SECOND_US)
        until(lambda: not own.mt5.terminal_info().connected)
        assert own.mt5.order_send(market_order()).retcode == codes.TRADE_RETCODE_CONNECTION


def test_a_tick_that_the_real_terminal_got_late_stands_where_it_belongs(tmp_path: Path) -> None:
    with paper(tmp_path, {"EURUSD": walk(400, every_ms=100)}) as own:
        own.mt5.copy_rates_from_pos("EURUSD", 1, 0, 10)
        own.real.simulation.control.fault("late_ticks", share=0.2, seconds=3.0)
        for _ in range(8):
            own.goes_on(2 * SECOND_US)
            until(
                lambda: (
                    {tuple(row) for row in own.real.rows()} - {tuple(row) for row in own.rows()} == set() or sweep(own)
                )
            )
        assert sorted(map(tuple, own.rows())) == sorted(map(tuple, own.real.rows()))
        assert [row[0] for row in own.rows()] == sorted(row[0] for row in own.rows())
        ours, theirs = (one.copy_rates_from_pos("EURUSD", 1, 0, 10) for one in (own.mt5, own.real.owner))
        assert ours["tick_volume"].sum() <= theirs["tick_volume"].sum()


def sweep(own: Paper) -> bool:
    """Has late ticks looked for now."""
    for polled in own.source._polled.values():
        polled.sweep_us = 0
    return False


def test_a_tick_of_next_year_blinds_nobody(tmp_path: Path) -> None:
    """It is served as the real terminal has it, last in time; what comes after it is traded on all the same."""
    with paper(tmp_path, {"EURUSD": walk(400)}) as own:
        own.has_all()
        copy = own.real._answer

        def wrong(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            found = copy(name, args, kwargs)
            if name != "copy_ticks_from":
                return found
            late = found[-1:].copy()
            late["time_msc"] += 10**10
            late["bid"], late["ask"] = 2.0, 2.1
            return np.concatenate([found, late])

        own.real._answer = wrong  # type: ignore[method-assign]
        until(lambda: len(own.rows()) > len(own.real.rows()))
        own.real._answer = copy  # type: ignore[method-assign]
        own.goes_on(20 * SECOND_US)
        until(lambda: own.real.rows()[-1] in own.rows())
        good = [row for row in own.rows() if row[0] < own.rows()[-1][0]]
        assert [row for row in own.real.rows() if row not in good] == []
        newest = own.real.owner.symbol_info_tick("EURUSD")
        assert own.mt5.order_send(market_order()).price == newest.ask


def test_after_a_restart_what_came_meanwhile_happens_and_nothing_twice(tmp_path: Path) -> None:
    rows = [(at * 1000 + shift, 1.1 - 0.0001 * at, 1.1002 - 0.0001 * at) for at in range(60) for shift in (0, 0)]
    real = Real({"EURUSD": ticks(*rows)})
    clock = FixedClock(0)
    real.simulation.control.step(LEAD_US + 2 * SECOND_US)
    clock.advance(real.simulation.clock.now_us())
    first = Paper(real, clock, tmp_path, "EURUSD")
    first.has_all()
    assert first.mt5.order_send(market_order(sl=1.0985)).retcode == codes.TRADE_RETCODE_DONE
    first.goes_on(3 * SECOND_US)
    first.has_all()
    first.close()
    clock.advance(20 * SECOND_US)
    real.simulation.control.step(20 * SECOND_US)
    again = Paper(real, clock, tmp_path, "EURUSD")
    try:
        again.has_all()
        deals = again.mt5.history_deals_get(0, 2**31 - 1)
        assert [deal.entry for deal in deals[1:]] == [codes.DEAL_ENTRY_IN, codes.DEAL_ENTRY_OUT]
        passed = next(row for row in again.mt5.copy_ticks_from("EURUSD", 1, 200, -1) if row["bid"] <= 1.0985 + 1e-9)
        assert (deals[-1].time_msc, deals[-1].price) == (passed["time_msc"], passed["bid"])
        assert real.history() == 0
    finally:
        again.close()
        real.simulation.close()


def test_a_home_goes_on_with_the_same_real_account_only(tmp_path: Path) -> None:
    with paper(tmp_path, {"EURUSD": walk(400)}):
        pass
    with (
        pytest.raises(Refused, match=r"is asked to play live .* log the real terminal in to the former"),
        paper(tmp_path, {"GBPUSD": walk(400)}),
    ):
        pass


def test_a_live_market_goes_with_the_machines_time_and_is_moved_by_nobody(tmp_path: Path) -> None:
    with paper(tmp_path, {"EURUSD": walk(400)}) as own:
        own.clock.advance(600 * SECOND_US)
        until(lambda: own.terminal.state()["now_us"] >= own.clock.now_us())
        owner = Control(InProcess(calls_of(own.terminal)))
        for what, move in (
            ("paused", owner.pause),
            ("moved", lambda: owner.go_to(2**60)),
            ("played at another speed", lambda: owner.speed(5.0)),
        ):
            with pytest.raises(Refused, match=f"this market is live, it can't be {what}"):
                move()
        owner.speed(1.0)
        owner.resume()
        assert not owner.state().ended
        with pytest.raises(Refused, match="needs recorded ticks"):
            owner.fault("burst")


def test_ticks_of_long_ago_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.terminal.live_market.MOST_TICKS", 100)
    assert MOST_TICKS > 100_000
    with paper(tmp_path, {"EURUSD": walk(400, every_ms=50)}) as own:
        for _ in range(15):
            own.goes_on(SECOND_US)
            until(lambda: own.rows()[-1:] == own.real.rows()[-1:])
            own.mt5.copy_rates_from_pos("EURUSD", 1, 0, 10)
        held, everything = own.rows(), own.real.rows()
        assert 50 <= len(held) <= 100
        assert held == everything[-len(held) :]
        assert own.terminal.state()["ticks"] == len(everything)


def test_symbols_are_those_of_the_real_broker_and_cost_what_the_spec_says(tmp_path: Path) -> None:
    with paper(tmp_path, {"EURUSD": walk(400)}) as own:
        ours, theirs = own.mt5.symbol_info("EURUSD")._asdict(), own.real.owner.symbol_info("EURUSD")._asdict()
        for field in (
            "digits",
            "trade_contract_size",
            "volume_min",
            "volume_step",
            "filling_mode",
            "path",
            "trade_mode",
            "swap_mode",
            "swap_long",
            "trade_stops_level",
            "description",
            "trade_calc_mode",
        ):
            assert ours[field] == theirs[field], field
        spec = own.terminal.market.symbols["EURUSD"].spec
        assert spec.commission_per_lot_side > 0


def test_a_symbol_takes_no_stop_limit_orders_whatever_the_real_broker_does(tmp_path: Path) -> None:
    """The trade server is the paper one, which refuses them."""
    real = Real({"EURUSD": walk(40)})
    every = codes.SYMBOL_ORDER_STOP_LIMIT | codes.SYMBOL_ORDER_MARKET | codes.SYMBOL_ORDER_STOP
    real.wrong["EURUSD"] = {"order_mode": every}
    own = Paper(real, FixedClock(START_MS * 1000), tmp_path, "EURUSD")
    assert own.mt5.symbol_info("EURUSD").order_mode == codes.SYMBOL_ORDER_MARKET | codes.SYMBOL_ORDER_STOP
    own.close()
    real.simulation.close()


def test_finding_a_real_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Real({"EURUSD": walk(40), "GBPUSD": walk(40)})
    real.simulation.control.step(LEAD_US + SECOND_US)
    told = Settings().model_copy(update={"paper": PaperSettings(terminal="rpyc", timeout_ms=1_000)})
    terminal = LiveTerminal.of(told)
    monkeypatch.setattr("producers.terminal.live_quotes.connect", lambda _: real)
    found = find(terminal, ["GBPUSD", "GBPUSD"])
    assert list(found.symbols) == ["GBPUSD"]
    assert (found.source.server, found.source.trade_mode) == (SERVER, "real")
    assert list(find(terminal, []).symbols) == ["EURUSD", "GBPUSD"]
    with pytest.raises(Refused, match=r"has no symbol 'EURUSD.x' .* as its market watch does"):
        find(terminal, ["EURUSD.x"])
    real.connected = False
    with pytest.raises(TerminalError, match="has no line to Real-Live"):
        find(terminal, [])
    real.connected = True
    for name in ("EURUSD", "GBPUSD"):
        real.owner.symbol_select(name, False)
    with pytest.raises(Refused, match="no symbol in its market watch"):
        find(terminal, [])
    real.broken = (-10_003, "IPC initialize failed, MetaTrader 5 x64 not found")
    with pytest.raises(TerminalError, match="the terminal can't be reached"):
        find(terminal, [])
    assert set(real.asked) <= CALLS
    real.simulation.close()


def told(**paper: Any) -> LiveTerminal:
    return LiveTerminal.of(Settings().model_copy(update={"paper": PaperSettings(**paper)}))


def test_where_no_real_terminal_can_be_reached_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TerminalError, match=r"127.0.0.1:1; start it .* or correct --host and --port") as found:
        told(terminal="rpyc", port=1, timeout_ms=1_000).dial()
    assert not found.value.final
    monkeypatch.setitem(sys.modules, "MetaTrader5", None)
    with pytest.raises(MissingPart, match=r"Windows only .* by --terminal rpyc"):
        told(terminal="official").dial()
    monkeypatch.setitem(sys.modules, "rpyc", None)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(MissingPart, match="pip install"):
        told(terminal="rpyc", port=server.getsockname()[1]).dial()


@pytest.mark.parametrize(
    ("hours", "day", "name"),
    [
        (3.0, "2014-05-06T08:00:10", "ny7"), (2.0, "2014-03-20T08:00:10", "eu"), (5.5, "2014-05-06T08:00:10", "+5:30"),
        (-1.0, "2014-05-06T08:00:10", "-1:00"),
    ],
)  # fmt: skip
def test_the_servers_clock_is_found_in_the_first_tick_that_comes(hours: float, day: str, name: str) -> None:
    """In March New York is in summer time already, and Europe isn't."""
    now_ms = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)
    stamps = itertools.chain([None], itertools.repeat(1_000, 3), itertools.count(now_ms - 200 + int(hours * 3_600_000)))

    def symbol_info_tick(symbol: str) -> Any:
        stamp = next(stamps)
        return None if stamp is None else SimpleNamespace(time_msc=stamp)

    quotes: Any = SimpleNamespace(symbol_info_tick=symbol_info_tick)
    found = Found(quotes, SOURCE, {"EURUSD": quotes})
    assert server_clock_of(found, FixedClock(now_ms * 1000), 10) == name


def test_a_market_that_stands_shows_no_clock() -> None:
    quotes: Any = SimpleNamespace(symbol_info_tick=lambda _: SimpleNamespace(time_msc=1_000))
    assert server_clock_of(Found(quotes, SOURCE, {"EURUSD": quotes}), FixedClock(START_MS * 1000), 0.2) is None


def test_a_call_that_fails_for_one_symbol_leaves_the_line_up(tmp_path: Path, capsys: Any) -> None:
    with paper(tmp_path, {"EURUSD": walk(400), "GBPUSD": walk(400, seed=2)}) as own:
        own.has_all()
        until(lambda: own.rows("GBPUSD") == own.real.rows("GBPUSD"))
        copy = own.real._answer

        def failing(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if name == "last_error":
                return (-3, "Terminal: Out of memory")
            return None if name == "copy_ticks_from" and args[0] == "GBPUSD" else copy(name, args, kwargs)

        own.real._answer = failing  # type: ignore[method-assign]
        before = own.rows("GBPUSD")
        own.goes_on(5 * SECOND_US)
        own.has_all()
        until(lambda: own.real.asked.count("symbol_select") > 10)
        assert own.rows("GBPUSD") == before
        assert own.mt5.terminal_info().connected
        own.real._answer = copy  # type: ignore[method-assign]
        until(lambda: own.rows("GBPUSD") == own.real.rows("GBPUSD"))


@given(
    st.lists(st.lists(st.integers(0, 40), max_size=6), max_size=6),
    st.integers(0, 5),
)
def test_ticks_that_are_put_into_a_history_are_as_if_they_had_been_there(parts: list[list[int]], gone: int) -> None:
    """Each behind those of the same time that were there before; wherever one is put, its place is told."""
    history = TickHistory("EURUSD", NONE, ServerClock("ny7"), other_bit=False)
    expected: list[tuple[int, float]] = []
    number = 0
    for part in parts:
        times = sorted(part)
        bids = [1.0 + (number + at) * 1e-5 for at in range(len(times))]
        number += len(times)
        places = history.insert(of_times(times, bids))
        expected = sorted(
            [*expected, *((START_MS + t, b) for t, b in zip(times, bids, strict=True))], key=lambda r: r[0]
        )
        history.play(history.ticks.size)
        assert history.ticks.bid[places].tolist() == bids
    found = list(zip(history.ticks.time_ms.tolist(), history.ticks.bid.tolist(), strict=True))
    assert found == expected
    stamps = history.rows(0, history.ticks.size)["time_msc"].tolist()
    assert stamps == [t + OFFSET_S * 1000 for t, _ in expected]
    if gone <= len(expected):
        history.forget(gone)
        assert history.ticks.bid.tolist() == [bid for _, bid in expected[gone:]]
        assert history.played == history.ticks.size


def of_times(times: list[int], bids: list[float]) -> Ticks:
    bid = np.array(bids, np.float64)
    return Ticks.of_quotes(START_MS + np.array(times, np.int64), bid, bid + 0.0001)
