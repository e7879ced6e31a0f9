"""What shouldn't come and may: it fails closed, costs nothing else anything, and says what it is."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

from schemas.events import Signal, SignalKind
from schemas.executions import Adopted, CommandKind, DealEntry, Filled, PartiallyFilled
from schemas.trading import Denied, Fill, OrderChanged, OrderPurpose, PositionChanged, RiskDecision, Submitted
from tests.unit.streams.desk.account import (
    CONFIG,
    FACT,
    LONG,
    SHORT,
    SPEC,
    Account,
    all_of,
    one,
    rows,
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
    assert "GBPUSD in recorder.symbols" in denied.reason, "the way out"
    assert one(account.enter(LONG), Submitted).listing == SPEC.listing


def adopted(symbol: str, volume: float = 0.3, **fields: Any) -> Adopted:
    """The venue's word on position 77, which isn't ours."""
    base: dict[str, Any] = {"order_no": 0, "position": 77, "side": LONG, "price": 160.0, "time_ms": 0}
    return Adopted(**{**FACT, **base, **fields}, listing=f"test/{symbol}", volume=volume)


EURJPY = dataclasses.replace(SPEC, listing="test/EURJPY", digits=3, currency_profit="JPY")
USDJPY = dataclasses.replace(SPEC, listing="test/USDJPY", digits=3, currency_base="USD", currency_profit="JPY")


def test_a_strangers_position_without_a_specification_stops_entries_until_it_is_closed() -> None:
    account = Account()
    account.take(adopted("XAUUSD"))
    denied = one(account.enter(LONG), Denied)
    assert denied.code == "exposure"
    for told in ("position 77", "test/XAUUSD", "close it", "XAUUSD in recorder.symbols"):
        assert told in denied.reason
    assert one(account.enter(LONG), Denied).reason == denied.reason
    account.take(adopted("XAUUSD", 0.0))
    assert one(account.enter(LONG), Submitted).listing == SPEC.listing


def test_a_strangers_position_whose_currency_nothing_converts_stops_entries_until_it_is_closed() -> None:
    account = Account()
    account.take(EURJPY)
    account.take(adopted("EURJPY"))
    denied = one(account.enter(LONG), Denied)
    assert denied.code == "exposure"
    for told in ("position 77", "test/EURJPY", "close it", "USDJPY or JPYUSD", "recorder.symbols", "rate_JPY"):
        assert told in denied.reason
    account.take(adopted("EURJPY", 0.0))
    assert one(account.enter(LONG), Submitted).listing == SPEC.listing


def test_what_is_held_may_be_left_while_a_strangers_position_stops_entries() -> None:
    account = Account()
    account.opened(LONG)
    account.take(adopted("XAUUSD"))
    found = account.enter(SHORT)
    assert one(found, Submitted).purpose is OrderPurpose.EXIT, "the opposite entry still closes"
    assert one(found, Denied).code == "exposure"


def test_a_strangers_position_counts_from_its_specification_on_with_its_margin() -> None:
    account = Account(CONFIG, SPEC, strategy(size=1.0), min_margin_level=200.0)
    account.take(adopted("GBPUSD", 2.5, price=1.25))
    assert one(account.enter(LONG), Denied).code == "exposure"
    account.take(dataclasses.replace(SPEC, listing="test/GBPUSD", currency_base="GBP"))
    found = account.enter(LONG)
    decision = one(found, RiskDecision)
    # 2.5 lots bind 3,125.00: of 10,000 that are to be twice the margin, 1,875 are left.
    assert decision.margin == Decimal("3125.00")
    measured = dict(zip(decision.checks, decision.measured, strict=True))
    assert measured["gross_notional"] == (312_500 + 110_002) / 10_000
    assert measured["free_margin"] == 1_100.02
    assert one(account.enter(LONG), Denied).code == "duplicate"


def test_a_strangers_position_counts_from_a_quote_that_converts_it_on() -> None:
    account = Account()
    account.take(EURJPY)
    account.take(USDJPY)
    account.take(adopted("EURJPY"))
    denied = one(account.enter(LONG), Denied)
    assert denied.code == "exposure"
    assert "test/USDJPY has no quote yet" in denied.reason
    account.clock(rows((account.us + 1_000_000, 50, 150.0, 150.002), names=("test/USDJPY",)))
    found = account.enter(LONG)
    # 30,000 EUR at a leverage of 100, bought by the ask of EURUSD.
    assert one(found, RiskDecision).margin == Decimal("330.01")
    assert one(found, Submitted)


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
