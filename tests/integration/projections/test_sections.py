"""The page's sections on a log of months: right, and no dearer than on a log of an hour."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from api.server import sections
from projections import migrate
from projections.database import connect
from tests.conftest import TestStack
from tests.integration.projections.conftest import new_database

pytestmark = pytest.mark.stack

Session = psycopg.Connection[Any]

DAYS = 60
MINUTES = 6_000
BEGAN = "timestamptz '2026-01-01'"
CAUSE = "'signal_operator', 'b@3', 'signal_listing', 'demo/EURUSD', 'signal_seq', g"
RECORDS = {
    ("risk", "RiskDecision", 1): f"{CAUSE}, 'side', 'LONG', 'verdict', 'ALLOW', 'asked', 0.1, 'allowed', 0.1",
    ("orders", "Submitted", 1): f"{CAUSE}, 'side', 'LONG', 'volume', 0.1",
    ("orders", "OrderChanged", 2): "'state', 'FILLED', 'filled', 0.1, 'cause', 'deal'",
    ("orders", "Denied", 3): f"{CAUSE}, 'side', 'LONG', 'code', 'limit', 'reason', 'too much'",
    ("fills", "Fill", 1): f"{CAUSE}, 'side', 'LONG', 'volume', 0.1, 'price', 1.1, 'time_ms', 1767225600000",
    ("portfolio", "PositionChanged", 1): f"'volume', case when g < {MINUTES} then 0 else 0.1 end, 'side', 'LONG'",
    ("portfolio", "PnlAttributed", 2): "'instance', 'b', 'reason', 'STOP', 'net', '0.5'",
    ("portfolio", "EquityMarked", 3): "'equity', '10000', 'balance', '10000', 'peak', '10000', 'minute_ms', 60000",
}


@pytest.fixture(scope="module")
def months(own_stack: TestStack) -> Iterator[Session]:
    """A database as a log of two months leaves it: two accounts, two listings."""
    with new_database(own_stack) as dsn, connect(dsn, "test") as session:
        migrate.migrate(session)
        session.execute("set max_parallel_workers_per_gather = 0")
        for table in ("account_records", "ticks", "tick_blocks", "bars"):
            for month in (1, 2, 3):
                name, ends = f"{table}_2026_0{month}", f"2026-0{month + 1}-01"
                session.execute(
                    "select tickledger.make_partition(%s, %s, %s, %s)", (table, name, f"2026-0{month}-01", ends)
                )
        session.execute("insert into tickledger.accounts (name) values ('one'), ('two')")
        session.execute("insert into tickledger.listings (name) values ('demo/EURUSD'), ('demo/GBPUSD')")
        session.execute("insert into tickledger.operators (name, instance, ref_no) values ('desk@9', 'desk', 9)")
        for (topic, kind, place), body in RECORDS.items():
            session.execute(
                "insert into tickledger.account_records (time, seq, log_offset, order_no, position, account_id, "
                "operator_id, log_partition, topic, kind, listing, body) select "
                f"{BEGAN} + g * interval '{DAYS * 1440 // MINUTES} min' + {place} * interval '1 s', 4 * g + {place}, "
                f"g, g, g, a, 1, a, '{topic}', '{kind}', 'demo/EURUSD', jsonb_build_object({body}) "
                f"from generate_series(1, {MINUTES}) g, generate_series(1, 2) a".encode()
            )
        session.execute(
            "insert into tickledger.ticks (n, time, bid, ask, listing_id, flags, quality) select g, "
            f"{BEGAN} + g * interval '1 min', 1.1, 1.10002, l, 6, 0 "
            f"from generate_series(0, {DAYS * 1440}) g, generate_series(1, 2) l".encode()
        )
        session.execute(
            "insert into tickledger.tick_blocks select g * 10, g, t, t, t, t, t, 1, 5, g, l, 10, 0, 1, 1, false, '' "
            f"from generate_series(0, {DAYS * 144}) g, generate_series(1, 2) l, "
            f"lateral (select {BEGAN} + (g * 10 + 9) * interval '1 min' as t) times".encode()
        )
        session.execute(
            "insert into tickledger.heads (topic, chain, partition, epoch, nonce, seq, n, ref_no, mac, log_offset, "
            "newest_ms) select 'ticks', name, 1, 1, '', 1, 1, 1, '', 1, "
            f"extract(epoch from {BEGAN} + interval '{DAYS} days')::bigint * 1000 from tickledger.listings".encode()
        )
        session.execute("vacuum analyze")
        yield session


def rows_read(session: Session, kept: sections.Kept) -> int:
    """How many rows of tables a look at everything takes."""
    count = "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint from pg_stat_xact_user_tables"
    with session.transaction():
        before = (session.execute(count).fetchone() or (0,))[0]
        sections.overall(session, kept)
        sections.of_listing(session, "demo/EURUSD")
        return int((session.execute(count).fetchone() or (0,))[0] - before)


def test_a_look_costs_no_more_the_longer_the_log_is(months: Session) -> None:
    kept = sections.Kept()
    first = rows_read(months, kept)

    assert rows_read(months, kept) < 8_000 < 30_000 < first


def test_open_positions_and_sums_follow_what_is_new(months: Session) -> None:
    kept = sections.Kept()
    before = sections.overall(months, kept)["accounts"][0]
    assert ([p["position"] for p in before["positions"]], before["pnl"][0]["trades"]) == ([MINUTES], MINUTES)

    with months.transaction(force_rollback=True):
        months.execute(
            "insert into tickledger.account_records select time + interval '1 min', seq + 4, log_offset, order_no, "
            "position, account_id, operator_id, log_partition, topic, kind, listing, "
            "case kind when 'PositionChanged' then body || '{\"volume\": 0}' else body end from "
            "tickledger.account_records where kind in ('PositionChanged', 'PnlAttributed') and account_id = 1 "
            "and position = %s",
            (MINUTES,),
        )
        after = sections.overall(months, kept)["accounts"][0]

    assert (after["positions"], after["pnl"][0]["trades"]) == ([], MINUTES + 1)


@pytest.mark.parametrize(("digits", "left"), [(0, 9958.0), (2, 9958.3), (4, 9958.2995)])
def test_the_balance_of_a_flat_account_is_what_all_its_deals_left(months: Session, digits: int, left: float) -> None:
    with months.transaction(force_rollback=True):
        months.execute(
            "insert into tickledger.reference (ref_no, written, epoch, seq, log_offset, mac, kind, subject, body) "
            "values (1, now(), 1, 1, 1, '', 'AccountConfig', 'one', %s)",
            (json.dumps({"balance": "10000.00", "currency_digits": digits}),),
        )
        for kind, changed in (
            ("PositionChanged", {"volume": 0}),
            ("Fill", {"profit": "-40.00", "commission": "-1.40", "swap": "-0.3005", "instance": ""}),
        ):
            months.execute(
                "insert into tickledger.account_records select time + interval '1 min', seq + 4, log_offset, order_no, "
                "position, account_id, operator_id, log_partition, topic, kind, listing, body || %s::jsonb from "
                "tickledger.account_records where kind = %s and account_id = 1 and position = %s",
                (json.dumps(changed), kind, MINUTES),
            )
        section = sections.overall(months, sections.Kept())["accounts"][0]

    newest = section["equity"][-1]
    assert (newest["balance"], newest["equity"], newest["peak"]) == (left, left, 10000.0)


def test_the_total_of_pnl_is_exact_where_floats_are_not(months: Session) -> None:
    with months.transaction(force_rollback=True):
        months.execute(
            "update tickledger.account_records set body = body || jsonb_build_object('reason', case position % 3 "
            "when 0 then 'STOP' when 1 then 'TARGET' else 'TIME' end, 'net', '0.1', 'gross', '12345678901234.01') "
            "where kind = 'PnlAttributed' and account_id = 1"
        )
        section = sections.overall(months, sections.Kept())["accounts"][0]

    assert [row["net"] for row in section["pnl"]] == ["200"] * 3
    assert (section["total"]["trades"], section["total"]["net"]) == (MINUTES, "600")
    assert section["total"]["gross"] == "74074073407404060"


def test_decisions_are_the_newest_of_both_kinds(months: Session) -> None:
    decisions = sections.overall(months, sections.Kept())["accounts"][1]["decisions"]

    assert [row["verdict"] for row in decisions] == ["DENIED", "ALLOW"] * (sections.ROWS_SHOWN // 2)


def test_the_forming_candle_is_of_the_newest_minute_where_there_is_no_bar(months: Session) -> None:
    section = sections.of_listing(months, "demo/EURUSD")

    newest = months.execute("select extract(epoch from max(time))::bigint from tickledger.ticks").fetchone()
    assert (section["bars"], section["forming"]["t"]) == ([], (newest or (0,))[0])


@pytest.mark.parametrize(("bid", "time"), [("nan", "2026-03-20"), ("infinity", "2026-03-20"), ("1.1", "infinity")])
def test_a_tick_that_is_no_number_leaves_the_page_readable(months: Session, bid: str, time: str) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    with months.transaction(force_rollback=True):
        months.execute(
            "insert into tickledger.ticks (n, time, bid, ask, listing_id, flags, quality) "
            "values (99999999, %s::timestamptz, %s::float8, 1.1, 1, 0, 1)",
            (time, bid),
        )
        found = sections.overall(months, sections.Kept())

    feed = json.loads(json.dumps(found["feeds"][0], default=str), parse_constant=refuse)
    assert (feed["listing"], feed["quality"]) == ("demo/EURUSD", ["not_finite"])
