"""Hours in the settings: they are on `reference` beside what the terminal tells, and what the recorder does by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from infra.marks import Mark
from infra.reference_log import read_reference
from producers.terminal.simulation import in_process
from schemas.configuration import SessionTable
from schemas.quality import BROKEN, Quality
from tests.conftest import TestStack
from tests.integration.recorder.recording import START_MS, Recording, until, walk

pytestmark = pytest.mark.stack

S = 1_000_000
ALWAYS = "Sun-Sat 00:00-24:00"


def tables(recording: Recording, symbol: str) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """What was written of a symbol's hours."""
    records, _ = read_reference(recording.kafka, recording.keys)
    found = [r for r in records if isinstance(r, SessionTable) and r.listing == f"{recording.feed}/{symbol}"]
    return [(record.from_minutes, record.to_minutes) for record in found]


def test_hours_are_written_once_and_anew_when_they_are_others_and_ticks_outside_are_suspect(
    stack: TestStack, tmp_path: Path
) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    ticks = {"EURUSD": walk(600), "GBPUSD": walk(600, 2), "USDJPY": walk(600, 3)}
    # The market begins at 17:13 on a Monday.
    until_soon = {"EURUSD": "Mon-Fri 01:00-17:14", "*": ALWAYS}
    longer = {"EURUSD": "Mon-Fri 01:00-17:14, Mon-Fri 17:15-24:00", "USDJPY": ALWAYS}
    with in_process(ticks, clock=tmp_path / "clock") as simulation:
        for hours in (until_soon, until_soon, longer):
            with recording.running(simulation.connect(), simulation.clock, mark=mark, sessions=hours):
                for _ in range(2):
                    simulation.control.step(25 * S)
                    until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
    week = [(day * 1_440 + 60, day * 1_440 + 17 * 60 + 14) for day in range(1, 6)]
    first, second = tables(recording, "EURUSD")
    assert first == tuple(zip(*week, strict=True))
    assert len(second[0]) == 10
    assert tables(recording, "GBPUSD") == tables(recording, "USDJPY") == [((0,), (10_080,))]
    time_ms, quality = (np.array(recording.column(name)) for name in ("time_ms", "quality"))
    good = quality & BROKEN == 0
    outside = quality[good] & Quality.OUTSIDE_SESSION != 0
    minute = (time_ms[good] - START_MS) // 60_000
    assert outside.tolist() == (minute == 1).tolist()
    assert set(minute.tolist()) == {0, 1, 2}
    assert not (np.array(recording.column("quality", "GBPUSD")) & Quality.OUTSIDE_SESSION).any()
    recording.check()


def test_a_session_that_ended_is_the_watermark_of_a_listing_that_has_no_more_ticks(
    stack: TestStack, tmp_path: Path
) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    ticks = walk(200)
    silent = ticks.part(0, int(np.searchsorted(ticks.time_ms, START_MS + 50_000)))
    hours = {"*": "Mon-Fri 00:00-17:14"}
    with (
        in_process({"EURUSD": silent}, clock=tmp_path / "clock") as simulation,
        recording.running(simulation.connect(), simulation.clock, mark=mark, sessions=hours),
    ):
        for _ in range(13):
            simulation.control.step(10 * S)
            until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
    last = recording.blocks()[-1]
    assert (last.size, last.watermark_ms) == (0, START_MS + 60_000)
    recording.check()


def test_hours_for_a_symbol_that_is_not_in_the_market_watch_are_told_once(stack: TestStack, tmp_path: Path) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    hours = {"EURUSDm": ALWAYS, "EURUSD": ALWAYS}
    with (
        in_process({"EURUSD": walk(200)}, clock=tmp_path / "clock") as simulation,
        recording.running(simulation.connect(), simulation.clock, mark=mark, sessions=hours),
    ):
        simulation.control.step(30 * S)
        until(lambda: (mark.get() or 0) >= simulation.clock.now_us())
        until(lambda: bool(recording.alerts()))
    (alert,) = recording.alerts()
    assert (alert.code, alert.subject) == ("sessions_unused", recording.feed)
    assert "recorder.sessions has hours for EURUSDm, which isn't recorded" in alert.message
