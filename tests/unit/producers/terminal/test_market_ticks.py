"""Ticks and bars as the simulated terminal serves them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.mt5 import TICK_DTYPE
from producers.terminal.rates import RATE_DTYPE
from producers.terminal.simulation import Simulation, in_process
from producers.terminal.ticks import CACHED_ROWS, Ticks
from tests.unit.producers.terminal.playing import LEAD_US, OFFSET_S, SERVER_S, START_MS, rows_of, ticks, walk

ALL, INFO, TRADE = -1, 1, 2
CALL_FAILED = (-1, "Terminal: Call failed")
M1, M5, H1, D1, W1, MN1 = 1, 5, 0x4001, 0x4018, 0x8001, 0xC001


def played(data: Ticks, us: int = 86_400_000_000) -> tuple[Simulation, Any]:
    simulation = in_process({"EURUSD": data})
    simulation.control.step(us)
    module: Any = simulation.connect()
    assert module.initialize()
    return simulation, module


def test_rows_have_the_packages_dtype_and_are_the_callers_own() -> None:
    simulation, mt5 = played(ticks((0, 1.1, 1.2), (1, 1.2, 1.3)))
    with simulation:
        rows = mt5.copy_ticks_from("EURUSD", SERVER_S, 10, ALL)
        assert rows.dtype == TICK_DTYPE
        assert (rows.dtype.itemsize, rows.flags.writeable) == (60, True)
        rows["bid"] = 0
        assert mt5.copy_ticks_from("EURUSD", SERVER_S, 10, ALL)["bid"].tolist() == [1.1, 1.2]


def test_ticks_of_one_millisecond_are_all_kept() -> None:
    simulation, mt5 = played(ticks((0, 1.1, 1.2), (0, 1.1, 1.2), (0, 1.0, 1.2), (1, 1.1, 1.2)))
    with simulation:
        rows = mt5.copy_ticks_from("EURUSD", SERVER_S, 10, ALL)
        assert rows["time_msc"].tolist() == [SERVER_S * 1000] * 3 + [SERVER_S * 1000 + 1]
        assert rows["bid"].tolist() == [1.1, 1.1, 1.0, 1.1]


def test_the_cursor_is_a_whole_second() -> None:
    simulation, mt5 = played(ticks((999, 1.1, 1.2), (1000, 1.2, 1.3), (1999, 1.3, 1.4), (2000, 1.4, 1.5)))
    with simulation:
        assert mt5.copy_ticks_from("EURUSD", SERVER_S + 1, 2, ALL)["bid"].tolist() == [1.2, 1.3]
        assert mt5.copy_ticks_from("EURUSD", SERVER_S + 1.9, 1, ALL)["bid"].tolist() == [1.2]
        assert mt5.copy_ticks_range("EURUSD", SERVER_S + 1, SERVER_S + 2, ALL)["bid"].tolist() == [1.2, 1.3, 1.4]
        assert mt5.copy_ticks_range("EURUSD", SERVER_S + 1, SERVER_S + 1, ALL)["bid"].tolist() == [1.2]
        assert mt5.copy_ticks_range("EURUSD", SERVER_S + 2, SERVER_S, ALL)["bid"].tolist() == []
        assert mt5.copy_ticks_from("EURUSD", SERVER_S + 60, 5, ALL)["bid"].tolist() == []


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([0, 0, 0, 1, 400, 1000]), min_size=1, max_size=60),
    st.lists(st.integers(1, 2_000_000), min_size=1, max_size=20),
    st.integers(2, 7),
)
def test_paging_by_the_whole_second_loses_nothing(gaps: list[int], steps: list[int], page: int) -> None:
    """As a recorder does: ask again from the last tick's second, skip as many rows of a kind as are there already."""
    time_ms = START_MS + np.cumsum(gaps)
    data = Ticks.of_quotes(time_ms, (np.arange(len(gaps)) // 2 + 1.5).astype(np.float64), np.full(len(gaps), 9.0))
    got: list[Any] = []
    with in_process({"EURUSD": data}) as simulation:
        mt5: Any = simulation.connect()
        mt5.initialize()
        for us in [LEAD_US, *steps, 200_000_000]:
            simulation.control.step(us)
            wanted = page
            while True:
                second = got[-1][0] if got else SERVER_S
                rows = rows_of(mt5.copy_ticks_from("EURUSD", second, wanted, ALL))
                had = Counter(row for row in got if row[0] == second)
                fresh = [row for row in rows if row[0] != second or not take(had, row)]
                got += fresh
                if len(rows) < wanted:
                    break
                wanted = page if fresh else wanted * 2
        assert got == rows_of(mt5.copy_ticks_range("EURUSD", 0, 2**31 - 1, ALL))
        assert [row[5] for row in got] == (time_ms + OFFSET_S * 1000).tolist()


def take(had: Counter[Any], row: Any) -> bool:
    if not had[row]:
        return False
    had[row] -= 1
    return True


def test_older_ticks_than_those_of_the_cache_are_served_too() -> None:
    data = walk(3 * CACHED_ROWS)
    simulation, mt5 = played(data)
    with simulation:
        whole = mt5.copy_ticks_range("EURUSD", 0, 2**31 - 1, ALL)
        assert whole["bid"].tolist() == data.bid.tolist()
        for start in (0, 17, CACHED_ROWS - 3, 2 * CACHED_ROWS, 3 * CACHED_ROWS - 1):
            second = int(whole["time"][start])
            first = int(np.searchsorted(whole["time"], second))
            for count in (1, 100, CACHED_ROWS, 2 * CACHED_ROWS):
                assert mt5.copy_ticks_from("EURUSD", second, count, ALL).tolist() == (
                    whole[first : first + count].tolist()
                )


def test_flags_say_what_changed_and_now_and_then_a_bit_more() -> None:
    simulation, mt5 = played(walk(400))
    with simulation:
        flags = mt5.copy_ticks_range("EURUSD", 0, 2**31 - 1, ALL)["flags"]
        assert set((flags & 0x7E).tolist()) == {6}
        assert 0 < (flags & 0x80 != 0).sum() < len(flags)


def test_ticks_with_deals_are_told_from_those_with_quotes() -> None:
    data = ticks((0, 1.1, 1.2), (1, 1.1, 1.2), (2, 1.1, 1.2))
    data.flags[:] = (6, 8 | 16, 2)
    data.last[1], data.volume[1] = 1.15, 3.0
    simulation, mt5 = played(data)
    with simulation:
        for flags, wanted in ((ALL, [0, 1, 2]), (INFO, [0, 2]), (TRADE, [1])):
            assert (mt5.copy_ticks_from("EURUSD", SERVER_S, 9, flags)["time_msc"] % 1000).tolist() == wanted
        row = mt5.copy_ticks_from("EURUSD", SERVER_S, 1, TRADE)[0]
        assert (row["last"], row["volume"], row["volume_real"]) == (1.15, 3, 3.0)
        assert mt5.copy_ticks_from("EURUSD", SERVER_S, 9, 3) is None
        assert mt5.last_error() == (-2, "Terminal: Invalid params")


def test_a_count_is_of_the_rows_that_were_asked_for() -> None:
    data = ticks(*((n, 1.1, 1.2) for n in range(6)))
    data.flags[:] = (6, 8, 6, 8, 6, 8)
    simulation, mt5 = played(data)
    with simulation:
        assert (mt5.copy_ticks_from("EURUSD", SERVER_S, 3, TRADE)["time_msc"] % 1000).tolist() == [1, 3, 5]
        assert len(mt5.copy_ticks_from("EURUSD", SERVER_S, 0, ALL)) == 0
        assert mt5.copy_ticks_from("EURUSD", SERVER_S, -1, ALL) is None


def test_only_symbols_of_the_market_watch_have_prices() -> None:
    with in_process({"EURUSD": walk(10), "GBPUSD": walk(10)}) as simulation:
        mt5: Any = simulation.connect()
        mt5.initialize()
        simulation.control.step(60_000_000)
        assert mt5.symbol_select("EURUSD", False)
        assert not mt5.symbol_info("EURUSD").select
        assert mt5.symbol_info_tick("EURUSD") is None
        assert mt5.copy_ticks_from("EURUSD", SERVER_S, 9, ALL) is None
        assert mt5.last_error()[0] == -4
        assert mt5.copy_rates_from_pos("EURUSD", M1, 0, 1) is None
        assert mt5.last_error() == CALL_FAILED
        assert mt5.symbol_select("EURUSD")
        assert len(mt5.copy_ticks_from("EURUSD", SERVER_S, 9, ALL)) == 9
        for call in (mt5.symbol_info, mt5.symbol_info_tick, mt5.market_book_get):
            assert call("NOSUCH") is None
            assert mt5.last_error() == (-4, "Terminal: Not found")
        assert mt5.copy_ticks_from("NOSUCH", SERVER_S, 9, ALL) is None
        assert mt5.last_error() == (-4, "Terminal: Not found")
        for enable in (True, False):
            assert mt5.symbol_select("NOSUCH", enable) is False
            assert mt5.last_error() == CALL_FAILED


def test_symbols_are_found_by_masks() -> None:
    data = dict.fromkeys(("EURUSD", "GBPUSD", "USDJPY", "EURGBP"), ticks((0, 1.1, 1.2)))
    with in_process(data) as simulation:
        mt5: Any = simulation.connect()
        mt5.initialize()

        def names(*group: str) -> list[str]:
            return [symbol.name for symbol in mt5.symbols_get(*group)]

        assert mt5.symbols_total() == 4
        assert names() == ["EURUSD", "GBPUSD", "USDJPY", "EURGBP"]
        assert names("*USD*, !*JPY*") == ["EURUSD", "GBPUSD"]
        assert names("EUR*,GBPUSD,!EURGBP") == ["EURUSD", "GBPUSD"]
        assert names("XAU*") == []


def test_a_symbol_is_described_by_its_preset_and_its_day() -> None:
    data = ticks((0, 1.10000, 1.10010), (1000, 1.10020, 1.10040), (2000, 1.09990, 1.10000))
    simulation, mt5 = played(data)
    with simulation:
        info = mt5.symbol_info("EURUSD")
        assert (info.digits, info.point, info.trade_contract_size) == (5, 1e-05, 100_000.0)
        assert (info.trade_mode, info.trade_exemode, info.filling_mode, info.order_mode) == (4, 2, 3, 119)
        assert (info.bid, info.ask, info.spread, info.time) == (1.0999, 1.1, 10, SERVER_S + 2)
        assert (info.bidhigh, info.bidlow, info.askhigh, info.asklow) == (1.1002, 1.0999, 1.1004, 1.1)
        assert (info.currency_base, info.currency_profit, info.path) == ("EUR", "USD", "Forex\\EURUSD")
        assert info.trade_tick_value == pytest.approx(1.0)
        assert (info.session_open, info.session_close) == (1.1, 0.0)


def test_a_points_value_is_converted_by_what_the_broker_quotes_and_0_where_nothing_does() -> None:
    yen = ticks((0, 100.000, 100.010))
    with in_process({"USDJPY": yen, "EURGBP": ticks((0, 0.80000, 0.80010))}) as simulation:
        mt5: Any = simulation.connect()
        mt5.initialize()
        assert mt5.symbol_info("USDJPY").trade_tick_value == 0.0, "nothing is quoted yet"
        simulation.control.step(LEAD_US)
        dollars = mt5.symbol_info("USDJPY")
        assert dollars.trade_tick_value_loss == pytest.approx(dollars.point * 100_000 / 100.000)
        assert dollars.trade_tick_value_profit == pytest.approx(dollars.point * 100_000 / 100.010)
        assert mt5.symbol_info("EURGBP").trade_tick_value == 0.0


def test_bars_are_made_of_bids_and_the_last_is_forming() -> None:
    data = ticks(
        (0, 1.10, 1.1002), (30_000, 1.12, 1.1201), (59_999, 1.11, 1.1105), (60_000, 1.13, 1.1303),
        (180_000, 1.09, 1.0904),
    )  # fmt: skip
    simulation, mt5 = played(data, LEAD_US + 60_000_000)
    with simulation:
        bars = mt5.copy_rates_from_pos("EURUSD", M1, 0, 10)
        assert bars.dtype == RATE_DTYPE
        assert bars.dtype.itemsize == 60
        assert bars.tolist() == [
            (SERVER_S, 1.10, 1.12, 1.10, 1.11, 3, 10, 0),
            (SERVER_S + 60, 1.13, 1.13, 1.13, 1.13, 1, 30, 0),
        ]
        simulation.control.step(120_000_000)
        grown = mt5.copy_rates_from_pos("EURUSD", M1, 0, 10)
        assert grown["time"].tolist() == [SERVER_S, SERVER_S + 60, SERVER_S + 180], "a minute without ticks has no bar"
        assert grown[:2].tolist() == bars.tolist()
        assert mt5.copy_rates_from_pos("EURUSD", M1, 1, 1)["time"].tolist() == [SERVER_S + 60]
        assert mt5.copy_rates_from("EURUSD", M1, SERVER_S + 179, 5)["time"].tolist() == [SERVER_S, SERVER_S + 60]
        assert mt5.copy_rates_range("EURUSD", M1, SERVER_S + 1, SERVER_S + 180)["time"].tolist() == [
            SERVER_S + 60,
            SERVER_S + 180,
        ]


@pytest.mark.parametrize("timeframe", [M1, M5, 30, H1, 0x400C, D1])
def test_bars_hold_every_tick_once_however_they_are_asked_for(timeframe: int) -> None:
    data = walk(2_000, every_ms=20_000)
    with in_process({"EURUSD": data}) as simulation:
        mt5: Any = simulation.connect()
        mt5.initialize()
        for us in (3_000_000_000, 1, 7_000_000_000, 86_400_000_000):
            simulation.control.step(us)
            bars = mt5.copy_rates_from_pos("EURUSD", timeframe, 0, 10_000)
            rows = mt5.copy_ticks_range("EURUSD", 0, 2**31 - 1, ALL)
            seconds = {0x400C: 43_200, H1: 3600, D1: 86_400}.get(timeframe, timeframe * 60)
            opens = rows["time"] // seconds * seconds
            assert bars["time"].tolist() == sorted(set(opens.tolist()))
            assert int(bars["tick_volume"].sum()) == len(rows)
            for bar in bars[[0, len(bars) // 2, -1]]:
                own = rows["bid"][opens == bar["time"]]
                assert tuple(bar.item()[1:6]) == (own[0], own.max(), own.min(), own[-1], len(own))


def test_weeks_begin_on_sunday_and_months_on_their_first() -> None:
    simulation, mt5 = played(ticks((0, 1.1, 1.2)))
    with simulation:
        assert mt5.copy_rates_from_pos("EURUSD", W1, 0, 1)["time"][0] == 1_399_161_600, "2014-05-04"
        assert mt5.copy_rates_from_pos("EURUSD", MN1, 0, 1)["time"][0] == 1_398_902_400, "2014-05-01"


def test_bars_that_cannot_be_are_refused() -> None:
    simulation, mt5 = played(ticks((0, 1.1, 1.2)))
    with simulation:
        for bad in ((7, 0, 1), (M1, -1, 1), (M1, 0, 0)):
            assert mt5.copy_rates_from_pos("EURUSD", *bad) is None
            assert mt5.last_error() == (-2, "Terminal: Invalid params")


def test_no_more_bars_are_asked_for_than_a_chart_holds() -> None:
    simulation, mt5 = played(ticks((0, 1.1, 1.2)))
    most = mt5.terminal_info().maxbars
    with simulation:
        assert len(mt5.copy_rates_from_pos("EURUSD", M1, 0, most - 1)) == 1
        assert len(mt5.copy_rates_from("EURUSD", M1, SERVER_S, most - 1)) == 1
        for timeframe, length_s in ((M1, 60), (H1, 3600)):
            first_s = SERVER_S - (most - 1) * length_s
            assert len(mt5.copy_rates_range("EURUSD", timeframe, first_s, SERVER_S)) == 1
        for timeframe in (D1, W1, MN1):
            assert len(mt5.copy_rates_range("EURUSD", timeframe, 0, 2**31 - 1)) == 1
        for bars in (
            lambda: mt5.copy_rates_from_pos("EURUSD", M1, 0, most),
            lambda: mt5.copy_rates_from("EURUSD", M1, SERVER_S, most),
            lambda: mt5.copy_rates_range("EURUSD", M1, SERVER_S - most * 60, SERVER_S),
            lambda: mt5.copy_rates_range("EURUSD", H1, 0, SERVER_S),
        ):
            assert bars() is None
            assert mt5.last_error() == (-2, "Terminal: Invalid params")


def test_bars_of_an_unknown_symbol_or_behind_the_oldest_are_a_call_that_failed() -> None:
    simulation, mt5 = played(ticks((0, 1.1, 1.2), (60_000, 1.1, 1.2)))
    with simulation:
        assert len(mt5.copy_rates_from_pos("EURUSD", M1, 1, 9)) == 1
        for bars in (
            lambda: mt5.copy_rates_from_pos("EURUSD", M1, 2, 1),
            lambda: mt5.copy_rates_from_pos("EURUSD", D1, 5, 1),
            lambda: mt5.copy_rates_from_pos("NOSUCH", M1, 0, 1),
            lambda: mt5.copy_rates_from("NOSUCH", M1, SERVER_S, 1),
            lambda: mt5.copy_rates_range("NOSUCH", M1, 0, SERVER_S),
        ):
            assert bars() is None
            assert mt5.last_error() == CALL_FAILED
        assert len(mt5.copy_rates_range("EURUSD", M1, 0, 60)) == 0


def test_there_is_no_depth_of_market() -> None:
    simulation, mt5 = played(ticks((0, 1.1, 1.2)))
    with simulation:
        assert mt5.market_book_add("EURUSD")
        assert mt5.market_book_get("EURUSD") == ()
        assert mt5.market_book_release("EURUSD")
        assert mt5.symbol_info("EURUSD").ticks_bookdepth == 0
