"""Faults on purpose: each as a client of MetaTrader5 sees it, through a real transport."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.errors import BadFile, Refused
from infra.settings import TerminalSettings
from producers.terminal.faults import Fault, Faults, Kind, read_faults
from producers.terminal.simulation import Simulation, in_process
from tests.unit.producers.terminal.playing import LEAD_US, SERVER_S, START_MS, market_order, walk

START_US = START_MS * 1000 - LEAD_US
SECOND_US = 1_000_000
ALL = -1


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with in_process({"EURUSD": walk(2_000), "GBPUSD": walk(2_000, seed=2, bid=1.5)}) as made:
        made.control.step(60 * SECOND_US)
        yield made


def client(simulation: Simulation, timeout_ms: int = 60_000) -> Any:
    module: Any = simulation.connect()
    until(lambda: module.initialize(timeout=timeout_ms))
    return module


def every_tick(mt5: Any, symbol: str = "EURUSD") -> Any:
    return mt5.copy_ticks_range(symbol, 0, 2**31 - 1, ALL)


# -- calls -------------------------------------------------------------------------------------------------------------


def test_a_call_fails_with_the_pair_that_was_told_and_is_not_executed(simulation: Simulation) -> None:
    mt5 = client(simulation)
    simulation.control.fault("fail", call="order_send", code=-10002, text="IPC recv failed", times=1)
    assert mt5.order_send(market_order()) is None
    assert mt5.last_error() == (-10002, "IPC recv failed")
    assert mt5.positions_total() == 0
    assert mt5.order_send(market_order()).retcode == 10009


def test_a_call_that_hangs_times_out_and_the_next_goes_on(simulation: Simulation) -> None:
    mt5, other = client(simulation, timeout_ms=50), client(simulation)
    simulation.control.fault("hang", call="copy_*", seconds=3600.0, times=1)
    assert mt5.copy_ticks_from("EURUSD", SERVER_S, 10, ALL) is None
    assert mt5.last_error() == (-10005, "IPC timeout")
    assert other.symbol_info_tick("EURUSD") is not None, "others are served meanwhile"
    simulation.control.clear_faults()
    assert mt5.initialize()
    assert len(mt5.copy_ticks_from("EURUSD", SERVER_S, 10, ALL)) == 10


def test_a_late_answer_is_of_a_call_that_was_executed_and_is_not_taken_for_the_next_ones(
    simulation: Simulation,
) -> None:
    mt5 = client(simulation, timeout_ms=50)
    simulation.control.fault("late", call="order_send", seconds=3600.0, times=1)
    assert mt5.order_send(market_order()) is None
    assert mt5.last_error() == (-10005, "IPC timeout")
    other = client(simulation)
    until(lambda: other.positions_total() == 1)
    simulation.control.clear_faults()
    assert mt5.initialize()
    assert mt5.positions_total() == 1
    assert mt5.symbols_total() == 2


def test_a_lost_answer_is_of_a_call_that_was_executed(simulation: Simulation) -> None:
    mt5 = client(simulation)
    simulation.control.fault("lost", call="order_send", nth=2)
    assert mt5.order_send(market_order(magic=1)).retcode == 10009
    assert mt5.order_send(market_order(magic=2)) is None
    assert mt5.last_error() == (-10005, "IPC timeout")
    assert mt5.order_send(market_order(magic=3)).retcode == 10009
    assert [position.magic for position in mt5.positions_get()] == [1, 2, 3]


def test_a_share_of_calls_fails_and_the_same_ones_for_the_same_seed() -> None:
    def failed(seed: int) -> list[bool]:
        faults = [Fault(kind=Kind.FAIL, call="symbols_total", share=0.3)]
        settings = TerminalSettings(seed=seed, latency_ms=0.0)
        with in_process({"EURUSD": walk(5)}, settings=settings, faults=faults) as simulation:
            mt5 = client(simulation)
            return [mt5.symbols_total() is None for _ in range(200)]

    assert failed(1) == failed(1)
    assert failed(1) != failed(2)
    assert 30 < sum(failed(1)) < 90


def test_calls_fail_in_a_window_of_market_time_only() -> None:
    fault = Fault(kind=Kind.FAIL, from_us=START_US + SECOND_US, until_us=START_US + 2 * SECOND_US)
    with in_process({"EURUSD": walk(50)}, faults=[fault]) as simulation:
        mt5 = client(simulation)
        assert mt5.symbols_total() == 1
        simulation.control.step(SECOND_US)
        assert mt5.symbols_total() is None
        simulation.control.step(SECOND_US)
        assert mt5.symbols_total() == 1


def test_of_two_faults_the_first_strikes_and_both_count() -> None:
    faults = Faults([Fault(kind=Kind.FAIL, nth=2, code=-1), Fault(kind=Kind.FAIL, nth=3, code=-2)])
    struck = [faults.of_call("symbols_total", 0) for _ in range(4)]
    assert [fault and fault.code for fault in struck] == [None, -1, -2, None]
    again = Faults()
    again.restore(faults.kept())
    assert again.of_call("symbols_total", 0) is None, "counts go on after a restart"


# -- the line ----------------------------------------------------------------------------------------------------------


def test_without_its_line_a_terminal_has_no_new_ticks_and_afterwards_all(simulation: Simulation) -> None:
    mt5, control = client(simulation), simulation.control
    before, info = every_tick(mt5), mt5.symbol_info("EURUSD")
    bars = mt5.copy_rates_from_pos("EURUSD", 1, 0, 99)
    control.fault("disconnect", until_us=control.state().now_us + 30 * SECOND_US)
    control.step(29 * SECOND_US)
    assert not mt5.terminal_info().connected
    assert not control.state().connected
    assert every_tick(mt5).tolist() == before.tolist()
    assert mt5.symbol_info("EURUSD") == info
    assert mt5.copy_rates_from_pos("EURUSD", 1, 0, 99).tolist() == bars.tolist()
    result = mt5.order_send(market_order(magic=5))
    assert (result.retcode, result.comment, result.request.magic) == (10031, "No connection", 5)
    control.step(SECOND_US)
    assert mt5.terminal_info().connected
    after = every_tick(mt5)
    assert len(after) > len(before)
    assert after["time_msc"].tolist() == sorted(after["time_msc"].tolist())
    assert len(after) == ticks_until(simulation)
    assert mt5.order_send(market_order()).retcode == 10009


def test_what_the_server_does_meanwhile_is_there_when_the_line_is_back(simulation: Simulation) -> None:
    mt5, control = client(simulation), simulation.control
    bid = mt5.symbol_info_tick("EURUSD").bid
    assert mt5.order_send(market_order(sl=round(bid - 0.0001, 5))).retcode == 10009
    control.fault("disconnect", until_us=control.state().now_us + 400 * SECOND_US)
    control.step(400 * SECOND_US)
    assert mt5.positions_total() == 0
    assert mt5.history_deals_get(0, 2**31 - 1)[-1].reason == 4, "its stop"


def test_late_ticks_come_behind_newer_ones_and_stand_at_their_own_time(simulation: Simulation) -> None:
    mt5, control = client(simulation), simulation.control
    from_us = control.state().now_us
    control.fault("late_ticks", symbol="EURUSD", share=0.5, seconds=5.0, until_us=from_us + 20 * SECOND_US)
    seen: list[tuple[Any, ...]] = []
    late = 0
    for _ in range(60):
        control.step(SECOND_US // 2)
        rows = [tuple(row.item()) for row in every_tick(mt5)]
        newest = seen[-1][5] if seen else 0
        known = set(seen)
        late += sum(row not in known and row[5] < newest for row in rows)
        assert [row[5] for row in rows] == sorted(row[5] for row in rows)
        assert mt5.symbol_info_tick("EURUSD").time_msc == rows[-1][5]
        seen = rows
    assert late > 10
    assert len(seen) == ticks_until(simulation)
    assert len(every_tick(mt5, "GBPUSD")) == ticks_until(simulation, "GBPUSD")


def test_a_page_is_full_though_some_of_its_ticks_are_late(simulation: Simulation) -> None:
    mt5, control = client(simulation), simulation.control
    control.fault("late_ticks", share=0.5, seconds=3600.0)
    control.step(60 * SECOND_US)
    now = every_tick(mt5)
    second = int(now["time"][-60])
    page = mt5.copy_ticks_from("EURUSD", second, 30, ALL)
    assert page.tolist() == now[now["time"] >= second][:30].tolist()


def test_repeated_ticks_are_in_the_history_twice(simulation: Simulation) -> None:
    mt5, control = client(simulation), simulation.control
    control.fault("repeat", symbol="EURUSD", share=0.5, until_us=control.state().now_us + 20 * SECOND_US)
    happened = control.state().ticks
    control.step(600 * SECOND_US)
    rows = [tuple(row.item())[:6] for row in every_tick(mt5)]
    plain = walk(2_000)
    twice = len(rows) - plain.size
    assert twice > 10
    assert {row[5] for row in rows} == set((plain.time_ms + 10_800_000).tolist())
    assert len(every_tick(mt5, "GBPUSD")) == 2_000
    assert happened < control.state().ticks == control.state().ticks_in_all


def test_a_burst_is_five_thousand_ticks_within_a_second(simulation: Simulation) -> None:
    mt5, control = client(simulation), simulation.control
    before = mt5.symbol_info_tick("EURUSD")
    from_us = control.state().now_us + 5 * SECOND_US
    control.fault("burst", symbol="EURUSD", from_us=from_us)
    control.step(600 * SECOND_US)
    rows = every_tick(mt5)
    plain = walk(2_000)
    assert len(rows) == plain.size + 5_000
    server_ms = from_us // 1000 + 10_800_000
    within = rows[(rows["time_msc"] >= server_ms) & (rows["time_msc"] < server_ms + 1000)]
    assert len(within) >= 5_000
    assert abs(within["bid"] - before.bid).max() < 0.01
    assert ((within["ask"] - within["bid"]) > 0).all()
    assert np.round(within["bid"], 5).tolist() == within["bid"].tolist()


def test_a_burst_where_nothing_was_quoted_before_is_none() -> None:
    fault = Fault(kind=Kind.BURST, from_us=START_US)
    with in_process({"EURUSD": walk(50)}, faults=[fault]) as simulation:
        assert simulation.control.state().ticks_in_all == 50


@pytest.mark.parametrize("kind", ["burst", "repeat"])
def test_what_a_fault_brought_into_the_history_stays_after_a_restart(tmp_path: Path, kind: str) -> None:
    def started() -> Simulation:
        faults = [Fault(kind=Kind.REPEAT, share=0.1)]
        return in_process({"EURUSD": walk(2_000)}, state=tmp_path / "state", clock=tmp_path / "clock", faults=faults)

    with started() as simulation:
        simulation.control.step(60 * SECOND_US)
        simulation.control.fault(kind, share=0.3, until_us=START_US + 100 * SECOND_US)
        simulation.control.step(60 * SECOND_US)
        simulation.control.clear_faults()
        simulation.control.step(10 * SECOND_US)
        before = every_tick(client(simulation)).tolist()
    with started() as simulation:
        assert every_tick(client(simulation)).tolist() == before
        simulation.control.step(SECOND_US)


# -- telling them ------------------------------------------------------------------------------------------------------


def test_faults_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(
        """
        [[fault]]
        kind = "fail"
        call = "order_send"
        nth = 3
        code = -10002
        text = "IPC recv failed"

        [[fault]]
        kind = "disconnect"
        from = 2014-05-06T10:00:00Z
        until = 2014-05-06T12:00:00+01:00
        """
    )
    call, line = read_faults(path)
    assert (call.kind, call.call, call.nth, call.code, call.text) == (
        Kind.FAIL,
        "order_send",
        3,
        -10002,
        "IPC recv failed",
    )
    assert (line.from_us, line.until_us) == (1_399_370_400_000_000, 1_399_374_000_000_000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[fault]]\nkind = "explode"', "kind = 'explode'"),
        ("[[fault]]\nnth = 1", "kind = None"),
        ('[[fault]]\nkind = "fail"\ncal = "x"', "unknown key 'cal'"),
        ('[[fault]]\nkind = "fail"\nnth = "x"', "nth = 'x'"),
        ('[[fault]]\nkind = "fail"\nshare = 0', "share is above 0"),
        ('[[fault]]\nkind = "fail"\nnth = -1', "no number is negative"),
        ('[[fault]]\nkind = "disconnect"\nfrom = 2014-05-06T10:00:00', "with a zone"),
        ('[[fault]]\nkind = "disconnect"\nuntil = 5', "with a zone"),
        ("[faults]\nx = 1", r"\[\[fault\]\] and nothing else, not faults"),
        ("fault = 1", r"\[\[fault\]\]"),
        ("[[fault", "not TOML"),
    ],
)
def test_a_file_that_tells_no_faults_says_what_is_wrong_with_it(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(BadFile, match=message):
        read_faults(path)


def test_a_file_of_faults_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"faults\.toml: can't be read"):
        read_faults(tmp_path / "faults.toml")


def test_a_fault_that_cannot_be_is_refused_at_run_time_too(simulation: Simulation) -> None:
    with pytest.raises(BadFile, match="unknown key"):
        simulation.control.fault("fail", cal="x")
    assert simulation.control.state().faults == 0


def test_ticks_that_are_made_as_they_happen_are_not_shaped() -> None:
    settings = TerminalSettings(data=("synthetic:1x10x5",), latency_ms=0.0)
    with pytest.raises(Refused, match="recorded ticks"):
        in_process(settings=settings, faults=[Fault(kind=Kind.BURST)])
    with in_process(settings=settings) as simulation:
        with pytest.raises(Refused, match="recorded ticks"):
            simulation.control.fault("repeat")
        simulation.control.fault("fail", call="symbols_total")
        assert client(simulation).symbols_total() is None


def ticks_until(simulation: Simulation, symbol: str = "EURUSD") -> int:
    """How many have happened at the server."""
    return simulation.terminal.market.histories[symbol].played


def until(holds: Any) -> None:
    """Waits for it; the test's time-out ends a wait for ever."""
    pause = threading.Event()
    while not holds():
        pause.wait(0.002)
