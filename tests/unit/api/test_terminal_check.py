"""The terminal against the log: each deal, position and the balance on both sides, and what is said if one differs."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from api.terminal_check import AccountLog, check_terminal
from schemas.trading import Submitted
from streams.report import Report
from tests.unit.streams.desk.account import LONG, Account, one

BASE = 100
"""The test account's order_base."""


class Terminal:
    """What a terminal answers of an account whose deals and positions are those of `account`."""

    def __init__(self, account: Account, deals: list[Any]) -> None:
        self.deals = [
            row(
                ticket=d.deal, type=0 if d.side is LONG else 1, magic=d.order_no, position_id=d.position,
                volume=d.volume, price=d.price, profit=float(d.profit), commission=float(d.commission),
                swap=float(d.swap),
            )
            for d in deals
        ]  # fmt: skip
        self.positions = [
            row(
                identifier=p.position, type=0 if p.side is LONG else 1, volume=float(p.volume), price_open=p.price,
                sl=p.sl or 0.0, tp=p.tp or 0.0,
            )
            for p in account.state.positions.values()
        ]  # fmt: skip
        self.balance = float(account.state.balance)

    def history_deals_get(self, *_: int) -> Any:
        return self.deals

    def positions_get(self) -> Any:
        return self.positions

    def account_info(self) -> Any:
        return None if self.balance < 0 else row(balance=self.balance)

    def last_error(self) -> tuple[int, str]:
        return -10_005, "IPC timeout"


def row(**fields: Any) -> Any:
    return SimpleNamespace(**{"fee": 0.0, "symbol": "EURUSD", "magic": 0, **fields})


def traded() -> tuple[Terminal, AccountLog]:
    """An account that has closed one position and holds another, and a terminal that has the same."""
    account = Account()
    order = one(account.enter(LONG), Submitted)
    deals = [account.deal_of(order, 1.10002)]
    account.take(deals[0])
    closing = one(account.exit(), Submitted)
    deals.append(account.deal_of(closing, 1.1002, profit=Decimal("1.8")))
    account.take(deals[1])
    held = one(account.enter(LONG, stop_distance=0.001, target_distance=0.002), Submitted)
    deals.append(account.deal_of(held, 1.10002))
    account.take(deals[2])
    assert account.state.config is not None
    log = AccountLog(account.state.config, {d.deal: d for d in deals}, account.state)
    return Terminal(account, deals), log


def checked(terminal: Any, log: AccountLog) -> Report:
    report = Report()
    check_terminal(terminal, log, report)
    return report


def test_a_terminal_that_has_what_the_log_has_differs_in_nothing() -> None:
    report = checked(*traded())
    assert report.problems == []
    assert report.as_json()["checked"]["terminal"] == {"deals": 3, "positions": 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [("volume", 0.2), ("price", 1.0), ("profit", 5.0), ("commission", 0.0), ("swap", -1.0), ("position_id", 9)],
)
def test_a_deal_that_differs_is_named(field: str, value: float) -> None:
    terminal, log = traded()
    setattr(terminal.deals[1], field, value)
    (problem,) = checked(terminal, log).problems
    assert problem.reason == "deal 2 is another one at the terminal"
    assert problem.expected != problem.found


def test_a_deal_that_one_side_lacks_is_named() -> None:
    terminal, log = traded()
    extra = terminal.deals.pop(1)
    assert [p.reason for p in checked(terminal, log).problems] == ["deal 2 of executions is not at the terminal"]
    terminal.deals += [extra, row(**{**vars(extra), "ticket": 8})]
    assert [p.reason for p in checked(terminal, log).problems] == ["deal 8 of the terminal is not on executions"]


def test_deals_of_others_before_the_accounts_first_are_not_its_own() -> None:
    terminal, log = traded()
    terminal.deals.append(row(**{**vars(terminal.deals[0]), "ticket": 0, "magic": 77}))
    assert checked(terminal, log).problems == []
    terminal.deals[-1].magic = BASE + 1
    assert [p.reason for p in checked(terminal, log).problems] == ["deal 0 of the terminal is not on executions"]


@pytest.mark.parametrize(
    ("fields", "named", "found"),
    [
        ({"volume": 0.3}, "volume", "volume=0.3"),
        ({"type": 1}, "side", "side=SHORT"),
        ({"symbol": "GBPUSD"}, "listing", "listing=test/GBPUSD"),
        ({"price_open": 1.10003}, "price", "price=1.10003"),
        ({"sl": 0.0}, "sl", "sl=none"),
        ({"tp": 1.10203}, "tp", "tp=1.10203"),
        ({"sl": 0.0, "tp": 0.0}, "sl, tp", "sl=none, tp=none"),
    ],
)
def test_a_position_that_differs_is_named_with_what_differs(fields: dict[str, Any], named: str, found: str) -> None:
    terminal, log = traded()
    vars(terminal.positions[0]).update(fields)
    (problem,) = checked(terminal, log).problems
    assert problem.reason == f"position 103 is another one at the terminal: {named}"
    assert found in problem.found
    assert "listing=test/EURUSD, side=LONG, volume=0.1, price=1.10002, sl=1.09902, tp=1.10202" in problem.expected


def test_a_price_is_compared_within_the_symbols_digits() -> None:
    terminal, log = traded()
    assert log.state is not None
    log.state.positions[103].price = 1.100025  # of two deals
    terminal.positions[0].price_open = 1.10003
    terminal.positions[0].sl += 1e-12
    assert checked(terminal, log).problems == []


def test_a_volume_is_compared_exactly_whatever_the_symbols_digits() -> None:
    terminal, log = traded()
    assert log.state is not None
    log.state.positions[103].digits = 0
    terminal.positions[0].volume = 0.11
    assert [p.reason for p in checked(terminal, log).problems] == [
        "position 103 is another one at the terminal: volume"
    ]


def test_a_position_that_one_side_lacks_is_named() -> None:
    terminal, log = traded()
    held = terminal.positions.pop()
    assert [p.reason for p in checked(terminal, log).problems] == ["position 103 of the journal is not at the terminal"]
    terminal.positions += [held, row(**{**vars(held), "identifier": 7})]
    assert [p.reason for p in checked(terminal, log).problems] == ["position 7 of the terminal is not in the journal"]


def test_a_balance_that_differs_is_named() -> None:
    terminal, log = traded()
    terminal.balance += 0.01
    assert [p.reason for p in checked(terminal, log).problems] == ["the balance is another one"]


def test_what_was_paid_in_since_is_no_difference() -> None:
    terminal, log = traded()
    terminal.deals.append(row(ticket=9, type=2, profit=500.0))
    terminal.balance += 500.0
    assert checked(terminal, log).problems == []


def test_a_terminal_that_does_not_answer_could_not_be_checked() -> None:
    terminal, log = traded()
    terminal.balance = -1.0
    report = checked(terminal, log)
    assert report.exit_code == 2
    assert "account_info gave nothing: -10005, IPC timeout" in report.unverifiable[0]


def test_positions_of_a_journal_that_cannot_be_folded_could_not_be_checked() -> None:
    terminal, log = traded()
    report = checked(terminal, log._replace(state=None))
    assert (report.exit_code, report.terminal) == (2, {"deals": 3, "positions": 0})
