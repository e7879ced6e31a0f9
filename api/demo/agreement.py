"""Whether each stage of a played day has what the stage before it has, each counted at its own place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from api.demo.history import SameTicks
from api.demo.laboratory import Compared
from api.demo.stages import Seen
from projections.database import Connection
from schemas.catalogue import ACCOUNT_TOPICS
from streams.report import CHECKED, Report


@dataclass(frozen=True, slots=True)
class Finding:
    """A stage: what it has, and where that differs from the stage before."""

    stage: str
    has: str
    problems: Sequence[str] = ()


def of_ticks(seen: Seen, same: Sequence[SameTicks]) -> list[Finding]:
    """Terminal and recorder."""
    market = seen.market
    played = [] if market is None or market.ended else ["the market has not been played to its end"]
    terminal = "nothing" if market is None else f"{market.ticks:,} ticks of {', '.join(market.symbols)} played"
    return [
        Finding("terminal", terminal, played),
        Finding(
            "recorder",
            f"{sum(one.log for one in same):,} ticks on the log, row by row the terminal's own history"
            if all(one.equal for one in same)
            else f"{sum(one.log for one in same):,} ticks on the log",
            [f"{one.listing}: {one.differs}" for one in same if not one.equal],
        ),
    ]


def of_signals(seen: Seen, compared: Sequence[Compared]) -> Finding:
    """The worker, held against the laboratory."""
    said = ", ".join(f"{one.live:,} signals of {one.instance} on {one.listing}" for one in compared)
    return Finding(
        "worker",
        f"{seen.bars:,} bars, {said}" + (": the laboratory's, byte for byte" if all(c.equal for c in compared) else ""),
        [
            f"the laboratory makes other signals of {one.instance} over {one.listing} than the worker has made"
            for one in compared
            if not one.equal
        ],
    )


def of_account(connection: Connection, account: str, orders_at_terminal: int, balance: Decimal) -> list[Finding]:
    """Sequencer, desk and gateway, by what the database has; `balance`: the terminal's."""
    row = _one(connection, _COUNTS, account, account)
    (inputs, clocks, signals, decisions, orders, sent, fills, deals, executions, net, start) = row
    problems_desk = [] if fills == deals else [f"the venue made {deals:,} deals of ours, the desk has {fills:,} fills"]
    problems_gateway = []
    if sent != orders:
        problems_gateway.append(f"the desk made {orders:,} orders, {sent:,} were sent, refused or expired")
    if orders_at_terminal > orders:
        problems_gateway.append(f"the terminal has {orders_at_terminal:,} orders of ours, the desk made {orders:,}")
    problems_money = []
    if start is not None and (total := open_net(connection, account) + start + net) != balance:
        problems_money.append(f"what is attributed makes a balance of {total}, the terminal has {balance}")
    return [
        Finding("sequencer", f"{inputs:,} inputs and {clocks:,} clocks in the journal, {signals:,} of them signals"),
        Finding("desk", f"{decisions:,} decisions, {orders:,} orders, {fills:,} fills", problems_desk),
        Finding(
            "gateway",
            f"{executions:,} executions; each order at the terminal at most once: {orders_at_terminal:,} there",
            problems_gateway,
        ),
        Finding("money", f"{net:+.2f} attributed to agents and causes, balance {balance:.2f}", problems_money),
    ]


def open_net(connection: Connection, account: str) -> Decimal:
    """What was booked on the entries of positions that are open still, and is attributed when they close."""
    return Decimal(_one(connection, _OPEN, account)[0])


def of_database(seen: Seen) -> Finding:
    """The projector."""
    problems = [
        f"{topic} has {count:,} records, the database has read {seen.projected.get(topic, 0):,}"
        for topic, count in sorted(seen.records.items())
        if count != seen.projected.get(topic, 0)
    ]
    problems += [f"{count:,} records of {topic} are refused" for topic, count in sorted(seen.refused.items()) if count]
    return Finding("database", f"{sum(seen.projected.values()):,} records of all topics", problems)


def of_verify(report: Report) -> Finding:
    """What was derived again."""
    counted = {name: f"{getattr(report, name):,}" for name in CHECKED}
    rows = ", ".join(f"{counted[name]} {name}" for name in CHECKED if name not in ACCOUNT_TOPICS)
    records = ", ".join(f"{counted[name]} of {name}" for name in CHECKED if name in ACCOUNT_TOPICS)
    checked = f"{rows}; records: {records}"
    if report.terminal is not None:
        there = ", ".join(f"{count:,} {name}" for name, count in report.terminal.items())
        checked += f"; at the terminal: {there}"
    problems = [f"at {'/'.join(map(str, one.position))}, {one.key}: {one.reason}" for one in report.problems[:3]]
    problems += [f"could not be checked: {what}" for what in report.unverifiable[:3]]
    return Finding("verify", checked if problems else f"{checked}; nothing differs", problems)


def _one(connection: Connection, query: str, *values: Any) -> tuple[Any, ...]:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row


_COUNTS: Final = """
with mine as (
    select topic, kind, order_no, body from tickledger.account_records r
    join tickledger.accounts on accounts.id = r.account_id where accounts.name = %s
)
select
    count(*) filter (where topic = 'journal' and kind = 'INPUT'),
    count(*) filter (where topic = 'journal' and kind = 'CLOCK'),
    count(*) filter (where topic = 'journal' and body ->> 'stream' like 'signals/%%'),
    count(*) filter (where kind = 'RiskDecision'),
    count(*) filter (where kind = 'Submitted'),
    (select count(distinct order_no) from mine where topic = 'executions' and (kind = 'Expired'
        or kind in ('Sending', 'Rejected') and body ->> 'request' = 'PLACE')),
    count(*) filter (where topic = 'fills'),
    count(*) filter (where topic = 'executions' and kind in ('Filled', 'PartiallyFilled')),
    count(*) filter (where topic = 'executions'),
    coalesce(sum((body ->> 'net')::numeric) filter (where kind = 'PnlAttributed'), 0),
    (select (body ->> 'balance')::numeric from tickledger.reference where kind = 'AccountConfig'
        and subject = %s order by ref_no limit 1)
from mine
"""
_OPEN: Final = """
select coalesce(sum((f.body ->> 'commission')::numeric + (f.body ->> 'swap')::numeric), 0)
from tickledger.account_records f join tickledger.accounts on accounts.id = f.account_id
where accounts.name = %s and f.topic = 'fills' and f.body ->> 'entry' = 'IN' and f.position in (
    select position from tickledger.positions p where p.account = accounts.name and p.volume > 0)
"""
