"""Recorder, sequencer and gateway are stopped in the middle of a trading day, replaced, and wake behind their twins."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from infra.stack.services import running
from tests.e2e.chaos.agreement import differences
from tests.e2e.chaos.day import MINUTE_US, PATIENCE_S, TradingDay, trading_day
from tests.e2e.chaos.twins import twin

pytestmark = [pytest.mark.day, pytest.mark.stack, pytest.mark.kill, pytest.mark.timeout(600)]

FENCED = {
    "recorder": "it isn't started again for a minute",
    "sequencer": "another sequencer has taken over",
    "gateway": "gateway fenced",
}
"""What each says when it finds that it was replaced."""


def test_what_wakes_behind_its_twin_ends_and_nothing_is_doubled_or_lost(tmp_path: Path) -> None:
    with trading_day(tmp_path, (7 * 60 + 10, 7 * 60 + 30), speed=10) as day, ExitStack() as twins:
        for service in ("gateway", "sequencer", "recorder"):
            day.until(lambda: day.entries(), "the account trades")
            stopped = day.send(service, signal.SIGSTOP)
            second = twins.enter_context(twin(day, service))
            goes_on(day)
            stopped.send(signal.SIGCONT)
            assert stopped.wait(PATIENCE_S), f"the {service} that was stopped has ended"
            day.until(partial(says_replaced, day, service), f"the {service} says that it was replaced")
            assert second.poll() is None, f"the {service}'s twin is at work"
            assert running(day.home, service) is None, f"the supervisor leaves the {service}'s twin alone for a minute"
            goes_on(day)
        day.market.play_to_end()
        day.until(day.is_played, "the market has been played")
        assert differences(day) == []
        assert len(day.entries()) > 10


def says_replaced(day: TradingDay, service: str) -> bool:
    return FENCED[service] in day.said(service)


def goes_on(day: TradingDay) -> None:
    """Waits until the market has got on by half a minute, recorder and desk with it, and something was traded."""
    since_us = day.now_us()
    day.until(lambda: day.caught_up(since_us + MINUTE_US // 2), "recorder and desk go on")
    day.until(lambda: day.executions_since(since_us), "the gateway goes on")
