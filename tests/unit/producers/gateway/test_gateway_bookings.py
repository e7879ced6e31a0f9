"""Money that the broker books without a trade: people are told, since the log has no record of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal

import pytest

from producers.terminal import constants as mt5
from producers.terminal.account import TradeAccount
from schemas.executions import Filled
from tests.unit.producers.gateway.room import Room, entry, falling, leave


def book(room: Room, amount: str, type: int = mt5.DEAL_TYPE_BALANCE, comment: str = "") -> int:
    """The broker books an amount on the account; the deal's ticket. A credit isn't in the balance."""
    server = room.simulation.terminal.server
    server.engine.deals += 1
    if type != mt5.DEAL_TYPE_CREDIT:
        server.engine.ledger.balance += Decimal(amount)
    at_msc = server._book.stamp_msc(room.clock.now_ms())
    row = (at_msc // 1000, at_msc, type, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, float(amount), 0.0, "", comment, "")
    server._book.past_deals.add((server.engine.deals, 0, *row))
    return server.engine.deals


def told(room: Room, code: str) -> list[str]:
    """Messages of the alerts of a code."""
    return [message for one, message in room.alarms.ever if one == code]


@pytest.mark.parametrize(
    ("type", "words"),
    [
        (mt5.DEAL_TYPE_BALANCE, "a deposit or withdrawal"),
        (mt5.DEAL_TYPE_COMMISSION_DAILY, "commission of the day"),
        (mt5.DEAL_TYPE_INTEREST, "interest"),
        (99, "a booking of type 99"),
    ],
)
def test_what_is_booked_without_a_trade_is_told_once(make: Callable[..., Room], type: int, words: str) -> None:
    room = make()
    room.turns()
    ticket = book(room, "-12.34", type, "by wire")
    room.turns(least=10)
    [message] = told(room, "money_booked")
    assert f"deal {ticket} at the terminal books -12.34 USD ({words}, by wire)" in message
    assert "the desk's balance, sizes and drawdown go on without it" in message
    assert room.kinds == []
    room.restart()
    room.turns()
    assert ("money_booked", str(ticket)) in room.alarms.told


def test_what_the_account_began_with_is_no_news(make: Callable[..., Room]) -> None:
    room = make()
    room.turns(least=10)
    assert room.alarms.ever == []


def test_a_balance_that_differs_is_told_once_with_both_numbers_and_over_when_it_is_right_again(
    make: Callable[..., Room],
) -> None:
    room = make(falling())
    room.ask(entry(7))
    room.control.step(20_000_000)
    room.ask(leave(8, room.of(Filled)[0].position))
    room.turns(least=10)
    assert room.alarms.ever == []
    known = room.config.balance + room.chain.book.money
    assert known == Decimal(repr(room.mt5.account_info().balance)) != room.config.balance
    book(room, "-2000")
    book(room, "-5", mt5.DEAL_TYPE_CHARGE)
    book(room, "300", mt5.DEAL_TYPE_CREDIT)
    room.turns(least=20)
    [message] = told(room, "balance_differs")
    assert f"the terminal's balance is {known - 2005:.2f} USD, by the log it is {known:.2f}" in message
    assert "comes to -2005.00 USD" in message
    assert "set the account up under another name" in message
    book(room, "-100")
    room.turns(least=20)
    assert len(told(room, "balance_differs")) == 1
    book(room, "2105")
    room.turns(least=20)
    assert "balance_differs" not in room.alarms.codes
    book(room, "-2005")
    room.turns(least=20)
    assert len(told(room, "balance_differs")) == 2
    assert len(told(room, "money_booked")) == 6


def test_an_account_that_began_with_another_balance_is_told(make: Callable[..., Room]) -> None:
    room = make(trade_account=TradeAccount(balance=Decimal(600)))
    room.turns(least=20)
    [message] = told(room, "balance_differs")
    assert "the terminal's balance is 600.00 USD, by the log it is 10000.00" in message
    assert "comes to 0.00 USD" in message


def test_what_is_too_little_to_matter_is_not_told(make: Callable[..., Room]) -> None:
    room = make(begin=False)
    room.config = dataclasses.replace(room.config, balance=Decimal("10000.90"))
    room.restart()
    room.turns(least=20)
    assert room.alarms.ever == []
