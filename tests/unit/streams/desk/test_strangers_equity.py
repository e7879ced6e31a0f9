"""Positions that aren't ours in the account's equity: what a part earns counts once, open or booked, never both."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from schemas.configuration import BreachAction, PositionMode
from schemas.executions import Execution, Filled
from schemas.trading import EquityMarked, LimitBreached, PositionChanged, Submitted
from streams.operators.desk import bare_time
from streams.operators.desk.accounting import equity_units, margin_of
from tests.unit.streams.desk.account import CONFIG, LONG, SHORT, Account, all_of, one
from tests.unit.streams.desk.test_strangers import IN, INOUT, OUT, attributed, net, told, traded

D = Decimal
ALL, HALF = 1.0, 0.5
FREE: dict[str, Any] = {"commission": D(0)}


def limited(bid: float, **limits: Any) -> Account:
    """An account with a position of ours and a lot that a person bought at 1.10000; the quote is `bid` now."""
    account = Account(max_daily_loss=0.05, daily_loss_action=BreachAction.FLATTEN, **limits)
    account.opened(LONG)
    account.take(told(ALL))
    account.take(traded(1, IN, ALL, **FREE))
    account.quote(bid, bid + 0.00002)
    account.said = []
    return account


def closed(bid: float, volume: float, deal: int = 2) -> Filled:
    """A person sells so much of it at the quote."""
    profit = (D(repr(bid)) - D("1.1")) * D(repr(volume)) * 100_000
    return traded(deal, OUT, volume, str(profit), price=bid, bid=bid, ask=bid + 0.00002, **FREE)


def equity(account: Account) -> Decimal:
    return D(equity_units(account.state)).scaleb(-8)


def volume(account: Account) -> float:
    """What is held of the position by hand."""
    position = account.state.positions.get(77)
    return float(position.volume) if position is not None else 0.0


@pytest.mark.parametrize("sold", [ALL, HALF])
@pytest.mark.parametrize("bid", [1.097, 1.106])
def test_a_part_that_a_person_closes_counts_once(bid: float, sold: float) -> None:
    account = limited(bid, max_drawdown=0.05, drawdown_action=BreachAction.FLATTEN)
    before, peak = equity(account), account.state.peak
    for record in (closed(bid, sold), told(round(ALL - sold, 2))):
        account.take(record)
        assert (equity(account), account.state.peak) == (before, peak)
        assert volume(account) == round(ALL - sold, 2)
        account.quote(bid, bid + 0.00002)
    assert all_of(account.said, LimitBreached) == []
    assert all_of(account.said, Submitted) == []
    assert account.state.trading == "ACTIVE"


def test_a_loss_that_is_too_much_still_flattens_once_it_is_booked() -> None:
    account = limited(1.096)
    assert all_of(account.take(closed(1.096, ALL)), LimitBreached) == []
    assert all_of(account.quote(1.0902, 1.09022), LimitBreached) == []
    # 400 are booked; ours has lost another 100 of 10,000 and its commission.
    assert one(account.quote(1.09, 1.09002), Submitted).position == 101


@pytest.mark.parametrize("sold", [ALL, HALF])
def test_margin_and_marks_go_by_what_the_deals_left(sold: float) -> None:
    account = limited(1.1)
    theirs = account.state.positions[77].margin
    left = margin_of(account.state) - theirs * D(repr(sold))
    account.take(closed(1.1, sold))
    assert margin_of(account.state) == left
    marked = one(account.clock(bare_time(account.us + 60_000_000)), EquityMarked)
    assert (marked.margin, marked.positions) == (left, 1 + (sold < ALL))
    account.take(told(ALL - sold))
    assert margin_of(account.state) == left


@pytest.mark.parametrize("sold", [ALL, HALF])
def test_positions_are_told_as_soon_as_a_deal_changes_them(sold: float) -> None:
    account = limited(1.097)
    changed = one(account.take(closed(1.097, sold)), PositionChanged)
    assert (changed.position, changed.volume, changed.cause) == (77, ALL - sold, "unknown")


@pytest.mark.parametrize(
    ("records", "left"),
    [
        ([told(0.2), traded(1, IN, 0.2), told(0.1), traded(2, OUT, 0.1)], 0.1),
        ([told(0.1), traded(1, IN, 0.2), traded(2, OUT, 0.1)], 0.1),
        ([told(0.1), traded(1, IN, 0.1), traded(2, IN, 0.1), told(0.2), traded(3, OUT, 0.1)], 0.1),
        ([told(0.1), traded(1, IN, 0.1), told(0.2), traded(2, IN, 0.1), traded(3, OUT, 0.1)], 0.1),
        ([traded(1, OUT, 0.1), told(0.1)], 0.1),
        ([told(0.2), told(0.1), traded(1, OUT, 0.1)], 0.1),
        ([told(0.2), traded(1, OUT, 0.1), told(0.2, sl=1.0), told(0.1, sl=1.0), traded(2, OUT, 0.05)], 0.05),
        ([told(0.2), traded(1, IN, 0.2), told(0.0), traded(2, OUT, 0.2)], 0.0),
        ([told(0.2), traded(1, IN, 0.2), traded(2, OUT, 0.1), traded(3, IN, 0.1)], 0.2),
        ([told(0.2), traded(1, OUT, 0.3)], 0.0),
        ([told(0.1), traded(2, OUT, 0.1), traded(1, IN, 0.2)], 0.1),
        ([told(0.1), traded(2, OUT, 0.3), traded(1, IN, 0.4)], 0.1),
        ([traded(2, OUT, 0.1), told(0.1), traded(1, IN, 0.2)], 0.1),
        ([told(0.1), traded(2, OUT, 0.1), told(0.05), traded(1, IN, 0.2), traded(3, OUT, 0.05)], 0.05),
    ],
    ids=[
        "told before its deal", "told while all deals wait", "added to, then told", "told, then added to",
        "closed before it was known", "from before the log", "told once more as it was", "told to be gone",
        "closed, then added to", "too much",
        "closed before it was opened", "closed before more was opened", "closed first of all", "gone, then told",
    ],
)  # fmt: skip
def test_what_a_record_told_already_is_not_taken_off_again(records: list[Execution], left: float) -> None:
    account = Account()
    for record in records:
        account.take(record)
        attributed(account)
    assert volume(account) == left
    if left:
        account.take(traded(9, OUT, left))
        assert volume(account) == 0.0
    assert account.take(told(0.0)) == []
    net(account)


@pytest.mark.parametrize("first", ["deal", "adopted"])
def test_a_netted_position_that_a_person_turns_round_counts_once(first: str) -> None:
    account = Account(replace(CONFIG, position_mode=PositionMode.NETTING))
    account.take(told(0.1))
    account.take(traded(1, IN, 0.1, **FREE))
    account.quote(1.098, 1.09802)
    before = equity(account)
    deal = traded(2, INOUT, 0.3, "-20.00", side=SHORT, price=1.098, bid=1.098, ask=1.09802, **FREE)
    turned: list[Execution] = [deal, told(0.2, SHORT, price=1.098)]
    for record in turned if first == "deal" else turned[::-1]:
        account.take(record)
        if first == "deal":
            assert equity(account) == before - D("0.40"), "the spread of what is short now"
    position = account.state.positions[77]
    assert (position.side, float(position.volume), position.price) == (SHORT, 0.2, 1.098)
    assert equity(account) == before - D("0.40")
    account.take(traded(3, OUT, 0.05, side=LONG, **FREE))
    assert volume(account) == 0.15
    assert account.desk.load(account.desk.dump(account.state)) == account.state


@pytest.mark.parametrize("early", [True, False])
def test_what_a_person_adds_to_a_netted_position_counts_from_its_deal_on(early: bool) -> None:
    account = Account(replace(CONFIG, position_mode=PositionMode.NETTING))
    account.take(told(0.1))
    account.take(traded(1, IN, 0.1))
    added: list[Execution] = [traded(2, IN, 0.3, price=1.1004), told(0.4, price=1.1003)]
    for record in added[::-1] if early else added:
        account.take(record)
        if not early or isinstance(record, Filled):
            position = account.state.positions[77]
            assert (float(position.volume), position.price) == (0.4, 1.1003)
    account.take(traded(3, OUT, 0.1))
    assert volume(account) == 0.3


def test_a_turn_that_a_person_makes_within_the_position_closes_it() -> None:
    account = Account(replace(CONFIG, position_mode=PositionMode.NETTING))
    for record in (told(0.3), traded(1, IN, 0.3), traded(2, INOUT, 0.1, side=SHORT)):
        account.take(record)
    assert volume(account) == 0.2


def test_deals_that_come_after_a_position_is_told_as_turned_round_are_counted_with_that() -> None:
    account = Account(replace(CONFIG, position_mode=PositionMode.NETTING))
    late = [traded(2, INOUT, 0.3, side=SHORT), traded(3, IN, 0.1, side=SHORT)]
    for record in (told(0.1), traded(1, IN, 0.1), told(0.3, SHORT), *late):
        account.take(record)
        attributed(account)
    assert (account.state.positions[77].side, volume(account)) == (SHORT, 0.3)


def test_a_position_that_is_met_after_it_was_turned_round_is_changed_by_what_comes_then_only() -> None:
    account = Account(replace(CONFIG, position_mode=PositionMode.NETTING))
    before = [traded(1, IN, 0.1), traded(2, INOUT, 0.6, side=SHORT), traded(3, OUT, 0.3, side=LONG)]
    for record in (told(0.2, SHORT), *before):
        account.take(record)
        attributed(account)
        assert (account.state.positions[77].side, volume(account)) == (SHORT, 0.2)
    account.take(traded(4, OUT, 0.05, side=LONG))
    assert volume(account) == 0.15
