"""What the venue refuses, with MT5's return code and words that say why."""

from __future__ import annotations

import math

import pytest

from schemas.executions import Filled, OrderRequest, Rejected
from streams.venue.model import VenueModel
from tests.unit.streams.venue.venues import (
    BUY,
    EURUSD,
    HERE,
    LIMIT,
    SELL,
    START_MS,
    START_US,
    STOP,
    account,
    move,
    order,
    quote,
    run,
    sessions,
    spec,
    take_back,
    ticks,
    venue,
)

APART = spec(stops_level=20, freeze_level=10)


@pytest.mark.parametrize(
    ("asked", "retcode", "words"),
    [
        (order(1, BUY, 0.001), 10014, "least"),
        (order(1, BUY, 101.0), 10014, "most"),
        (order(1, BUY, 0.015), 10014, "step"),
        (order(1, BUY, math.nan), 10014, "no volume"),
        (order(1, BUY, -1.0), 10014, "no volume"),
        (order(1, BUY, 1.0, sl=1.10000), 10016, "below 1.1"),
        (order(1, BUY, 1.0, tp=1.09990), 10016, "above 1.1"),
        (order(1, SELL, 1.0, sl=1.10010), 10016, "above 1.1001"),
        (order(1, SELL, 1.0, tp=1.10020), 10016, "below 1.1001"),
        (order(1, BUY, 1.0, sl=math.nan), 10016, "stop nan"),
        (order(1, BUY, 1.0, sl=-1.0), 10016, "stop -1"),
        (order(1, BUY, 1.0, LIMIT, 1.10010), 10015, "below 1.1001"),
        (order(1, BUY, 1.0, STOP, 1.10010), 10015, "above 1.1001"),
        (order(1, SELL, 1.0, LIMIT, 1.10000), 10015, "above 1.1"),
        (order(1, SELL, 1.0, STOP, 1.10000), 10015, "below 1.1"),
        (order(1, SELL, 1.0, STOP), 10015, "needs a price"),
        (order(1, SELL, 1.0, STOP, math.inf), 10015, "needs a price"),
        (order(1, BUY, 1.0, LIMIT, 1.09900, sl=1.09950), 10016, "below 1.099"),
        (order(1, BUY, 1.0, LIMIT, 1.09900, expires_ms=START_MS), 10022, "run out"),
        (order(1, SELL, 1.0, LIMIT, 1.2, position=1), 10013, "only a market order"),
        (order(1, BUY, 9.5), 10019, "need a margin of 10450.95 USD, 10000.00 are free"),
        (order(1, SELL, 1.0, position=5), 10036, "position 5 is not open"),
        (order(1, SELL, 1.0, listing="t/XAUUSD"), 10013, "t/XAUUSD"),
    ],
)
def test_the_venue_refuses(asked, retcode, words) -> None:
    at = venue()
    (rejected,) = at.place(START_US, asked, HERE)
    assert isinstance(rejected, Rejected)
    assert (rejected.retcode, rejected.request, rejected.time_ms) == (retcode, OrderRequest.PLACE, START_MS)
    assert words in rejected.reason
    assert not at.open


@pytest.mark.parametrize(
    ("asked", "retcode"),
    [
        (order(1, BUY, 1.0, sl=1.09981), 10016),
        (order(1, BUY, 1.0, sl=1.09980), 0),
        (order(1, SELL, 1.0, tp=1.09991), 10016),
        (order(1, SELL, 1.0, tp=1.09990), 0),
        (order(1, BUY, 1.0, LIMIT, 1.09991), 10015),
        (order(1, BUY, 1.0, LIMIT, 1.09990), 0),
        (order(1, BUY, 1.0, STOP, 1.10030, sl=1.10011), 10016),
        (order(1, BUY, 1.0, STOP, 1.10030, sl=1.10010), 0),
    ],
)
def test_levels_and_prices_keep_the_stops_level(asked, retcode) -> None:
    (said,) = venue(of=[APART]).place(START_US, asked, HERE)
    assert getattr(said, "retcode", 0) == retcode


