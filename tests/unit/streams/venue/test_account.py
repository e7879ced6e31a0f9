"""Positions and money: hedging, netting, commission, swap, conversion, margin, margin call and stop-out."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agents.money import MissingRate
from schemas.configuration import PositionMode
from schemas.executions import DealEntry, DealReason
from schemas.quality import Quality
from streams.operators.base import BadState
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
    order,
    quote,
    run,
    spec,
    ticks,
    venue,
)

NETTING = PositionMode.NETTING
DAY_MS = 86_400_000
TUESDAY_MIDNIGHT_MS = 1_700_006_400_000  # 2023-11-15 00:00 UTC: the night after a Tuesday


def test_a_hedging_account_keeps_both_sides() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0), HERE)
    (sold,) = at.place(START_US, order(2, SELL, 0.4), HERE)
    assert (sold.entry, sold.position) == (DealEntry.IN, 2)
    assert [(p.number, p.side, p.volume) for p in at.positions] == [(1, BUY, 1), (2, SELL, Decimal("0.4"))]
    assert at.margin == Decimal("1100.10") + Decimal("440.04")


def test_a_netting_account_adds_at_the_weighted_price() -> None:
    at = venue(position_mode=NETTING)
    at.place(START_US, order(1, BUY, 1.0, sl=1.0), HERE)
    (added,) = at.place(START_US, order(2, BUY, 3.0, tp=1.2), quote(1.10100, 1.10110))
    assert (added.entry, added.position) == (DealEntry.IN, 1)
    assert [(p.volume, p.price, p.sl, p.tp, p.order_no) for p in at.positions] == [(4, 1.10085, 1.0, 1.2, 1)]


def test_a_netting_account_reduces_closes_and_reverses() -> None:
    at = venue(position_mode=NETTING)
    at.place(START_US, order(1, BUY, 1.0), HERE)
    (out,) = at.place(START_US, order(2, SELL, 0.4), quote(1.10110, 1.10120))
    assert (out.entry, out.profit) == (DealEntry.OUT, Decimal("40.00"))
    (turned,) = at.place(START_US, order(3, SELL, 1.0, sl=1.2), quote(1.10110, 1.10120))
    assert (turned.entry, turned.profit, turned.volume, turned.position) == (
        DealEntry.INOUT, Decimal("60.00"), 1.0, 1,
    )  # fmt: skip
    assert [(p.number, p.side, p.volume, p.price, p.sl, p.order_no) for p in at.positions] == [
        (1, SELL, Decimal("0.4"), 1.10110, 1.2, 3)
    ]
    (closed,) = at.place(START_US, order(4, BUY, 0.4, position=1), quote(1.10000, 1.10010))
    assert (closed.entry, closed.profit, at.open) == (DealEntry.OUT, Decimal("40.00"), False)


def test_a_large_netting_reversal_fills_in_several_deals() -> None:
    at = venue(VenueModel(max_deal_lots=1.0), position_mode=NETTING)
    at.place(START_US, order(1, BUY, 1.0), HERE)
    said = at.place(START_US, order(2, SELL, 2.0), HERE) + run(at, ticks((1.1, 1.1001)))
    assert [(d.entry, d.remaining) for d in said] == [(DealEntry.OUT, 1.0), (DealEntry.IN, 0.0)]
    assert [p.side for p in at.positions] == [SELL]


def test_in_netting_the_opposite_order_needs_margin_only_for_what_it_adds() -> None:
    at = venue(position_mode=NETTING)
    at.place(START_US, order(1, BUY, 9.0), HERE)
    assert at.place(START_US, order(2, SELL, 18.2), HERE)[0].retcode == 10019
    assert at.place(START_US, order(3, SELL, 9.0), HERE)[0].profit == Decimal("-90.00")


def test_each_deal_costs_its_sides_commission() -> None:
    at = venue(of=[spec(commission_per_lot_side=3.5)])
    (bought,) = at.place(START_US, order(1, BUY, 0.33), HERE)
    assert (bought.commission, bought.profit, at.balance) == (Decimal("-1.16"), 0, Decimal("9998.84"))
    (sold,) = at.place(START_US, order(2, SELL, 0.33, position=1), quote(1.10010, 1.10020))
    assert (sold.commission, sold.profit, at.balance) == (Decimal("-1.16"), 0, Decimal("9997.68"))


def _over_nights(side: str, nights: int, **changed: object) -> tuple[Decimal, Decimal]:
    at = venue(of=[spec(swap_long=-7.0, swap_short=2.0, **changed)])
    at.place(START_US, order(1, side, 1.0), HERE)
    rows = [(1.10000, 1.10010, 0, TUESDAY_MIDNIGHT_MS - START_MS + day * DAY_MS) for day in range(nights)]
    assert run(at, ticks(*rows)) == []
    waiting = at.positions[0].swap
    assert at.equity == 10000 - 10 + waiting
    (closed,) = at.place(START_US, order(2, SELL if side is BUY else BUY, 1.0, position=1), HERE)
    return waiting, closed.swap


@pytest.mark.parametrize(
    ("side", "nights", "swap"),
    [
        (BUY, 1, "-7.00"),
        (SELL, 1, "2.00"),
        (BUY, 2, "-28.00"),  # Tuesday's, and Wednesday's thrice
        (BUY, 4, "-42.00"),  # to Friday's
        (BUY, 6, "-42.00"),  # Saturday's and Sunday's are in Wednesday's
    ],
)
def test_swap_is_charged_at_each_server_midnight_and_booked_at_the_close(side, nights, swap) -> None:
    assert _over_nights(side, nights) == (Decimal(swap), Decimal(swap))


def test_the_first_tick_after_a_silence_charges_all_its_nights() -> None:
    at = venue(of=[spec(swap_long=-7.0)])
    at.place(START_US, order(1, BUY, 1.0), HERE)
    run(at, ticks((1.1, 1.1001, 0, TUESDAY_MIDNIGHT_MS - START_MS + 4 * DAY_MS + 5)))
    assert at.positions[0].swap == Decimal("-42.00")


def test_midnight_is_the_servers() -> None:
    at = venue(of=[spec(swap_long=-7.0)])
    at.place(START_US, order(1, BUY, 1.0), HERE, server_offset_s=7200)
    # 22:13 UTC is 00:13 of the server's Wednesday: its night ends at 22:00 UTC.
    rows = [(1.1, 1.1001, 0, ms - START_MS + TUESDAY_MIDNIGHT_MS) for ms in (0, 79_199_999, 79_200_000)]
    swaps = [(run(at, ticks(row, offset_s=7200)), at.positions[0].swap)[1] for row in rows]
    assert swaps == [0, 0, Decimal("-21.00")]


def test_a_partial_close_books_its_share_of_the_swap() -> None:
    at = venue(of=[spec(swap_long=-7.01)])
    at.place(START_US, order(1, BUY, 1.0), HERE)
    run(at, ticks((1.1, 1.1001, 0, TUESDAY_MIDNIGHT_MS - START_MS)))
    parts = [at.place(START_US, order(n, SELL, lots, position=1), HERE)[0].swap for n, lots in ((2, 0.33), (3, 0.67))]
    assert parts == [Decimal("-2.31"), Decimal("-4.70")]
    assert at.balance == Decimal("10000.00") - 10 - Decimal("7.01")


def test_a_yen_profit_is_converted_by_its_own_quote() -> None:
    usdjpy = spec("t/USDJPY", digits=3)
    at = venue(of=[usdjpy], conversion_listings=())
    at.place(START_US, order(1, BUY, 1.0, listing="t/USDJPY"), quote(150.0, 150.0))
    assert at.margin == Decimal("1000.00")
    (closed,) = at.place(START_US, order(2, SELL, 1.0, listing="t/USDJPY", position=1), quote(151.0, 151.02))
    assert closed.profit == Decimal("662.16")  # 100,000 yen at 151.02


def test_money_that_cant_be_converted_is_an_error_that_says_what_to_name() -> None:
    at = venue(of=[spec("t/EURJPY", digits=3)], conversion_listings=())
    with pytest.raises(MissingRate, match="rate_JPY"):
        at.place(START_US, order(1, BUY, 1.0, listing="t/EURJPY"), quote(160.0, 160.01))


def test_margin_is_fixed_at_the_opening_price_and_released_in_parts() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0), HERE)
    assert at.margin == Decimal("1100.10")
    at.place(START_US, order(2, SELL, 0.25, position=1), quote(1.2, 1.2))
    assert at.margin == Decimal("825.07")


def test_the_largest_loss_is_closed_first_until_the_margin_level_holds() -> None:
    at = venue(balance=Decimal("3000.00"))
    at.place(START_US, order(1, BUY, 1.0), HERE)
    at.place(START_US, order(2, BUY, 1.0), quote(1.10300, 1.10310))
    assert at.margin == Decimal("2203.20")
    # Equity of 1102 is above half of 2203.20, 1100 below it; with the second position its margin goes too.
    said = run(at, ticks((1.09211, 1.09221), (1.09210, 1.09220)))
    assert [(d.reason, d.order_no, d.n, d.price, d.profit) for d in said] == [
        (DealReason.SO, 2, 2, 1.09210, Decimal("-1100.00"))
    ]
    assert [p.number for p in at.positions] == [1]


def test_the_margin_call_is_noted_once() -> None:
    at = venue(balance=Decimal("2000.00"))
    at.place(START_US, order(1, BUY, 1.0), HERE)
    assert run(at, ticks((1.09200, 1.09210), (1.09100, 1.09110), (1.09090, 1.09100), (1.09300, 1.09310))) == []
    (call,) = at.margin_calls
    assert (call.at_us, call.equity, call.margin) == (START_US + 2_000_000, Decimal("1090.00"), Decimal("1100.10"))


def test_on_a_path_the_stop_out_closes_where_the_margin_level_breaks() -> None:
    at = venue(balance=Decimal("2000.00"))
    at.place(START_US, order(1, BUY, 1.0), HERE)
    said = run(at, ticks((1.10000, 1.10010, BAR_OPEN), (1.00000, 1.00010, PATH)))
    # 550.05 are needed: lost when the bid is below 1.0856005.
    assert [(d.reason, d.price) for d in said] == [(DealReason.SO, 1.08560)]
    assert at.balance == Decimal("550.00")


def test_on_a_path_a_stop_before_the_stop_out_saves_the_position_from_it() -> None:
    at = venue(balance=Decimal("2000.00"))
    at.place(START_US, order(1, BUY, 1.0, sl=1.08560), HERE)
    said = run(at, ticks((1.10000, 1.10010, BAR_OPEN), (1.00000, 1.00010, PATH)))
    assert [(d.reason, d.price) for d in said] == [(DealReason.SL, 1.08560)]


def test_a_gap_may_take_the_balance_below_zero() -> None:
    at = venue(balance=Decimal("2000.00"))
    at.place(START_US, order(1, BUY, 1.0), HERE)
    (out,) = run(at, ticks((1.00000, 1.00010)))
    assert (out.reason, out.price, at.balance) == (DealReason.SO, 1.0, Decimal("-8010.00"))


def test_a_short_is_stopped_out_on_the_ask() -> None:
    at = venue(balance=Decimal("2000.00"))
    at.place(START_US, order(1, SELL, 1.0), HERE)
    said = run(at, ticks((1.10000, 1.11449), (0.0, 9.0, int(Quality.CROSSED)), (1.10000, 1.11451)))
    assert [(d.reason, d.n, d.price) for d in said] == [(DealReason.SO, 3, 1.11451)]


def test_two_listings_together_reach_the_stop_out() -> None:
    gbpusd = spec("t/GBPUSD")
    at = venue(of=[spec(), gbpusd], balance=Decimal("4000.00"), conversion_listings=(EURUSD, "t/GBPUSD"))
    at.place(START_US, order(1, BUY, 1.0), HERE)
    at.place(START_US, order(2, BUY, 1.0, listing="t/GBPUSD"), quote(1.25000, 1.25010))
    assert at.open_listings == (EURUSD, "t/GBPUSD")
    assert at.margin == Decimal("2350.20")
    # 2824.90 may be lost before the stop-out: 1410 by each is not enough, with 1420 it is.
    assert run(at, ticks((1.08600, 1.08610))) == []
    assert run(at, ticks((1.23600, 1.23610), first_n=100), "t/GBPUSD") == []
    (out,) = run(at, ticks((1.23580, 1.23590), (1.23584, 1.23594), first_n=101), "t/GBPUSD")
    assert (out.reason, out.order_no, out.n) == (DealReason.SO, 2, 101)


def test_nothing_open_means_nothing_to_look_for() -> None:
    at = venue()
    assert (at.open, at.open_listings) == (False, ())
    at.place(START_US, order(1, BUY, 1.0, LIMIT, 1.0), HERE)
    assert (at.open, at.open_listings) == (True, (EURUSD,))


def test_a_path_from_the_window_before_is_known_by_the_quote_that_was_told() -> None:
    at = venue(balance=Decimal("2000.00"))
    at.place(START_US, order(1, BUY, 1.0), HERE)
    at.quote(EURUSD, quote(1.10000, 1.10010, n=7, time_ms=START_MS + 500))
    window = ticks((1.00000, 1.00010, PATH), first_n=8)
    at.quote(EURUSD, quote(1.00000, 1.00010, n=8, time_ms=START_MS + 1000))
    assert [(d.reason, d.price, d.n) for d in run(at, window)] == [(DealReason.SO, 1.08560, 8)]


def test_profit_and_margin_are_what_another_simulator_computes_for_dollar_pairs() -> None:
    # strategytester5 2.2.7: 0.1 lot from 1.1001 to 1.1005 earns 4.0 and binds 110.01 at 1:100.
    at = venue()
    at.place(START_US, order(1, BUY, 0.1), HERE)
    assert at.margin == Decimal("110.01")
    (closed,) = at.place(START_US, order(2, SELL, 0.1, position=1), quote(1.1005, 1.1006))
    assert closed.profit == Decimal("4.00")


@pytest.mark.parametrize(
    ("model", "changed", "hours"),
    [(VenueModel(), {}, None), (VenueModel(max_deal_lots=0.5), {"position_mode": NETTING}, None)],
)
def test_a_state_is_loaded_again_and_another_refused(model, changed, hours) -> None:
    at = venue(model, hours=hours, balance=Decimal("2000.00"), **changed)
    at.place(START_US, order(1, BUY, 1.0, sl=1.0), HERE)
    at.place(START_US, order(2, SELL, 0.2, LIMIT, 1.2, expires_ms=START_MS + 1), HERE)
    run(at, ticks((1.09100, 1.09110)))
    other = venue(model, **changed)
    other.load(at.dump())
    assert (other.dump(), other.digest()) == (at.dump(), at.digest())
    assert (other.equity, other.margin_calls, other.positions) == (at.equity, at.margin_calls, at.positions)
    for bad in (b"", b"\x02{}", b"\x01{", b"\x01{}", b'\x01{"seq":1}'):
        with pytest.raises(BadState):
            other.load(bad)
    assert other.digest() == at.digest()


def test_a_netting_rest_that_opens_beyond_its_stop_is_closed_at_once() -> None:
    at = venue(VenueModel(max_deal_lots=0.5), position_mode=NETTING)
    at.place(START_US, order(1, BUY, 1.0, sl=1.09950), HERE)
    said = run(at, ticks((1.09940, 1.09950)))
    assert [(d.entry, d.reason, d.price) for d in said] == [
        (DealEntry.OUT, DealReason.SL, 1.09940),
        (DealEntry.IN, DealReason.EXPERT, 1.09950),
        (DealEntry.OUT, DealReason.SL, 1.09940),
    ]


def test_the_stop_out_is_below_its_level_not_at_it() -> None:
    at = venue(balance=Decimal("1550.05"))
    at.place(START_US, order(1, BUY, 1.0), HERE)
    assert at.margin / 2 == Decimal("550.05")
    assert [d.n for d in run(at, ticks((1.09010, 1.09020), (1.09009, 1.09019)))] == [2]


def test_swap_that_breaks_the_margin_level_closes_where_the_path_begins() -> None:
    at = venue(of=[spec(swap_long=-7.0)], balance=Decimal("2000.00"))
    at.place(START_US, order(1, BUY, 1.0), HERE)
    midnight = TUESDAY_MIDNIGHT_MS - START_MS
    said = run(at, ticks((1.08561, 1.08571, BAR_OPEN, 5), (1.10000, 1.10010, PATH, midnight)))
    assert [(d.reason, d.price, d.swap, d.n) for d in said] == [(DealReason.SO, 1.08561, Decimal("-7.00"), 2)]
