"""What accounts have on the log is in the database: orders with their state, fills, decisions, positions, money."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from infra.reference_log import append_reference
from projections.audit import UnknownRecord
from projections.columns import ACCOUNT_ANSWERS, COLUMNS
from projections.database import connect
from projections.fill_audit import fill_trail
from projections.moments import use_moments
from projections.query import answer
from projections.question import Question
from schemas.executions import OrderState
from schemas.registry import encode, seal
from schemas.trading import Denied, OrderChanged, PositionChanged, Submitted
from tests.conftest import TestStack
from tests.integration.projections.account_day import Day
from tests.integration.projections.conftest import new_database, projecting
from tests.integration.projections.scripted import KEYS, Log, signal, value_of
from tests.unit.streams.desk import account as desk

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def day(own_stack: TestStack, log: Log) -> Day:
    return Day(own_stack, log)


@pytest.fixture(scope="module")
def dsn(own_stack: TestStack, day: Day) -> Iterator[str]:
    with new_database(own_stack) as found:
        projecting(own_stack, found)()
        yield found


@pytest.fixture
def session(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(dsn, "test") as connection:
        use_moments(connection)
        yield connection


@pytest.fixture
def rows(session: psycopg.Connection[Any], day: Day) -> Callable[[str], list[dict[str, Any]]]:
    def ask(what: str) -> list[dict[str, Any]]:
        found = answer(session, Question(what, account=day.name))
        return [row for frame in found.frames for row in frame.to_dicts()]

    return ask


Ask = Callable[[str], list[dict[str, Any]]]


@pytest.mark.parametrize("what", ACCOUNT_ANSWERS)
def test_every_answer_has_its_columns_and_rows(rows: Ask, what: str) -> None:
    found = rows(what)

    assert list(found[0]) == [column.name for column in COLUMNS[what]] if what != "equity" else found == []


def test_an_order_has_the_state_that_it_has_now(rows: Ask, day: Day) -> None:
    (order,) = rows("orders")

    assert (order["order_no"], order["state"], order["filled"], order["side"]) == (101, "FILLED", 0.1, "LONG")
    assert order["signal"] == f"one@1/{desk.LISTING}/11"


def test_fills_have_the_order_and_reason_that_they_are_of(rows: Ask) -> None:
    first, last = rows("fills")

    assert (first["entry"], first["order_no"], first["commission"]) == ("IN", 101, "-0.35")
    assert (last["entry"], last["reason"], last["price"]) == ("OUT", "STOP", 1.099)


def test_decisions_are_checked_candidates_and_those_that_got_no_further(rows: Ask) -> None:
    taken, denied = rows("decisions")

    assert taken["code"] == ""
    assert "max_lots" in taken["checks"] or "check" in taken["checks"]
    assert (denied["verdict"], denied["code"], denied["checks"]) == ("DENIED", "halted", "[]")


def test_a_closed_position_has_no_lots_and_its_money(rows: Ask) -> None:
    (position,) = rows("positions")
    (earned,) = rows("pnl")

    assert position["volume"] == 0
    parts = [float(earned[name]) for name in ("gross", "spread", "slippage", "commission", "swap")]
    assert sum(parts) == pytest.approx(float(earned["net"]))


def test_the_journal_and_what_people_said_are_there(rows: Ask) -> None:
    assert [(row["kind"], row["stream"], row["stream_seq"], row["source"]) for row in rows("journal")] == [
        ("INPUT", "executions", 1, "PAPER")
    ]
    assert [(row["kind"], row["who"], row["why"]) for row in rows("commands")] == [("HALT", "ann", "news")]
    assert [row["kind"] for row in rows("executions")] == ["Filled", "Filled"]


def test_a_fill_is_walked_back_to_its_signal(
    session: psycopg.Connection[Any], rows: Ask, day: Day, log: Log, own_stack: TestStack, dsn: str
) -> None:
    made = signal(desk.LISTING, 1, operator="one@1", n=5, from_n=5)
    for number in range(12):
        log.send("signals", desk.LISTING, value_of(dataclasses.replace(made, out_seq=number)))
    projecting(own_stack, dsn)()

    walk = fill_trail(session, rows("fills")[0]["id"])

    assert walk.fill["order_no"] == walk.order["order_no"] == 101  # type: ignore[index]
    assert walk.deal is not None
    assert walk.deal["deal"] == walk.fill["deal"]
    assert [change["state"] for change in walk.changes][-1] == "FILLED"
    assert walk.decision is not None
    assert {"check", "limit", "measured", "unit", "verdict"} == set(walk.decision["checks"][0])
    assert walk.signal is not None
    assert walk.signal.signal["operator" if "operator" in walk.signal.signal else "id"].startswith("one@1")
    assert all("offset" in part for part in (walk.fill, walk.deal, walk.order, walk.decision))


def test_an_unknown_fill_is_named(session: psycopg.Connection[Any]) -> None:
    with pytest.raises(UnknownRecord, match="there is no fill desk@9/nobody/1"):
        fill_trail(session, "desk@9/nobody/1")


def test_the_newest_record_is_the_newest_by_time_where_another_desk_began_to_count_anew(
    own_stack: TestStack, log: Log, dsn: str, session: psycopg.Connection[Any]
) -> None:
    day = Day(own_stack, log)
    told: Any = {"operator": "desk@99", "account": day.name, "out_seq": 0, "taken_us": day.account.us + 1}
    moved = [r for r in day.account.said if isinstance(r, PositionChanged)][-1]
    changed = [r for r in day.account.said if isinstance(r, OrderChanged)][-1]
    log.send("portfolio", day.name, encode(dataclasses.replace(moved, **told, volume=0.3)), day.partition)
    order = dataclasses.replace(changed, **told, state=OrderState.UNKNOWN, key_id="k-test")
    log.send("orders", day.name, seal(order, "orders", KEYS), day.partition)

    projecting(own_stack, dsn)()

    shown = [answer(session, Question(what, account=day.name)).frames for what in ("positions", "orders")]
    position, ordered = ([row for frame in frames for row in frame.to_dicts()] for frames in shown)
    assert (moved.volume, [row["volume"] for row in position]) == (0.0, [0.3])
    assert [row["state"] for row in ordered if row["order_no"] == changed.order_no] == ["UNKNOWN"]


def test_a_later_config_moves_no_account_elsewhere(own_stack: TestStack, log: Log) -> None:
    day = Day(own_stack, log)
    moved = dataclasses.replace(desk.CONFIG, account=day.name, partition=(day.partition + 1) % 64)
    append_reference(
        own_stack.kafka, KEYS, day.clock,
        lambda known: [moved] if sum(getattr(r, "account", "") == day.name for r in known) < 2 else [],
    )  # fmt: skip

    with new_database(own_stack) as found:
        projecting(own_stack, found)()
        with connect(found, "test") as connection:
            taken = connection.execute(
                "select count(*) from tickledger.account_records join tickledger.accounts on accounts.id = account_id "
                "where name = %s and topic = 'orders'", (day.name,)
            ).fetchone()  # fmt: skip

    assert taken == (len([r for r in day.account.said if isinstance(r, Submitted | OrderChanged | Denied)]),)


def test_records_of_an_account_that_reference_has_not_are_refused(
    own_stack: TestStack, log: Log, dsn: str, session: psycopg.Connection[Any], day: Day
) -> None:
    stray = dataclasses.replace(day.order, account="nobody", key_id="k-test")
    log.send("orders", "nobody", seal(stray, "orders", KEYS), 3)

    project = projecting(own_stack, dsn)
    project()
    project()

    assert session.execute("select count(*) from tickledger.accounts where name = 'nobody'").fetchone() == (0,)
    told = session.execute("select message from tickledger.alerts where about_topic = 'orders'").fetchall()
    assert ["an account that reference doesn't have" in message for (message,) in told] == [True]
