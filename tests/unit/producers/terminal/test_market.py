"""The simulated market: the order in which things happen, and what they are stamped with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.settings import TerminalSettings
from producers.clocks import ServerClock
from producers.specs import load_spec
from producers.terminal.build import of_ticks, played
from producers.terminal.market import Market, bounds_us
from producers.terminal.simulation import in_process
from producers.terminal.symbols import symbol_of
from producers.terminal.ticks import Ticks
from tests.unit.producers.terminal.playing import LEAD_US, SERVER_S, START_MS, market_order, ticks, walk

DAY_MS = 86_400_000


def client(simulation: Any) -> Any:
    module = simulation.connect()
    assert module.initialize()
    return module


def test_a_tick_happens_when_market_time_is_there() -> None:
    with in_process({"EURUSD": ticks((0, 1.1, 1.2), (10, 1.2, 1.3))}) as simulation:
        mt5, control = client(simulation), simulation.control
        assert mt5.symbol_info_tick("EURUSD") is None
        assert mt5.last_error() == (-4, "Terminal: Not found")
        control.step(LEAD_US - 1)
        assert mt5.symbol_info_tick("EURUSD") is None
        control.step(1)
        assert mt5.symbol_info_tick("EURUSD").bid == 1.1
        control.step(9_999)
        assert control.state().ticks == 1
        control.step(1)
        assert mt5.symbol_info_tick("EURUSD").bid == 1.2
        assert control.state().ended


def test_stamps_are_the_servers_wall_clock() -> None:
    with in_process({"EURUSD": ticks((7, 1.1, 1.2))}) as simulation:
        simulation.control.step(LEAD_US + 7_000)
        tick = client(simulation).symbol_info_tick("EURUSD")
        assert (tick.time, tick.time_msc) == (SERVER_S, SERVER_S * 1000 + 7)


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2014-03-07", 2), ("2014-03-10", 3), ("2014-03-28", 3), ("2014-10-27", 3), ("2014-10-31", 3), ("2014-11-03", 2)],
)
def test_the_servers_clock_is_seven_hours_ahead_of_new_york_all_year(day: str, hours: int) -> None:
    """The USA change theirs three weeks before Europe in spring, and a week after it in autumn."""
    at_ms = int(datetime.fromisoformat(day).replace(tzinfo=UTC, hour=12).timestamp()) * 1000
    one = Ticks.of_quotes(np.array([at_ms]), np.array([1.1]), np.array([1.2]))
    with in_process({"EURUSD": one}) as simulation:
        simulation.control.step(LEAD_US)
        assert client(simulation).symbol_info_tick("EURUSD").time_msc == at_ms + hours * 3_600_000


def test_server_time_stands_still_where_no_tick_arrives() -> None:
    with in_process({"EURUSD": ticks((0, 1.1, 1.2))}) as simulation:
        mt5 = client(simulation)
        simulation.control.step(LEAD_US)
        before = mt5.symbol_info("EURUSD").time
        simulation.control.step(3_600_000_000)
        assert mt5.symbol_info("EURUSD").time == mt5.symbol_info_tick("EURUSD").time == before == SERVER_S


def test_a_request_arrives_between_the_ticks_of_its_time_and_later_ones() -> None:
    data = of_ticks({"EURUSD": ticks((0, 1.1, 1.2), (10, 1.3, 1.4), (10, 1.4, 1.5), (11, 1.6, 1.7))})
    market = market_of(data.ticks)
    seen = []
    for at_ms in (10, 10, 11):
        market.at((START_MS + at_ms) * 1000, lambda: seen.append((market.now_us(), market.quote("EURUSD").bid)))  # type: ignore[union-attr]
    market.at(START_MS * 1000 + 1, lambda: seen.append((market.now_us(), market.quote("EURUSD").bid)))  # type: ignore[union-attr]
    market.play((START_MS + 20) * 1000)
    base = START_MS * 1000
    assert seen == [(base + 1, 1.1), (base + 10_000, 1.4), (base + 10_000, 1.4), (base + 11_000, 1.6)]
    assert market.now_us() == base + 20_000


def test_what_is_on_its_way_arrives_when_it_is_told_to() -> None:
    market = market_of({"EURUSD": ticks((0, 1.1, 1.2))})
    seen: list[int] = []
    market.at(START_MS * 1000, lambda: seen.append(market.now_us()))
    market.arrive()
    market.play(START_MS * 1000)
    assert seen == [market.start_us]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 40_000_000), min_size=1, max_size=12))
def test_the_outcome_does_not_depend_on_how_often_anybody_looks(steps: list[int]) -> None:
    """Stops and targets in two symbols, whose ticks cross: one look at the end, or many."""
    assert outcome(steps) == outcome([sum(steps)])


def outcome(steps: list[int]) -> Any:
    two = {"GBPUSD": walk(400, seed=2, bid=1.5), "EURUSD": walk(400, seed=1)}
    with in_process(two) as simulation:
        mt5, control = client(simulation), simulation.control
        control.step(LEAD_US + 5_000_000)
        for symbol, side in (("EURUSD", 0), ("GBPUSD", 1), ("GBPUSD", 0)):
            tick = mt5.symbol_info_tick(symbol)
            price = tick.ask if side == 0 else tick.bid
            away = 0.0003 if side == 0 else -0.0003
            request = market_order(side, symbol, sl=round(price - away, 5), tp=round(price + away, 5))
            assert mt5.order_send(request).retcode == 10009
        for us in steps:
            control.step(us)
        return mt5.history_deals_get(0, 2**31 - 1), mt5.positions_get(), mt5.account_info()


def test_an_account_is_looked_at_by_the_quotes_of_the_moment() -> None:
    """A loss that a gain in another symbol has made good for stops nothing out, though both come in one look."""
    data = {
        "EURUSD": ticks((0, 1.10000, 1.10001), (10_500, 1.09500, 1.09501), (20_000, 1.09500, 1.09501)),
        "GBPUSD": ticks((0, 1.50000, 1.50001), (10_000, 1.50500, 1.50501), (20_000, 1.50500, 1.50501)),
    }
    with in_process(data) as simulation:
        mt5, control = client(simulation), simulation.control
        control.step(LEAD_US)
        for symbol in data:
            assert mt5.order_send(market_order(symbol=symbol, volume=15.0)).retcode == 10009
        for us in (9_000_000, 2_000_000, 9_000_000):
            control.step(us)
            assert mt5.positions_total() == 2
    with in_process({**data, "GBPUSD": data["GBPUSD"].part(0, 1)}) as alone:
        mt5 = client(alone)
        alone.control.step(LEAD_US)
        for symbol in data:
            mt5.order_send(market_order(symbol=symbol, volume=15.0))
        alone.control.step(20_000_000)
        assert mt5.positions_total() == 1, "without the gain it does"


def test_symbols_trade_on_the_days_of_their_kind() -> None:
    forex = market_of({"EURUSD": ticks((0, 1.1, 1.2))})
    coin = market_of({"BTCUSD": ticks((0, 400.0, 401.0))})
    friday_ms = START_MS - START_MS % DAY_MS + 3 * DAY_MS
    closes_ms = friday_ms + 21 * 3_600_000
    assert forex.is_open("EURUSD", closes_ms - 1)
    assert not forex.is_open("EURUSD", closes_ms)
    assert not forex.is_open("EURUSD", friday_ms + 2 * DAY_MS + 21 * 3_600_000 - 1)
    assert forex.is_open("EURUSD", friday_ms + 2 * DAY_MS + 21 * 3_600_000), "Sunday, 17:00 in New York"
    assert coin.is_open("BTCUSD", closes_ms)


def test_a_symbol_with_ticks_on_a_weekend_trades_then() -> None:
    sunday = Ticks.of_quotes(np.array([START_MS + 5 * DAY_MS]), np.array([1.1]), np.array([1.2]))
    with in_process({"EURUSD": sunday}) as simulation:
        assert simulation.terminal.market.is_open("EURUSD", START_MS + 5 * DAY_MS)


def test_ticks_that_are_not_in_order_are_put_in_order_as_a_servers_history_is() -> None:
    with in_process({"EURUSD": ticks((5, 1.3, 1.4), (0, 1.1, 1.2), (5, 1.5, 1.6))}) as simulation:
        simulation.control.step(LEAD_US + 10_000)
        rows = client(simulation).copy_ticks_from("EURUSD", SERVER_S, 10, -1)
        assert rows["bid"].tolist() == [1.1, 1.3, 1.5]


def test_quotes_that_are_none_are_not_traded_on() -> None:
    broken = ticks((0, 1.1, 1.2), (1, 0.0, 1.2))
    broken.quality[1] = 2
    market = market_of({"EURUSD": broken})
    assert market.quote("EURUSD") is None
    assert market.quote("nothing") is None
    market.play((START_MS + 1) * 1000)
    quote = market.quote("EURUSD")
    assert quote is not None
    assert (quote.bid, quote.n, quote.time_ms) == (1.1, 0, START_MS)


def test_a_set_back_of_the_servers_clock_is_stamped_as_it_shows() -> None:
    """A coin trades through the Sunday on which New York goes back to winter time."""
    back_ms = int(datetime(2014, 11, 2, 6, tzinfo=UTC).timestamp()) * 1000
    around = Ticks.of_quotes(back_ms + np.array([-1000, 0, 1000]), np.full(3, 400.0), np.full(3, 401.0))
    with in_process({"BTCUSD": around}) as simulation:
        simulation.control.step(LEAD_US + 2_000_000)
        mt5 = client(simulation)
        summer, winter = (back_ms - 1000) // 1000 + 10_800, back_ms // 1000 + 7_200
        rows = mt5.copy_ticks_from("BTCUSD", winter - 60, 10, -1)
        assert rows["time"].tolist() == [summer, winter, winter + 1]
        assert mt5.order_send(market_order(symbol="BTCUSD")).retcode == 10009


def test_a_market_starts_a_little_before_its_first_tick() -> None:
    market = market_of({"EURUSD": ticks((0, 1.1, 1.2), (9, 1.1, 1.2)), "GBPUSD": ticks((5, 1.5, 1.6))})
    assert (market.start_us, market.end_us) == (START_MS * 1000 - LEAD_US, (START_MS + 9) * 1000)
    assert market.now_us() == market.start_us
    market.play(0)
    assert market.now_us() == market.start_us, "what has happened has happened"


def test_the_sample_day_is_what_is_played_without_more() -> None:
    data = played(TerminalSettings(), None)
    assert list(data.ticks) == ["EURUSD"]
    assert data.ticks["EURUSD"].size == 44_864
    assert data.digits == {"EURUSD": 5}


def market_of(data: Any) -> Market:
    from producers.terminal.ticks import TickHistory

    clock = ServerClock("ny7")
    histories = {name: TickHistory(name, own, clock) for name, own in data.items()}
    symbols = {name: symbol_of(load_spec("vantage-raw", name, ()), 5) for name in data}
    return Market(symbols, histories, clock, *bounds_us(histories, LEAD_US))
