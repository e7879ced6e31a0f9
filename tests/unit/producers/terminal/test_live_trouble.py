"""What is wrong with the quotes of a paper terminal: symbols that can't be had, and what a person is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.clock import FixedClock
from infra.errors import Refused
from infra.settings import PaperSettings, Settings
from producers.mt5 import TerminalError
from producers.terminal import constants as codes
from producers.terminal import live_found
from producers.terminal.control import Control
from producers.terminal.live_found import find
from producers.terminal.live_quotes import LiveTerminal
from producers.terminal.live_symbols import kept_symbols, known_symbols
from producers.terminal.owner import calls_of
from producers.terminal.transport import InProcess
from tests.unit.producers.terminal.papering import SECOND_US, Paper, Real, paper, until
from tests.unit.producers.terminal.playing import LEAD_US, market_order, ticks, walk

NOT_LOADED = {"trade_tick_value": 0.0}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_found, "LOADING_S", 0.0)


@pytest.fixture
def real() -> Any:
    found = Real({"EURUSD": walk(400), "GBPUSD": walk(400, seed=2)})
    found.simulation.control.step(LEAD_US + SECOND_US)
    yield found
    found.simulation.close()


@pytest.fixture
def terminal(real: Real, monkeypatch: pytest.MonkeyPatch) -> LiveTerminal:
    monkeypatch.setattr("producers.terminal.live_quotes.connect", lambda _: real)
    return LiveTerminal.of(Settings().model_copy(update={"paper": PaperSettings(terminal="rpyc", timeout_ms=1_000)}))


def clock_of(real: Real) -> FixedClock:
    return FixedClock(real.simulation.clock.now_us())


def trouble(own: Paper) -> str:
    owner = Control(InProcess(calls_of(own.terminal)))
    return "; ".join(owner.state().trouble)


# -- symbols that can't be had -----------------------------------------------------------------------------------------


def test_a_symbol_that_nobody_can_reckon_with_costs_no_other_one_anything(real: Real, terminal: LiveTerminal) -> None:
    real.wrong["GBPUSD"] = NOT_LOADED
    found = find(terminal, [])
    assert list(found.symbols) == ["EURUSD"]
    assert list(found.missing) == ["GBPUSD"]
    assert "trade_tick_value = 0.0" in found.missing["GBPUSD"]


def test_a_symbol_that_can_not_be_selected_costs_no_other_one_anything(real: Real, terminal: LiveTerminal) -> None:
    found = find(terminal, ["EURUSD.x", "GBPUSD", " GBP"])
    assert list(found.symbols) == ["GBPUSD"]
    assert "has no symbol 'EURUSD.x'" in found.missing["EURUSD.x"]
    assert "space" in found.missing[" GBP"]


def test_specifications_that_are_loading_are_waited_for(
    real: Real, terminal: LiveTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_found, "LOADING_S", 20.0)
    real.wrong["GBPUSD"] = NOT_LOADED
    monkeypatch.setattr(live_found.time, "sleep", lambda _: real.wrong.clear())
    found = find(terminal, ["GBPUSD", "EURUSD"])
    assert (list(found.symbols), found.missing) == (["GBPUSD", "EURUSD"], {})


def test_without_any_symbol_the_reasons_are_said(real: Real, terminal: LiveTerminal) -> None:
    real.wrong["GBPUSD"] = NOT_LOADED
    real.gone.add("EURUSD")
    with pytest.raises(Refused, match=r"has no symbol 'EURUSD' .*; GBPUSD isn't recorded: .* trade_tick_value = 0\.0"):
        find(terminal, ["EURUSD", "GBPUSD"])


def test_a_line_that_breaks_while_symbols_are_looked_at_is_made_again(real: Real, terminal: LiveTerminal) -> None:
    answer = real._answer

    def breaking(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == "symbol_select":
            real.broken = (-10_002, "IPC recv failed")
        return answer(name, args, kwargs)

    real._answer = breaking  # type: ignore[method-assign]
    with pytest.raises(TerminalError, match="IPC recv failed") as found:
        find(terminal, ["EURUSD"])
    assert not found.value.final


def test_a_paper_terminal_trades_the_others_and_says_what_is_left_out(tmp_path: Path, real: Real) -> None:
    real.wrong["GBPUSD"] = NOT_LOADED
    own = Paper(real, clock_of(real), tmp_path, "GBPUSD", "EURUSD")
    try:
        own.has_all()
        assert own.mt5.order_send(market_order()).retcode == codes.TRADE_RETCODE_DONE
        assert own.mt5.symbol_info("GBPUSD") is None
        assert trouble(own).startswith("GBPUSD is left out until the next start: GBPUSD isn't recorded: ")
    finally:
        own.close()
    real.wrong.clear()
    again = Paper(real, own.clock, tmp_path, "GBPUSD", "EURUSD")
    try:
        until(lambda: again.rows("GBPUSD")[-1:] == real.rows("GBPUSD")[-1:])
        assert trouble(again) == ""
        assert again.mt5.positions_total() == 1
    finally:
        again.close()


def test_a_symbol_that_is_there_for_the_first_time_is_in_the_market_watch(tmp_path: Path, real: Real) -> None:
    real.wrong["GBPUSD"] = NOT_LOADED
    own = Paper(real, clock_of(real), tmp_path, "GBPUSD", "EURUSD")
    own.has_all()
    own.close()
    real.wrong.clear()
    again = Paper(real, own.clock, tmp_path, "GBPUSD", "EURUSD", selected=())
    try:
        assert {symbol.name for symbol in again.mt5.symbols_get() if symbol.select} == {"EURUSD", "GBPUSD"}
    finally:
        again.close()


def test_what_is_open_in_a_symbol_that_has_gone_stays_open_until_it_is_back(tmp_path: Path) -> None:
    """A stop that the market passed meanwhile is met at the tick that passed it."""
    falling = [(at * 1000, 1.1 - 0.0001 * at, 1.1002 - 0.0001 * at) for at in range(60)]
    real = Real({"EURUSD": ticks(*falling), "GBPUSD": walk(400)})
    real.simulation.control.step(LEAD_US + SECOND_US)
    first = Paper(real, clock_of(real), tmp_path, "EURUSD", "GBPUSD")
    first.has_all()
    assert first.mt5.order_send(market_order(sl=1.0985)).retcode == codes.TRADE_RETCODE_DONE
    infos = {name: real.mt5.symbol_info(name) for name in ("EURUSD", "GBPUSD")}
    known = known_symbols(json.loads(json.dumps(kept_symbols(infos))))
    first.close()
    real.gone.add("EURUSD")
    own = Paper(real, first.clock, tmp_path, "EURUSD", "GBPUSD", known=known)
    try:
        assert "no quotes of EURUSD: " in trouble(own)
        own.goes_on(30 * SECOND_US)
        until(lambda: own.rows("GBPUSD")[-1:] == real.rows("GBPUSD")[-1:])
        assert own.mt5.symbol_info("EURUSD").trade_contract_size == infos["EURUSD"].trade_contract_size
        assert (own.mt5.positions_total(), own.mt5.terminal_info().connected) == (1, True)
        real.gone.clear()
        until(lambda: own.rows() == real.rows()[-len(own.rows()) :])
        until(lambda: not own.mt5.positions_total())
        passed = next(row for row in own.mt5.copy_ticks_from("EURUSD", 1, 100, -1) if row["bid"] <= 1.0985 + 1e-9)
        assert own.mt5.history_deals_get(0, 2**31 - 1)[-1].time_msc == passed["time_msc"]
        assert trouble(own) == ""
    finally:
        own.close()
        real.simulation.close()


def test_what_is_open_in_a_symbol_of_which_nothing_is_known_ends_the_start(tmp_path: Path, real: Real) -> None:
    first = Paper(real, clock_of(real), tmp_path, "EURUSD", "GBPUSD")
    first.has_all()
    assert first.mt5.order_send(market_order()).retcode == codes.TRADE_RETCODE_DONE
    first.close()
    real.gone.add("EURUSD")
    with pytest.raises(Refused, match="something open in EURUSD, which the real terminal hasn't"):
        Paper(real, first.clock, tmp_path, "EURUSD", "GBPUSD")


def test_symbols_that_were_not_kept_whole_are_not_known() -> None:
    assert known_symbols(None) == known_symbols({"EURUSD": {"digits": 5}, "GBPUSD": 1}) == {}


# -- what a person is told ---------------------------------------------------------------------------------------------


def test_another_login_is_told(tmp_path: Path) -> None:
    with paper(tmp_path, {"EURUSD": walk(400)}) as own:
        own.has_all()
        assert trouble(own) == ""
        own.real.broken = (-10_001, "IPC send failed")
        until(lambda: "IPC send failed" in trouble(own))
        own.real.login, own.real.broken = 99, None
        until(lambda: "logged in to 99 at Real-Live" in trouble(own))
        until(lambda: not own.source._thread.is_alive())
        assert trouble(own).startswith("no quotes: ")
        assert "log it in to that again and start anew" in trouble(own)


def test_ticks_of_another_login_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even until the next look at who is logged in."""
    with paper(tmp_path, {"EURUSD": walk(400)}) as own:
        own.has_all()
        monkeypatch.setattr("producers.terminal.live_source._LOOK_S", 3_600.0)
        before, answer = own.rows(), own.real._answer

        def of_another(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            found = answer(name, args, kwargs)
            if name == "copy_ticks_from" and found is not None:
                found["bid"] += 0.001
                own.real.login = 99
            return found

        own.real._answer = of_another  # type: ignore[method-assign]
        until(lambda: "logged in to 99 at Real-Live" in trouble(own))
        until(lambda: not own.source._thread.is_alive())
        assert own.rows() == before


def test_a_refused_login_is_told_and_not_tried_again(tmp_path: Path) -> None:
    with paper(tmp_path, {"EURUSD": walk(400)}) as own:
        own.has_all()
        own.real.broken = (-6, "Terminal: Authorization failed")
        until(lambda: not own.source._thread.is_alive())
        assert "Authorization failed (-6); check terminal.login" in trouble(own)
        assert "; correct it and start again" in trouble(own)


def test_a_clock_that_contradicts_is_told(tmp_path: Path) -> None:
    with paper(tmp_path, {"EURUSD": walk(4_000)}, server_clock="+5") as own:
        own.has_all()
        own.goes_on(2 * SECOND_US)
        until(lambda: "the server's clock shows UTC+3 h, and recorder.server_clock = +5" in trouble(own))


def test_a_lost_trade_server_is_told_until_it_is_back(tmp_path: Path) -> None:
    with paper(tmp_path, {"EURUSD": walk(400)}) as own:
        own.real.connected = False
        until(lambda: trouble(own) == "no quotes: the real terminal has lost its trade server")
        own.real.connected = True
        until(lambda: trouble(own) == "")


def test_a_terminal_that_hangs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with paper(tmp_path, {"EURUSD": walk(400)}) as own:
        own.has_all()
        monkeypatch.setattr("producers.terminal.live_source.SILENT_S", -1.0)
        assert trouble(own) == "no quotes: the real terminal hasn't answered for -1 s"
        monkeypatch.undo()


def test_a_symbol_that_can_not_be_read_is_told_until_it_can(tmp_path: Path) -> None:
    with paper(tmp_path, {"EURUSD": walk(400), "GBPUSD": walk(400, seed=2)}) as own:
        own.has_all()
        own.real.gone.add("GBPUSD")
        until(lambda: trouble(own).startswith("no quotes of GBPUSD: the real terminal says Terminal: Not found (-4)"))
        assert own.mt5.terminal_info().connected
        own.real.gone.clear()
        until(lambda: trouble(own) == "")


def test_where_ticks_may_be_missing_is_told(tmp_path: Path) -> None:
    with paper(tmp_path, {"EURUSD": walk(400)}) as own:
        own.has_all()
        newest_msc, answer = own.rows()[-1][0], own.real._answer

        def forgetful(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            found = answer(name, args, kwargs)
            return found[found["time_msc"] > newest_msc + 2_000] if name == "copy_ticks_from" else found

        own.real._answer = forgetful  # type: ignore[method-assign]
        own.goes_on(10 * SECOND_US)
        until(lambda: own.rows()[-1] == own.real.rows()[-1])
        assert trouble(own).startswith("ticks of EURUSD may be missing before 2014-05-06T08:00:0")
        assert own.mt5.terminal_info().connected
