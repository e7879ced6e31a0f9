"""At which tick and at which price orders, stops and targets fill."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.executions import Accepted, Canceled, DealEntry, DealReason, Expired, Filled, PartiallyFilled, Rejected
from schemas.quality import Quality
from streams.venue.model import VenueModel
from tests.unit.streams.venue.venues import (
    BAR_OPEN,
    BUY,
    EURUSD,
    HERE,
    LIMIT,
    PATH,
    SELL,
    START_MS,
    START_US,
    STOP,
    move,
    order,
    quote,
    run,
    spec,
    take_back,
    ticks,
    venue,
)


@pytest.mark.parametrize(("side", "price"), [(BUY, 1.10010), (SELL, 1.10000)])
def test_a_market_order_fills_at_the_prevailing_quote(side: str, price: float) -> None:
    (filled,) = venue().place(START_US, order(7, side, 0.5), HERE)
    assert isinstance(filled, Filled)
    assert (filled.price, filled.volume, filled.remaining, filled.n) == (price, 0.5, 0.0, 0)
    assert (filled.order_no, filled.ticket, filled.deal, filled.position) == (7, 1, 1, 1)
    assert (filled.entry, filled.reason, filled.time_ms) == (DealEntry.IN, DealReason.EXPERT, START_MS)
    assert (filled.bid, filled.ask, filled.seq) == (1.10000, 1.10010, 1)


def test_slippage_is_against_the_order() -> None:
    at = venue(VenueModel(slippage_points=1.5))
    (bought,) = at.place(START_US, order(1, BUY, 1.0), HERE)
    (sold,) = at.place(START_US, order(2, SELL, 1.0), HERE)
    assert (bought.price, sold.price) == (1.100115, 1.099985)


def test_slippage_is_drawn_from_the_orders_number() -> None:
    def prices(seed: int) -> list[float]:
        at = venue(VenueModel(slippage_jitter_points=10.0, seed=seed))
        return [at.place(START_US, order(no, BUY, 0.01), HERE)[0].price for no in range(1, 20)]

    assert prices(1) == prices(1) != prices(2)
    assert all(1.10010 <= price <= 1.10020 for price in prices(1))
    assert len(set(prices(1))) > 10


@pytest.mark.parametrize(
    ("side", "levels", "rows", "price", "reason"),
    [
        (BUY, {"sl": 1.09950}, [(1.09951, 1.09949), (1.09950, 1.09960)], 1.09950, DealReason.SL),
        (SELL, {"sl": 1.10050}, [(1.10051, 1.10049), (1.10040, 1.10050)], 1.10050, DealReason.SL),
        (BUY, {"tp": 1.10050}, [(1.10049, 1.10051), (1.10050, 1.10060)], 1.10050, DealReason.TP),
        (SELL, {"tp": 1.09950}, [(1.09949, 1.09951), (1.09940, 1.09950)], 1.09950, DealReason.TP),
    ],
)
def test_a_longs_levels_trigger_on_the_bid_and_a_shorts_on_the_ask(side, levels, rows, price, reason) -> None:
    at = venue()
    at.place(START_US, order(7, side, 1.0, **levels), HERE)
    (filled,) = run(at, ticks(*rows))
    assert (filled.n, filled.price, filled.reason, filled.entry) == (2, price, reason, DealEntry.OUT)
    assert (filled.order_no, filled.position, filled.ticket, filled.deal) == (7, 1, 2, 2)
    assert filled.side is not side
    assert not at.open


@pytest.mark.parametrize(
    ("side", "type", "price", "rows"),
    [
        (BUY, STOP, 1.10050, [(1.10050, 1.10049), (1.10040, 1.10050)]),
        (SELL, STOP, 1.09950, [(1.09951, 1.09950), (1.09950, 1.09960)]),
        (BUY, LIMIT, 1.09950, [(1.09950, 1.09951), (1.09940, 1.09950)]),
        (SELL, LIMIT, 1.10050, [(1.10049, 1.10050), (1.10050, 1.10060)]),
    ],
)
def test_a_pending_buy_triggers_on_the_ask_and_a_pending_sell_on_the_bid(side, type, price, rows) -> None:
    at = venue()
    (accepted,) = at.place(START_US, order(7, side, 1.0, type, price), HERE)
    assert isinstance(accepted, Accepted)
    (filled,) = run(at, ticks(*rows))
    assert (filled.n, filled.price, filled.entry, filled.ticket) == (2, price, DealEntry.IN, accepted.ticket)


def test_a_gap_fills_a_stop_at_the_triggering_quote() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, sl=1.09950), HERE)
    (filled,) = run(at, ticks((1.09900, 1.09910)))
    assert (filled.price, filled.profit) == (1.09900, Decimal("-110.00"))


def test_a_gap_fills_a_target_and_a_limit_at_the_better_quote() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, tp=1.10050), HERE)
    at.place(START_US, order(2, SELL, 1.0, LIMIT, 1.10080), HERE)
    assert [filled.price for filled in run(at, ticks((1.10100, 1.10110)))] == [1.10100, 1.10100]


def test_a_gap_fills_a_stop_order_at_the_worse_quote_and_with_slippage() -> None:
    at = venue(VenueModel(slippage_points=2.0))
    at.place(START_US, order(1, BUY, 1.0, STOP, 1.10050), HERE)
    assert [filled.price for filled in run(at, ticks((1.10100, 1.10110)))] == [1.10112]


def test_between_two_synthetic_ticks_of_a_bar_levels_fill_at_their_own_price() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, sl=1.09950), HERE)
    at.place(START_US, order(2, BUY, 1.0, LIMIT, 1.09930, tp=1.10020), HERE)
    said = run(at, ticks((1.10000, 1.10010, BAR_OPEN), (1.09900, 1.09910, PATH), (1.10100, 1.10110, PATH)))
    # The ask is at 1.0993 when the bid is at 1.0992: after the stop.
    assert [(d.order_no, d.price, d.reason, d.n) for d in said] == [
        (1, 1.09950, DealReason.SL, 2),
        (2, 1.09930, DealReason.EXPERT, 2),
        (2, 1.10020, DealReason.TP, 3),
    ]


def test_a_gap_between_bars_fills_at_the_open() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, sl=1.09950), HERE)
    assert [d.price for d in run(at, ticks((1.09900, 1.09910, BAR_OPEN)))] == [1.09900]


def test_an_entry_and_its_stop_on_one_way_down_both_act() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, LIMIT, 1.09950, sl=1.09900), HERE)
    said = run(at, ticks((1.10000, 1.10010, BAR_OPEN), (1.09850, 1.09860, PATH), (1.10000, 1.10010, PATH)))
    assert [(d.price, d.n) for d in said] == [(1.09950, 2), (1.09900, 2)]


def test_a_stop_inside_the_spread_acts_where_the_entry_is_made() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, STOP, 1.10050, sl=1.10045), HERE)
    said = run(at, ticks((1.10000, 1.10010, BAR_OPEN), (1.10100, 1.10110, PATH)))
    assert [(d.price, d.n) for d in said] == [(1.10050, 2), (1.10040, 2)]


def test_on_one_tick_the_stop_comes_first() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, sl=1.09950), HERE)
    at.place(START_US, order(2, SELL, 1.0, tp=1.09970), HERE)
    assert [d.reason for d in run(at, ticks((1.09940, 1.09950)))] == [DealReason.SL, DealReason.TP]


def test_broken_ticks_are_not_used_and_suspect_ones_are() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, sl=1.09950), HERE)
    rows = [(0.0, 0.0, int(Quality.NON_POSITIVE)), (1.09940, 1.09950, int(Quality.SPIKE))]
    assert [d.n for d in run(at, ticks(*rows))] == [2]


def test_a_tick_triggers_only_what_arrived_before_it() -> None:
    at = venue()
    at.place(START_US + 1_000_000, order(1, BUY, 1.0, sl=1.09950), HERE)
    assert [d.n for d in run(at, ticks((1.09940, 1.09950), (1.09945, 1.09955)))] == [2]


def test_a_moved_stop_holds_from_its_arrival() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, sl=1.09900), HERE)
    (accepted,) = at.modify(START_US + 1_000_000, move(1, sl=1.09950, tp=1.10100, position=1), HERE)
    assert (accepted.sl, accepted.tp, accepted.position) == (1.09950, 1.10100, 1)
    assert [(d.n, d.price) for d in run(at, ticks((1.09940, 1.09950), (1.09945, 1.09955)))] == [(2, 1.09945)]


def test_levels_left_out_of_a_modification_are_gone() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, sl=1.09900, tp=1.10100), HERE)
    at.modify(START_US, move(1, sl=1.09950), HERE)
    assert [(p.sl, p.tp) for p in at.positions] == [(1.09950, None)]


def test_a_pending_orders_levels_can_be_moved() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, LIMIT, 1.09950, sl=1.09900), HERE)
    (accepted,) = at.modify(START_US, move(1, sl=1.09920), HERE)
    assert (accepted.ticket, accepted.position, accepted.sl) == (1, 0, 1.09920)
    assert [d.price for d in run(at, ticks((1.09940, 1.09950), (1.09915, 1.09925)))] == [1.09950, 1.09915]


def test_prices_are_rounded_to_the_listings_digits() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, sl=1.099501234), HERE)
    assert at.positions[0].sl == 1.09950


def test_a_pending_order_expires_at_the_first_tick_of_its_end() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, LIMIT, 1.09950, expires_ms=START_MS + 1500), HERE)
    (expired,) = run(at, ticks((1.10000, 1.10010), (1.09900, 1.09910)))
    assert isinstance(expired, Expired)
    assert (expired.time_ms, expired.written_us, expired.remaining) == (START_MS + 1500, START_US + 2_000_000, 1.0)


def test_a_canceled_order_is_gone() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, LIMIT, 1.09950), HERE)
    (canceled,) = at.cancel(START_US, take_back(1), HERE)
    assert isinstance(canceled, Canceled)
    assert canceled.remaining == 1.0
    assert not at.open
    (rejected,) = at.cancel(START_US, take_back(1), HERE)
    assert isinstance(rejected, Rejected)
    assert rejected.retcode == 10035


def test_an_order_above_the_largest_deal_fills_on_consecutive_ticks() -> None:
    at = venue(VenueModel(max_deal_lots=0.4))
    said = at.place(START_US, order(1, BUY, 1.0, sl=1.09900), HERE)
    said += run(at, ticks((1.10010, 1.10020), (0.0, 0.0, int(Quality.NON_POSITIVE)), (1.10020, 1.10030)))
    assert [(type(d), d.volume, d.remaining, d.price, d.n) for d in said] == [
        (PartiallyFilled, 0.4, 0.6, 1.10010, 0),
        (PartiallyFilled, 0.4, 0.2, 1.10020, 1),
        (Filled, 0.2, 0.0, 1.10030, 3),
    ]
    (position,) = at.positions
    assert (position.volume, position.price, position.sl) == (Decimal("1.0"), 1.10018, 1.09900)
    assert {d.position for d in said} == {1}


def test_the_rest_of_a_limit_order_waits_for_its_price() -> None:
    at = venue(VenueModel(max_deal_lots=0.5))
    at.place(START_US, order(1, BUY, 1.0, LIMIT, 1.09950), HERE)
    said = run(at, ticks((1.09935, 1.09945), (1.09945, 1.09955), (1.09940, 1.09950)))
    assert [(d.price, d.n, d.remaining) for d in said] == [(1.09945, 1, 0.5), (1.09950, 3, 0.0)]


def test_a_share_of_market_orders_fills_in_two_deals() -> None:
    at = venue(VenueModel(partial_share=1.0))
    said = at.place(START_US, order(1, BUY, 0.05), HERE) + run(at, ticks((1.10010, 1.10020)))
    assert [(d.volume, d.remaining, d.n) for d in said] == [(0.02, 0.03, 0), (0.03, 0.0, 1)]
    assert [d.remaining for d in at.place(START_US, order(2, BUY, 0.01), HERE)] == [0.0]


def test_the_rest_of_an_order_whose_position_was_stopped_is_canceled() -> None:
    at = venue(VenueModel(max_deal_lots=0.5))
    at.place(START_US, order(1, BUY, 1.0, sl=1.09950), HERE)
    said = run(at, ticks((1.09940, 1.09950)))
    assert [type(e) for e in said] == [Filled, Canceled]
    assert said[1].remaining == 0.5


def test_a_position_is_closed_in_parts() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0), HERE)
    (first,) = at.place(START_US, order(2, SELL, 0.3, position=1), quote(1.10110, 1.10120))
    (second,) = at.place(START_US, order(3, SELL, 0.7, position=1), quote(1.10210, 1.10220))
    assert (first.profit, second.profit) == (Decimal("30.00"), Decimal("140.00"))
    assert (first.entry, first.position, first.order_no) == (DealEntry.OUT, 1, 2)
    assert at.balance == Decimal("10170.00")
    assert not at.open


def test_all_is_closed_at_the_last_quotes() -> None:
    at = venue(VenueModel(slippage_points=3.0), of=[spec(commission_per_lot_side=3.5)])
    at.place(START_US, order(1, BUY, 1.0), HERE)
    at.place(START_US, order(2, SELL, 1.0, LIMIT, 1.2), HERE)
    canceled, filled = at.close_all(START_US + 5, {EURUSD: quote(1.10050, 1.10060, n=9)})
    assert isinstance(canceled, Canceled)
    assert (filled.price, filled.reason, filled.n, filled.commission) == (
        1.10050,
        DealReason.CLIENT,
        9,
        Decimal("-3.50"),
    )
    assert (at.open, at.open_listings) == (False, ())


def test_an_exit_goes_before_the_rest_of_its_entry() -> None:
    at = venue(VenueModel(max_deal_lots=0.5))
    at.place(START_US, order(1, BUY, 1.0), HERE)
    filled, canceled = at.place(START_US, order(2, SELL, 0.5, position=1), HERE)
    assert (type(filled), type(canceled)) == (Filled, Canceled)
    assert (canceled.order_no, canceled.remaining, at.open) == (1, 0.5, False)


def test_the_rest_of_an_entry_that_was_stopped_on_the_same_tick_goes_with_it() -> None:
    at = venue(VenueModel(max_deal_lots=0.5))
    at.place(START_US, order(1, BUY, 1.0, LIMIT, 1.09950, sl=1.09900), HERE)
    said = run(at, ticks((1.10000, 1.10010, BAR_OPEN), (1.09850, 1.09860, PATH)))
    assert [type(each) for each in said] == [PartiallyFilled, Filled, Canceled]
    assert not at.open


def test_neither_the_scan_nor_a_tick_acts_on_what_arrived_at_its_time() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, sl=1.0), HERE)
    at.place(START_US + 1_000_000, order(2, BUY, 1.0, sl=1.09950), HERE)
    market = ticks((1.09940, 1.09950), (1.09945, 1.09955))
    assert at.find(EURUSD, market, 0, 2) == 1
    assert at.apply(EURUSD, market, 0) == []
    assert [d.order_no for d in at.apply(EURUSD, market, 1)] == [2]
