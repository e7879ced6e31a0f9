"""The importer on a real broker: what it writes, what it leaves, and what it refuses."""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.chain_follower import ChainStopped
from infra.clock import FixedClock
from infra.errors import BadFile, Refused
from infra.kafka import new_producer, send_and_wait
from infra.tick_writer import TickWriter
from producers.clocks import UnknownClock
from producers.formats.data import open_data
from producers.judge import Judge
from producers.progress import Progress, Stage
from producers.sample import SAMPLE_DAY
from schemas.catalogue import MAX_BLOCK_TICKS, partition_of
from schemas.identity import Listing
from schemas.quality import Quality
from schemas.ticks import TickBlock, TickSource, seal_block
from tests.conftest import TestStack
from tests.integration.importing import NOW_US, Market, contents
from tests.unit.producers import exports

pytestmark = pytest.mark.stack

MONDAY = "20140505_quote.zip"
TUESDAY = "20140506_quote.zip"
WEDNESDAY = "20140507_quote.csv"


@pytest.fixture
def market(stack: TestStack, tmp_path: Path) -> Market:
    return Market(stack, tmp_path)


def rows(count: int, start_ms: int = 1000, step_ms: int = 100) -> str:
    return "".join(
        f"{start_ms + i * step_ms},{1.3 + i % 7 / 1e5:.5f},{1.3002 + i % 5 / 1e5:.5f}\n" for i in range(count)
    )


def test_the_sample_day_is_on_the_log_whole_and_judged(market: Market) -> None:
    sample = SAMPLE_DAY[1]
    result = market.do_import(sample.path, tz=sample.tz)
    assert (result.new, result.n) == (sample.ticks, sample.ticks)
    blocks = market.blocks()
    assert [block.size for block in blocks] == [4096] * 25 + [sample.ticks - 25 * 4096]
    assert {block.source for block in blocks} == {TickSource.IMPORT}
    assert {block.server_offset_s for block in blocks} == {10800}
    assert not any(block.gap for block in blocks)
    judge = Judge()
    for block in blocks:
        assert judge.recheck(block).tolist() == block.quality.tolist()
        assert block.watermark_ms == judge.watermark_ms
    crossed = sum(int((block.quality & Quality.CROSSED != 0).sum()) for block in blocks)
    assert result.reasons["crossed"] == crossed > 0


def test_the_listing_gets_a_spec_first_and_an_event_last(market: Market) -> None:
    path = market.file(TUESDAY, rows(5))
    market.do_import(path)
    spec = market.spec()
    assert spec is not None
    assert (spec.digits, spec.digits_inferred, spec.server_clock) == (5, True, "ny7")
    assert [block.ref_no >= spec.ref_no for block in market.blocks()] == [True]
    (event,) = market.events()
    assert (event.listing, event.from_n, event.to_n) == (str(market.listing), 0, 5)
    assert event.detail.startswith(TUESDAY)


def test_a_second_time_there_is_nothing_new_and_nothing_is_written(market: Market) -> None:
    path = market.file(TUESDAY, rows(5000))
    market.do_import(path)
    before, epochs, spec = contents(market.blocks()), market.epochs(), market.spec()
    result = market.do_import(path)
    assert (result.new, result.n, result.files[0].first_n) == (0, 5000, 0)
    assert contents(market.blocks()) == before
    assert (market.epochs(), market.spec(), len(market.events())) == (epochs, spec, 1)


def test_files_in_any_order_are_put_in_the_order_of_time(market: Market) -> None:
    tuesday, monday = market.file(TUESDAY, rows(3)), market.file(MONDAY, rows(4))
    result = market.do_import(tuesday, monday)
    assert [(file.path, file.first_n, file.new) for file in result.files] == [(monday, 0, 4), (tuesday, 4, 3)]
    times = market.column("time_ms")
    assert times == sorted(times)


def test_days_are_added_to_days_that_are_there(market: Market) -> None:
    monday, tuesday = market.file(MONDAY, rows(3)), market.file(TUESDAY, rows(4))
    wednesday = market.file(WEDNESDAY, rows(2))
    market.do_import(monday, tuesday)
    result = market.do_import(wednesday, tuesday)
    assert [(file.first_n, file.ticks, file.new) for file in result.files] == [(3, 4, 0), (7, 2, 2)]
    assert len(market.column("time_ms")) == 9


def test_twins_are_taken_once(market: Market) -> None:
    one = market.file("20140506_a.csv", rows(3))
    two = market.file("20140506_b.csv", rows(3))
    result = market.do_import(one, two)
    assert (result.new, result.twins) == (3, [two])


