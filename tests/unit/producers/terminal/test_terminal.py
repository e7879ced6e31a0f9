"""The simulated terminal: pace, requests on their way, followers, the owner's functions, and its state."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.errors import BadFile, HomeUnusable, NotReady, Refused, SettingsError
from infra.market_clock import MarketClock, MarketClockWriter
from infra.marks import Mark
from infra.settings import TerminalSettings
from producers.recorder.listing import LOOK_BACK_S
from producers.terminal.account import TradeAccount
from producers.terminal.build import build, of_ticks, played
from producers.terminal.faults import Fault, Faults, Kind
from producers.terminal.pace import FASTEST, LEASE_S, TAIL_US, UNMARKED_US, Pace
from producers.terminal.simulation import Simulation, in_process
from producers.terminal.store import Kept, Store
from tests.unit.producers.terminal.playing import LEAD_US, SELL, SERVER_S, START_MS, market_order, walk

START_US = START_MS * 1000 - LEAD_US
DONE, CLOSED_SESSION = 10009, 10018
HOUR_US = 3_600_000_000


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with in_process({"EURUSD": walk(2_000)}) as made:
        yield made


def client(simulation: Simulation) -> Any:
    module = simulation.connect()
    assert module.initialize()
    return module


# -- the terminal itself -----------------------------------------------------------------------------------------------


def test_the_terminal_says_what_it_is(simulation: Simulation) -> None:
    mt5 = client(simulation)
    version = mt5.version()
    assert (version[0], type(version[1]), type(version[2])) == (500, int, str)
    info = mt5.terminal_info()
    assert info.connected
    assert info.trade_allowed
    assert not info.tradeapi_disabled
    assert info.build == version[1]
    assert mt5.shutdown()
    assert mt5.version() is None
    assert mt5.last_error() == (-10004, "No IPC connection")


def test_only_the_accounts_own_password_and_server_are_taken() -> None:
    account = TradeAccount(login=77, password="right", server="Here-Demo")
    with in_process({"EURUSD": walk(5)}, account=account) as simulation:
        mt5: Any = simulation.connect()
        assert mt5.initialize(login=77, password="right", server="Here-Demo")
        assert mt5.login(77)
        for bad in ({"login": 78}, {"login": 77, "password": "wrong"}, {"login": 77, "server": "There"}):
            assert not mt5.initialize(**bad)
            assert mt5.last_error() == (-6, "Terminal: Authorization failed")


def test_a_function_that_no_terminal_has_is_refused(simulation: Simulation) -> None:
    from producers.terminal.failure import TerminalFailure

    with pytest.raises(TerminalFailure, match="Invalid params"):
        simulation.terminal.call("_send", (), {})


def test_the_owner_can_forbid_trading_by_programs(simulation: Simulation) -> None:
    mt5 = client(simulation)
    simulation.control.step(60_000_000)
    simulation.control.permit(algo_trading=False)
    assert not mt5.terminal_info().trade_allowed
    assert mt5.order_send(market_order()).retcode == 10027
    simulation.control.permit(algo_trading=True, api_trading=False)
    assert mt5.terminal_info().tradeapi_disabled
    assert mt5.order_send(market_order()) is None
    assert mt5.last_error()[0] == -8
    simulation.control.permit(api_trading=True)
    assert mt5.order_send(market_order()).retcode == DONE


def test_a_symbol_with_a_position_stays_in_the_market_watch(simulation: Simulation) -> None:
    mt5 = client(simulation)
    simulation.control.step(60_000_000)
    assert mt5.order_send(market_order()).retcode == DONE
    assert mt5.symbol_select("EURUSD", False) is False
    assert mt5.last_error() == (-1, "Terminal: Call failed")
    assert mt5.symbol_info("EURUSD").select


def test_a_symbol_with_a_pending_order_stays_in_the_market_watch(simulation: Simulation) -> None:
    mt5 = client(simulation)
    simulation.control.step(60_000_000)
    order = mt5.order_send(market_order(action=5, type=2, price=1.0, type_filling=2))
    assert order.retcode == DONE
    assert mt5.symbol_select("EURUSD", False) is False
    assert mt5.last_error() == (-1, "Terminal: Call failed")
    assert mt5.order_send({"action": 8, "order": order.order}).retcode == DONE
    assert mt5.symbol_select("EURUSD", False) is True


def test_hedged_margin_is_told_as_it_is_charged(simulation: Simulation) -> None:
    """MetaTrader 5 charges hedged volume by `margin_hedged` in place of the contract, at the mean price."""
    mt5 = client(simulation)
    simulation.control.step(60_000_000)
    bought, sold = mt5.order_send(market_order()), mt5.order_send(market_order(SELL))
    info, account = mt5.symbol_info("EURUSD"), mt5.account_info()
    price = (bought.price + sold.price) / 2
    assert account.margin == pytest.approx(0.1 * info.margin_hedged * price / account.leverage, abs=0.02)


def test_a_weekend_is_closed_for_trading() -> None:
    with in_process({"EURUSD": walk(5)}) as simulation:
        simulation.control.step(5 * 24 * HOUR_US)
        assert client(simulation).order_send(market_order()).retcode == CLOSED_SESSION


# -- pace --------------------------------------------------------------------------------------------------------------


def test_a_standing_market_goes_by_steps_alone(simulation: Simulation) -> None:
    control = simulation.control
    assert (control.state().now_us, control.state().standing) == (START_US, True)
    control.step(1_500_000)
    assert control.state().now_us == simulation.clock.now_us() == START_US + 1_500_000
    with pytest.raises(Refused, match="can't go back"):
        control.go_to(START_US)
    with pytest.raises(Refused, match="can't go back"):
        control.step(-1)
    control.go_to(START_US + 2_000_000)
    assert control.state().now_us == START_US + 2_000_000


def test_a_market_that_was_let_go_goes_by_itself_and_can_be_stopped(simulation: Simulation) -> None:
    control = simulation.control
    control.speed(1_000.0)
    control.resume()
    until(lambda: control.state().ticks > 100)
    control.pause()
    state = control.state()
    assert state.standing
    assert control.state().now_us == state.now_us
    assert state.speed == 1_000.0


@pytest.mark.parametrize("speed", [-1.0, float("nan"), float("inf"), FASTEST + 1])
def test_speeds_that_cannot_be_are_refused(simulation: Simulation, speed: float) -> None:
    with pytest.raises(Refused, match="speed"):
        simulation.control.speed(speed)


def test_without_followers_a_market_plays_to_its_end_as_fast_as_it_goes() -> None:
    settings = TerminalSettings(speed=0.0, latency_ms=0.0)
    with in_process({"EURUSD": walk(2_000)}, settings=settings, running=True) as simulation:
        control = simulation.control
        until(lambda: control.state().ended)
        until(lambda: control.state().held)
        state = control.state()
        assert state.ticks == state.ticks_in_all == 2_000
        assert state.now_us == state.to_us + TAIL_US


def test_a_market_never_gets_further_ahead_of_its_followers_than_its_lead(tmp_path: Path) -> None:
    recorder, desk = Mark(tmp_path / "recorder.mark"), Mark(tmp_path / "desk.mark")
    settings = TerminalSettings(speed=0.0, lead_s=5.0, latency_ms=0.0)
    with in_process({"EURUSD": walk(2_000)}, settings=settings, marks=[recorder, desk], running=True) as simulation:
        control = simulation.control
        until(lambda: control.state().held)
        assert control.state().now_us == START_US + 5_000_000, "a mark that isn't there yet holds it at its start"
        recorder.set(START_US + 60_000_000)
        desk.set(START_US + 20_000_000)
        until(lambda: control.state().now_us == START_US + 25_000_000)
        recorder.set(START_US + 10_000_000)
        desk.set(START_US + 90_000_000)
        assert control.state().now_us == START_US + 25_000_000
        recorder.set(2**62)
        desk.set(2**62)
        until(lambda: control.state().ended)


def test_a_market_without_marks_stays_where_the_recorder_still_begins_with_its_first_tick(tmp_path: Path) -> None:
    assert UNMARKED_US < LOOK_BACK_S * 1_000_000
    recorder, desk = Mark(tmp_path / "recorder.mark"), Mark(tmp_path / "desk.mark")
    clock = MarketClockWriter(None)
    pace = Pace(
        clock, START_US, START_US + HOUR_US, speed=0.0, standing=True, lead_us=120_000_000, marks=[recorder, desk]
    )  # fmt: skip
    assert clock.pace().limit_us == START_US + UNMARKED_US
    recorder.set(START_US + 10_000_000)
    pace.renew()
    assert clock.pace().limit_us == START_US + UNMARKED_US, "the desk has none yet"
    desk.set(START_US + 20_000_000)
    pace.renew()
    assert clock.pace().limit_us == START_US + 130_000_000


def test_a_market_that_nobody_followed_yet_gains_nothing_by_being_started_again(tmp_path: Path) -> None:
    settings = TerminalSettings(speed=0.0, lead_s=5.0)
    marks = [Mark(tmp_path / "recorder.mark")]
    given: dict[str, Any] = {"settings": settings, "marks": marks, "running": True, "state": tmp_path / "state"}
    with in_process({"EURUSD": walk(2_000)}, **given) as first:
        until(lambda: first.control.state().held)
        assert first.control.state().now_us == START_US + 5_000_000
    with in_process({"EURUSD": walk(2_000)}, **given) as again:
        until(lambda: again.control.state().held)
        assert again.control.state().now_us == START_US + 5_000_000


def test_marks_of_another_market_count_nothing_for_a_new_one(tmp_path: Path) -> None:
    mark = Mark(tmp_path / "recorder.mark")
    mark.set(2**62)
    settings = TerminalSettings(speed=0.0, lead_s=5.0)
    given: dict[str, Any] = {"settings": settings, "marks": [mark], "running": True, "state": tmp_path / "state"}
    with in_process({"EURUSD": walk(200)}, **given) as simulation:
        until(lambda: simulation.control.state().held)
        assert simulation.control.state().now_us == START_US + 5_000_000
        mark.set(START_US + 20_000_000)
        until(lambda: simulation.control.state().now_us == START_US + 25_000_000)
    with in_process({"EURUSD": walk(200)}, **given) as simulation:
        assert mark.get() == START_US + 20_000_000
        assert simulation.control.state().now_us == START_US + 25_000_000


def test_at_real_speed_nobody_is_waited_for(tmp_path: Path) -> None:
    clock = MarketClockWriter(None)
    pace = Pace(clock, START_US, START_US + HOUR_US, marks=[Mark(tmp_path / "none.mark")])
    assert clock.pace().limit_us == START_US + int(LEASE_S * 1e6), "a lease, for the case that the terminal ends"
    assert not pace.held
    pace.set_speed(2.0)
    assert clock.pace().limit_us == START_US + pace.lead_us


def test_a_lease_is_renewed_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    now = [10**9]
    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])
    clock = MarketClockWriter(None)
    pace = Pace(clock, START_US, START_US + HOUR_US)
    first = clock.pace().limit_us
    now[0] += int(LEASE_S / 4 * 1e9)
    pace.renew()
    assert clock.pace().limit_us == first
    now[0] += int(LEASE_S / 2 * 1e9)
    pace.renew()
    assert clock.pace().limit_us == clock.now_us() + int(LEASE_S * 1e6)
    now[0] += 10**15
    assert clock.now_us() == clock.pace().limit_us, "without its terminal it stands in the end"


def test_a_market_at_its_end_stands_and_says_so() -> None:
    with in_process({"EURUSD": walk(50)}) as simulation:
        control = simulation.control
        control.play_to_end()
        until(lambda: control.state().ended)
        state = control.state()
        assert (state.speed, state.standing) == (0.0, False)


# -- a request's way ---------------------------------------------------------------------------------------------------


def test_a_request_takes_its_time_to_the_server() -> None:
    settings = TerminalSettings(latency_ms=200.0, speed=50.0)
    with in_process({"EURUSD": walk(20_000, every_ms=20)}, settings=settings) as simulation:
        mt5 = client(simulation)
        simulation.control.go_to(START_US + 10_000_000)
        simulation.control.resume()
        for _ in range(5):
            asked_us = simulation.clock.now_us()
            deal = mt5.history_deals_get(ticket=mt5.order_send(market_order()).order)[0]
            way_us = (deal.time_msc - (SERVER_S - START_MS // 1000) * 1000) * 1000 - asked_us
            assert way_us >= 99_000, "half of it at least"
            tick = newest_at(simulation, deal.time_msc)
            assert deal.price == tick["ask"], "the quote at its arrival"


def test_a_request_to_a_standing_market_arrives_at_once() -> None:
    with in_process({"EURUSD": walk(500)}, settings=TerminalSettings(latency_ms=10_000.0)) as simulation:
        simulation.control.step(10_000_000)
        result = client(simulation).order_send(market_order())
        assert result.retcode == DONE
        assert simulation.clock.now_us() == START_US + 10_000_000


def test_a_request_on_its_way_arrives_when_the_market_is_stopped() -> None:
    settings = TerminalSettings(latency_ms=3_600_000.0)
    with in_process({"EURUSD": walk(500)}, settings=settings) as simulation:
        control, mt5 = simulation.control, client(simulation)
        control.go_to(START_US + 10_000_000)
        control.resume()
        sent: list[Any] = []
        thread = threading.Thread(target=lambda: sent.append(mt5.order_send(market_order())))
        thread.start()
        until(lambda: control.state().requests == 1)
        control.pause()
        thread.join()
        assert sent[0].retcode == DONE


def test_a_request_to_a_market_that_its_followers_hold_arrives_all_the_same(tmp_path: Path) -> None:
    settings = TerminalSettings(latency_ms=60_000.0, speed=0.0, lead_s=10.0)
    marks = [Mark(tmp_path / "recorder.mark")]
    with in_process({"EURUSD": walk(500)}, settings=settings, marks=marks, running=True) as simulation:
        until(lambda: simulation.control.state().held)
        assert client(simulation).order_send(market_order()).retcode == DONE
        assert simulation.control.state().now_us == START_US + 10_000_000


def test_a_request_on_its_way_arrives_before_its_terminal_ends_and_none_after(tmp_path: Path) -> None:
    settings = TerminalSettings(latency_ms=3_600_000.0)
    given: dict[str, Any] = {"settings": settings, "state": tmp_path / "state", "clock": tmp_path / "clock"}
    simulation = in_process({"EURUSD": walk(500)}, **given)
    mt5 = client(simulation)
    simulation.control.go_to(START_US + 10_000_000)
    simulation.control.resume()
    sent: list[Any] = []
    thread = threading.Thread(target=lambda: sent.append(mt5.order_send(market_order(magic=1))))
    thread.start()
    until(lambda: simulation.terminal.state()["requests"] == 1)
    simulation.terminal.close()
    thread.join()
    assert sent[0].retcode == DONE
    assert mt5.order_send(market_order(magic=2)) is None
    assert mt5.last_error() == (-10002, "IPC recv failed")
    simulation.close()
    with in_process({"EURUSD": walk(500)}, **given) as again:
        assert [position.magic for position in client(again).positions_get()] == [1]


@pytest.mark.parametrize("name", ["order_send", "account_info"])
def test_a_call_that_its_terminals_end_overtakes_does_nothing(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    terminal, mt5 = simulation.terminal, client(simulation)
    simulation.control.step(10_000_000)

    def strike(name: str, now_us: int) -> Fault:
        terminal.close()
        return Fault(kind=Kind.LATE)

    monkeypatch.setattr(terminal.faults, "of_call", strike)
    arguments = (market_order(),) if name == "order_send" else ()
    assert getattr(mt5, name)(*arguments) is None
    assert mt5.last_error() == (-10_002, "IPC recv failed")
    assert terminal.server.positions_total() == 0


def test_others_are_answered_while_a_request_is_on_its_way() -> None:
    settings = TerminalSettings(latency_ms=3_600_000.0)
    with in_process({"EURUSD": walk(500)}, settings=settings) as simulation:
        control, mt5, other = simulation.control, client(simulation), client(simulation)
        control.go_to(START_US + 10_000_000)
        control.resume()
        thread = threading.Thread(target=mt5.order_send, args=(market_order(),))
        thread.start()
        until(lambda: control.state().requests == 1)
        assert other.positions_total() == 0
        assert other.symbol_info_tick("EURUSD") is not None
        control.pause()
        thread.join()
        assert other.positions_total() == 1


# -- state -------------------------------------------------------------------------------------------------------------


def restarted(tmp_path: Path, **changed: Any) -> Simulation:
    given: dict[str, Any] = {"clock": tmp_path / "clock", "state": tmp_path / "state", **changed}
    return in_process({"EURUSD": walk(2_000), "GBPUSD": walk(2_000, seed=2, bid=1.5)}, **given)


def test_a_restarted_terminal_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with restarted(tmp_path) as simulation:
        mt5, control = client(simulation), simulation.control
        control.step(30_000_000)
        assert mt5.order_send(market_order(sl=1.0, magic=7, comment="tl7")).retcode == DONE
        assert mt5.order_send(market_order(SELL, "GBPUSD")).retcode == DONE
        assert mt5.symbol_select("EURUSD") is True
        control.step(60_000_000)
        before = told(mt5)
        state = control.state()
    with restarted(tmp_path) as simulation:
        assert told(client(simulation)) == before
        again = simulation.control.state()
        assert (again.now_us, again.ticks, again.requests) == (state.now_us, state.ticks, 2)
        assert again.standing


def test_nothing_that_a_client_was_told_is_lost_when_the_terminal_is_killed(tmp_path: Path) -> None:
    simulation = restarted(tmp_path)
    mt5, control = client(simulation), simulation.control
    control.step(30_000_000)
    ask = mt5.symbol_info_tick("EURUSD").ask
    for away in (0.0002, 0.0004, 0.0006):
        assert mt5.order_send(market_order(sl=round(ask - away, 5), tp=round(ask + away, 5))).retcode == DONE
        control.step(20_000_000)
    mt5.symbol_select("GBPUSD", False)
    before = told(mt5)
    assert len(before[1]) > 4, "a stop or target has been reached since"
    now_us = simulation.clock.now_us()
    # No close: its files are as a kill leaves them.
    with restarted(tmp_path) as other:
        assert told(client(other)) == before
        assert other.clock.now_us() == now_us
    simulation.close()


def told(mt5: Any) -> tuple[Any, ...]:
    return (
        mt5.positions_get(), mt5.history_deals_get(0, 2**31 - 1), mt5.history_orders_get(0, 2**31 - 1),
        mt5.account_info(), mt5.copy_ticks_range("EURUSD", 0, 2**31 - 1, -1).tolist(),
    )  # fmt: skip


def test_speed_and_standing_are_kept_until_the_settings_say_otherwise(tmp_path: Path) -> None:
    with restarted(tmp_path) as simulation:
        simulation.control.speed(7.0)
    with restarted(tmp_path, running=True) as simulation:
        state = simulation.control.state()
        assert (state.speed, state.standing) == (7.0, True)
    with restarted(tmp_path, settings=TerminalSettings(speed=3.0), running=True) as simulation:
        state = simulation.control.state()
        assert (state.speed, state.standing) == (3.0, False)


def test_market_time_stands_while_no_terminal_runs(tmp_path: Path) -> None:
    with restarted(tmp_path, running=True):
        pass
    clock = MarketClock(tmp_path / "clock")
    assert clock.pace().rate == 0.0
    with restarted(tmp_path, running=True) as simulation:
        assert simulation.clock.pace().rate == 1.0
        left_us = clock.now_us()
        assert simulation.clock.now_us() >= left_us


def test_a_home_goes_on_with_its_own_data_only(tmp_path: Path) -> None:
    with restarted(tmp_path):
        pass
    with pytest.raises(Refused, match="fresh home"):
        in_process({"USDJPY": walk(5, bid=100.0)}, state=tmp_path / "state")
    with pytest.raises(Refused, match="balance 5"):
        restarted(tmp_path, account=TradeAccount(balance=Decimal(5)))


def test_a_state_that_is_not_whole_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "state"
    Store(path, {"data": "a"}).save({"now_us": 5}, b"dump\nwith lines")
    kept = Store(path, {"data": "a"}).load()
    assert kept is not None
    assert (kept.terminal, kept.server) == ({"now_us": 5}, b"dump\nwith lines")
    data = path.read_bytes()
    at = data.index(b"dump")
    for broken in (data[:-1], data[:10], b"", data[: len(data) // 2], data[:at] + b"x" + data[at + 1 :]):
        path.write_bytes(broken)
        with pytest.raises(BadFile, match="damaged"):
            Store(path, {"data": "a"}).load()


@pytest.mark.parametrize("saved", [2, 3])
def test_a_state_that_a_kill_cut_short_leaves_the_one_before(tmp_path: Path, saved: int) -> None:
    path = tmp_path / "state"
    store = Store(path, {})
    for number in range(1, saved):
        store.save({}, b"state %d" % number)
    before = path.read_bytes()
    store.save({}, b"state %d" % saved)
    after = path.read_bytes()
    assert len(after) == len(before)
    changed = [at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    for cut in (changed[0], changed[0] + 1, changed[len(changed) // 2], changed[-1]):
        path.write_bytes(after[:cut] + before[cut:])
        again = Store(path, {})
        assert again.load() == Kept({}, b"state %d" % (saved - 1))
        again.save({}, b"after it")
        assert Store(path, {}).load() == Kept({}, b"after it")


def test_a_state_that_has_grown_has_room_again_and_what_was_there_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "state"
    store = Store(path, {})
    for size in (10, 70_000, 1_000_000, 20, 30):
        store.save({"size": size}, bytes(size))
        assert Store(path, {}).load() == Kept({"size": size}, bytes(size))


def test_a_state_of_another_version_or_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.terminal.store.VERSION", 0)
    Store(tmp_path / "state", {}).save({}, b"")
    monkeypatch.undo()
    with pytest.raises(BadFile, match="version"):
        Store(tmp_path / "state", {}).load()
    with pytest.raises(HomeUnusable):
        Store(tmp_path, {}).load()


def test_a_trade_that_cannot_be_kept_is_not_told_as_done(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    with in_process({"EURUSD": walk(50)}, state=folder / "state") as simulation:
        mt5 = client(simulation)
        simulation.control.step(60_000_000)
        (folder / "state").unlink()
        folder.rmdir()
        assert mt5.order_send(market_order()) is None
        assert mt5.last_error() == (-1, "Terminal: Call failed")
        folder.mkdir()
        assert mt5.positions_total() == 1


# -- what it is made of ------------------------------------------------------------------------------------------------


def test_files_of_a_users_own_are_played(tmp_path: Path) -> None:
    path = tmp_path / "GBPUSD_ticks.csv"
    rows = "".join(f"2014.05.06 10:00:0{n}.000,1.5{n}000,1.5{n}010\n" for n in range(5))
    path.write_text("time,bid,ask\n" + rows)
    data = played(TerminalSettings(data=(str(path),), data_format="csv", symbol="GBPUSD"), None)
    assert list(data.ticks) == ["GBPUSD"]
    assert data.ticks["GBPUSD"].bid.tolist() == [1.5, 1.51, 1.52, 1.53, 1.54]


def test_files_of_several_symbols_share_one_market_and_bars_have_their_presets_spread(tmp_path: Path) -> None:
    for symbol, price in (("EURUSD", "1.10000"), ("USDJPY", "100.000")):
        rows = "".join(f"2014.05.06 10:0{n},{price},{price},{price},{price},10\n" for n in range(5))
        (tmp_path / f"{symbol}_M1.csv").write_text("time,open,high,low,close,volume\n" + rows)
    data = played(TerminalSettings(data=(str(tmp_path),)), None)
    spreads = {name: float((own.ask - own.bid)[0]) for name, own in data.ticks.items()}
    assert spreads == pytest.approx({"EURUSD": 2e-5, "USDJPY": 5e-3})


def test_a_netting_account_on_the_terms_of_a_preset(tmp_path: Path) -> None:
    settings = TerminalSettings(position_mode="netting", balance=2_500.5, login=42, server="Own-Demo", latency_ms=0.0)
    terminal = build(settings, of_ticks({"EURUSD": walk(100)}), MarketClockWriter(None), standing=True)
    with Simulation(terminal, running=False) as simulation:
        account = client(simulation).account_info()
        assert (account.login, account.margin_mode, account.balance) == (42, 0, 2_500.5)
        assert (account.leverage, account.margin_so_so, account.server) == (500, 50.0, "Own-Demo")


def test_a_synthetic_feed_is_the_same_for_the_same_seed_and_as_dense_as_asked() -> None:
    settings = TerminalSettings(data=("synthetic:3x50x4",), latency_ms=0.0, seed=5)
    with in_process(settings=settings) as one, in_process(settings=settings) as other:
        mt5, twin = client(one), client(other)
        assert [symbol.name for symbol in mt5.symbols_get()] == ["EURUSD", "GBPUSD", "AUDUSD"]
        one.control.step(10_000_000)
        for _ in range(20):
            other.control.step(500_000)
        for name in ("EURUSD", "GBPUSD", "AUDUSD"):
            rows = mt5.copy_ticks_range(name, 0, 2**31 - 1, -1)
            assert rows.tolist() == twin.copy_ticks_range(name, 0, 2**31 - 1, -1).tolist()
            assert np.bincount(rows["time"] - rows["time"][0]).tolist() == [50] * 4
            assert (rows["ask"] > rows["bid"]).all()
        assert one.control.state().ended
        assert mt5.order_send(market_order()).retcode == DONE


@pytest.mark.parametrize("text", ["synthetic:", "synthetic:0x5", "synthetic:9x0", "synthetic:999x5", "synthetic:2x2x0"])
def test_a_synthetic_feed_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="synthetic"):
        played(TerminalSettings(data=(text,)), None)


def test_a_client_of_a_terminal_that_has_gone_is_told(simulation: Simulation) -> None:
    mt5 = client(simulation)
    simulation.close()
    assert mt5.symbols_total() is None
    assert mt5.last_error()[0] in (-10001, -10002)
    with pytest.raises(NotReady, match="terminal doesn't answer"):
        simulation.control.state()


def until(holds: Any) -> None:
    """Waits for it; the test's time-out ends a wait for ever."""
    pause = threading.Event()
    while not holds():
        pause.wait(0.002)


def newest_at(simulation: Simulation, server_msc: int) -> Any:
    rows = client(simulation).copy_ticks_range("EURUSD", SERVER_S, server_msc // 1000, -1)
    more = client(simulation).copy_ticks_from("EURUSD", server_msc // 1000, 1000, -1)
    every = np.concatenate([rows, more])
    return every[every["time_msc"] <= server_msc][-1]


def test_faults_of_the_settings_are_those_of_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "fail"\ncall = "symbols_total"\n')
    data = of_ticks({"EURUSD": walk(5)})
    terminal = build(TerminalSettings(faults=path), data, MarketClockWriter(None), standing=True)
    with Simulation(terminal, running=False) as simulation:
        assert client(simulation).symbols_total() is None
    assert isinstance(terminal.faults, Faults)
