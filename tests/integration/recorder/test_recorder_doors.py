"""What a recorder refuses: told what to do about it, nothing written on a guess, and no other listing pays for it."""

from __future__ import annotations

import re
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.clock import FixedClock
from infra.errors import Refused
from infra.marks import Mark
from producers.importer import Importer, ImportRequest
from producers.mt5 import TerminalError
from producers.recorder.pinned import SourceRefused
from producers.terminal.account import TradeAccount
from producers.terminal.simulation import in_process
from producers.terminal.ticks import joined
from schemas.events import SourceKind
from schemas.identity import Listing
from schemas.quality import BROKEN, Quality
from tests.conftest import TestStack
from tests.integration.recorder.recording import START_MS, Recording, client, history, until, walk

pytestmark = pytest.mark.stack

S = 1_000_000


class Altered:
    """A terminal of which some answers are others."""

    def __init__(self, mt5: Any, **answers: Any) -> None:
        self._mt5, self._answers = mt5, answers

    def __getattr__(self, name: str) -> Any:
        return self._answers.get(name) or getattr(self._mt5, name)


def test_symbols_that_cannot_be_recorded_are_told_and_the_others_are_recorded(stack: TestStack, tmp_path: Path) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    names = ("EURUSD", "GBPUSD", "AUDUSD", "NZDUSD")
    failures = {"AUDUSD": (-1, "Terminal: Call failed"), "NZDUSD": (-3, "Terminal: Out of memory")}
    with in_process({name: walk(300, i) for i, name in enumerate(names)}, clock=tmp_path / "clock") as simulation:
        real: Any = simulation.connect()
        failed: list[tuple[int, str]] = []

        def symbol_info(symbol: str) -> Any:
            info = real.symbol_info(symbol)
            return SimpleNamespace(**{**info._asdict(), "trade_tick_value": 0.0}) if symbol == "GBPUSD" else info

        def copy_ticks_from(symbol: str, *args: Any) -> Any:
            failed[:] = [failures[symbol]] if symbol in failures else []
            return None if failed else real.copy_ticks_from(symbol, *args)

        def last_error() -> Any:
            return failed.pop() if failed else real.last_error()

        altered: Any = Altered(real, symbol_info=symbol_info, copy_ticks_from=copy_ticks_from, last_error=last_error)
        symbols = ("EURUSD", "GBPUSD", "NOSUCH", "bad/name", "AUDUSD", "NZDUSD")
        with recording.running(altered, simulation.clock, mark=mark, symbols=symbols):
            simulation.control.step(60 * S)
            until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
            until(lambda: len(recording.alerts()) >= 5)
        rows = history(client(simulation))
    assert recording.rows() == rows
    assert recording.rows("GBPUSD") == recording.rows("AUDUSD") == recording.rows("NZDUSD") == []
    assert recording.spec("GBPUSD") is None
    told = {alert.subject: alert.message for alert in recording.alerts()}
    feed = recording.feed
    assert "trade_tick_value = 0.0" in told[f"{feed}/GBPUSD"]
    assert "can't select 'NOSUCH'" in told[f"{feed}/NOSUCH"]
    assert "as the broker spells it in the market watch" in told[f"{feed}/NOSUCH"]
    assert "has a '/'" in told[f"{feed}/bad/name"]
    for symbol, (code, text) in failures.items():
        said = rf"isn't read since \S+Z: the terminal says {text} \({code}\); it is tried again"
        assert re.search(said, told[f"{feed}/{symbol}"])


def test_a_wrong_password_and_another_source_end_it_with_the_reason_and_nothing_is_written(
    stack: TestStack, tmp_path: Path
) -> None:
    recording = Recording(stack)
    ticks = {"EURUSD": walk(300)}
    with in_process(ticks, clock=tmp_path / "clock", account=TradeAccount(login=7)) as simulation:
        simulation.control.step(30 * S)
        with recording.running(simulation.connect(), simulation.clock):
            until(lambda: len(recording.rows()) > 5)
        before = recording.rows()
        wrong = {"login": 7, "password": "wrong", "server": TradeAccount().server}
        with recording.terminal(**wrong).running(simulation.connect(), simulation.clock, failing=True):
            until(lambda: bool(recording.errors))
    error = recording.errors.pop()
    assert isinstance(error, TerminalError)
    assert "check terminal.login, terminal.password and terminal.server" in str(error)
    assert "wrong" not in str(error)
    with in_process(ticks, account=TradeAccount(login=8)) as other:
        other.control.step(60 * S)
        with recording.terminal().running(other.connect(), other.clock, failing=True):
            until(lambda: bool(recording.errors))
    error = recording.errors.pop()
    assert isinstance(error, SourceRefused)
    assert "is recorded from 7 at" in str(error)
    assert recording.rows() == before
    assert "source_refused" in {alert.code for alert in recording.alerts()}


class LoggedInElsewhere:
    """A terminal that is logged in to another server, with prices of its own, once `goes` was set and a page is asked
    for: before it is given, or right after."""

    def __init__(self, mt5: Any, *, before: bool, goes: bool) -> None:
        self._mt5, self._before, self.goes = mt5, before, goes
        self._elsewhere = False
        self.foreign_pages = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mt5, name)

    def account_info(self) -> Any:
        account = self._mt5.account_info()
        return SimpleNamespace(**{**account._asdict(), "server": "Elsewhere-Live"}) if self._elsewhere else account

    def copy_ticks_from(self, *args: Any) -> Any:
        page = self._mt5.copy_ticks_from(*args)
        self._elsewhere |= self.goes and self._before and len(page) > 0
        if self._elsewhere:
            self.foreign_pages += 1
            page["bid"] += 1.0
            page["ask"] += 1.0
        self._elsewhere |= self.goes
        return page