def test_ticks_older_than_the_log_are_refused_with_the_way_out(market: Market) -> None:
    market.do_import(market.file(TUESDAY, rows(3)))
    before = contents(market.blocks())
    with pytest.raises(Refused, match=r"20140505_quote.zip: starts at 2014-05-05T00:00:01.000Z, before the log") as no:
        market.do_import(market.file(MONDAY, rows(3)), market.file(WEDNESDAY, rows(3)))
    assert "--feed NAME" in str(no.value)
    assert no.value.exit_code == 1
    assert contents(market.blocks()) == before
    assert market.epochs() == 1


def test_other_prices_of_a_day_that_is_there_are_refused(market: Market) -> None:
    market.do_import(market.file(TUESDAY, rows(300)))
    with pytest.raises(Refused, match="before the log of"):
        market.do_import(market.file(TUESDAY, rows(300).replace("1.30001", "1.30009")))


def test_overlapping_files_are_refused_before_anything_is_written(market: Market) -> None:
    with pytest.raises(Refused, match="overlap"):
        market.do_import(market.file("20140506_a.csv", rows(30)), market.file("20140506_b.csv", rows(30, 1500)))
    assert market.blocks() == []
    assert market.spec() is None


def test_a_damaged_file_is_kept_up_to_its_damage_and_what_follows_is_left_out(market: Market) -> None:
    monday = market.file(MONDAY, rows(3))
    tuesday = market.file(TUESDAY, rows(5000) + "oops\n" + rows(10, 600_000))
    wednesday = market.file(WEDNESDAY, rows(3))
    result = market.do_import(wednesday, tuesday, monday)
    assert re.search(
        r"20140506_quote.zip, line 5001: 1 columns .*; the 5000 rows before it are whole", str(result.damage)
    )
    assert (result.new, result.left_out) == (5003, [wednesday])
    mended = market.file(TUESDAY, rows(5000) + rows(10, 600_000))
    result = market.do_import(monday, mended, wednesday)
    assert result.damage is None
    assert [(file.first_n, file.new) for file in result.files] == [(0, 0), (3, 10), (5013, 3)]
    assert [block.size for block in market.blocks()] == [3, 4096, 904, 10, 3]


def test_a_file_damaged_from_its_first_row_adds_nothing(market: Market) -> None:
    result = market.do_import(market.file(TUESDAY, "time,bid,ask\n" + rows(3)))
    assert "line 1: ms 'time' is not a number" in str(result.damage)
    assert (result.new, market.blocks(), market.events(), market.spec()) == (0, [], [], None)


def test_broken_prices_and_times_are_kept_and_marked(market: Market) -> None:
    text = "1000,1.1,1.2\n1001,nan,1.2\n1002,inf,1.2\n1003,0,1.2\n1004,-1,1.2\n1005,1.3,1.2\n900,1.1,1.2\n900,1.1,1.2\n"
    result = market.do_import(market.file(TUESDAY, text + "1006.9,1.1,1.2\n"))
    assert result.new == 9
    assert market.column("quality") == [0, 1, 5, 2, 2, 4, 8, 24, 0]
    assert math.isnan(market.column("bid")[1])
    assert market.column("time_ms")[-1] % 86_400_000 == 1006
    assert result.refused == 7
    assert result.reasons == {
        "not_finite": 2, "crossed": 2, "non_positive": 2, "backwards": 2, "repeated": 1,
    }  # fmt: skip
    assert market.do_import(market.file(TUESDAY, text + "1006.9,1.1,1.2\n")).new == 0


def test_a_missing_day_is_a_gap_and_a_saturday_is_none(market: Market) -> None:
    days = ["20140502", "20140504", "20140505", "20140508"]
    files = [market.file(f"{day}_quote.csv", rows(5000)) for day in days]
    market.do_import(*files)
    assert [block.gap for block in market.blocks()] == [False] * 6 + [True, False]


def test_a_change_of_the_servers_offset_cuts_a_block(market: Market) -> None:
    market.do_import(market.file("20140309_quote.csv", rows(4, 25_199_800)))
    assert [(block.size, block.server_offset_s) for block in market.blocks()] == [(2, 7200), (2, 10800)]
    other = market.again()
    other.do_import(market.file("20140309_quote.csv", rows(4, 25_199_800)), server_clock="eu")
    assert [(block.size, block.server_offset_s) for block in other.blocks()] == [(4, 7200)]
    assert (other.spec() or market.spec()).server_clock == "eu"  # type: ignore[union-attr]


def test_the_listings_own_server_clock_holds_until_another_is_named(market: Market) -> None:
    market.do_import(market.file(MONDAY, rows(1)), server_clock="utc")
    market.do_import(market.file(TUESDAY, rows(1)))
    market.do_import(market.file(WEDNESDAY, rows(1)), server_clock="+2")
    assert [block.server_offset_s for block in market.blocks()] == [0, 0, 7200]


