"""Orders, positions and cash against a slow model, by reports that come late, again, out of order or contradict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.configuration import PositionMode
from schemas.events import Side
from schemas.executions import (
    Accepted,
    Adopted,
    Canceled,
    DealEntry,
    DealReason,
    Execution,
    Expired,
    Filled,
    OrderRequest,
    OrderState,
    PartiallyFilled,
    Reconciled,
    Rejected,
    Sending,
)
from schemas.trading import PnlAttributed, Submitted
from streams.operators.desk.accounting import taken_before
from tests.unit.streams.desk.account import CONFIG, FACT, LONG, SHORT, SPEC, Account, one, strategy

ORDERS = 3
D = Decimal


def _reports(order_no: int) -> st.SearchStrategy[Execution]:
    """Anything that a venue may say of an order but its deals."""
    ids: dict[str, Any] = {**FACT, "order_no": order_no}
    place, end = {"request": OrderRequest.PLACE, **ids}, {"ticket": 1, "remaining": 0.0, "time_ms": 0, **ids}
    return st.sampled_from(
        [
            Sending(**place),
            Accepted(**place, ticket=1, position=0, time_ms=0),
            Rejected(**place, retcode=10006, reason="", time_ms=0),
            Rejected(**{**place, "request": OrderRequest.CANCEL}, retcode=10006, reason="", time_ms=0),
            Canceled(**end, reason=""),
            Expired(**end),
            *(
                Reconciled(**ids, state=state, ticket=1, position=0, filled=0.0, time_ms=0)
                for state in (OrderState.ACCEPTED, OrderState.CANCELED, OrderState.UNKNOWN)
            ),
        ]
    )


@st.composite
def _lives(draw: st.DrawFn) -> list[Execution]:
    """Deals of a few orders and of what closes their positions, shuffled, some twice, with other reports between."""
    found: list[Execution] = []
    deals = iter(range(1, 10**6))
    for order_no in range(101, 101 + ORDERS):
        side = draw(st.sampled_from([LONG, SHORT]))
        parts = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
        closing = draw(st.lists(st.integers(1, 5), max_size=3))
        left = sum(parts)
        for k, lots in enumerate(parts):
            found.append(_deal(next(deals), order_no, side, lots, out=False, last=k == len(parts) - 1))
        for lots in closing:
            if lots <= left:
                left -= lots
                found.append(_deal(next(deals), order_no, side, lots, out=True, last=True))
    found += [draw(st.sampled_from(found)) for _ in range(draw(st.integers(0, 4)))]
    for _ in range(draw(st.integers(0, 6))):
        found.append(draw(_reports(100 + draw(st.integers(0, ORDERS)))))
    return draw(st.permutations(found))


def _deal(number: int, order_no: int, side: Any, lots: int, *, out: bool, last: bool) -> Filled | PartiallyFilled:
    return (Filled if last else PartiallyFilled)(
        **FACT, order_no=order_no, ticket=1, deal=number, position=order_no, listing="test/EURUSD",
        side=side if not out else (SHORT if side is LONG else LONG), entry=DealEntry.OUT if out else DealEntry.IN,
        reason=DealReason.SL if out else DealReason.EXPERT, volume=lots / 100, remaining=0.0,
        price=1.1 + number / 10_000, time_ms=0, n=number, bid=1.1, ask=1.10002, commission=D(-number) / 100,
        swap=D(0), profit=D(number * 7 if out else 0) / 100,
    )  # fmt: skip


@given(_lives())
@settings(max_examples=150, deadline=None)
def test_positions_and_cash_are_never_wrong(life: list[Execution]) -> None:
    account = Account(CONFIG, SPEC, *(strategy(f"i{k}", size=0.15) for k in range(ORDERS)))
    for k in range(ORDERS):
        one(account.enter(LONG, f"i{k}"), Submitted)
    seen: dict[int, Any] = {}
    for report in life:
        account.take(report)
        if isinstance(report, Filled | PartiallyFilled):
            seen[report.deal] = report
        cash = sum((d.profit + d.commission + d.swap for d in seen.values()), CONFIG.balance)
        assert account.state.balance == cash
        waiting = {deal.deal for deal in account.state.early}
        for number in range(101, 101 + ORDERS):
            expected = sum(
                D(repr(d.volume)) * (1 if d.entry is DealEntry.IN else -1)
                for d in seen.values()
                if d.position == number and d.deal not in waiting
            )
            position = account.state.positions.get(number)
            assert (position.volume if position else 0) == expected
    # Once all has come, nothing waits.
    assert account.state.early == []


@st.composite
def _strangers(draw: st.DrawFn) -> list[Execution]:
    """Deals by hand of two positions, in parts, and what the gateway says of them, all in any order."""
    found: list[Execution] = []
    deals = iter(range(1, 10**6))
    for number in (77, 78):
        for out in draw(st.lists(st.booleans(), max_size=5)):
            deal = _deal(next(deals), 0, LONG, draw(st.integers(1, 5)), out=out, last=True)
            assert isinstance(deal, Filled)
            entry = draw(st.sampled_from([DealEntry.OUT, DealEntry.INOUT])) if out else DealEntry.IN
            found.append(replace(deal, position=number, entry=entry))
        for lots in draw(st.lists(st.integers(0, 5), max_size=4)):
            side = draw(st.sampled_from([LONG, SHORT]))
            found.append(_told(lots, number, side))
    return draw(st.permutations(found))


@given(_strangers())
@settings(max_examples=150, deadline=None)
def test_what_strangers_earn_is_attributed_in_whatever_order_it_is_told(life: list[Execution]) -> None:
    account = Account()
    for report in life:
        account.take(report)
        _nothing_is_left_out(account)
        assert all(position.volume > 0 for position in account.state.positions.values())


def _nothing_is_left_out(account: Account) -> None:
    """The balance has changed by what is attributed, by what is open's entry commissions, and by deals that wait."""
    net = sum((part.net for part in account.said if isinstance(part, PnlAttributed)), CONFIG.balance)
    unspent = sum((position.commission for position in account.state.positions.values()), D(0))
    waiting = sum((deal.profit + deal.commission for deal in account.state.early), D(0))
    assert account.state.balance == net + unspent + waiting


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_strangers_position_is_as_large_as_its_deals_left_it(data: st.DataObject) -> None:
    """In the order of the gateway: the first word of it before the deals that wait, later ones after theirs."""
    account = Account()
    lots = before = data.draw(st.integers(0, 5), "from before the log")
    life: list[tuple[Filled | PartiallyFilled, int]] = []
    for number in range(1, data.draw(st.integers(2, 9))):
        out = bool(lots) and data.draw(st.booleans())
        part = data.draw(st.integers(1, lots if out else 5))
        lots += -part if out else part
        life.append((replace(_deal(number, 0, LONG, part, out=out, last=True), position=77), lots))
        if not lots:
            break
    met = 0 if before else data.draw(st.sampled_from([k for k, (_, left) in enumerate(life, 1) if left]))
    account.take(_told(life[met - 1][1] if met else before))
    for k, (deal, left) in enumerate(life, 1):
        account.take(deal)
        if k > met and (deal.side is LONG or data.draw(st.booleans())):
            account.take(_told(left))
        if k >= met:
            position = account.state.positions.get(77)
            assert (position.volume if position else 0) == D(left) / 100


