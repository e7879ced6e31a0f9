"""How positions are left: stop and target at the venue, trailing, break-even, time, partial, opposite, Flat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schemas.events import Side
from schemas.executions import DealReason, Expired, OrderRequest
from schemas.trading import (
    CancelRequested,
    Decided,
    ExitReason,
    Fill,
    ModifyRequested,
    OrderPurpose,
    PnlAttributed,
    PositionChanged,
    Submitted,
)
from streams.operators.desk import NEVER_US, bare_time
from tests.unit.streams.desk.account import CONFIG, LONG, SHORT, SPEC, Account, all_of, kinds, one

SECOND = 1_000_000


def test_stop_and_target_are_re_based_on_the_fill_price() -> None:
    account = Account()
    order = one(account.enter(LONG, stop_distance=0.002, target_distance=0.004), Submitted)
    moved = one(account.fill(order, 1.10005), ModifyRequested)
    assert (moved.sl, moved.tp, moved.reason) == (1.09805, 1.10405, ExitReason.NONE)
    assert (moved.position, moved.order_no) == (order.order_no, order.order_no)


def test_a_fill_at_the_decision_price_moves_nothing() -> None:
    account = Account()
    order = one(account.enter(LONG, stop_distance=0.002, target_distance=0.004), Submitted)
    assert all_of(account.fill(order, 1.10002), ModifyRequested) == []


def test_the_trailing_level_that_came_with_the_entry_holds_once_it_is_filled() -> None:
    account = Account()
    order = one(account.enter(LONG, stop_distance=0.002, trail_long=1.099, trail_short=1.2), Submitted)
    assert order.sl == 1.09802
    moved = one(account.fill(order, 1.10002), ModifyRequested)
    assert (moved.sl, moved.reason) == (1.099, ExitReason.TRAIL)


def test_a_trailing_level_only_tightens() -> None:
    account = Account()
    account.opened(LONG, stop_distance=0.002, trail_long=1.09)
    assert account.levels(1.097, 1.2) == []
    moved = one(account.levels(1.099, 1.2), ModifyRequested)
    assert (moved.sl, moved.reason) == (1.099, ExitReason.TRAIL)
    account.accept(moved.order_no, OrderRequest.MODIFY)
    assert account.levels(1.0985, 1.2) == []
    assert account.levels(1.099004, 1.2) == []
    assert one(account.levels(1.09901, 1.2), ModifyRequested).sl == 1.09901


def test_a_short_trails_downwards() -> None:
    account = Account()
    account.opened(SHORT, stop_distance=0.002, trail_short=1.2)
    assert one(account.levels(1.0, 1.101), ModifyRequested).sl == 1.101
    account.accept(account.state.next_order - 1, OrderRequest.MODIFY)
    assert account.levels(1.0, 1.1015) == []


def test_levels_without_a_position_say_nothing_and_reach_a_waiting_entry() -> None:
    account = Account()
    assert account.levels(1.099, 1.2) == []
    order = one(account.enter(LONG, stop_distance=0.002, trail_long=1.0), Submitted)
    assert account.levels(1.099, 1.2) == []
    assert one(account.fill(order, 1.10002), ModifyRequested).sl == 1.099


def test_a_level_beyond_the_price_waits_for_a_quote_that_allows_it() -> None:
    account = Account()
    account.opened(LONG, stop_distance=0.002)
    assert account.levels(1.1005, 1.2) == []
    assert account.quote(1.1005, 1.10052) == []
    assert one(account.quote(1.10051, 1.10053), ModifyRequested).sl == 1.1005


def test_the_stops_level_is_kept() -> None:
    account = Account(CONFIG, replace(SPEC, stops_level=20))
    account.opened(LONG, stop_distance=0.002)
    assert account.levels(1.09985, 1.2) == []
    assert account.quote(1.10004, 1.10006) == []
    assert one(account.quote(1.10005, 1.10007), ModifyRequested).sl == 1.09985


def test_within_the_freeze_level_nothing_is_changed() -> None:
    account = Account(CONFIG, replace(SPEC, freeze_level=50))
    account.opened(LONG, stop_distance=0.0003)
    assert account.levels(1.0999, 1.2) == []
    assert account.quote(1.10022, 1.10024) == []
    assert one(account.quote(1.10025, 1.10027), ModifyRequested).sl == 1.0999


def test_a_modification_on_its_way_is_waited_for() -> None:
    account = Account()
    order = account.opened(LONG, stop_distance=0.002)
    assert one(account.levels(1.0985, 1.2), ModifyRequested).sl == 1.0985
    assert account.levels(1.099, 1.2) == []
    found = account.accept(order.order_no, OrderRequest.MODIFY)
    assert one(found, ModifyRequested).sl == 1.099


def test_a_refused_modification_is_tried_again_later() -> None:
    account = Account()
    order = account.opened(LONG, stop_distance=0.002)
    account.levels(1.099, 1.2)
    assert account.reject(order.order_no, OrderRequest.MODIFY) == []
    assert account.desk.next_timer_us(account.state) == account.us + SECOND
    found = account.clock(bare_time(account.us + SECOND))
    assert one(found, ModifyRequested).sl == 1.099


def test_a_modification_without_an_answer_counts_as_lost() -> None:
    account = Account()
    account.opened(LONG, stop_distance=0.002)
    account.levels(1.099, 1.2)
    sent = account.us
    assert account.clock(bare_time(sent + 29 * SECOND)) == []
    assert one(account.clock(bare_time(sent + 30 * SECOND)), ModifyRequested).sl == 1.099


def test_break_even_moves_the_stop_to_the_entry_once_enough_is_gained() -> None:
    account = Account()
    account.opened(LONG, stop_distance=0.001, breakeven_at=1.0)
    assert account.quote(1.10101, 1.10103) == []
    moved = one(account.quote(1.10102, 1.10104), ModifyRequested)
    assert (moved.sl, moved.reason) == (1.10002, ExitReason.BREAKEVEN)


def test_break_even_of_a_short_is_judged_on_the_ask() -> None:
    account = Account()
    account.opened(SHORT, stop_distance=0.001, breakeven_at=1.0)
    assert account.quote(1.0989, 1.09901) == []
    assert one(account.quote(1.0989, 1.099), ModifyRequested).sl == 1.1


def test_a_partial_exit_closes_its_share_once_and_the_plan_goes_on_for_the_rest() -> None:
    account = Account()
    opened = account.opened(LONG, stop_distance=0.001, partial_at=1.0, partial_share=0.5)
    order = one(account.quote(1.10102, 1.10104), Submitted)
    assert (order.purpose, order.reason, order.volume) == (OrderPurpose.EXIT, ExitReason.PARTIAL, 0.05)
    found = account.fill(order, 1.10102)
    assert one(found, PnlAttributed).reason is ExitReason.PARTIAL
    assert one(found, PositionChanged).volume == 0.05
    assert account.quote(1.102, 1.10202) == []
    assert one(account.levels(1.1005, 1.2), ModifyRequested).sl == 1.1005
    closed = account.close_by_venue(opened, 1.1005, DealReason.SL, volume=0.05)
    assert one(closed, PositionChanged).volume == 0.0


def test_a_partial_exit_that_the_lot_step_forbids_is_left_out() -> None:
    account = Account(CONFIG, replace(SPEC, volume_min=0.1))
    account.opened(LONG, stop_distance=0.001, partial_at=1.0, partial_share=0.5)
    assert account.quote(1.105, 1.10502) == []


def test_a_time_exit_is_due_at_the_first_whole_second_after_it() -> None:
    account = Account()
    order = one(account.enter(LONG, max_hold_ms=60_000), Submitted)
    account.us += 300_000
    account.fill(order, 1.10002)
    due = account.us + 60_000_000
    assert account.desk.next_timer_us(account.state) == due + 700_000
    assert all_of(account.clock(bare_time(due - 300_000)), Submitted) == []
    leaving = one(account.clock(bare_time(due + 700_000)), Submitted)
    assert (leaving.purpose, leaving.reason, leaving.volume) == (OrderPurpose.EXIT, ExitReason.TIME, 0.1)
    account.fill(leaving, 1.1)
    assert account.desk.next_timer_us(account.state) == NEVER_US


def test_flat_closes_the_side_that_it_names() -> None:
    account = Account()
    account.opened(LONG)
    assert account.exit(SHORT) == []
    order = one(account.exit(LONG), Submitted)
    assert (order.reason, order.side) == (ExitReason.FLAT, SHORT)
    assert account.exit(LONG) == []


def test_flat_takes_back_an_entry_and_closes_what_it_fills_in_spite_of_that() -> None:
    account = Account()
    order = one(account.enter(LONG), Submitted)
    assert kinds(account.exit()) == ["OrderChanged", "CancelRequested"]
    found = account.fill(order, 1.10002)
    assert one(found, Submitted).purpose is OrderPurpose.EXIT


def test_an_exit_of_another_instance_does_nothing() -> None:
    account = Account()
    account.opened(LONG)
    assert account.exit(LONG, "stranger") == []
    assert account.levels(1.099, 1.2, "stranger") == []


def test_a_rejected_exit_is_issued_again_with_back_off_until_the_position_is_gone() -> None:
    account = Account()
    account.opened(LONG)
    order = one(account.exit(), Submitted)
    for retry, wait in enumerate((1, 2, 4, 8), start=1):
        account.reject(order.order_no)
        assert account.desk.next_timer_us(account.state) == account.us + wait * SECOND
        assert account.clock(bare_time(account.us + wait * SECOND - SECOND // 2)) == []
        again = one(account.clock(bare_time(account.us + SECOND // 2)), Submitted)
        assert (again.retry, again.reason, again.position) == (retry, ExitReason.FLAT, order.position)
        assert again.order_no > order.order_no
        order = again
    account.end(Expired, order.order_no)
    assert account.desk.next_timer_us(account.state) < NEVER_US
    found = account.fill(one(account.clock(bare_time(account.us + 16 * SECOND)), Submitted), 1.1)
    assert one(found, PositionChanged).volume == 0.0
    assert account.desk.next_timer_us(account.state) == NEVER_US


def test_a_stop_that_comes_first_ends_the_retries() -> None:
    account = Account()
    opened = account.opened(LONG, stop_distance=0.002)
    order = one(account.exit(), Submitted)
    found = account.close_by_venue(opened, 1.09801, DealReason.SL)
    assert one(found, Fill).reason is ExitReason.STOP
    account.reject(order.order_no, retcode=10036)
    assert account.desk.next_timer_us(account.state) == NEVER_US


def test_the_exit_of_a_stop_is_named_after_what_put_it_there() -> None:
    account = Account()
    opened = account.opened(LONG, stop_distance=0.002)
    account.levels(1.099, 1.2)
    account.accept(opened.order_no, OrderRequest.MODIFY)
    found = account.close_by_venue(opened, 1.09898, DealReason.SL)
    fill = one(found, Fill)
    assert (fill.reason, fill.decision_price, fill.slippage_points) == (ExitReason.TRAIL, 1.099, 2.0)


def test_target_and_stop_out_keep_their_names() -> None:
    for deal, reason in ((DealReason.TP, ExitReason.TARGET), (DealReason.SO, ExitReason.STOP_OUT)):
        account = Account()
        opened = account.opened(LONG, target_distance=0.002)
        assert one(account.close_by_venue(opened, 1.10202, deal), PnlAttributed).reason is reason


def test_a_withdrawal_that_is_refused_leaves_the_order_working() -> None:
    account = Account()
    order = one(account.enter(LONG), Submitted)
    account.accept(order.order_no)
    assert one(account.exit(), CancelRequested).order_no == order.order_no
    changed = account.reject(order.order_no, OrderRequest.CANCEL)
    assert [record.state for record in changed] == ["ACCEPTED"]  # type: ignore[union-attr]


def without_target(side: Side = LONG, **plan: Any) -> tuple[Account, Submitted]:
    """A position 400 points from its target, 1.10402 or 1.096, that lost both levels at the terminal: the price had
    passed the target, so the gateway could give it only its stop back. New levels stay 20 points from the price."""
    account = Account(CONFIG, replace(SPEC, stops_level=20))
    opened = account.opened(side, stop_distance=0.002, target_distance=0.004, **plan)
    passed = 1.1045 if side is LONG else 1.0955
    assert all_of(account.quote(passed, passed + 0.00002), Submitted) == [], "the broker is to close it"
    found = restored(account, opened, opened.sl, None)
    changed = one(found, PositionChanged)
    assert (changed.sl, changed.tp, changed.cause) == (opened.sl, None, "stop and target moved")
    assert kinds(found) == ["PositionChanged"]
    return account, opened


def restored(account: Account, opened: Submitted, sl: float | None, tp: float | None) -> list[Decided]:
    """The gateway gave a position levels back that it had lost: an act of its own, which names no order."""
    return account.accept(0, OrderRequest.MODIFY, position=opened.order_no, sl=sl, tp=tp)


@pytest.mark.parametrize("price", [1.10401, 1.10383])
def test_a_stop_that_the_broker_has_without_its_target_moves_alone_while_the_target_is_too_near(price: float) -> None:
    account, opened = without_target()
    assert account.quote(price, price + 0.00002) == []
    moved = one(account.levels(1.101, 1.2), ModifyRequested)
    assert (moved.sl, moved.tp, moved.reason) == (1.101, None, ExitReason.TRAIL)
    found = account.accept(opened.order_no, OrderRequest.MODIFY, sl=1.101)
    assert kinds(found) == ["PositionChanged"]
    assert account.levels(1.101, 1.2) == []
    assert account.quote(1.1039, 1.10392) == []
    assert account.desk.next_timer_us(account.state) == NEVER_US


def test_a_target_that_the_broker_lacks_is_set_once_the_price_is_far_enough_from_it() -> None:
    account, opened = without_target()
    assert account.quote(1.10383, 1.10385) == []
    moved = one(account.quote(1.10382, 1.10384), ModifyRequested)
    assert (moved.sl, moved.tp, moved.reason) == (1.09802, 1.10402, ExitReason.NONE)
    account.accept(opened.order_no, OrderRequest.MODIFY, sl=1.09802, tp=1.10402)
    assert account.quote(1.10381, 1.10383) == []
    assert account.quote(1.1041, 1.10412) == [], "it is the broker's again"


@pytest.mark.parametrize(("side", "short_of", "at"), [(LONG, 1.10401, 1.10402), (SHORT, 1.09599, 1.09598)])
def test_a_target_that_the_broker_lacks_is_met_at_the_market_by_the_quote_that_reaches_it(
    side: Side, short_of: float, at: float
) -> None:
    account, opened = without_target(side)
    assert account.quote(short_of, short_of + 0.00002) == []
    order = one(account.quote(at, at + 0.00002), Submitted)
    assert (order.purpose, order.reason, order.volume) == (OrderPurpose.EXIT, ExitReason.TARGET, 0.1)
    assert order.position == opened.order_no
    assert account.levels(1.101, 1.099) == account.quote(at, at + 0.00002) == []
    found = account.fill(order, at)
    assert (one(found, PnlAttributed).reason, one(found, PositionChanged).volume) == (ExitReason.TARGET, 0.0)


def test_all_is_closed_at_a_target_that_the_broker_lacks_though_a_part_is_due_there_too() -> None:
    account, _ = without_target(partial_at=2.5, partial_share=0.5)
    order = one(account.quote(1.10502, 1.10504), Submitted)
    assert (order.reason, order.volume) == (ExitReason.TARGET, 0.1)


def test_an_exit_at_a_target_that_the_broker_lacks_is_issued_again_until_the_position_is_gone() -> None:
    account, _ = without_target()
    order = one(account.quote(1.1045, 1.10452), Submitted)
    account.reject(order.order_no)
    again = one(account.clock(bare_time(account.us + SECOND)), Submitted)
    assert (again.reason, again.retry) == (ExitReason.TARGET, 1)


def test_a_modification_that_was_on_its_way_with_the_target_is_asked_for_without_it() -> None:
    account = Account(CONFIG, replace(SPEC, stops_level=20))
    opened = account.opened(LONG, stop_distance=0.002, target_distance=0.004)
    account.quote(1.10401, 1.10403)
    assert one(account.levels(1.101, 1.2), ModifyRequested).tp == 1.10402
    restored(account, opened, 1.09802, None)
    assert account.reject(opened.order_no, OrderRequest.MODIFY, retcode=10016) == []
    moved = one(account.clock(bare_time(account.us + SECOND)), ModifyRequested)
    assert (moved.sl, moved.tp) == (1.101, None)


def test_levels_that_the_gateway_gave_back_as_they_were_change_nothing() -> None:
    account = Account()
    opened = account.opened(LONG, stop_distance=0.002, target_distance=0.004)
    assert restored(account, opened, 1.09802, 1.10402) == []
    assert account.reject(0, OrderRequest.MODIFY, retcode=10016) == []
    assert account.accept(0, OrderRequest.MODIFY, position=999, sl=1.0) == []
