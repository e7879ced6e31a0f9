"""What goes wrong between the recorder and its terminal: nothing is lost or doubled, people are told, it goes on."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.marks import Mark
from infra.reference_log import append_reference
from producers.terminal.faults import Fault, Kind
from producers.terminal.simulation import Simulation, in_process
from schemas.configuration import SessionTable
from schemas.events import SourceKind
from schemas.integrity import UNWRITTEN
from schemas.quality import BROKEN, Quality
from tests.conftest import TestStack
from tests.integration.recorder.recording import START_MS, Recording, client, history, until, walk

pytestmark = pytest.mark.stack

S = 1_000_000
START_US = START_MS * 1000


class Market:
    """A standing market with a recorder beside it."""

    def __init__(self, simulation: Simulation, mark: Mark) -> None:
        self.simulation, self.mark = simulation, mark

    def step(self, seconds: float) -> None:
        """Goes on; returns once all of it is on the log."""
        self.simulation.control.step(int(seconds * S))
        self.caught_up()

    def caught_up(self) -> None:
        now_us = self.simulation.clock.now_us()
        until(lambda: (self.mark.get() or 0) >= now_us)


def test_calls_that_fail_make_it_connect_again_and_nothing_is_doubled(stack: TestStack, tmp_path: Path) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    with in_process({"EURUSD": walk(900)}, clock=tmp_path / "clock") as simulation:
        market = Market(simulation, mark)
        with recording.running(simulation.connect(), simulation.clock, mark=mark):
            market.step(60)
            for code in (-10_005, -10_001):
                simulation.control.fault("fail", call="copy_ticks_from", times=3, code=code, text="IPC gone")
                market.step(30)
            simulation.control.fault("fail", call="copy_ticks_from", times=1, code=-1, text="Terminal: Call failed")
            market.step(30)
        rows = history(client(simulation))
    assert recording.rows() == rows
    recording.check()
    kinds = [event.kind for event in recording.events()]
    assert kinds == [SourceKind.CONNECTED] + [SourceKind.LOST, SourceKind.CONNECTED] * (len(kinds) // 2)
    assert len(kinds) >= 5
    alerts = recording.alerts()
    assert {alert.code for alert in alerts} == {"source_lost", "source_back"}
    lost = next(alert.message for alert in alerts if alert.code == "source_lost" and "(-10005)" in alert.message)
    assert re.fullmatch(
        rf"feed {recording.feed} stands still since \S+Z: the terminal doesn't answer: IPC gone \(-10005\)", lost
    )
    since = re.findall(r"since (\S+Z)", lost)
    assert since == re.findall(r"since (\S+Z)", next(a.message for a in alerts if a.code == "source_back"))


def test_late_repeated_and_bursting_ticks_are_all_on_the_log_and_judged(stack: TestStack, tmp_path: Path) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    faults = [
        Fault(kind=Kind.LATE_TICKS, share=0.1, seconds=12.0),
        Fault(kind=Kind.REPEAT, share=0.05),
        Fault(kind=Kind.BURST, count=5_000, from_us=START_US + 60 * S),
    ]
    with in_process({"EURUSD": walk(900)}, clock=tmp_path / "clock", faults=faults) as simulation:
        market = Market(simulation, mark)
        with recording.running(simulation.connect(), simulation.clock, mark=mark):
            market.step(2)
            for _ in range(60):
                market.step(2)
            simulation.control.clear_faults()
            market.step(1)
            market.step(6)
        rows = history(client(simulation))
    assert len(rows) > 5_000
    assert Counter(recording.rows()) == Counter(rows)
    recording.check()
    quality = np.array(recording.column("quality"))
    assert (quality & Quality.REPEATED != 0).sum() > 5
    assert (quality & Quality.BACKWARDS != 0).sum() > 10
    good_ms = np.array(recording.column("time_ms"))[quality & BROKEN == 0]
    assert (np.diff(good_ms) >= 0).all()
    assert max(block.size for block in recording.blocks()) <= 4_096


def test_heartbeats_close_minutes_by_other_symbols_ticks_and_stop_with_the_line(
    stack: TestStack, tmp_path: Path
) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    silent = walk(200)
    silent = silent.part(0, int(np.searchsorted(silent.time_ms, START_MS + 30_000)))
    ticks = {"EURUSD": walk(2_400, 2), "GBPUSD": silent}
    faults = [Fault(kind=Kind.DISCONNECT, from_us=START_US + 400 * S, until_us=START_US + 700 * S)]
    with in_process(ticks, clock=tmp_path / "clock", faults=faults) as simulation:
        market = Market(simulation, mark)
        with recording.running(simulation.connect(), simulation.clock, mark=mark):
            while simulation.clock.now_us() < START_US + 390 * S:
                market.step(10)
            before = [block.watermark_ms for block in recording.blocks("GBPUSD") if not block.size]
            simulation.control.go_to(START_US + 690 * S)
            until(lambda: any(event.kind is SourceKind.LOST for event in recording.events()))
            market.caught_up()
            during = [block.watermark_ms for block in recording.blocks("GBPUSD") if not block.size]
            simulation.control.go_to(START_US + 701 * S)
            until(lambda: recording.events()[-1].kind is SourceKind.CONNECTED)
            market.step(70)
            market.step(10)
        rows = history(client(simulation))
        after = [block.watermark_ms for block in recording.blocks("GBPUSD") if not block.size]
    assert [ms // 60_000 - START_MS // 60_000 for ms in before] == [1, 2, 3, 4, 5, 6]
    assert during == before, "a line that is down proves nothing"
    assert after[-1] >= START_MS + 760_000
    assert len({ms // 60_000 for ms in after}) == len(after)
    assert recording.rows() == rows
    recording.check()
    recording.check("GBPUSD")


def test_a_new_record_on_reference_is_in_the_next_block_and_its_sessions_hold(stack: TestStack, tmp_path: Path) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    table = SessionTable(listing=f"{recording.feed}/EURUSD", from_minutes=(0,), to_minutes=(1,), **UNWRITTEN)
    with in_process({"EURUSD": walk(600)}, clock=tmp_path / "clock") as simulation:
        market = Market(simulation, mark)
        with recording.running(simulation.connect(), simulation.clock, mark=mark):
            market.step(30)
            first = len(recording.rows())
            records = append_reference(
                recording.kafka, recording.keys, simulation.clock,
                lambda there: [] if any(replace(table, **_chain(r)) == r for r in there) else [table],
            )  # fmt: skip
            ref_no = max(getattr(record, "ref_no", 0) for record in records)
            market.step(30)
    numbers = [block.ref_no for block in recording.blocks()]
    assert numbers == sorted(numbers)
    assert (numbers[0] < ref_no, numbers[-1]) == (True, ref_no)
    quality = np.array(recording.column("quality"))
    assert not (quality[:first] & Quality.OUTSIDE_SESSION).any()
    good = quality & BROKEN == 0
    assert (quality[first:][good[first:]] & Quality.OUTSIDE_SESSION != 0).all()


def _chain(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in UNWRITTEN} if isinstance(record, SessionTable) else {}