@st.composite
def _adopted(draw: st.DrawFn) -> tuple[list[Execution], Decimal]:
    """All that comes of a position by hand of which an Adopted record is the first word, and its lots in the end, short
    below 0. It is held by a hedging account, maybe from before the log; or by a netting one, then it may be added to.

    Deals come in any order, some twice. Records tell what some of the deals left, the last what all left; they keep
    their order, and are early or late. Of a position that is turned round, which happens once, the deals keep their
    order too, and no record is late.
    """
    netted = draw(st.booleans())
    lots = 0 if netted else draw(st.integers(0, 9), "from before the log")
    left, deals, turned = [lots], list[Execution](), False
    for number in range(1, draw(st.integers(2, 7))):
        ways = [DealEntry.IN] * (netted or not lots) + [DealEntry.OUT] * bool(lots)
        ways += [DealEntry.INOUT] * bool(netted and lots and not turned)
        entry, part = draw(st.sampled_from(ways)), draw(st.integers(1, 5))
        if entry is not DealEntry.IN:
            part = abs(lots) + part if entry is DealEntry.INOUT else min(abs(lots), part)
        turned = turned or entry is DealEntry.INOUT
        long = (lots >= 0) is (entry is DealEntry.IN)
        deal = _deal(number, 0, LONG if long else SHORT, part, out=entry is not DealEntry.IN, last=True)
        deals.append(replace(deal, position=77, entry=entry, side=LONG if long else SHORT))
        lots += part if long else -part
        left.append(lots)
        if not lots:
            break
    first = 0 if left[0] else draw(st.sampled_from([k for k, now in enumerate(left) if now]))
    after = sorted([first, *draw(st.lists(st.integers(first, len(deals)), max_size=3)), len(deals)])
    told = [_told(abs(left[k]), side=LONG if (left[k] or left[k - 1]) > 0 else SHORT) for k in after]
    if not turned:
        deals += [draw(st.sampled_from(deals)) for _ in range(draw(st.integers(0, 2)))]
        deals = draw(st.permutations(deals))
    life = [told[0], *deals]
    place = 1
    for k, (number, record) in enumerate(zip(after[1:], told[1:], strict=True), 1):
        place = draw(st.integers(place, number + k if turned else len(life)))
        life.insert(place, record)
        place += 1
    return life, D(lots) / 100


