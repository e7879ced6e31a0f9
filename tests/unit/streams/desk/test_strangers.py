"""Trades that aren't ours, by people or other programs: what they earn is attributed to no instance, to the cent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from schemas.configuration import PositionMode
from schemas.events import Side
from schemas.executions import Adopted, DealEntry, DealReason, Execution, Filled
from schemas.trading import ExitReason, Fill, PnlAttributed, PositionChanged, Submitted
from streams.operators.desk.state import KEPT_EARLY
from tests.unit.streams.desk.account import CONFIG, FACT, LISTING, LONG, SHORT, SPEC, Account, all_of, one

D = Decimal
IN, OUT, INOUT = DealEntry.IN, DealEntry.OUT, DealEntry.INOUT


def told(volume: float, side: Side = LONG, position: int = 77, **levels: float) -> Adopted:
    """What the gateway says of a position that isn't ours; without a volume it is gone."""
    fields: dict[str, Any] = {"order_no": 0, "price": 1.1, "time_ms": 0, **levels}
    return Adopted(**FACT, position=position, listing=LISTING, side=side, volume=volume, **fields)


def traded(deal: int, entry: DealEntry, volume: float, profit: str = "0", **fields: Any) -> Filled:
    """A deal by hand that costs 0.70 for 0.2 lots: 1.10000 bid, 1.10002 ask."""
    side = fields.pop("side", LONG if entry is IN else SHORT)
    base: dict[str, Any] = {
        "order_no": 0, "ticket": deal, "deal": deal, "position": 77, "listing": LISTING, "side": side, "entry": entry,
        "reason": DealReason.CLIENT, "volume": volume, "remaining": 0.0, "price": 1.10002 if side is LONG else 1.1,
        "time_ms": 0, "n": 1, "bid": 1.1, "ask": 1.10002, "commission": D("-3.50") * D(repr(volume)), "swap": D(0),
        "profit": D(profit),
    }  # fmt: skip
    return Filled(**FACT, **{**base, **fields})


def attributed(account: Account) -> list[PnlAttributed]:
    """What was attributed so far, with nothing of the cash left out."""
    parts = all_of(account.said, PnlAttributed)
    for part in parts:
        assert part.net == part.gross + part.spread + part.slippage + part.commission + part.swap
    state = account.state
    unspent = sum((position.commission for position in state.positions.values()), D(0))
    waiting = sum((deal.profit + deal.commission + deal.swap for deal in state.early), D(0))
    assert state.balance - CONFIG.balance == sum((part.net for part in parts), unspent + waiting)
    return parts


def net(account: Account) -> Decimal:
    """What all of it earned; nothing is open, and nothing waits."""
    assert (account.state.positions, account.state.early) == ({}, [])
    return sum((part.net for part in attributed(account)), D(0))


def test_a_trade_by_hand_that_was_adopted_is_attributed_to_nobody() -> None:
    account = Account()
    for record in (told(0.2), traded(1, IN, 0.2)):
        account.take(record)
    assert attributed(account) == []
    account.take(traded(2, OUT, 0.2, "-40.00", swap=D("-0.30")))
    account.take(told(0.0))
    assert net(account) == account.state.balance - CONFIG.balance == D("-41.70")
    (part,) = attributed(account)
    assert (part.instance, part.order_no, part.position, part.side) == ("", 0, 77, LONG)
    assert (part.volume, part.entry_price, part.exit_price, part.reason) == (0.2, 1.1, 1.1, ExitReason.UNKNOWN)
    # Half of two points each way: 0.2 lots are 0.20 a point.
    assert (part.spread, part.commission, part.swap) == (D("-0.40"), D("-1.40"), D("-0.30"))
    assert [fill.entry for fill in all_of(account.said, Fill)] == [IN, OUT]


def test_it_is_the_same_money_in_whatever_order_deals_and_adoptions_come() -> None:
    events: dict[str, Execution] = {
        "adopted": told(0.2), "in": traded(1, IN, 0.2), "out": traded(2, OUT, 0.2, "-40.00"), "gone": told(0.0),
    }  # fmt: skip
    for order in permutations(events):
        account = Account()
        for name in order:
            account.take(events[name])
            attributed(account)
        if order.index("adopted") < order.index("gone"):
            assert net(account) == D("-41.40"), order


