"""What surrounds a trading day fails: the feed is silent, the terminal hangs, the broker is away, the clock jumps.

One day has all of it in turn. Each time no entry is made on old prices, an alert says what it is and since when, and
afterwards trading goes on by itself. At its end all stages of the day agree.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from schemas.events import Alert
from schemas.executions import Expired, Filled
from schemas.trading import Submitted
from tests.e2e.chaos.agreement import differences
from tests.e2e.chaos.day import MINUTE_US, TradingDay, trading_day
from tests.e2e.command import run

pytestmark = [pytest.mark.day, pytest.mark.stack, pytest.mark.kill, pytest.mark.timeout(900)]

BROKER_AWAY_S = 60.0
HOUR_US = 60 * MINUTE_US


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TradingDay]:
    """Five times as fast as it was; the market waits for nobody."""
    folder = tmp_path_factory.mktemp("outside")
    more: dict[str, dict[str, Any]] = {"terminal": {"timeout_ms": 3_000}, "trade": {"settle_s": 1.0}}
    minutes = (7 * 60 + 10, 9 * 60 + 20)
    with trading_day(folder, minutes, speed=5, valid_for="20s", followers=(), more=more) as own:
        yield own


def told(day: TradingDay, code: str, since_us: int) -> Alert:
    """The alert, once it is there; it says since when."""
    alert = day.until(lambda: day.alerts(since_us).get(code), f"the alert {code}")
    assert re.search(r"since \d{4}-\d\d-\d\dT[\d:.]+Z", alert.message), alert
    return alert


def passes(day: TradingDay, us: int) -> int:
    """Waits until so much market time has passed; what it is then."""
    until_us = day.clock.now_us() + us
    return day.until(lambda: (now := day.clock.now_us()) >= until_us and now, "the market goes on")


@contextmanager
def with_an_entry_on_its_way(day: TradingDay) -> Iterator[Submitted]:
    """An entry that the gateway hasn't seen yet; it does when the block ends."""
    day.trades_again(day.now_us())
    gateway, since_us = day.send("gateway", signal.SIGSTOP), day.now_us()
    try:
        yield day.until(lambda: day.entries(since_us), "the desk enters")[0]
    finally:
        gateway.send(signal.SIGCONT)


def expired(day: TradingDay, entry: Submitted) -> bool:
    return any(record.order_no == entry.order_no for record in day.executions(Expired))


def test_a_silent_feed(day: TradingDay) -> None:
    with with_an_entry_on_its_way(day) as entry:
        cut_us = day.now_us()
        day.market.fault("disconnect")
    told(day, "source_lost", cut_us)
    told(day, "terminal_away", cut_us)
    back_us = passes(day, 2 * MINUTE_US)
    day.market.clear_faults()
    told(day, "source_back", back_us)
    told(day, "terminal_back", back_us)
    day.trades_again(back_us)
    assert expired(day, entry)
    assert day.on_old_prices() == []


def test_a_terminal_that_hangs(day: TradingDay) -> None:
    with with_an_entry_on_its_way(day) as entry:
        hung_us = day.now_us()
        terminal = day.send("terminal", signal.SIGSTOP)
    told(day, "source_lost", hung_us)
    told(day, "terminal_away", hung_us)
    back_us = passes(day, 2 * MINUTE_US)
    terminal.send(signal.SIGCONT)
    told(day, "source_back", back_us)
    told(day, "terminal_back", back_us)
    day.trades_again(back_us)
    assert expired(day, entry)
    assert day.on_old_prices() == []


def hold_a_position(day: TradingDay) -> None:
    """A position is open and stays so: the market stands, and so does the gateway."""
    while True:
        day.until(lambda: day.positions(), "a position is open")
        day.market.pause()
        gateway = day.send("gateway", signal.SIGSTOP)
        if day.positions():
            return
        gateway.send(signal.SIGCONT)
        day.market.resume()


def test_a_broker_that_is_away_while_positions_are_open(day: TradingDay) -> None:
    """They are closed at the terminal itself meanwhile, and the log has it afterwards."""
    hold_a_position(day)
    gone_us, gone_at = day.now_us(), time.monotonic()
    kafka = day.send("kafka", signal.SIGSTOP)
    flattened = run(day.home.root.parent, "flatten", "--direct", "--why", "no broker", "--home", str(day.home.root))
    assert (flattened.returncode, day.positions()) == (0, ()), flattened.stdout + flattened.stderr
    assert "closed" in flattened.stdout
    day.market.resume()
    while time.monotonic() - gone_at < BROKER_AWAY_S:
        time.sleep(0.1)
        day.running.check()
    assert day.positions() == (), "nothing is entered without the log"
    back_us = day.now_us()
    kafka.send(signal.SIGCONT)
    told(day, "log_back", gone_us)
    day.trades_again(back_us)
    assert [deal for deal in day.executions(Filled) if deal.order_no == 0], "the log has what was closed without it"
    assert day.on_old_prices() == []


def test_a_clock_that_jumps_an_hour(day: TradingDay) -> None:
    day.until(lambda: day.positions(), "a position is open")
    before_us = day.now_us()
    day.market.go_to(before_us + HOUR_US)
    leapt = told(day, "time_leapt", before_us)
    assert leapt.time_us >= before_us + HOUR_US
    assert "no entry is decided on them" in leapt.message
    told(day, "time_steady", leapt.time_us)
    day.trades_again(before_us + HOUR_US)
    assert day.on_old_prices() == []


def test_at_the_end_all_stages_agree(day: TradingDay) -> None:
    day.market.play_to_end()
    day.until(day.is_played, "the market has been played")
    day.all_ready()
    assert differences(day) == []