def test_a_spec_that_differs_is_written_first_and_its_number_is_on_the_blocks(market: Market) -> None:
    market.do_import(market.file(MONDAY, rows(1)))
    inferred = market.spec()
    market.do_import(market.file(TUESDAY, rows(1)), spec={"digits": 3, "contract_size": 100_000.0})
    told = market.spec()
    assert inferred is not None
    assert told == replace(
        inferred, digits=3, digits_inferred=False, contract_size=100_000.0,
        epoch=told.epoch, nonce=told.nonce, seq=told.seq, ref_no=told.ref_no, prev=told.prev, mac=told.mac,
    )  # fmt: skip
    first, second = market.blocks()
    assert first.ref_no < told.ref_no <= second.ref_no
    assert market.do_import(market.file(TUESDAY, rows(1)), spec={"digits": 3}).new == 0
    assert market.spec() == told


def test_a_spec_can_be_told_for_files_that_are_there(market: Market) -> None:
    path = market.file(MONDAY, rows(1))
    market.do_import(path)
    assert market.do_import(path, spec={"digits": 6}).new == 0
    spec = market.spec()
    assert spec is not None
    assert (spec.digits, spec.digits_inferred) == (6, False)
    assert market.epochs() == 1


def test_found_digits_widen_with_later_files(market: Market) -> None:
    market.do_import(market.file(MONDAY, "1,1.1,1.2\n"))
    market.do_import(market.file(TUESDAY, "1,1.123,1.2\n"))
    market.do_import(market.file(WEDNESDAY, "1,1.1,1.2\n"))
    spec = market.spec()
    assert spec is not None
    assert (spec.digits, spec.digits_inferred) == (3, True)


@pytest.mark.parametrize("symbol", ["EURUSD.r", "#AAPL", "US 500", "Ä€日本", "EUR'USD\";--"])
def test_symbols_as_brokers_spell_them(stack: TestStack, tmp_path: Path, symbol: str) -> None:
    market = Market(stack, tmp_path, symbol)
    path = market.file(TUESDAY, rows(2))
    assert market.do_import(path).new == 2
    assert market.do_import(path).new == 0
    assert {block.listing for block in market.blocks()} == {f"{market.listing.feed}/{symbol}"}


def test_a_feed_of_a_recorder_is_refused(market: Market) -> None:
    clock = FixedClock(NOW_US)
    with TickWriter(market.kafka, market.keys, clock, str(market.listing), TickSource.LIVE) as recorder:
        recorder.open()
    with pytest.raises(Refused, match=r"belongs to a recorder, which has written .* \(LIVE\): .* --feed"):
        market.do_import(market.file(TUESDAY, rows(2)))
    assert market.epochs() == 1


def test_a_chain_that_stands_still_is_not_written_to(market: Market) -> None:
    path = market.file(TUESDAY, rows(2))
    market.do_import(path)
    last = market.blocks()[-1]
    hole = seal_block(last._replace(seq=last.seq + 5, prev=last.mac), market.keys)
    partition = partition_of("ticks", str(market.listing))
    send_and_wait(new_producer(market.kafka), "ticks", partition, str(market.listing), hole)
    with pytest.raises(ChainStopped, match="stands still: link 6 comes after link 1"):
        market.do_import(path)


def test_bad_files_and_clocks_are_refused_before_anything_is_read_or_written(market: Market) -> None:
    good = market.file(MONDAY, rows(2))
    with pytest.raises(BadFile, match="doesn't start with a day"):
        market.do_import(good, market.file("quotes.csv", rows(2)))
    with pytest.raises(BadFile, match="can't be read: No such file"):
        market.do_import(good, market.folder / TUESDAY)
    with pytest.raises(UnknownClock, match="there is no server clock 'ny'"):
        market.do_import(good, server_clock="ny")
    assert market.blocks() == []


def test_progress_is_told_and_what_derives_is_waited_for(market: Market) -> None:
    reports: list[Progress] = []
    waited: list[tuple[str, int]] = []
    path = market.file(TUESDAY, rows(9000))
    market.do_import(path, progress=reports.append, wait=lambda listing, n: waited.append((listing, n)))
    stages = list(dict.fromkeys(report.stage for report in reports))
    assert stages == [Stage.READING, Stage.COMPARING, Stage.WRITING]
    done = [report for report in reports if report.stage is Stage.WRITING][-1]
    assert (done.ticks, done.total, done.left_s) == (9000, 9000, 0)
    assert waited == [(str(market.listing), 9000)]


