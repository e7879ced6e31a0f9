"""The table of order states: what a report does, what is impossible, and that the docs show the same table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numba.core.dispatcher import Dispatcher

from schemas.executions import Canceled, Expired, OrderState, Reconciled
from schemas.trading import Denied, OrderChanged, OrderPurpose, Submitted
from streams.operators.desk import FINAL, TRANSITIONS, OrderEvent
from streams.operators.desk.clock import warm_clock
from streams.operators.desk.kernel import run_clock
from streams.operators.desk.state import KEPT_ORDERS
from tests.unit.streams.desk.account import FACT, LONG, Account, all_of, kinds, one

PAGE = Path(__file__).parents[4] / "docs" / "desk.md"


def table() -> str:
    """The transitions as they stand in docs/desk.md."""
    events = list(OrderEvent)
    lines = ["| state | " + " | ".join(events) + " |", "|---" * (len(events) + 1) + "|"]
    for state, row in TRANSITIONS.items():
        cells = [row[event].value if event in row else "–" for event in events]
        cells = ["=" if cell == state else cell for cell in cells]
        lines.append(f"| **{state}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def test_the_page_shows_the_table() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), table()


def test_every_state_has_its_row_and_final_ones_lead_nowhere_else() -> None:
    assert set(TRANSITIONS) == set(OrderState)
    for state in FINAL:
        assert set(TRANSITIONS[state].values()) <= {state}


def test_the_usual_life_of_an_order() -> None:
    account = Account()
    order = one(account.enter(LONG), Submitted)
    states = [
        one(account.sending(order.order_no), OrderChanged).state,
        one(account.accept(order.order_no), OrderChanged).state,
        one(account.fill(order, 1.1, 0.04), OrderChanged).state,
        one(account.fill(order, 1.1, 0.06), OrderChanged).state,
    ]
    assert states == ["SENDING", "ACCEPTED", "PARTIALLY_FILLED", "FILLED"]


def test_late_and_repeated_reports_change_nothing() -> None:
    account = Account()
    order = one(account.enter(LONG), Submitted)
    account.fill(order, 1.1)
    assert account.sending(order.order_no) == []
    assert account.accept(order.order_no) == []


def test_a_contradiction_holds_the_order_until_the_venues_word() -> None:
    account = Account()
    order = one(account.enter(LONG), Submitted)
    account.reject(order.order_no)
    held = one(account.accept(order.order_no), OrderChanged)
    assert (held.state, held.before) == ("UNKNOWN", "REJECTED")
    assert held.cause == "accepted after rejected: held until the venue's word"
    assert account.accept(order.order_no) == []
    assert one(account.enter(LONG), Denied).code == "duplicate"
    ids: dict[str, Any] = {"order_no": order.order_no, "ticket": 1, "position": 0, "filled": 0.0, "time_ms": 0}
    word = one(account.take(Reconciled(**FACT, **ids, state=OrderState.CANCELED)), OrderChanged)
    assert word.state == "CANCELED"
    assert one(account.enter(LONG), Submitted)


def test_an_order_that_ends_without_a_fill_frees_its_instance() -> None:
    for kind in (Canceled, Expired):
        account = Account()
        account.end(kind, one(account.enter(LONG), Submitted).order_no)
        assert one(account.enter(LONG), Submitted)


def test_an_exit_whose_end_is_unknown_is_issued_again() -> None:
    account = Account()
    account.opened(LONG)
    leaving = one(account.exit(), Submitted)
    account.accept(leaving.order_no)
    account.fill(leaving, 1.1, 0.05)
    assert one(account.reject(leaving.order_no), OrderChanged).state == "UNKNOWN"
    found = account.quote(1.1, 1.10002)
    again = one(found, Submitted)
    assert (again.purpose, again.volume) == (OrderPurpose.EXIT, 0.05)


def test_reports_of_orders_that_nobody_knows_are_passed_by() -> None:
    account = Account()
    assert account.accept(999) == account.reject(999) == account.sending(999) == account.end(Canceled, 999) == []


def test_only_so_many_finished_orders_are_kept() -> None:
    account = Account()
    for _ in range(KEPT_ORDERS + 3):
        account.end(Canceled, one(account.enter(LONG), Submitted).order_no)
    assert len(account.state.finished) == KEPT_ORDERS
    assert account.state.orders == {}
    assert min(account.state.finished) == 104


def test_numbers_are_dense_in_every_topic() -> None:
    account = Account()
    opened = account.opened(LONG, stop_distance=0.002)
    account.levels(1.099, 1.2)
    account.fill(one(account.exit(), Submitted), 1.1)
    assert opened.order_no == 101
    topics: dict[str, list[int]] = {}
    for record in account.said:
        name = kinds([record])[0]
        topic = {"RiskDecision": "risk", "Fill": "fills", "PositionChanged": "portfolio", "PnlAttributed": "portfolio"}
        topics.setdefault(topic.get(name, "orders"), []).append(record.out_seq)
    assert all(numbers == list(range(len(numbers))) for numbers in topics.values())
    assert len(all_of(account.said, OrderChanged)) == 2


def test_the_clocks_kernel_is_compiled_once() -> None:
    warm_clock()
    account = Account()
    account.opened(LONG, stop_distance=0.002)
    account.quote(1.1, 1.10002)
    assert isinstance(run_clock, Dispatcher)
    assert len(run_clock.signatures) == 1
