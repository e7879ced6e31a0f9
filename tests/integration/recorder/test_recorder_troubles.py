"""Longer troubles: a terminal that comes late, another clock, a chain that stands still, a log that ends in a burst."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.clock import FixedClock
from infra.kafka import new_producer, send_and_wait
from infra.marks import Mark
from producers.suspicion import STALE_MS
from producers.terminal.simulation import in_process
from producers.terminal.ticks import Ticks
from schemas.catalogue import partition_of
from schemas.events import SourceKind
from schemas.quality import BROKEN, Quality
from schemas.times import iso_ms
from tests.conftest import TestStack
from tests.integration.recorder.recording import OFFSET_MS, START_MS, Recording, client, history, until, walk
from tests.records import ChainOfTicks

pytestmark = pytest.mark.stack

S = 1_000_000


class Interrupted:
    """A terminal; `interrupt` is called once, while it brings new ticks of GBPUSD."""

    def __init__(self, mt5: Any) -> None:
        self._mt5, self._newest = mt5, 0
        self.interrupt: Callable[[], Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mt5, name)

    def copy_ticks_from(self, symbol: str, *args: Any) -> Any:
        page = self._mt5.copy_ticks_from(symbol, *args)
        if symbol == "GBPUSD" and len(page):
            newest, self._newest = self._newest, int(page["time_msc"][-1])
            if self.interrupt is not None and self._newest > newest:
                interrupt, self.interrupt = self.interrupt, None
                interrupt()
        return page


class Unreachable:
    """A terminal that can't be initialized, and loses its connection, while it is `away`."""

    def __init__(self, mt5: Any) -> None:
        self._mt5, self.away, self.tried = mt5, True, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mt5, name)

    def initialize(self, *args: Any, **kwargs: Any) -> bool:
        self.tried += 1
        return not self.away and self._mt5.initialize(*args, **kwargs)

    def copy_ticks_from(self, *args: Any) -> Any:
        return None if self.away else self._mt5.copy_ticks_from(*args)

    def last_error(self) -> tuple[int, str]:
        return (-10_003, "IPC initialize failed") if self.away else self._mt5.last_error()


def test_a_terminal_that_comes_late_and_goes_for_a_while_is_waited_for(stack: TestStack, tmp_path: Path) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    with in_process({"EURUSD": walk(300)}, clock=tmp_path / "clock") as simulation:
        mt5: Any = Unreachable(simulation.connect())
        with recording.running(mt5, simulation.clock, mark=mark, failing=True):
            until(lambda: mt5.tried >= 2)
            mt5.away = False
            simulation.control.step(30 * S)
            until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
            mt5.away, mt5.tried = True, 0
            simulation.control.step(30 * S)
            until(lambda: mt5.tried >= 3)
            mt5.away = False
            until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
        rows = history(client(simulation))
    assert not recording.errors
    assert recording.rows() == rows
    kinds = [event.kind for event in recording.events()]
    assert kinds == [SourceKind.CONNECTED, SourceKind.LOST, SourceKind.CONNECTED]