@given(_adopted())
@settings(max_examples=300, deadline=None)
def test_an_adopted_position_is_as_large_as_it_was_told_last_once_its_deals_have_come(
    life: tuple[list[Execution], Decimal],
) -> None:
    records, left = life
    account = Account(replace(CONFIG, position_mode=PositionMode.NETTING))
    for record in records:
        account.take(record)
        _nothing_is_left_out(account)
    position = account.state.positions.get(77)
    assert (D(position.sign) * position.volume if position else 0) == left


def _told(lots: int, position: int = 77, side: Side = LONG) -> Adopted:
    return Adopted(
        **FACT, order_no=0, position=position, listing=SPEC.listing, side=side, volume=lots / 100, price=1.1, time_ms=0
    )


@given(st.lists(_reports(101) | st.sampled_from(["part", "fill"]), max_size=8))
@settings(max_examples=150, deadline=None)
def test_an_order_is_where_a_slow_model_says(life: list[Any]) -> None:
    account = Account(CONFIG, SPEC, strategy(size=1.0))
    order = one(account.enter(LONG), Submitted)
    for state, report in _model(life):
        if report == "part":
            account.take(account.deal_of(order, 1.1, 0.01, part=True))
        elif report == "fill":
            account.take(account.deal_of(order, 1.1, 0.01))
        else:
            account.take(report)
        known = account.state.orders.get(101) or account.state.finished[101]
        assert known.state == state
        assert (101 in account.state.orders) != (101 in account.state.finished)


def _model(life: list[Any]) -> Iterator[tuple[str, Any]]:
    """The state after each report: how far it has come, and what ended it, without any table."""
    ends = {"Rejected": "REJECTED", "Canceled": "CANCELED", "Expired": "EXPIRED", "fill": "FILLED"}
    rank = {"SUBMITTED": 0, "UNKNOWN": 0, "SENDING": 1, "ACCEPTED": 2, "PARTIALLY_FILLED": 3}
    state, locked = "SUBMITTED", False
    for report in life:
        name = report if isinstance(report, str) else type(report).__name__
        refused_cancel = name == "Rejected" and report.request is OrderRequest.CANCEL
        if name == "Reconciled":
            locked = locked and report.state == "UNKNOWN"
            state = str(report.state)
        elif locked:
            pass
        elif refused_cancel:
            # Nobody asked for a cancel: it tells nothing of an order that may be at the venue, and else contradicts.
            locked = state in ("SUBMITTED", "SENDING")
            state = "UNKNOWN" if locked else state
        elif state in ends.values():
            late = ("Sending",) if state == "REJECTED" else ("Sending", "Accepted", "part")
            if ends.get(name) != state and name not in late:
                state, locked = "UNKNOWN", True
        elif name in ends:
            locked = name == "Rejected" and state == "PARTIALLY_FILLED"
            state = "UNKNOWN" if locked else ends[name]
        else:
            told = {"Sending": "SENDING", "Accepted": "ACCEPTED", "part": "PARTIALLY_FILLED"}[name]
            unsaid = state == "UNKNOWN" and told == "SENDING"
            state = told if rank[told] > rank[state] and not unsaid else state
        yield state, report


@given(st.lists(st.integers(0, 30), max_size=60))
def test_runs_of_deal_numbers_are_a_set(numbers: list[int]) -> None:
    runs: list[int] = []
    known: set[int] = set()
    for number in numbers:
        assert taken_before(runs, number) == (number in known)
        known.add(number)
    assert [n for first, last in zip(runs[::2], runs[1::2], strict=True) for n in range(first, last + 1)] == sorted(
        known
    )
    assert len(runs) == 2 * sum(n - 1 not in known for n in known)
