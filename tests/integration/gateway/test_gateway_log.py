"""What the gateway reads and writes of the log, in this process: quotes, its chain, and what keeps it from starting."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.account_log import AccountWriter
from infra.clock import FixedClock, SystemClock
from infra.errors import SettingsError, Unreachable
from infra.kafka import new_producer
from infra.settings import Settings, load_settings
from infra.stack.home import read_json, write_json
from infra.tick_writer import TickWriter
from producers.gateway import chain as chain_module
from producers.gateway import service
from producers.gateway.alarms import KafkaAlarms
from producers.gateway.book import Book
from producers.gateway.chain import ExecutionsChain
from producers.gateway.newest_ticks import Prevailing
from producers.gateway.quotes import Quotes
from producers.gateway.records import blank
from producers.gateway.service import account_config, fence_of, open_venue, pin_file, serve
from producers.gateway.venue import NoAnswer, Pin, Venue, WrongAccount
from producers.mt5 import AUTHORIZATION_FAILED, TerminalError
from schemas.configuration import AccountConfig
from schemas.events import Severity
from schemas.executions import OrderRequest, Sending
from schemas.quality import Quality
from schemas.ticks import TickSource
from tests.conftest import TestStack
from tests.integration.gateway.trading import Trading, trading, until
from tests.records import ticks
from tests.unit.streams.venue.venues import account

pytestmark = pytest.mark.stack
START_MS = 1_399_334_400_000


@pytest.fixture
def own(stack: TestStack, tmp_path: Path) -> Trading:
    """An account and names of its own on the broker; nothing runs."""
    return Trading(stack, tmp_path)


def write(own: Trading, listing: str, first: int, count: int, quality: int = 0) -> None:
    """Ticks of a listing, a tenth of a second apart, counted from `first`."""
    with TickWriter(own.kafka, own.keys, FixedClock(0), listing, TickSource.LIVE) as writer:
        writer.open()
        columns = ticks(count, START_MS + 100 * first)
        columns = columns._replace(quality=np.full(count, quality, np.int32))
        last_ms = int(columns.time_ms[-1])
        writer.write(
            ref_no=0, received_us=0, server_offset_s=0, gap=False, watermark_ms=last_ms, columns=columns
        )  # fmt: skip
        writer.drain()
        writer.anchor()


def test_the_tick_that_prevailed_is_the_newest_good_one_at_the_time(own: Trading) -> None:
    other = f"{own.feed}/GBPUSD"
    write(own, own.listing, 0, 10)
    write(own, other, 0, 3)
    quotes = Quotes(own.kafka, own.keys)
    try:
        follow(quotes, own.listing)
        write(own, own.listing, 10, 10)
        write(own, own.listing, 20, 2, int(Quality.CROSSED))
        until(lambda: _polled(quotes, own.listing, START_MS + 2_000))
        found = quotes.at(own.listing, START_MS + 1_250)
        assert found is not None
        assert found.n == 12
        assert quotes.at(own.listing, START_MS + 2_150) == quotes.at(own.listing, START_MS + 1_900)
        assert not quotes.knows(own.listing, START_MS + 2_100)
        assert quotes.at(other, START_MS + 100) is None
        follow(quotes, other)
        write(own, other, 3, 3)
        until(lambda: _polled(quotes, other, START_MS + 400))
        assert quotes.at(other, START_MS + 350) == Prevailing(3, 1.38725, 1.38735)
    finally:
        quotes.close()


def follow(quotes: Quotes, listing: str) -> None:
    """Returns once it is found where the listing's ticks are read from: after what lies before its last anchor."""
    quotes.follow(listing)
    until(lambda: _begun(quotes, listing))


def _begun(quotes: Quotes, listing: str) -> bool:
    quotes.poll()
    return math.isfinite(quotes.since_s(listing))


def _polled(quotes: Quotes, listing: str, time_ms: int) -> bool:
    quotes.poll()
    return quotes.knows(listing, time_ms)


