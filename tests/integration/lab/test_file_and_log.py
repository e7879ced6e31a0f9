"""A backtest of a file and one of the log that the file was imported onto decide the same, byte for byte."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from api.lab.backtest import Request, run_backtest
from api.lab.choice import choose
from api.lab.data import DataOptions, Traded, from_files
from api.lab.log_data import from_log
from api.lab.run import Run
from api.lab.setup import SizedBy
from infra.clock import SystemClock
from infra.errors import SettingsError
from infra.keys import load_or_create
from producers.clocks import parse_zone
from producers.importer import Importer, ImportRequest
from producers.sample import SAMPLE_DAY
from schemas.configuration import Sizing
from schemas.identity import Listing, parse_listing
from tests.conftest import TestStack

pytestmark = pytest.mark.stack

SAMPLE = SAMPLE_DAY[1]
"""Has crossed quotes, which are kept and used by nothing."""


@pytest.fixture(scope="module")
def imported(stack: TestStack) -> Listing:
    listing = Listing("lab", "EURUSD")
    keys = load_or_create(stack.settings)
    request = ImportRequest(listing=listing, files=[SAMPLE.path], zone=parse_zone(SAMPLE.tz))
    assert Importer(stack.kafka, keys, SystemClock()).run(request).new == SAMPLE.ticks
    return listing


def backtest(strategy: str, traded: list[Traded], **values: float) -> Run:
    return run_backtest(Request(chosen=choose(strategy, values), data=traded, sized=SizedBy(Sizing.LOTS, 0.1)))


def of_files(feed: str) -> list[Traded]:
    options = DataOptions(symbol="EURUSD", feed=feed, zone=parse_zone(SAMPLE.tz))
    return from_files([SAMPLE.path], options, "generic", [], None)


@pytest.mark.parametrize("strategy", ["crossing", "berserker"])
def test_file_and_log_decide_the_same(stack: TestStack, imported: Listing, strategy: str, tmp_path: Path) -> None:
    if strategy == "crossing":
        path = tmp_path / "crossing.py"
        path.write_text(CROSSING)
        strategy = str(path)
    with ExitStack() as kept:
        log = backtest(strategy, from_log([str(imported)], "generic", [], stack.home, None, kept))
    file = backtest(strategy, of_files(imported.feed))
    assert log.digests == file.digests
    assert (log.trades == file.trades).all()
    assert len(file.trades) > 3
    assert log.data[0]["ticks"] == file.data[0]["ticks"] == SAMPLE.ticks


def test_a_listing_that_is_not_there_is_named_with_those_that_are(stack: TestStack, imported: Listing) -> None:
    with ExitStack() as kept, pytest.raises(SettingsError, match=r"the log has no such listing; there is .*lab/EURUSD"):
        from_log(["lab/GBPUSD"], "generic", [], stack.home, None, kept)
    assert parse_listing(str(imported)) == imported


CROSSING = """
from tickledger import Enter, Exit, strategy
from tickledger.ta import atr, cross_above, cross_below, ema

@strategy(version=1, bars="M5")
def crossing(b):
    plan = Exit(stop=2 * atr(b, 14), target=4 * atr(b, 14))
    yield Enter.long(cross_above(ema(b.close, 5), ema(b.close, 15)), plan)
    yield Enter.short(cross_below(ema(b.close, 5), ema(b.close, 15)), plan)
"""