def test_an_event_that_a_killed_import_left_out_is_written_by_the_next(market: Market) -> None:
    path = market.file(TUESDAY, rows(10))
    importing = market.do_import
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("producers.importer.write_missing", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            importing(path)
    assert market.events() == []
    assert importing(path).new == 0
    assert [event.to_n for event in market.events()] == [10]


def test_a_file_name_that_is_no_text(market: Market) -> None:
    path = market.folder / os.fsdecode(b"20140506_\xff.csv")
    path.write_text(rows(2))
    assert market.do_import(path).new == 2
    assert market.events()[0].detail.startswith("20140506_\\udcff.csv, 2 ticks")


def test_what_is_no_event_on_sources_is_passed_over(market: Market) -> None:
    partition = partition_of("sources", market.listing.feed)
    send_and_wait(new_producer(market.kafka), "sources", partition, market.listing.feed, b"not a record")
    market.do_import(market.file(TUESDAY, rows(1)))
    assert [event.to_n for event in market.events()] == [1]


def opened(market: Market, *files: Path, **more: Any) -> list[TickBlock]:
    """The blocks that a backtest reads from the files."""
    (data,) = open_data(files, symbol=market.listing.symbol, feed=market.listing.feed, **more)
    return list(data.blocks(most=MAX_BLOCK_TICKS))


def test_a_backtest_reads_the_blocks_that_an_import_puts_onto_the_log(market: Market) -> None:
    bars = exports.minutes(4000, exports.at(2014, 3, 6, 12)) + exports.minutes(3000, exports.at(2014, 3, 12, 0), seed=2)
    bars = [bar for bar in bars if exports.wall(bar[0]).weekday() < 5]
    path = exports.write(market.folder / "EURUSD_M1.csv", exports.mt5_bars(bars))
    market.do_import(path, tz=None, server_clock="eu")
    on_log, from_file = market.blocks(), opened(market, path, server_clock="eu")
    assert contents(on_log) == contents(from_file)
    assert any(block.gap for block in on_log)
    assert {int(q) for block in on_log for q in block.quality} == {65536, 65536 + 131072}


def test_ticks_of_files_in_several_formats_are_the_same_from_files_and_on_the_log(market: Market) -> None:
    ticks = exports.walk(9000, exports.at(2014, 5, 6, 20))
    split = next(i for i, tick in enumerate(ticks) if tick[0] >= exports.at(2014, 5, 6, 21))
    hours = exports.bi5(market.folder, "EURUSD", ticks[:split], 1e5)
    rest = exports.write(market.folder / "EURUSD_ticks.csv", exports.truefx(ticks[split:]))
    result = market.do_import(rest, *hours, tz=None)
    assert (result.new, result.n) == (9000, 9000)
    assert contents(market.blocks()) == contents(opened(market, *hours, rest))
    assert market.column("bid") == [bid for _, bid, _ in ticks]
    assert market.do_import(rest, *hours, tz=None).new == 0


def test_what_a_terminal_says_of_a_tick_is_kept(market: Market) -> None:
    path = exports.write(
        market.folder / "EURUSD_ticks.csv", exports.mt5_ticks(exports.walk(300, exports.at(2014, 5, 6)))
    )
    market.do_import(path, tz=None)
    assert set(market.column("flags")) <= {0, 2, 4, 6}
    assert contents(market.blocks()) == contents(opened(market, path))


def test_a_long_file_is_gone_through_in_parts_and_told_as_one(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    path = exports.write(market.folder / "EURUSD.csv", exports.truefx(exports.walk(20_000, exports.at(2014, 5, 6))))
    whole = market.again()
    whole.do_import(path, tz=None)
    monkeypatch.setattr("producers.survey.PART_TICKS", 8192)
    result = market.do_import(path, tz=None)
    assert [(file.first_n, file.ticks, file.new) for file in result.files] == [(0, 20_000, 20_000)]
    assert contents(market.blocks()) == contents(whole.blocks())
    assert market.do_import(path, tz=None).new == 0


def test_files_on_the_servers_clock_need_the_listings_one(market: Market) -> None:
    market.do_import(market.file(MONDAY, rows(1)), server_clock="eu")
    path = exports.write(
        market.folder / "EURUSD_ticks.csv", exports.mt5_ticks(exports.walk(30, exports.at(2014, 5, 7)))
    )
    with pytest.raises(Refused, match=r"taken for ny7, but .* has eu: say which by --server-clock"):
        market.do_import(path, tz=None)
    assert market.do_import(path, tz=None, server_clock="eu").new == 30


def test_the_symbol_is_that_of_the_files(market: Market) -> None:
    path = exports.write(
        market.folder / "GBPUSD.a_M1_2014.csv", exports.mt5_bars(exports.minutes(3, exports.at(2014, 5, 6)))
    )
    market.listing = Listing(market.listing.feed, "")
    assert market.do_import(path, tz=None).listing == f"{market.listing.feed}/GBPUSD.a"
    other = exports.write(market.folder / "EURUSD_M1.csv", exports.mt5_bars(exports.minutes(3, exports.at(2014, 5, 7))))
    with pytest.raises(Refused, match=r"several symbols \(EURUSD, GBPUSD.a\)"):
        market.do_import(path, other, tz=None)
