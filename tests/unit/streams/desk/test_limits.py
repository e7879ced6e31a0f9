"""What the account may do: commands, daily loss, drawdown, and what they do to orders and positions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from schemas.configuration import BreachAction, LossBasis
from schemas.events import EntryType
from schemas.executions import CommandKind, DealReason
from schemas.trading import (
    CancelRequested,
    Denied,
    ExitReason,
    LimitBreached,
    OrderPurpose,
    Submitted,
    TradingState,
    TradingStateChanged,
)
from streams.operators.desk import bare_time
from tests.unit.streams.desk.account import CONFIG, LONG, SHORT, SPEC, Account, all_of, kinds, one, strategy

DAY_END = 1_700_085_600_000_000
"""17:00 New York, 2023-11-15."""
SECOND = 1_000_000


def _lost(account: Account, money: str) -> None:
    """Opens and closes a position that loses so much."""
    opened = account.opened(LONG)
    account.said = []
    account.close_by_venue(opened, 1.09, DealReason.SL, profit=Decimal(money), commission=Decimal(0))


def test_halt_takes_pending_entries_back_and_lets_nothing_in_until_resume() -> None:
    account = Account()
    pending = one(account.enter(LONG, entry_type=EntryType.LIMIT, price=1.09), Submitted)
    found = account.command(CommandKind.HALT, why="lunch")
    changed = one(found, TradingStateChanged)
    assert (changed.state, changed.before, changed.who, changed.cause) == ("HALTED", "ACTIVE", "ann", "lunch")
    assert one(found, CancelRequested).order_no == pending.order_no
    assert one(account.enter(SHORT), Denied).code == "halted"
    assert one(account.command(CommandKind.RESUME), TradingStateChanged).state is TradingState.ACTIVE
    assert one(account.enter(SHORT), Submitted)


def test_a_halted_account_still_leaves_its_positions() -> None:
    account = Account()
    account.opened(LONG, stop_distance=0.002)
    account.command(CommandKind.HALT)
    assert kinds(account.levels(1.099, 1.2)) == ["ModifyRequested"]
    assert one(account.exit(), Submitted).purpose is OrderPurpose.EXIT


def test_flatten_closes_what_is_ours() -> None:
    account = Account(CONFIG, SPEC, strategy("one"), strategy("two"))
    account.opened(LONG)
    account.opened(SHORT, instance="two")
    orders = all_of(account.command(CommandKind.FLATTEN), Submitted)
    assert [(order.reason, order.side) for order in orders] == [(ExitReason.COMMAND, SHORT), (ExitReason.COMMAND, LONG)]


def test_a_resume_that_comes_too_late_is_dropped() -> None:
    account = Account()
    account.command(CommandKind.HALT)
    found = one(account.command(CommandKind.RESUME, valid_until_us=account.us), TradingStateChanged)
    assert (found.state, found.cause) == ("HALTED", "resume came too late and is dropped")


@pytest.mark.parametrize(
    ("action", "state"),
    [(BreachAction.BLOCK, "HALTED"), (BreachAction.REDUCE, "REDUCING"), (BreachAction.FLATTEN, "HALTED")],
)
def test_a_days_loss_acts_once_and_ends_with_the_trading_day(action: BreachAction, state: str) -> None:
    account = Account(max_daily_loss=0.01, daily_loss_action=action)
    _lost(account, "-99.00")
    assert all_of(account.said, LimitBreached) == []
    _lost(account, "-1.00")
    breach = one(account.said, LimitBreached)
    assert (breach.limit, breach.threshold, breach.action) == ("daily_loss", 0.01, action)
    assert one(account.said, TradingStateChanged).state == state
    assert one(account.enter(LONG), Denied).code == state.lower()
    account.said = []
    account.clock(bare_time(DAY_END + 5_000_000))
    new_day = one(account.said, TradingStateChanged)
    assert (new_day.state, new_day.taken_us) == ("ACTIVE", DAY_END)
    account.us = DAY_END + 6_000_000
    account.quote(1.1, 1.10002)
    assert one(account.enter(LONG), Submitted)


def test_a_quote_that_reaches_the_days_loss_flattens() -> None:
    account = Account(max_daily_loss=0.001, daily_loss_action=BreachAction.FLATTEN, daily_loss_basis=LossBasis.BALANCE)
    account.opened(LONG)
    # 0.35 paid and 96 points of 0.10 lost; then 97.
    assert account.quote(1.09906, 1.09908) == []
    found = account.quote(1.09905, 1.09907)
    assert kinds(found) == ["LimitBreached", "TradingStateChanged", "Submitted"]
    assert one(found, Submitted).reason is ExitReason.LIMIT


@pytest.mark.parametrize("action", [BreachAction.BLOCK, BreachAction.REDUCE])
@pytest.mark.parametrize("who", ["ann", "sequencer", ""])
@pytest.mark.parametrize("kind", [CommandKind.HALT, CommandKind.FLATTEN])
def test_a_halt_that_is_asked_for_after_a_days_loss_stays_until_a_resume(
    kind: CommandKind, who: str, action: BreachAction
) -> None:
    account = Account(max_daily_loss=0.01, daily_loss_action=action)
    _lost(account, "-100.00")
    account.command(kind, who=who)
    assert account.clock(bare_time(DAY_END + 5_000_000)) == []
    account.us = DAY_END + 6_000_000
    account.quote(1.1, 1.10002)
    assert one(account.enter(LONG), Denied).code == "halted"
    account.command(CommandKind.RESUME)
    assert one(account.enter(LONG), Submitted)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (CommandKind.SET_LIMITS, {"argument": '{"max_positions": 3}'}),
        (CommandKind.SET_LIMITS, {"argument": "{"}),
        (CommandKind.RESUME, {"valid_until_us": 1}),
    ],
)
def test_what_stops_nothing_leaves_a_days_loss_to_end_with_the_day(kind: CommandKind, fields: dict[str, Any]) -> None:
    account = Account(max_daily_loss=0.01, daily_loss_action=BreachAction.BLOCK)
    _lost(account, "-100.00")
    assert one(account.command(kind, **fields), TradingStateChanged).state is TradingState.HALTED
    assert one(account.clock(bare_time(DAY_END + 5_000_000)), TradingStateChanged).state is TradingState.ACTIVE


@pytest.mark.parametrize("by", ["command", "limit"])
def test_a_flatten_sends_exits_at_once_that_wait_to_be_tried_again(by: str) -> None:
    account = Account(
        CONFIG, SPEC, strategy("one"), strategy("two"), max_daily_loss=0.001, daily_loss_action=BreachAction.FLATTEN,
        daily_loss_basis=LossBasis.BALANCE,
    )  # fmt: skip
    account.opened(LONG)
    account.opened(LONG, instance="two")
    order = one(account.exit(), Submitted)
    for retry in range(3):
        account.reject(order.order_no)
        order = one(account.clock(bare_time(account.us + (1 << retry) * SECOND)), Submitted)
    account.reject(order.order_no)
    found = account.command(CommandKind.FLATTEN) if by == "command" else account.quote(1.09, 1.09002)
    sent = all_of(found, Submitted)
    assert [(exit.position, exit.reason) for exit in sent] == [
        (order.position, ExitReason.FLAT),
        (order.position + 1, ExitReason.COMMAND if by == "command" else ExitReason.LIMIT),
    ]
    assert sent[0].order_no > order.order_no
    account.reject(sent[0].order_no)
    assert account.desk.next_timer_us(account.state) == account.us + SECOND, "its waits begin anew"


def test_a_flatten_leaves_an_exit_alone_that_is_under_way_and_shortens_its_next_wait() -> None:
    account = Account()
    account.opened(LONG)
    order = one(account.exit(), Submitted)
    for retry in range(3):
        account.reject(order.order_no)
        order = one(account.clock(bare_time(account.us + (1 << retry) * SECOND)), Submitted)
    assert all_of(account.command(CommandKind.FLATTEN), Submitted) == []
    account.reject(order.order_no)
    assert account.desk.next_timer_us(account.state) == account.us + SECOND


def test_a_flatten_closes_all_of_a_position_whose_partial_exit_waits() -> None:
    account = Account()
    account.opened(LONG, stop_distance=0.001, partial_at=1.0, partial_share=0.5)
    part = one(account.quote(1.10102, 1.10104), Submitted)
    account.reject(part.order_no)
    order = one(account.command(CommandKind.FLATTEN), Submitted)
    assert (order.volume, order.reason) == (0.1, ExitReason.COMMAND)


def test_reducing_only_takes_entries_against_what_is_held() -> None:
    account = Account(CONFIG, SPEC, strategy("one"), strategy("two", size=0.3))
    account.opened(LONG)
    account.state.trading = TradingState.REDUCING
    assert one(account.enter(LONG, "two"), Denied).code == "reducing"
    order = one(account.enter(SHORT, "two"), Submitted)
    assert (order.side, order.volume) == (SHORT, 0.1)


def test_a_drawdown_stays_until_resume_which_begins_a_new_peak() -> None:
    account = Account(max_drawdown=0.01, drawdown_action=BreachAction.BLOCK)
    _lost(account, "-101.00")
    assert one(account.said, LimitBreached).limit == "drawdown"
    account.clock(bare_time(DAY_END + 5_000_000))
    account.us = DAY_END + 6_000_000
    assert one(account.enter(LONG), Denied).code == "halted"
    account.command(CommandKind.RESUME)
    account.quote(1.1, 1.10002)
    assert one(account.enter(LONG), Submitted)


def test_the_limits_of_a_command_replace_those_that_it_names() -> None:
    account = Account(max_positions=1)
    changed = one(account.command(CommandKind.SET_LIMITS, argument='{"max_spread_points": 1}'), TradingStateChanged)
    assert changed.cause.startswith("limits changed")
    assert account.state.limits is not None
    assert (account.state.limits.max_positions, account.state.limits.max_spread_points) == (1, 1.0)
    refused = one(account.command(CommandKind.SET_LIMITS, argument='{"max_spred": 1}'), TradingStateChanged)
    assert "did you mean max_spread_points" in refused.cause
    for argument in ("{", "[]"):
        refused = one(account.command(CommandKind.SET_LIMITS, argument=argument), TradingStateChanged)
        assert refused.cause.startswith("limits are not changed")


def test_losses_in_a_row_make_the_instance_pause() -> None:
    account = Account(loss_streak=2, loss_streak_pause_ms=60_000)
    _lost(account, "-5.00")
    _lost(account, "-5.00")
    assert one(account.enter(LONG), Denied).code == "loss_streak"
    account.us += 60_000_000
    assert one(account.enter(LONG), Submitted)
