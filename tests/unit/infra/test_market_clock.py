"""Market time in a shared file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from infra.clock import FixedClock, SystemClock
from infra.errors import HomeUnusable, NotReady
from infra.market_clock import LONGEST_WAIT_S, MarketClock, MarketClockWriter, Pace, service_clock
from infra.settings import Settings, TerminalSettings
from infra.stack.home import Home

NOON_US = 1_399_377_600_000_000
FAR_US = NOON_US + 10**12
BOOT = bytes(range(16))


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The machine's monotonic clock, ns, in the test's hand."""
    now = [10**9]
    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])
    return now


def test_every_reader_of_the_file_sees_the_writers_time(tmp_path: Path, monotonic: list[int]) -> None:
    writer = MarketClockWriter(tmp_path / "market.clock")
    writer.set(NOON_US, 2.0, FAR_US)
    reader = MarketClock(tmp_path / "market.clock")
    monotonic[0] += 1_500_000_000
    assert reader.now_us() == writer.now_us() == NOON_US + 3_000_000
    assert reader.now_ms() == (NOON_US + 3_000_000) // 1000


def test_time_stands_where_the_rate_is_nothing(monotonic: list[int]) -> None:
    clock = MarketClockWriter(None)
    clock.set(NOON_US, 0.0, NOON_US)
    monotonic[0] += 10**12
    assert clock.now_us() == NOON_US


def test_time_stops_at_its_limit_and_goes_on_from_there(monotonic: list[int]) -> None:
    clock = MarketClockWriter(None)
    clock.set(NOON_US, 1.0, NOON_US + 1_000_000)
    monotonic[0] += 60 * 10**9
    assert clock.now_us() == NOON_US + 1_000_000
    clock.limit(NOON_US + 5_000_000)
    assert clock.now_us() == NOON_US + 1_000_000
    monotonic[0] += 2 * 10**9
    assert clock.now_us() == NOON_US + 3_000_000


def test_a_limit_that_is_renewed_in_time_changes_no_pace(monotonic: list[int]) -> None:
    clock = MarketClockWriter(None)
    clock.set(NOON_US, 1.0, NOON_US + 1_000_000)
    for _ in range(1000):
        monotonic[0] += 999
        clock.limit(clock.now_us() + 1_000_000)
    assert clock.now_us() == NOON_US + 999


def test_a_reader_never_goes_back(tmp_path: Path, monotonic: list[int]) -> None:
    writer = MarketClockWriter(tmp_path / "market.clock")
    writer.set(NOON_US, 1.0, FAR_US)
    reader = MarketClock(tmp_path / "market.clock")
    assert reader.now_us() == NOON_US
    writer.set(NOON_US - 1, 0.0, FAR_US)
    assert reader.now_us() == NOON_US


def test_a_limit_in_the_past_takes_no_time_back() -> None:
    pace = Pace(BOOT, 0, NOON_US, 1.0, NOON_US - 5)
    assert pace.at(10**9) == NOON_US


def test_how_long_to_wait_goes_by_the_pace(monotonic: list[int]) -> None:
    clock = MarketClockWriter(None)
    clock.set(NOON_US, 10.0, NOON_US + 2_000_000)
    assert clock.wait_s(NOON_US) == 0.0
    assert clock.wait_s(NOON_US + 1_000_000) == pytest.approx(0.1)
    assert clock.wait_s(NOON_US + 3_000_000) == 0.05, "it may not get there: ask again"
    clock.set(NOON_US, 1.0, FAR_US)
    assert clock.wait_s(NOON_US + 60_000_000) == LONGEST_WAIT_S, "the pace may change meanwhile"
    clock.set(NOON_US, 0.0, FAR_US)
    assert clock.wait_s(NOON_US + 1) == 0.05


def test_other_clocks_say_how_long_to_wait_too() -> None:
    standing, system = FixedClock(NOON_US), SystemClock()
    assert (standing.wait_s(NOON_US), standing.wait_s(NOON_US + 1)) == (0.0, 0.05)
    assert system.wait_s(0) == 0.0
    assert 50 < system.wait_s(system.now_us() + 60_000_000) <= 60


def test_a_writer_that_is_killed_in_the_middle_leaves_the_time_before(tmp_path: Path, monotonic: list[int]) -> None:
    path = tmp_path / "market.clock"
    writer = MarketClockWriter(path)
    writer.set(NOON_US, 0.0, NOON_US)
    reader = MarketClock(path)
    before = path.read_bytes()
    writer.set(NOON_US + 1, 0.0, NOON_US + 1)
    after = path.read_bytes()
    with path.open("r+b") as file:
        file.write(before[:8] + after[8:])
    assert reader.now_us() == NOON_US
    assert MarketClockWriter(path).now_us() == NOON_US


def test_a_new_writer_finds_what_its_former_left(tmp_path: Path, monotonic: list[int]) -> None:
    path = tmp_path / "market.clock"
    assert MarketClockWriter(path, BOOT).left_at_us() is None
    MarketClockWriter(path, BOOT).set(NOON_US, 1.0, FAR_US)
    monotonic[0] += 3 * 10**9
    assert MarketClockWriter(path, BOOT).left_at_us() == NOON_US + 3_000_000
    assert MarketClockWriter(path, bytes(16)).left_at_us() is None, "another run of the machine: another clock"


def test_without_a_terminal_there_is_no_market_time(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="terminal has to run first"):
        MarketClock(tmp_path / "market.clock")
    (tmp_path / "market.clock").touch()
    with pytest.raises(NotReady):
        MarketClock(tmp_path / "market.clock")
    MarketClockWriter(tmp_path / "market.clock")
    with pytest.raises(NotReady):
        MarketClock(tmp_path / "market.clock")
    with pytest.raises(HomeUnusable):
        MarketClock(tmp_path)
    with pytest.raises(HomeUnusable):
        MarketClockWriter(tmp_path / "no folder" / "market.clock")


def test_services_take_market_time_where_the_terminal_is_simulated(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    MarketClockWriter.of(home).set(NOON_US, 0.0, NOON_US)
    simulated = Settings(home=tmp_path, terminal=TerminalSettings(kind="simulated"))
    assert service_clock(simulated).now_us() == NOON_US
    assert isinstance(service_clock(Settings(home=tmp_path)), SystemClock)
