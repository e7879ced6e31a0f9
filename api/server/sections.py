"""What the page shows, in sections: each is asked of the database and pushed when it has changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from projections.database import Connection
from projections.listings import known_listings
from schemas import quality

BARS_SHOWN: Final = 180
ROWS_SHOWN: Final = 40
EQUITY_SHOWN: Final = 600

Section = Any


class Kept:
    """Answers that rest on all records of a kind that an account has: asked again once there is a newer one.

    For one session: a database that was made again has to be asked by another, with another of these.
    """

    def __init__(self) -> None:
        self._answers: dict[str, tuple[Any, list[dict[str, Any]]]] = {}

    def ask(
        self, connection: Connection, query: str, kind: str, account: int, topic: str = "portfolio"
    ) -> list[dict[str, Any]]:
        """What `query` answers about the account, whose records of that kind on `topic` it rests on."""
        newest = connection.execute(_NEWEST.encode(), (account, topic, kind)).fetchone()
        known = self._answers.get(f"{kind} {account}")
        if known is None or known[0] != newest:
            known = self._answers[f"{kind} {account}"] = newest, _dicts(connection, query, account)
        return known[1]


def overall(connection: Connection, kept: Kept) -> Mapping[str, Section]:
    """The sections that concern all listings and accounts."""
    return {
        "topics": _dicts(connection, _TOPICS),
        "feeds": _feeds(connection),
        "alerts": _dicts(connection, _ALERTS),
        "accounts": [_account(connection, kept, *account) for account in connection.execute(_ACCOUNTS).fetchall()],
    }


def of_listing(connection: Connection, name: str) -> Section:
    """A listing's candles with the one that is forming, and the signals and fills on them; None if it isn't there."""
    found = next((listing for listing in known_listings(connection) if listing.name == name), None)
    if found is None or found.id is None:
        return None
    bars = _dicts(connection, _CANDLES, found.id)[::-1]
    forming = _dicts(connection, _FORMING, bars[-1]["t"] + 60 if bars else 0, name, found.id, found.id)
    first = bars[0]["t"] if bars else 0
    return {
        "listing": name,
        "bars": bars,
        "forming": forming[0] if forming and forming[0]["o"] is not None else None,
        "signals": _dicts(connection, _SIGNALS, found.id, first),
        "fills": _dicts(connection, _FILLS, name, first),
    }


def _feeds(connection: Connection) -> list[dict[str, Any]]:
    feeds = []
    for row in _dicts(connection, _LAST_TICKS):
        digits = row.pop("digits")
        known = None not in (digits, row["bid"], row["ask"])
        row["spread"] = round((row["ask"] - row["bid"]) * 10 ** int(digits), 1) if known else None
        row["quality"] = quality.names(row["quality"])
        feeds.append(row)
    return feeds


def _account(connection: Connection, kept: Kept, number: int, name: str) -> dict[str, Any]:
    equity = _dicts(connection, _EQUITY, number)[::-1]
    positions = kept.ask(connection, _POSITIONS, "PositionChanged", number)
    fills = _dicts(connection, _LAST_FILLS, name)
    pnl = kept.ask(connection, _PNL, "PnlAttributed", number)
    config = _dicts(connection, _OPENING, name)
    if config and fills and not positions and (not equity or equity[-1]["t"] < fills[0]["t"]):
        # Equity is marked while something is held: this is what all deals have left.
        opening = config[0]["balance"]
        money = kept.ask(connection, _MONEY, "Fill", number, "fills")[0]["money"]
        balance = float((opening + money).quantize(Decimal(1).scaleb(-config[0]["digits"])))
        peak = max(balance, equity[-1]["peak"] if equity else float(opening))
        equity.append({"t": fills[0]["t"], "balance": balance, "equity": balance, "margin": 0.0, "peak": peak})
    return {
        "account": name,
        "state": (_dicts(connection, _STATE, number) or [{"state": "ACTIVE", "cause": "", "who": ""}])[0],
        "equity": equity,
        "positions": positions,
        "orders": _dicts(connection, _ORDERS, name),
        "fills": fills,
        "decisions": _decisions(connection, number, name),
        "pnl": [_exact(row) for row in pnl],
        "total": _exact(_total(pnl)) if pnl else None,
        "digits": config[0]["digits"] if config else None,
    }


def _total(pnl: list[dict[str, Any]]) -> dict[str, Any]:
    """The sum of rows of PnL: exact, so that its net is what the balance changed by."""
    summed = {name: sum((row[name] or 0 for row in pnl), Decimal(0)) for name in _PARTS}
    return {"instance": "all", "reason": "", "trades": sum(row["trades"] for row in pnl)} | summed


def _exact(row: Mapping[str, Any]) -> dict[str, Any]:
    """With money as text: a float has no exact tenth."""
    return {name: f"{value.normalize():f}" if isinstance(value, Decimal) else value for name, value in row.items()}


def _decisions(connection: Connection, number: int, name: str) -> list[dict[str, Any]]:
    # The time is looked up first: with it in hand, the database reads no more of the view than what is shown.
    (since,) = connection.execute(_DECIDED_SINCE.encode(), (number, number)).fetchone() or (0,)
    return _dicts(connection, _DECISIONS, name, since)


def _dicts(connection: Connection, query: str, *values: Any) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(query.encode(), values)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, map(_told, row), strict=True)) for row in cursor.fetchall()]


def _told(value: Any) -> Any:
    """As JSON has it, which knows no NaN or infinity: a broken tick may be either, in price and time."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _s(column: str) -> str:
    return f"extract(epoch from {column})::float8"