def test_a_setting_that_is_not_the_servers_clock_is_corrected_by_the_first_ticks(
    stack: TestStack, tmp_path: Path
) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    ticks = {"EURUSD": walk(300), "GBPUSD": walk(300, 2)}
    with in_process(ticks, clock=tmp_path / "clock") as simulation:
        for clock in ("utc", "utc"):
            with recording.running(simulation.connect(), simulation.clock, mark=mark, server_clock=clock):
                for _ in range(25):
                    simulation.control.step(S // 2)
                    until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
                until(lambda: any(event.kind is SourceKind.OFFSET_CHANGED for event in recording.events()))
                simulation.control.step(5 * S)
                until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
        rows = history(client(simulation))
    assert recording.rows() == rows
    assert recording.blocks()[-1].server_offset_s * 1000 == OFFSET_MS
    assert recording.column("time_ms")[-1] < START_MS + 60_000
    changes = [event for event in recording.events() if event.kind is SourceKind.OFFSET_CHANGED]
    assert [event.detail for event in changes] == ["UTC+00:00 to UTC+03:00"], "the second one goes on by the log"
    alert = next(alert for alert in recording.alerts() if alert.code == "server_clock")
    assert "shows UTC+03:00 where UTC+00:00 is expected" in alert.message


def test_a_market_that_leaps_an_hour_is_told_and_the_hours_ticks_are_suspect(stack: TestStack, tmp_path: Path) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    with in_process({"EURUSD": walk(6_000, step_ms=1_000)}, clock=tmp_path / "clock") as simulation:
        with recording.running(simulation.connect(), simulation.clock, mark=mark):
            for seconds in (30, 3_600, 10):
                before_us = simulation.clock.now_us()
                simulation.control.step(seconds * S)
                until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
                if seconds == 3_600:
                    leapt_ms, to_ms = before_us // 1000, simulation.clock.now_ms()
            until(lambda: len(recording.alerts()) == 2)
        rows = history(client(simulation))
    assert recording.rows() == rows
    leapt, steady = recording.alerts()
    assert (leapt.code, steady.code) == ("time_leapt", "time_steady")
    assert f"gone 3600 s too far since {iso_ms(leapt_ms)}: it went to {iso_ms(to_ms)} at once" in leapt.message
    assert f"hadn't since {iso_ms(leapt_ms)}" in steady.message
    time_ms, quality = (np.array(recording.column(name)) for name in ("time_ms", "quality"))
    late = (time_ms > leapt_ms) & (time_ms < to_ms - STALE_MS)
    assert late.sum() > 3_000
    assert (quality[late] & (Quality.STALE | BROKEN)).all()


def test_ticks_that_leap_an_hour_ahead_of_the_clock_are_told_and_broken_until_they_fit(
    stack: TestStack, tmp_path: Path
) -> None:
    recording = Recording(stack)
    with in_process({"EURUSD": walk(6_000, step_ms=1_000)}) as simulation:
        simulation.control.step(30 * S)
        clock = FixedClock(simulation.clock.now_us())

        def told_while_time_passes(code: str) -> bool:
            clock.advance(S // 20)
            simulation.control.step(S // 20)
            return code in {alert.code for alert in recording.alerts()}

        with recording.running(simulation.connect(), clock):
            until(lambda: recording.rows() != [])
        with recording.running(simulation.connect(), clock):
            simulation.control.step(3_600 * S)
            until(lambda: told_while_time_passes("time_leapt"))
            clock.advance(3_600 * S)
            until(lambda: told_while_time_passes("time_steady"))
    leapt, steady = (alert for alert in recording.alerts() if alert.code != "server_clock")
    assert (leapt.code, steady.code) == ("time_leapt", "time_steady")
    assert re.search(r"have times \d{4} s or more ahead of the clock since \S+Z: they are broken", leapt.message)
    assert (np.array(recording.column("quality")) & Quality.FUTURE).any()


def test_a_chain_that_stands_still_is_left_and_the_others_are_recorded(stack: TestStack, tmp_path: Path) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    ticks = {"EURUSD": walk(300), "GBPUSD": walk(300, 2)}
    listing = f"{recording.feed}/GBPUSD"
    with in_process(ticks, clock=tmp_path / "clock") as simulation:
        with recording.running(simulation.connect(), simulation.clock, mark=mark) as recorder:
            simulation.control.step(20 * S)
            until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
            head = recorder.heads()[listing]
            wrong = ChainOfTicks(listing, recording.keys, head.epoch, head.nonce, head.seq + 5, head.n, head.mac).data()
            send_and_wait(new_producer(recording.kafka), "ticks", partition_of("ticks", listing), listing, wrong)
            until(lambda: any(alert.subject == listing for alert in recording.alerts()))
            simulation.control.step(20 * S)
            until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
        with recording.running(simulation.connect(), simulation.clock, mark=mark):
            simulation.control.step(10 * S)
            until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
        rows = history(client(simulation))
    assert recording.rows() == rows
    assert "stands still" in next(alert.message for alert in recording.alerts() if alert.subject == listing)


def test_what_a_chain_that_stands_still_gives_back_no_more_keeps_no_market_waiting(
    stack: TestStack, tmp_path: Path
) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    ticks = {"EURUSD": walk(300), "GBPUSD": walk(300, 2)}
    listing, producer = f"{recording.feed}/GBPUSD", new_producer(recording.kafka)
    with in_process(ticks, clock=tmp_path / "clock") as simulation:
        mt5: Any = Interrupted(simulation.connect())
        with recording.running(mt5, simulation.clock, mark=mark) as recorder:
            simulation.control.step(20 * S)
            until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
            head = recorder.heads()[listing]
            wrong = ChainOfTicks(listing, recording.keys, head.epoch, head.nonce, head.seq + 5, head.n, head.mac).data()
            mt5.interrupt = lambda: send_and_wait(producer, "ticks", partition_of("ticks", listing), listing, wrong)
            simulation.control.step(20 * S)
            until(lambda: any(alert.subject == listing for alert in recording.alerts()))
            simulation.control.step(20 * S)
            until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
        rows = history(client(simulation))
    assert recording.rows() == rows


def test_a_log_that_ends_in_a_burst_and_one_that_the_terminal_has_forgotten(stack: TestStack, tmp_path: Path) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    count = 3_000
    bid = np.round(1.1 + np.arange(count) * 1e-5, 5)
    burst = Ticks.of_quotes(START_MS + np.arange(count, dtype=np.int64) // 4, bid, np.round(bid + 2e-5, 5))
    with in_process({"EURUSD": burst}, clock=tmp_path / "clock") as simulation:
        simulation.control.step(int(2.5 * S))
        for _ in range(2):
            with recording.running(simulation.connect(), simulation.clock, mark=mark):
                simulation.control.step(S // 10)
                until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
        rows = history(client(simulation))
    assert 2_000 < len(rows) < count
    assert recording.rows() == rows
    later = walk(300, start_ms=START_MS + 600_000)
    with in_process({"EURUSD": later}, clock=tmp_path / "other clock") as simulation:
        simulation.control.step(30 * S)
        with recording.running(simulation.connect(), simulation.clock, mark=mark):
            until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
        added = history(client(simulation))
    assert recording.rows() == rows + added
    assert [block.gap for block in recording.blocks()].count(True) == 1
    assert [(event.kind, event.from_n) for event in recording.events()][-1] == (SourceKind.GAP, len(rows))
    recording.check()
