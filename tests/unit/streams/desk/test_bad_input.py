"""What shouldn't come and may: it fails closed, costs nothing else anything, and says what it is."""

from __future__ import annotations

import dataclasses
from typing import Any

from schemas.events import Signal, SignalKind
from schemas.executions import Adopted, CommandKind, DealEntry, Filled, PartiallyFilled
from schemas.trading import Denied, Fill, OrderChanged, PositionChanged, Submitted
from tests.unit.streams.desk.account import (
    CONFIG,
    FACT,
    LONG,
    SHORT,
    SPEC,
    Account,
    all_of,
    one,
    signal,
    strategy,
)


def foreign(account: Account, volume: float = 0.3, **fields: Any) -> Filled:
    """A deal that no order of ours made."""
    order = dataclasses.replace(one(Account().enter(LONG), Submitted), order_no=0, volume=volume)
    account.deal += 100
    deal = account.deal_of(order, 1.1, **{"position": 77, **fields})
    assert isinstance(deal, Filled)
    return deal


def test_a_deal_of_an_unknown_order_counts_and_is_never_touched() -> None:
    account = Account()
    found = account.take(foreign(account))
    position = one(found, PositionChanged)
    assert (position.position, position.volume, position.instance) == (77, 0.3, "")
    assert one(found, Fill).order_no == 0
    asked = account.command(CommandKind.FLATTEN)
    assert all_of(asked, Submitted) == [], "it isn't ours to close"
    for bid in (1.2, 1.0):
        assert all_of(account.quote(bid, bid + 2e-5), Submitted) == []
    closing = account.take(foreign(account, side=SHORT, entry=DealEntry.OUT))
    assert one(closing, PositionChanged).volume == 0.0


def test_a_deal_of_an_order_number_that_nobody_gave_is_as_foreign() -> None:
    account = Account()
    found = account.take(foreign(account, order_no=4_711))
    assert one(found, PositionChanged).instance == ""
    assert all_of(account.command(CommandKind.FLATTEN), Submitted) == []


def test_a_fill_beyond_its_orders_volume_counts_as_it_is() -> None:
    account = Account()
    order = one(account.enter(LONG), Submitted)
    account.fill(order, 1.1)
    found = account.take(account.deal_of(order, 1.1, 0.05))
    assert one(found, PositionChanged).volume == 0.15
    (closing,) = all_of(account.exit(), Submitted)
    assert closing.volume == 0.15, "all that is held is left"


def test_a_part_beyond_the_rest_of_its_order_fills_it() -> None:
    account = Account()
    order = one(account.enter(LONG), Submitted)
    part = account.deal_of(order, 1.1, 0.2, part=True)
    assert isinstance(part, PartiallyFilled)
    assert one(account.take(part), OrderChanged).state == "FILLED"


def test_a_signal_for_a_listing_without_specification_is_denied() -> None:
    account = Account()
    denied = one(account.enter(LONG, listing="test/GBPUSD"), Denied)
    assert denied.code == "spec"
    assert "test/GBPUSD" in denied.reason
    assert one(account.enter(LONG), Submitted).listing == SPEC.listing


def test_a_signal_of_a_kind_that_is_not_known_and_a_failed_one_do_nothing() -> None:
    account = Account()
    account.opened(LONG)
    for kind in (SignalKind.FAILED, SignalKind.UNKNOWN):
        account.n += 1
        assert account.take(signal(kind, LONG, account.us, account.n)) == []
    assert len(account.state.positions) == 1, "its plan goes on"


def test_a_position_of_ours_that_is_told_as_anothers_keeps_its_own_stop() -> None:
    """Only its own orders and modifications move it."""
    account = Account()
    order = account.opened(LONG, stop_distance=0.001)
    (number,) = account.state.positions
    before = account.state.positions[number].sl
    fields: dict[str, Any] = {"position": number, "order_no": order.order_no, "volume": 0.1, "price": 1.10002}
    said = account.take(
        Adopted(**{**FACT, **fields}, listing=order.listing, side=LONG, sl=None, tp=None, time_ms=0)
    )  # fmt: skip
    assert said == []
    assert account.state.positions[number].sl == before


def test_a_strategy_that_was_taken_off_enters_no_more_and_may_still_leave() -> None:
    account = Account()
    account.opened(LONG)
    account.take(strategy("one", active=False))
    assert one(account.enter(SHORT), Denied).code == "inactive"
    assert one(account.exit(), Submitted).position


def test_an_account_that_is_not_active_enters_nothing() -> None:
    account = Account()
    account.take(dataclasses.replace(CONFIG, active=False))
    assert one(account.enter(LONG), Denied).code == "account"


def test_a_signal_without_a_side_is_denied() -> None:
    account = Account()
    account.n += 1
    unsided: Signal = dataclasses.replace(signal(SignalKind.ENTER, LONG, account.us, account.n), side=_none())
    assert one(account.take(unsided), Denied).code == "side"


def _none() -> Any:
    from schemas.events import Side

    return Side.NONE
