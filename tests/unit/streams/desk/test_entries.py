"""A signal's entry: expiry, what is held already, size, checks, the order."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from schemas.configuration import PositionMode, Sizing
from schemas.events import EntryType, OnOpposite, SignalKind
from schemas.trading import Denied, ExitReason, OrderPurpose, OrderType, RiskDecision, Submitted
from tests.unit.streams.desk.account import (
    CONFIG,
    LISTING,
    LONG,
    SHORT,
    SPEC,
    Account,
    all_of,
    kinds,
    one,
    rows,
    signal,
    strategy,
)


def test_an_entry_is_decided_and_submitted_with_its_stop_and_target_at_the_decision_quote() -> None:
    account = Account()
    found = account.enter(LONG, stop_distance=0.002, target_distance=0.004)
    assert kinds(found) == ["RiskDecision", "Submitted"]
    order = one(found, Submitted)
    assert (order.purpose, order.type, order.side, order.volume) == (OrderPurpose.ENTRY, OrderType.MARKET, LONG, 0.1)
    assert (order.sl, order.tp, order.order_no) == (1.09802, 1.10402, 101)
    assert order.valid_until_us == account.us + 60_000_000
    assert (order.decision_bid, order.decision_ask, order.signal_seq) == (1.1, 1.10002, account.n)


def test_a_short_counts_its_stop_from_the_bid() -> None:
    order = one(Account().enter(SHORT, stop_distance=0.002, target_distance=0.004), Submitted)
    assert (order.sl, order.tp) == (1.102, 1.096)


def test_the_newest_quote_decides_the_clocks_or_the_signals_own() -> None:
    account = Account()
    account.n += 5
    older = one(account.enter(LONG, bid=1.2, ask=1.20002), Submitted)
    assert older.decision_ask == 1.20002
    account = Account()
    account.quote(1.3, 1.30002)
    account.n -= 3
    newer = one(account.enter(LONG, bid=1.2, ask=1.20002), Submitted)
    assert newer.decision_ask == 1.30002


def test_an_expired_entry_is_denied() -> None:
    account = Account()
    late = signal(SignalKind.ENTER, LONG, account.us, 99)
    assert one(account.take(late, account.us + 60_000_000), Submitted)
    denied = one(Account().take(late, account.us + 60_000_001), Denied)
    assert denied.code == "expired"


def test_an_entry_without_an_end_never_expires() -> None:
    account = Account()
    late = signal(SignalKind.ENTER, LONG, account.us, 99, valid_for_ms=0)
    order = one(account.take(late, account.us + 10**12), Submitted)
    assert order.valid_until_us == 0


def test_risk_sizing_without_a_stop_says_what_to_write() -> None:
    account = Account(CONFIG, SPEC, strategy(sizing=Sizing.RISK, size=0.005))
    found = account.enter(LONG)
    denied = one(found, Denied)
    assert denied.code == "no_stop"
    assert "Exit(stop=" in denied.reason
    assert "--lots" in denied.reason
    assert one(found, RiskDecision).verdict == "DENY"


def test_risk_sizing_loses_the_share_of_equity_at_the_stop() -> None:
    account = Account(CONFIG, SPEC, strategy(sizing=Sizing.RISK, size=0.01))
    # 1 % of 10,000 is 100; 0.002 of a lot is 200.
    assert one(account.enter(LONG, stop_distance=0.002), Submitted).volume == 0.5


def test_every_check_is_listed_and_a_limit_reduces_or_denies() -> None:
    account = Account(max_symbol_lots=0.05)
    found = account.enter(LONG)
    decision = one(found, RiskDecision)
    assert (decision.verdict, decision.asked, decision.allowed) == ("REDUCE", 0.1, 0.05)
    assert len(decision.checks) == len(decision.limits) == len(decision.measured) == len(decision.verdicts) == 23
    assert one(found, Submitted).volume == 0.05
    denied = one(Account(max_spread_points=1.0).enter(LONG), Denied)
    assert denied.code == "spread"
    assert denied.reason == "spread is 2 points, its limit 1"


def test_more_than_the_free_margin_is_denied() -> None:
    denied = one(Account(CONFIG, SPEC, strategy(size=20.0)).enter(LONG), Denied)
    assert denied.code == "free_margin"


def test_a_second_entry_of_the_same_side_is_a_duplicate_before_and_after_the_fill() -> None:
    account = Account()
    order = one(account.enter(LONG), Submitted)
    assert one(account.enter(LONG), Denied).code == "duplicate"
    account.fill(order, 1.10002)
    assert one(account.enter(LONG), Denied).code == "duplicate"


def test_another_instance_may_hold_the_same_side_of_a_hedging_account() -> None:
    account = Account(CONFIG, SPEC, strategy("one"), strategy("two"))
    account.opened(LONG)
    assert one(account.enter(LONG, "two"), Submitted).volume == 0.1


def test_a_netting_account_keeps_instances_apart() -> None:
    account = Account(replace(CONFIG, position_mode=PositionMode.NETTING), SPEC, strategy("one"), strategy("two"))
    account.opened(LONG)
    assert one(account.enter(SHORT, "two"), Denied).code == "netting"


def test_an_opposite_entry_reverses_the_exit_goes_first() -> None:
    account = Account()
    opened = account.opened(LONG)
    found = account.enter(SHORT)
    leaving, entering = all_of(found, Submitted)
    assert (leaving.purpose, leaving.reason, leaving.position) == (
        OrderPurpose.EXIT, ExitReason.OPPOSITE, opened.order_no,
    )  # fmt: skip
    assert (leaving.side, leaving.volume, leaving.sl) == (SHORT, 0.1, None)
    assert (entering.purpose, entering.side) == (OrderPurpose.ENTRY, SHORT)
    assert leaving.order_no < entering.order_no
    assert leaving.taken_us == entering.taken_us


def test_an_opposite_entry_only_closes_if_the_plan_says_so() -> None:
    account = Account()
    account.opened(LONG, on_opposite=OnOpposite.CLOSE)
    found = account.enter(SHORT)
    assert one(found, Submitted).purpose is OrderPurpose.EXIT
    assert one(found, Denied).code == "opposite"


def test_an_opposite_entry_is_ignored_if_the_plan_says_so() -> None:
    account = Account()
    account.opened(LONG, on_opposite=OnOpposite.IGNORE)
    found = account.enter(SHORT)
    assert kinds(found) == ["Denied"]
    assert one(found, Denied).code == "opposite"


def test_an_expired_opposite_entry_still_closes() -> None:
    account = Account()
    account.opened(LONG)
    late = signal(SignalKind.ENTER, SHORT, account.us, 99)
    found = account.take(late, account.us + 61_000_000)
    assert one(found, Submitted).purpose is OrderPurpose.EXIT
    assert one(found, Denied).code == "expired"


@pytest.mark.parametrize(("kind", "type_"), [(EntryType.LIMIT, OrderType.LIMIT), (EntryType.STOP, OrderType.STOP)])
def test_a_pending_entry_has_its_price_its_stop_from_there_and_its_end(kind: EntryType, type_: OrderType) -> None:
    account = Account()
    price = 1.0990004 if kind is EntryType.LIMIT else 1.1010004
    found = account.enter(LONG, entry_type=kind, price=price, stop_distance=0.001, expires_ms=3_600_000)
    order = one(found, Submitted)
    assert (order.type, order.price) == (type_, round(price, 5))
    assert order.sl == round(price - 0.001, 5)
    assert order.expires_ms == account.us // 1000 + 3_600_000


def test_a_cooldown_keeps_the_next_entry_out() -> None:
    account = Account()
    account.opened(LONG, cooldown_ms=60_000)
    account.fill(one(account.exit(), Submitted), 1.1)
    assert one(account.enter(LONG), Denied).code == "cooldown"
    account.us += 60_000_000
    assert one(account.enter(LONG), Submitted)


def test_an_unknown_or_inactive_instance_is_denied() -> None:
    account = Account(CONFIG, SPEC, strategy("one", active=False))
    assert one(account.enter(LONG), Denied).code == "inactive"
    assert one(account.enter(LONG, "stranger"), Denied).code == "inactive"


@pytest.mark.parametrize("sizing", [Sizing.LOTS, Sizing.RISK])
def test_a_currency_that_nothing_converts_is_denied_with_the_ways_out(sizing: Sizing) -> None:
    config, spec = replace(CONFIG, currency="CHF"), replace(SPEC, currency_profit="JPY")
    account = Account(config, spec, strategy(sizing=sizing, size=0.1))
    denied = one(account.enter(LONG, stop_distance=0.002), Denied)
    assert denied.code == "conversion"
    for told in ("JPY", "CHFJPY or JPYCHF", "recorder.symbols", "--convert", "rate_JPY in the spec"):
        assert told in denied.reason


def test_a_suspect_quote_lets_no_entry_through() -> None:
    account = Account()
    told = rows((account.us + 1_000_000, 500, 1.1, 1.10002))
    account.clock(told._replace(quality=told.quality + 512))
    assert one(account.enter(LONG), Denied).code == "suspect_data"


def test_a_veto_is_for_the_other_side() -> None:
    account = Account(CONFIG, SPEC, strategy("one"), strategy("two", role="veto"))
    assert one(account.enter(SHORT, "two"), Denied).code == "veto"
    assert one(account.enter(LONG), Denied).code == "veto"
    account.exit(SHORT, "two")
    assert one(account.enter(LONG), Submitted)


def test_the_instance_that_completes_an_agreement_trades() -> None:
    account = Account(CONFIG, SPEC, strategy("one", role="agree"), strategy("two", role="agree"))
    assert one(account.enter(LONG), Denied).code == "agree"
    assert one(account.enter(LONG, "two"), Submitted).instance == "two"


def test_entries_need_the_side_of_one_that_allows() -> None:
    account = Account(CONFIG, SPEC, strategy("one"), strategy("two", role="allow"))
    assert one(account.enter(LONG), Denied).code == "allow"
    account.enter(LONG, "two")
    assert one(account.enter(LONG), Submitted)


def test_one_that_weighs_cuts_the_size_of_the_other_side() -> None:
    account = Account(CONFIG, SPEC, strategy("one"), strategy("two", role="weigh", weight=0.6))
    account.enter(SHORT, "two")
    assert one(account.enter(LONG), Submitted).volume == 0.04


def test_equity_and_balance_are_told_with_the_decision() -> None:
    decision = one(Account().enter(LONG), RiskDecision)
    assert (decision.equity, decision.margin) == (Decimal("10000.00"), Decimal("0.00"))
    assert decision.listing == LISTING


def test_one_that_trades_alone_asks_nobody() -> None:
    account = Account(CONFIG, SPEC, strategy("one", role="alone"), strategy("two", role="veto"), strategy("three"))
    account.enter(SHORT, "two")
    assert one(account.enter(LONG), Submitted).instance == "one"
    assert one(account.enter(LONG, "three"), Denied).code == "veto"