def test_parts_that_are_closed_by_hand_take_their_shares() -> None:
    account = Account()
    for record in (
        told(0.2), traded(1, IN, 0.2), traded(2, OUT, 0.1, "-7.00"), told(0.1), traded(3, OUT, 0.1, "5.00"), told(0.0),
    ):  # fmt: skip
        account.take(record)
        attributed(account)
    assert [(part.volume, part.commission) for part in attributed(account)] == [(0.1, D("-0.70"))] * 2
    assert net(account) == D("-3.40")


@pytest.mark.parametrize("early", [True, False])
def test_parts_whose_volume_is_told_before_their_deals_or_not_at_all_lose_nothing(early: bool) -> None:
    account = Account()
    account.take(told(0.2))
    account.take(traded(1, IN, 0.2))
    if early:
        account.take(told(0.1))
    for number, profit in ((2, "-7.00"), (3, "5.00")):
        account.take(traded(number, OUT, 0.1, profit))
        attributed(account)
    account.take(told(0.0))
    assert net(account) == D("-3.40")


def test_a_position_from_before_the_log_is_attributed_what_the_log_knows_of_it() -> None:
    account = Account()
    account.take(traded(2, OUT, 0.1, "-7.00"))
    assert attributed(account) == []
    account.take(told(0.1, sl=1.09))
    assert [part.volume for part in attributed(account)] == [0.1]
    account.take(traded(3, OUT, 0.1, "-9.00", reason=DealReason.SL))
    account.take(told(0.0))
    assert attributed(account)[1].reason is ExitReason.STOP
    assert net(account) == D("-16.70")


def test_a_stranger_that_is_told_of_again_counts_again() -> None:
    account = Account()
    for record in (told(0.2), traded(1, IN, 0.2), told(0.0), told(0.2)):
        account.take(record)
        attributed(account)
    assert list(account.state.positions) == [77]
    account.take(traded(2, OUT, 0.2, "-40.00"))
    account.take(told(0.0))
    assert net(account) == D("-41.40")


@pytest.mark.parametrize("first", ["deal", "adopted"])
def test_a_netted_position_that_a_person_turns_round_is_on_the_other_side(first: str) -> None:
    account = Account(replace(CONFIG, position_mode=PositionMode.NETTING))
    account.take(told(0.1))
    account.take(traded(1, IN, 0.1))
    turned: list[Execution] = [traded(2, INOUT, 0.3, "-5.00", side=SHORT), told(0.2, SHORT)]
    for record in turned if first == "deal" else turned[::-1]:
        account.take(record)
        attributed(account)
    position = account.state.positions[77]
    assert (position.side, float(position.volume)) == (SHORT, 0.2)
    account.take(traded(3, OUT, 0.2, "2.00", side=LONG))
    account.take(told(0.0, SHORT))
    assert net(account) == D("-3.00") - D("3.50") * D("0.6")


def test_a_deal_that_turns_a_position_nobody_knows_leaves_nothing_out() -> None:
    account = Account(replace(CONFIG, position_mode=PositionMode.NETTING))
    account.take(traded(2, INOUT, 0.3, "-5.00", side=SHORT))
    assert [(part.volume, part.net) for part in attributed(account)] == [(0.0, D("-5.00"))]
    account.take(traded(3, OUT, 0.3, side=LONG))
    assert net(account) == D("-5.00") - D("3.50") * D("0.6")


def test_closing_deals_that_wait_too_long_for_those_that_opened_are_attributed_all_the_same() -> None:
    account = Account(CONFIG, SPEC)
    order = one(account.enter(LONG), Submitted)
    account.take(traded(1, OUT, 0.1, "-1.00", position=1, order_no=order.order_no, reason=DealReason.SL))
    for number in range(2, KEPT_EARLY + 3):
        account.take(traded(number, OUT, 0.1, "-1.00", position=number))
        attributed(account)
    ours, foreign = attributed(account)
    assert (ours.instance, ours.position, ours.reason) == ("one", 1, ExitReason.STOP)
    assert (foreign.instance, foreign.position, foreign.net) == ("", 2, D("-1.35"))
    assert all_of(account.said, PositionChanged) == []


def test_strangers_that_are_gone_are_kept_in_a_bounded_number_and_with_the_state() -> None:
    account = Account()
    for number in range(1, KEPT_EARLY + 3):
        account.take(told(0.2, position=number))
        account.take(told(0.0, position=number))
    assert list(account.state.strangers) == list(range(3, KEPT_EARLY + 3))
    assert account.desk.load(account.desk.dump(account.state)) == account.state