def test_the_chain_confirms_what_the_log_has_and_gives_up_in_time(
    own: Trading, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, beats = FixedClock(1_000_000), []
    writer = AccountWriter(own.kafka, own.keys, clock, "executions", own.name, own.partition)
    writer.open()
    chain = ExecutionsChain(writer, Book(), clock, lambda: beats.append(1))
    chain.write(Sending(**blank(own.name), order_no=7, request=OrderRequest.PLACE))
    assert chain.book.order(7).asked_us == 1_000_000
    assert chain.confirm()
    monkeypatch.setattr(writer, "follow", lambda timeout=0: None)
    chain.write(Sending(**blank(own.name), order_no=8, request=OrderRequest.PLACE))
    assert not chain.confirm(0.0)
    monkeypatch.setattr(chain_module, "STALLED_S", 0.0)
    with pytest.raises(Unreachable, match="none of the written executions"):
        chain.confirm()
    assert beats
    writer.close()


def test_an_alert_is_told_once_and_again_when_it_comes_back(own: Trading) -> None:
    producer = new_producer(own.kafka)
    alarms = KafkaAlarms(producer, FixedClock(5_000_000), own.name)
    for _ in range(3):
        alarms.tell("terminal_away", Severity.CRITICAL, own.name, "it is away")
    alarms.over("terminal_away", own.name)
    alarms.over("terminal_away", own.name)
    alarms.tell("terminal_away", Severity.WARNING, own.name, "it is away again")
    producer.flush(10)
    assert own.alerts() == {"terminal_away": 2}


@pytest.fixture
def market(stack: TestStack, tmp_path: Path) -> Iterator[Trading]:
    with trading(stack, tmp_path) as running:
        yield running


def test_what_keeps_a_gateway_from_starting_is_said(market: Trading, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(market, monkeypatch)
    with pytest.raises(SettingsError, match=r"no account is named: set trade\.account"):
        serve(_with_account(settings, ""), threading.Event())
    with pytest.raises(SettingsError, match=r"trade.account is 'nobody', and `reference` has no AccountConfig of it"):
        serve(_with_account(settings, "nobody"), threading.Event())
    claims: list[tuple[str, int]] = []
    monkeypatch.setattr(Venue, "claim", lambda venue, *claim: claims.append(claim))
    stop = threading.Event()
    stop.set()
    serve(settings, stop)
    kept = pin_file(settings, market.name)
    pin = read_json(kept)
    assert pin is not None
    assert pin["login"] == market.mt5.account_info().login
    assert (pin.pop("order_base"), pin.pop("order_newest")) == (0, 0)
    write_json(kept, pin)  # As an older release left it.
    serve(settings, stop)
    assert read_json(kept) == pin | {"order_base": 0, "order_newest": 0}
    chain = claims[0][0]
    assert chain.partition("/")[0] == market.name
    assert claims == [(chain, 1), (chain, 2)], "each start, with a later epoch"
    write_json(kept, pin | {"login": 5})
    with pytest.raises(WrongAccount, match=r"another account of a terminal before \(login 5 → \d+\)"):
        serve(settings, stop)
    assert market.alerts() == {"wrong_account": 1}


def test_a_terminal_that_comes_late_is_waited_for_and_a_refused_login_is_not(
    market: Trading, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(market, monkeypatch)
    left: list[Exception] = [TerminalError("nobody answers", -10_003), NoAnswer("not yet")]
    monkeypatch.setattr(service, "AWAY_S", 0.01)
    monkeypatch.setattr(service, "AWAY_TOLD_S", 0.0)

    def opened(settings: Settings, config: AccountConfig) -> tuple[Venue, Pin]:
        if left:
            raise left.pop(0)
        return open_venue(settings, config)

    monkeypatch.setattr(service, "open_venue", opened)
    stop = threading.Event()
    monkeypatch.setattr(service, "_run", lambda *_: stop.set())
    serve(settings, stop)
    assert left == []
    assert stop.is_set()
    left = [NoAnswer("not yet"), TerminalError("wrong password", AUTHORIZATION_FAILED)]
    serve(settings, stop)
    assert len(left) == 1, "it was to end while it waited"
    with pytest.raises(TerminalError, match="wrong password"):
        serve(settings, stop)
    assert market.alerts() == {"terminal_away": 2, "terminal_back": 1, "terminal_refused": 1}


def test_an_account_stays_on_its_feed_and_partition(own: Trading, monkeypatch: pytest.MonkeyPatch) -> None:
    first = account(account="a", feed="broker", partition=3, ref_no=1)
    later = [
        dataclasses.replace(first, leverage=30.0, ref_no=2),
        dataclasses.replace(first, partition=4, ref_no=3),
        dataclasses.replace(first, feed="other", ref_no=4),
    ]
    monkeypatch.setattr(service, "read_reference", lambda *_: ([first, *later], None))
    assert account_config(own.kafka, own.keys, "a", SystemClock()) == later[0]


def test_fences_of_real_terminals_are_the_users_and_of_simulated_ones_the_homes(
    own: Trading, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, pin = _settings(own, monkeypatch), Pin("Broker-Demo", 7, 0, "USD", True)
    paths: dict[str, Any] = {}
    for kind in ("simulated", "official", "rpyc"):
        terminal = settings.terminal.model_copy(update={"kind": kind})
        paths[kind] = fence_of(settings.model_copy(update={"terminal": terminal}), pin)
    assert paths["simulated"].parent == own.home.run
    assert paths["official"].parent == paths["rpyc"].parent == settings.cache_dir / "fences"
    assert len({path.name for path in paths.values()}) == 3


def _settings(own: Trading, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in own.environment.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def _with_account(settings: Settings, account: str) -> Settings:
    return settings.model_copy(update={"trade": settings.trade.model_copy(update={"account": account})})
