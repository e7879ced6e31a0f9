"""Every process of a trading day dies by kill -9 while it is at work, and at the end nothing can be told from it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.e2e.chaos.agreement import differences
from tests.e2e.chaos.day import trading_day
from tests.e2e.chaos.kills import KILLED, kill_each

pytestmark = [pytest.mark.stack, pytest.mark.kill, pytest.mark.timeout(1800)]

SEED = 1


def test_each_process_is_killed_in_the_middle_and_log_and_terminal_agree(tmp_path: Path) -> None:
    """Ticks on the log are the terminal's history row by row, orders at the terminal are the orders intended, each
    once, signals are the laboratory's, and verify derives the same again."""
    with trading_day(tmp_path, (7 * 60 + 10, 7 * 60 + 30), speed=5) as day:
        recovered = kill_each(day, random.Random(SEED))
        day.market.play_to_end()
        day.until(day.is_played, "the market has been played", 600)
        day.all_ready()
        for recovery in recovered:
            print(f"{recovery.service:10} at work again after {recovery.at_work_s:5.1f} s")
        assert differences(day) == []
        assert len(day.entries()) > 10
        assert {recovery.service for recovery in recovered} == set(KILLED)
