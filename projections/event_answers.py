"""Signals, alerts, sources, reference and what accounts have: through a server-side cursor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl
from psycopg import sql

from projections.account_answers import ACCOUNT_SELECTS, Select
from projections.columns import ACCOUNT_ANSWERS, COLUMNS
from projections.database import Connection
from projections.formats import TYPES
from projections.moments import Moment
from projections.question import Question

_EVENTS: Final = {
    "signals": Select(
        "operators.name || '/' || listings.name || '/' || out_seq as id, time, listings.name as listing, kind, "
        "side, n, from_n, bid, ask, entry_type, price, expires_ms, stop_distance, target_distance, trail_long, "
        "trail_short, breakeven_at, partial_at, partial_share, "
        "valid_for_ms, max_hold_ms, on_opposite, cooldown_ms, strength, model, message, signals.ref_no",
        "from tickledger.signals join tickledger.listings on listings.id = listing_id "
        "join tickledger.operators on operators.id = operator_id",
        "time",
        ("time", "listings.name", "operators.ref_no", "out_seq"),
        "listings.name = any({names})",
    ),
    "alerts": Select(
        "time, severity, code, subject, source, about_topic as topic, about_partition as partition, "
        'about_offset as "offset", message, alert_id as id',
        "from tickledger.alerts",
        "time",
        ("time", "alert_id"),
        "exists (select from unnest({names}) as name where subject = name or right(subject, length(name) + 1) "
        "= '/' || name)",
    ),
    "sources": Select(
        "time, feed, kind, listing, from_n, to_n, from_time, to_time, server_offset_s, detail, event_id as id",
        "from tickledger.sources",
        "time",
        ("time", "event_id"),
        "(listing = any({names}) or listing = '' and feed = any(select split_part(name, '/', 1) "
        "from unnest({names}) as name))",
    ),
    "reference": Select(
        "ref_no, kind, subject, effective_from, written, body::text as record",
        "from tickledger.reference",
        "written",
        ("ref_no",),
        "(subject = any({names}) or kind = 'OperatorActivation' and (body::jsonb -> 'listings' = '[]' "
        "or body::jsonb -> 'listings' ?| {names}))",
    ),
}
_PAGE: Final = 10_000
_ALL: Final = _EVENTS | ACCOUNT_SELECTS


def events(connection: Connection, question: Question) -> Iterator[pl.DataFrame]:
    """The rows; with `question.rows`, also `_place`: where each stands in the order. Raises ValueError if
    `question.after` is no such place."""
    asked = _ALL[question.what]
    conditions = question.between(asked.time)
    if question.account is not None and question.what in ACCOUNT_ANSWERS:
        conditions.append(sql.SQL("account = {}").format(sql.Literal(question.account)))
    if question.listings:
        some = sql.Literal([listing.name for listing in question.listings]) + sql.SQL("::text[]")
        conditions.append(sql.SQL(asked.of_listing).format(names=some))
    if question.what == "reference":
        conditions.append(sql.SQL("ref_no >= {}").format(sql.Literal(question.from_n)))
    if question.rows is not None:
        conditions.append(question.rows)
    if question.after:
        conditions.append(_behind(asked.order, question.after))
    where = sql.SQL(" where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL("")
    backwards = " desc" if question.tail else ""
    query = sql.SQL("select {}{} {}{} order by {}").format(
        sql.SQL(asked.columns),
        sql.SQL("" if question.rows is None else f", {_place(asked.order)} as _place"),
        sql.SQL(asked.source),
        where,
        sql.SQL(", ".join(part + backwards for part in asked.order)),
    )
    if question.limit is not None:
        query += sql.SQL(" limit {}").format(sql.Literal(question.limit))
    columns = COLUMNS[question.what]
    schema: dict[str, type[pl.DataType]] = {column.name: TYPES[column.kind] for column in columns}
    if question.rows is not None:
        schema["_place"] = pl.String
    pages = []
    with connection.transaction(), connection.cursor("answer", binary=True) as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(_PAGE):
            plain = [tuple(v.ms if isinstance(v, Moment) else v for v in row) for row in rows]
            frame = pl.DataFrame(plain, schema=schema, orient="row")
            if question.tail:
                pages.append(frame.reverse())
            else:
                yield frame
    yield from reversed(pages)


def _place(order: tuple[str, ...]) -> str:
    """A row's place in the order, as JSON; its time in text, which keeps the microseconds."""
    return f"json_build_array({order[0]}::text, {', '.join(order[1:])})::text"


def _behind(order: tuple[str, ...], place: tuple[int | str, ...]) -> sql.Composable:
    """That a row comes after `place`; its time also by itself, which chooses partitions."""
    if len(place) != len(order):
        raise ValueError(f"{place} is no place in the order of {', '.join(order)}")
    texts = [sql.Literal(str(value)) for value in place]
    values = [sql.SQL("{}::timestamptz").format(texts[0]), *texts[1:]]
    return sql.SQL("{time} >= {from_time} and ({order}) > ({place})").format(
        time=sql.SQL(order[0]),
        from_time=values[0],
        order=sql.SQL(", ".join(order)),
        place=sql.SQL(", ").join(values),
    )
