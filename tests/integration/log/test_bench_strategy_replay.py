"""`bench ema` decides the same from a file and from both cuts of the log before it says how fast it is."""

from __future__ import annotations

import pytest

from api.bench import strategy_replay

pytestmark = pytest.mark.stack


def test_the_file_and_the_log_in_short_blocks_give_the_same_decisions() -> None:
    report = strategy_replay.run(days=1, rounds=1, sizes=(100,))
    assert report.equal
    assert [r.id for r in report.results if r.goal is not None] == [
        "replay.ema.block100.ticks_per_s",
        "replay.full.ticks_per_s",
    ]