_TOPICS: Final = """
select topic, sum(taken)::bigint as taken, sum(forged + stopped + ahead)::bigint as refused
from tickledger.marks group by topic order by topic
"""
_ALERTS: Final = f"""
select {_s("time")} as t, severity, code, subject, source, message from tickledger.alerts
order by time desc limit {ROWS_SHOWN}
"""
_ACCOUNTS: Final = "select id, name from tickledger.accounts order by name"
_LAST_TICKS: Final = f"""
select listings.name as listing, {_s("last.time")} as t, last.bid, last.ask, last.n + 1 as ticks, last.quality,
    {_s("block.received")} as received, 1000 * {_s("block.received - block.time")} as lag_ms,
    (spec.body ->> 'digits')::int as digits, good.share as good
from tickledger.listings
join lateral (select n, time, bid, ask, quality from tickledger.ticks where listing_id = listings.id
    order by n desc limit 1) last on true
left join lateral (select received, time from tickledger.tick_blocks where listing_id = listings.id and count > 0
    order by first_n desc, seq desc limit 1) block on isfinite(block.time)
left join lateral (select avg((recent.quality & 65535 = 0)::int)::float8 as share from (
    select quality from tickledger.ticks where listing_id = listings.id and n > last.n - 500) recent) good on true
left join lateral (select body from tickledger.reference where kind = 'ListingSpec' and subject = listings.name
    order by ref_no desc limit 1) spec on true
order by listings.name
"""
_CANDLES: Final = f"""
select {_s("time")} as t, open as o, high as h, low as l, close as c, spread_mean as s from tickledger.bars
where listing_id = %s and timeframe = 1 order by time desc limit {BARS_SHOWN}
"""
_FORMING: Final = """
with begun as (
    select to_timestamp(greatest(%s, newest_ms / 60000 * 60)) as at from tickledger.heads
    where topic = 'ticks' and chain = %s
)
select (array_agg(bid order by n))[1] as o, max(bid) as h, min(bid) as l, (array_agg(bid order by n desc))[1] as c,
    floor(extract(epoch from max(time)) / 60)::bigint * 60 as t
from tickledger.ticks where listing_id = %s and time >= (select at from begun) and quality & 255 = 0
    and n >= (select first_n from tickledger.tick_blocks where listing_id = %s and time >= (select at from begun)
        order by time, first_n limit 1)
"""
_SIGNALS: Final = f"""
select operators.name || '/' || listings.name || '/' || out_seq as id, {_s("time")} as t, kind, side, bid, ask,
    operators.instance from tickledger.signals join tickledger.operators on operators.id = operator_id
join tickledger.listings on listings.id = listing_id
where listing_id = %s and time >= to_timestamp(%s) and kind in ('ENTER', 'EXIT') order by time desc limit 400
"""
_FILLS: Final = f"""
select id, {_s("venue_time")} as t, side, entry, price, volume, reason, instance from tickledger.fills
where listing = %s and time >= to_timestamp(%s) order by time desc limit 400
"""
_NEWEST: Final = """
select time, seq from tickledger.account_records where account_id = %s and topic = %s and kind = %s
order by time desc, seq desc limit 1
"""
_EQUITY: Final = f"""
select (body ->> 'minute_ms')::float8 / 1000 as t, (body ->> 'balance')::float8 as balance,
    (body ->> 'equity')::float8 as equity, (body ->> 'margin')::float8 as margin, (body ->> 'peak')::float8 as peak
from tickledger.account_records where account_id = %s and topic = 'portfolio' and kind = 'EquityMarked'
order by time desc limit {EQUITY_SHOWN}
"""
_OPENING: Final = """
select (body ->> 'balance')::numeric as balance, (body ->> 'currency_digits')::int as digits
from tickledger.reference
where kind = 'AccountConfig' and subject = %s order by ref_no limit 1
"""
_STATE: Final = """
select body ->> 'state' as state, body ->> 'cause' as cause, body ->> 'who' as who from tickledger.account_records
where account_id = %s and topic = 'risk' and kind = 'TradingStateChanged' order by time desc, seq desc limit 1
"""
_POSITIONS: Final = f"""
select position, listing, instance, side, volume, price, sl, tp, {_s("opened")} as opened from tickledger.positions
where account = (select name from tickledger.accounts where id = %s) and volume > 0 order by opened
"""
_ORDERS: Final = f"""
select {_s("time")} as t, order_no, listing, instance, purpose, type, side, volume, price, sl, tp, state, filled,
    reason, cause from tickledger.orders where account = %s order by time desc, seq desc limit {ROWS_SHOWN}
"""
_LAST_FILLS: Final = f"""
select id, {_s("venue_time")} as t, order_no, listing, instance, side, entry, reason, volume, price, slippage_points,
    commission::float8 as commission, profit::float8 as profit from tickledger.fills
where account = %s order by time desc, seq desc limit {ROWS_SHOWN}
"""
_MONEY: Final = """
select coalesce(sum(profit + commission + swap), 0) as money from tickledger.fills
where account = (select name from tickledger.accounts where id = %s)
"""
_DECIDED_SINCE: Final = f"""
select floor(extract(epoch from greatest(
    (select time from tickledger.account_records where account_id = %s and topic = 'risk' and kind = 'RiskDecision'
        order by time desc offset {ROWS_SHOWN - 1} limit 1),
    (select time from tickledger.account_records where account_id = %s and topic = 'orders' and kind = 'Denied'
        order by time desc offset {ROWS_SHOWN - 1} limit 1),
    to_timestamp(0))))::bigint
"""
_DECISIONS: Final = f"""
select {_s("time")} as t, listing, instance, side, verdict, code, reason, asked, allowed from tickledger.decisions
where account = %s and time >= to_timestamp(%s) order by time desc, seq desc limit {ROWS_SHOWN}
"""
_PARTS: Final = ("gross", "spread", "slippage", "commission", "swap", "net")
_PNL: Final = f"""
select instance, reason, count(*) filter (where volume is distinct from 0) as trades,
    {", ".join(f"sum({part}) as {part}" for part in _PARTS)}
from tickledger.pnl where account = (select name from tickledger.accounts where id = %s)
group by instance, reason order by instance, reason
"""
