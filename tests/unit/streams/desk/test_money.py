"""Cash, costs and attribution: exact, and summing up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from schemas.executions import DealEntry, DealReason
from schemas.trading import EquityMarked, Fill, PnlAttributed, PositionChanged, Submitted
from tests.unit.streams.desk.account import (
    CONFIG,
    LISTING,
    LONG,
    SHORT,
    SPEC,
    T0,
    Account,
    all_of,
    one,
    rows,
)

D = Decimal


def test_the_five_parts_of_a_result_sum_to_its_net() -> None:
    account = Account()
    opened = account.opened(LONG, 1.10005, stop_distance=0.002)
    found = account.close_by_venue(
        opened, 1.10105, DealReason.EXPERT, profit=D("10.00"), swap=D("-0.12"), bid=1.10105, ask=1.10107
    )
    pnl = one(found, PnlAttributed)
    assert pnl.net == D("10.00") - D("0.70") - D("0.12")
    assert pnl.gross + pnl.spread + pnl.slippage + pnl.commission + pnl.swap == pnl.net
    # Half of two points each way, and three points at the entry: 0.1 lots are 0.10 a point.
    assert (pnl.spread, pnl.commission, pnl.swap) == (D("-0.20"), D("-0.70"), D("-0.12"))
    assert pnl.slippage == D("-0.30")
    assert account.state.balance == D("10000.00") + pnl.net


def test_a_part_takes_its_share_of_the_entrys_costs_and_the_last_part_what_is_left() -> None:
    account = Account()
    opened = account.opened(LONG)
    parts = [
        one(account.close_by_venue(opened, 1.1, DealReason.EXPERT, volume=v, profit=D("-0.07")), PnlAttributed)
        for v in (0.03, 0.03, 0.04)
    ]
    # An entry's 0.35 in three parts, and 0.35 of each exit.
    assert [part.commission for part in parts] == [D("-0.46"), D("-0.45"), D("-0.49")]
    assert sum((part.net for part in parts), D(0)) == account.state.balance - D("10000.00")
    assert [part.volume for part in parts] == [0.03, 0.03, 0.04]
    assert account.state.positions == {}


def test_a_partial_fill_keeps_the_remainder_open() -> None:
    account = Account()
    order = one(account.enter(LONG), Submitted)
    found = account.fill(order, 1.1, 0.04)
    assert one(found, PositionChanged).volume == 0.04
    assert account.state.orders[order.order_no].state == "PARTIALLY_FILLED"
    found = account.fill(order, 1.1001, 0.06, position=order.order_no)
    changed = one(found, PositionChanged)
    assert (changed.volume, changed.price) == (0.1, 1.10006)


def test_a_deal_that_comes_again_counts_once() -> None:
    account = Account()
    order = one(account.enter(LONG), Submitted)
    deal = account.deal_of(order, 1.1)
    assert account.take(deal)
    state = account.desk.dump(account.state)
    assert account.take(deal) == []
    account.state.now_us -= 1_000_000
    assert account.desk.dump(account.state) == state


def test_a_closing_deal_that_comes_first_waits_for_the_one_that_opened() -> None:
    account = Account()
    order = one(account.enter(LONG), Submitted)
    opening = account.deal_of(order, 1.10002)
    closing = account.deal_of(order, 1.1, entry=DealEntry.OUT, reason=DealReason.SL, profit=D("-2.00"))
    assert all_of(account.take(closing), PnlAttributed) == []
    assert account.state.balance == D("10000.00") - D("2.35")
    found = account.take(opening)
    assert one(found, PnlAttributed).net == D("-2.70")
    assert account.state.positions == {}


def test_a_netting_deal_that_turns_a_position_round_closes_one_and_opens_the_other() -> None:
    account = Account()
    order = account.opened(LONG)
    deal = account.deal_of(
        order, 1.1, 0.3, side=SHORT, entry=DealEntry.INOUT, order_no=0, commission=D("-0.90"), profit=D("-2.00")
    )
    found = account.take(deal)
    assert one(found, PnlAttributed).volume == 0.1
    position = account.state.positions[order.order_no]
    assert (float(position.volume), position.side, position.instance) == (0.2, SHORT, "")
    assert [fill.entry for fill in all_of(found, Fill)] == [DealEntry.OUT, DealEntry.IN]
    assert sum((fill.commission for fill in all_of(found, Fill)), D(0)) == D("-0.90")


def test_a_strangers_deals_move_cash_and_are_followed_but_never_touched() -> None:
    account = Account()
    order = one(account.enter(LONG), Submitted)
    stranger = account.deal_of(order, 1.1, 1.0, order_no=0, position=77)
    assert one(account.take(stranger), PositionChanged).instance == ""
    assert account.exit(LONG)
    assert 77 in account.state.positions
    assert account.state.positions[77].exit_order == 0


def test_slippage_and_spread_of_a_fill_are_in_points_and_money() -> None:
    account = Account()
    order = one(account.enter(LONG), Submitted)
    fill = one(account.fill(order, 1.10005, bid=1.10001, ask=1.10005), Fill)
    assert (fill.decision_price, fill.slippage_points, fill.spread_points) == (1.10002, 3.0, 4.0)
    assert (fill.slippage_cost, fill.spread_cost) == (D("0.30"), D("0.20"))


def test_equity_is_marked_at_whole_minutes_by_the_quotes_before() -> None:
    account = Account()
    account.opened(LONG)
    minute = (T0 // 60_000_000 + 1) * 60_000_000
    account.quote(1.101, 1.10102, minute - 1_000_000)
    found = account.quote(1.2, 1.20002, minute)
    mark = one(found, EquityMarked)
    assert (mark.taken_us, mark.minute_ms, mark.positions, mark.ref_no) == (minute, minute // 1000, 1, 1)
    # 98 points gained at 0.10 each, 0.35 paid.
    assert (mark.balance, mark.equity) == (D("9999.65"), D("10009.45"))
    assert mark.peak == D("10009.45")
    assert mark.margin == D("110.00")


def test_minutes_without_an_entry_are_marked_when_the_next_one_comes() -> None:
    account = Account()
    account.opened(LONG)
    found = account.quote(1.1, 1.10002, account.us + 300_000_000)
    marks = all_of(found, EquityMarked)
    assert len(marks) == 5
    assert len({mark.equity for mark in marks}) == 1
    assert [mark.out_seq for mark in marks] == list(range(marks[0].out_seq, marks[0].out_seq + 5))


def test_nothing_held_marks_nothing() -> None:
    account = Account()
    assert account.quote(1.1, 1.10002, account.us + 300_000_000) == []


def test_another_currency_is_converted_by_the_quote_of_its_listing() -> None:
    usdjpy = replace(SPEC, listing="test/USDJPY", digits=3, currency_base="USD", currency_profit="JPY")
    account = Account(CONFIG, usdjpy)
    account.clock(rows((account.us + 1_000_000, 50, 150.0, 150.002), names=("test/USDJPY",)))
    order = one(account.enter(LONG, listing="test/USDJPY", bid=150.0, ask=150.002), Submitted)
    account.fill(order, 150.0, listing="test/USDJPY")
    assert account.desk.watching(account.state) == ("test/USDJPY",)
    minute = (account.us // 60_000_000 + 1) * 60_000_000
    account.clock(rows((account.us + 1_000_000, 900, 151.0, 151.002), names=("test/USDJPY",)))
    found = account.clock(rows((minute, 901, 151.0, 151.002), names=("test/USDJPY",)))
    mark = one(found, EquityMarked)
    # 1.0 x 10,000 JPY, a gain sold at the ask of USDJPY.
    assert mark.equity - mark.balance == D("66.22")
    assert LISTING not in account.desk.watching(account.state)
