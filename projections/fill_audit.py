"""The walk from a fill back to what caused it: deal, order, risk decision with all checks, signal, ticks."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import polars as pl

from projections.audit import Trail, UnknownRecord, trail
from projections.database import Connection
from projections.listings import UnknownSymbol


@dataclasses.dataclass(frozen=True)
class FillTrail:
    """What a fill rests on, each part with its topic, partition and offset.

    `fill` has the columns of `query fills`; `deal` is the record of `executions` (None if it isn't there yet);
    `order` and `changes` are the order as submitted and each change of its state; `reports` all that the venue said of
    it; `decision` the risk decision (None for an exit, which is never checked); `signal` the walk from its signal
    (None if none caused it, or the database hasn't got it yet).
    """

    fill: dict[str, Any]
    deal: dict[str, Any] | None
    order: dict[str, Any] | None
    changes: list[dict[str, Any]]
    reports: list[dict[str, Any]]
    decision: dict[str, Any] | None
    signal: Trail | None


def is_fill_id(text: str) -> bool:
    """Whether `text` has the form of a fill's id, operator/account/number: desk@6/demo/0."""
    return text.count("/") == 2


def walk(connection: Connection, text: str) -> tuple[dict[str, Any], pl.DataFrame | None]:
    """The walk from a fill or a signal: its parts by name, from the fill on, and its ticks (None if no signal has any).

    Parts are those of FillTrail, for a fill, and of Trail. Raises UnknownRecord, UnknownSymbol.
    """
    parts: dict[str, Any] = {}
    if is_fill_id(text):
        found = fill_trail(connection, text)
        parts = {f.name: getattr(found, f.name) for f in dataclasses.fields(found) if f.name != "signal"}
        signal = found.signal
    else:
        signal = trail(connection, text)
    parts |= {name: getattr(signal, name, None) for name in ("signal", "activation", "specification")}
    return parts, None if signal is None else signal.ticks


def fill_trail(connection: Connection, text: str) -> FillTrail:
    """The walk from the fill whose id is `text`. Raises UnknownRecord."""
    fill = _one(connection, _FILL, text)
    if fill is None:
        raise UnknownRecord(f"there is no fill {text}: tickledger query fills lists them, by their first column")
    account, order_no = fill["account"], fill["order_no"]
    order = _one(connection, _ORDER, account, order_no)
    # The order that opened the position has the decision; one that closed it was not checked.
    signal_id = (order or fill)["signal"]
    decision = _one(connection, _DECISION, account, signal_id) if signal_id else None
    return FillTrail(
        fill=fill,
        deal=_one(connection, _DEAL, account, fill["deal"]),
        order=order,
        changes=_rows(connection, _CHANGES, account, order_no),
        reports=_rows(connection, _REPORTS, account, order_no),
        decision=decision,
        signal=_signal(connection, signal_id),
    )


def _signal(connection: Connection, signal_id: str) -> Trail | None:
    if not signal_id:
        return None
    try:
        return trail(connection, signal_id)
    except (UnknownRecord, UnknownSymbol):
        # The database follows the log a little behind, each topic at its own pace.
        return None


def _one(connection: Connection, query: str, *values: Any) -> dict[str, Any] | None:
    found = _rows(connection, query, *values)
    return found[0] if found else None


def _rows(connection: Connection, query: str, *values: Any) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(query.encode(), values)
        names = [column.name for column in cursor.description or ()]
        return [{n: v for n, v in zip(names, row, strict=True) if v is not None} for row in cursor.fetchall()]


_ISO: Final = 'to_char({0}, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\') as {1}'


def _iso(expression: str, name: str = "time") -> str:
    return _ISO.format(expression, name)


_PLACE: Final = 'log_partition as partition, log_offset as "offset"'
_FILL: Final = f"""
select id, {_iso("time")}, account, order_no, listing, instance, deal, position, side, entry, reason, volume, price,
    {_iso("venue_time", "venue_time")}, n, bid, ask, decision_price, slippage_points, spread_points,
    trim_scale(commission)::text as commission, trim_scale(swap)::text as swap, trim_scale(profit)::text as profit,
    trim_scale(spread_cost)::text as spread_cost, trim_scale(slippage_cost)::text as slippage_cost,
    coalesce(signal, '') as signal, 'fills' as topic, {_PLACE}
from tickledger.fills where id = %s
"""
_ORDER: Final = f"""
select {_iso("time")}, order_no, listing, instance, purpose, type, side, volume, price, sl, tp, state, filled, reason,
    retry, decision_n, decision_bid, decision_ask, coalesce(signal, '') as signal, 'orders' as topic, {_PLACE}
from tickledger.orders where account = %s and order_no = %s
"""
_CHANGES: Final = f"""
select {_iso("r.time")}, body->>'before' as before, body->>'state' as state, (body->>'filled')::float8 as filled,
    body->>'cause' as cause, topic, {_PLACE}
from tickledger.account_records r join tickledger.accounts on accounts.id = account_id
where accounts.name = %s and order_no = %s and topic = 'orders' and kind = 'OrderChanged' order by seq
"""
_REPORTS: Final = f"""
select {_iso("time")}, kind, request, ticket, deal, position, volume, remaining, price, retcode, reason,
    'executions' as topic, {_PLACE}
from tickledger.executions where account = %s and order_no = %s order by seq
"""
_DEAL: Final = f"""
select {_iso("time")}, kind, ticket, deal, position, side, entry, reason, volume, remaining, price,
    trim_scale(commission)::text as commission, trim_scale(swap)::text as swap, trim_scale(profit)::text as profit,
    {_iso("venue_time", "venue_time")}, 'executions' as topic, {_PLACE}
from tickledger.executions where account = %s and deal = %s order by seq limit 1
"""
_DECISION: Final = f"""
select {_iso("time")}, instance, side, verdict, asked, allowed, trim_scale(equity)::text as equity,
    trim_scale(margin)::text as margin, checks, topic, {_PLACE}
from tickledger.decisions where account = %s and signal = %s order by seq limit 1
"""
