"""The recorder on a real broker, beside a simulated terminal: the log is the terminal's history, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.marks import Mark
from producers.terminal.simulation import in_process
from schemas.configuration import SwapMode
from schemas.events import SourceKind
from schemas.quality import BROKEN
from tests.conftest import TestStack
from tests.integration.recorder.recording import OFFSET_MS, Recording, client, history, until, walk

pytestmark = pytest.mark.stack

SECOND_US = 1_000_000


def test_the_log_is_the_terminals_history_with_blocks_times_and_marks_as_they_are_to_be(
    stack: TestStack, tmp_path: Path
) -> None:
    recording, mark = Recording(stack), Mark(tmp_path / "recorder.mark")
    ticks = walk(3_000)
    with in_process({"EURUSD": ticks}, clock=tmp_path / "clock") as market:
        market.control.step(30 * SECOND_US)
        with recording.running(market.connect(), market.clock, mark=mark):
            for _ in range(20):
                market.control.step(20 * SECOND_US)
                until(lambda: (mark.get() or 0) >= market.clock.now_us())
        rows = history(client(market))
        assert len(rows) > 900
        assert recording.rows() == rows
    recording.check()
    blocks = recording.blocks()
    assert {block.server_offset_s * 1000 for block in blocks} == {OFFSET_MS}
    assert recording.column("time_ms")[0] == ticks.time_ms[0]
    assert not any(block.gap for block in blocks)
    assert {bits & BROKEN for bits in recording.column("quality")} <= {0, 16}, "equal rows repeat"
    spec = recording.spec()
    assert spec is not None
    assert (spec.digits, spec.contract_size, spec.swap_mode) == (5, 100_000.0, SwapMode.PERCENT)
    assert all(block.ref_no >= spec.ref_no for block in blocks)
    assert [event.kind for event in recording.events()] == [SourceKind.CONNECTED]
    assert recording.alerts() == []