def test_within_the_freeze_level_nothing_is_changed_closed_or_canceled() -> None:
    at = venue(of=[APART])
    at.place(START_US, order(1, BUY, 1.0, sl=1.09950), HERE)
    at.place(START_US, order(2, BUY, 1.0, LIMIT, 1.09960), HERE)
    near = quote(1.09959, 1.09969)
    frozen = [
        *at.modify(START_US, move(1, sl=1.09900), near),
        *at.modify(START_US, move(2, sl=1.09900), near),
        *at.cancel(START_US, take_back(2), near),
        *at.place(START_US, order(3, SELL, 1.0, position=1), near),
    ]
    assert [said.retcode for said in frozen] == [10029] * 4
    assert [said.request for said in frozen] == ["MODIFY", "MODIFY", "CANCEL", "PLACE"]
    apart = quote(1.09960, 1.09970)
    assert [type(said).__name__ for said in at.place(START_US, order(4, SELL, 1.0, position=1), apart)] == ["Filled"]


def test_a_modification_is_checked_too() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, sl=1.09950), HERE)
    asked = [move(1, sl=1.10000), move(1, sl=1.09950), move(9, sl=1.09950), move(1, sl=1.09950, position=9)]
    assert [at.modify(START_US, each, HERE)[0].retcode for each in asked] == [10016, 10025, 10036, 10036]
    assert at.positions[0].sl == 1.09950


def test_a_close_is_checked_against_its_position() -> None:
    at = venue(VenueModel(max_deal_lots=0.5))
    at.place(START_US, order(1, BUY, 0.5), HERE)
    asked = [
        order(2, SELL, 0.6, position=1),
        order(3, BUY, 0.5, position=1),
        order(4, SELL, 0.005, position=1),
    ]
    assert [at.place(START_US, each, HERE)[0].retcode for each in asked] == [10038, 10013, 10014]


def test_a_position_is_closed_by_one_order_at_a_time() -> None:
    at = venue(VenueModel(partial_share=1.0))
    at.place(START_US, order(1, BUY, 1.0), HERE)
    run(at, ticks((1.1, 1.1001)))
    at.place(START_US + 2_000_000, order(2, SELL, 1.0, position=1), HERE)
    (rejected,) = at.place(START_US + 2_000_000, order(3, SELL, 0.5, position=1), HERE)
    assert rejected.retcode == 10039


def test_outside_its_sessions_a_market_is_closed() -> None:
    tuesday = 2 * 1440
    open_until = 22 * 60 + 14
    at = venue(hours=sessions((tuesday, tuesday + open_until)))
    assert isinstance(at.place(START_US, order(1, BUY, 1.0), HERE)[0], Filled)
    later = START_US + 60_000_000
    closed = [
        *at.place(later, order(2, BUY, 1.0), HERE),
        *at.place(later, order(3, BUY, 1.0, LIMIT, 1.0), HERE),
        *at.modify(later, move(1, sl=1.0), HERE),
    ]
    assert [said.retcode for said in closed] == [10018] * 3
    # An hour further by the server's clock.
    assert at.place(START_US, order(4, BUY, 1.0), HERE, server_offset_s=3600)[0].retcode == 10018


def test_shares_of_market_orders_are_rejected_and_requoted() -> None:
    at = venue(VenueModel(reject_share=0.3, requote_share=0.3), balance=account().balance * 100)
    said = [at.place(START_US, order(no, BUY, 0.01), HERE)[0] for no in range(1, 401)]
    counts = {code: sum(getattr(s, "retcode", 0) == code for s in said) for code in (0, 10004, 10006)}
    assert 90 < counts[10006] < 150
    assert 60 < counts[10004] < 110
    again = venue(VenueModel(reject_share=0.3, requote_share=0.3), balance=account().balance * 100)
    assert [again.place(START_US, order(no, BUY, 0.01), HERE)[0] for no in range(1, 401)] == said
    # Pending orders are not drawn.
    assert all(at.place(START_US, order(no, BUY, 0.01, LIMIT, 1.0), HERE)[0].ticket for no in range(500, 520))


def test_a_pending_order_without_money_is_removed_when_its_price_comes() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 9.5, LIMIT, 1.09950), HERE)
    (canceled,) = run(at, ticks((1.09900, 1.09910)))
    assert canceled.reason.startswith("no money: 9.5 lots need a margin of")
    assert not at.open


def test_latency_is_added_and_its_jitter_drawn_by_order() -> None:
    at = venue(VenueModel(latency_ms=40.0, latency_jitter_ms=10.0))
    delays = [at.arrival_us(no, 1_000_000) - 1_000_000 for no in range(1, 50)]
    assert all(40_000 <= delay < 50_000 for delay in delays)
    assert len(set(delays)) > 40
    assert delays[0] == at.arrival_us(1, 5) - 5
    assert venue(VenueModel(latency_ms=0.25)).arrival_us(1, 7) == 257
    assert EURUSD in at.engine.ledger.specs