@pytest.mark.parametrize(("before", "at_once", "pages"), [(True, False, 1), (True, True, 1), (False, False, 0)])
def test_a_terminal_that_logs_in_elsewhere_while_it_is_recorded_ends_it_and_no_tick_of_it_is_on_the_log(
    stack: TestStack, tmp_path: Path, before: bool, at_once: bool, pages: int
) -> None:
    recording = Recording(stack)
    with in_process({"EURUSD": walk(300)}, clock=tmp_path / "clock") as simulation:
        simulation.control.step(20 * S)
        altered: Any = LoggedInElsewhere(simulation.connect(), before=before, goes=at_once)

        def ended_while_time_passes() -> bool:
            simulation.control.step(S // 10)
            return bool(recording.errors)

        with recording.running(altered, simulation.clock, failing=True):
            until(lambda: at_once or len(recording.rows()) > 5)
            altered.goes = True
            until(ended_while_time_passes)
    assert "is logged in to" in str(recording.errors[0])
    assert "Elsewhere-Live" in str(recording.errors[0])
    assert altered.foreign_pages == pages
    assert bool(recording.rows()) is not at_once
    assert all(bid < 2.0 for bid in recording.column("bid"))


class Mute:
    """A terminal that doesn't say whose it is, the first time that it is asked right after a page."""

    def __init__(self, mt5: Any) -> None:
        self._mt5, self._asked, self._paged = mt5, False, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mt5, name)

    def account_info(self) -> Any:
        if self._paged and not self._asked:
            self._asked = True
            return None
        return self._mt5.account_info()

    def last_error(self) -> Any:
        return (-10_005, "IPC timeout") if self._asked else self._mt5.last_error()

    def copy_ticks_from(self, *args: Any) -> Any:
        self._paged = True
        return self._mt5.copy_ticks_from(*args)


def test_a_page_is_read_again_if_the_terminal_did_not_say_whose_it_is(stack: TestStack, tmp_path: Path) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    with in_process({"EURUSD": walk(300)}, clock=tmp_path / "clock") as simulation:
        simulation.control.step(20 * S)
        mt5: Any = Mute(simulation.connect())
        with recording.running(mt5, simulation.clock, mark=mark):
            until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
        rows = history(client(simulation))
    assert recording.rows() == rows
    kinds = [event.kind for event in recording.events()]
    assert kinds == [SourceKind.CONNECTED, SourceKind.LOST, SourceKind.CONNECTED]


def test_a_feed_is_recorded_or_imported_never_both(stack: TestStack, tmp_path: Path) -> None:
    recording = Recording(stack)
    file = tmp_path / "20260921_quote.csv"
    file.write_text("1000,1.1,1.2\n")

    def do_import(feed: str, symbol: str) -> None:
        importer = Importer(recording.kafka, recording.keys, FixedClock(START_MS * 1000 + 10**12))
        importer.run(ImportRequest(listing=Listing(feed, symbol), files=[file], zone=UTC))

    imported = Recording(stack)
    do_import(imported.feed, "EURUSD")
    with in_process({"EURUSD": walk(300)}, clock=tmp_path / "clock") as simulation:
        simulation.control.step(30 * S)
        with recording.running(simulation.connect(), simulation.clock):
            until(lambda: len(recording.rows()) > 5)
        with pytest.raises(Refused, match=f"feed '{recording.feed}' belongs to a recorder"):
            do_import(recording.feed, "GBPUSD")
        with imported.running(simulation.connect(), simulation.clock, failing=True):
            until(lambda: bool(imported.errors))
    assert "was imported" in str(imported.errors[0])
    assert len(imported.rows()) == 1


def test_a_market_that_is_closed_for_days_costs_nothing_and_goes_on_when_it_opens(
    stack: TestStack, tmp_path: Path
) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    friday = START_MS + 4 * 86_400_000
    monday = START_MS + 7 * 86_400_000
    before, after = walk(100, start_ms=friday), walk(100, 2, start_ms=monday)
    both = joined([before, after])
    with in_process({"EURUSD": both}, clock=tmp_path / "clock") as simulation:
        simulation.control.go_to((friday + 2 * 86_400_000) * 1000)
        with recording.running(simulation.connect(), simulation.clock, mark=mark):
            until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
            closed = len(recording.blocks())
            simulation.control.go_to((monday - 60_000) * 1000)
            until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
            assert len(recording.blocks()) == closed
            for _ in range(10):
                simulation.control.step(14 * S)
                until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
        rows = history(client(simulation))
    assert recording.rows() == rows
    assert [alert.code for alert in recording.alerts()] == ["time_leapt", "time_steady"], (
        "the market was moved to Monday"
    )
    assert [event.kind for event in recording.events()] == [SourceKind.CONNECTED]
    quality = recording.column("quality")
    assert all(bits & Quality.STALE for bits in quality[:100] if not bits & BROKEN)
    recording.check()
