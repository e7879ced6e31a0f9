"""Bars: one stream by time.

Of several activations of the instance the one that was in force counts: each from its first bar on, timeframe by
timeframe, until the first bar of the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl
from psycopg import sql

from projections.copy import BARS, Layout, native, read_rows
from projections.database import Connection
from projections.moments import Moment
from projections.question import Question
from schemas.timeframes import Timeframe

BARS_INSTANCE: Final = "bars"
"""The instance whose bars are shown."""

_BAR: Final = Layout(
    "bars",
    {
        "listing_id": "int4",
        "timeframe": "int2",
        "time": "timestamptz",
        **{name: BARS.columns[name] for name in ("open", "high", "low", "close", "ask_close", "ticks")},
        **{name: BARS.columns[name] for name in ("spread_min", "spread_mean", "spread_max", "volume", "complete")},
    },
)


def bars(connection: Connection, question: Question) -> Iterator[pl.DataFrame]:
    by_id = {listing.id: listing.name for listing in question.listings if listing.id is not None}
    spans = _spans(connection, list(by_id), question.timeframe)
    if not spans:
        return
    conditions = [sql.SQL("({})").format(sql.SQL(" or ").join(spans)), *question.between()]
    if question.timeframe is not None:
        conditions.append(sql.SQL("timeframe = {}").format(sql.Literal(int(question.timeframe))))
    names_of = sql.SQL(", ").join(sql.Identifier(name) for name in _BAR.columns)
    # Names order as they are read, ids as they came.
    place = sql.SQL("array_position({}::int[], listing_id)").format(sql.Literal(list(by_id)))
    order = [sql.SQL("time"), place, sql.SQL("timeframe"), sql.SQL("out_seq")]
    query = sql.SQL("select {} from tickledger.bars where {} order by {}").format(
        names_of, sql.SQL(" and ").join(conditions), sql.SQL(", ").join(order)
    )
    if question.limit is not None:
        backwards = sql.SQL(" desc" if question.tail else "")
        query = sql.SQL(
            "select {} from (select *, row_number() over () as place from (select {}, out_seq from tickledger.bars "
            "where {} order by {} limit {}) as chosen) as numbered order by place {}"
        ).format(
            names_of,
            names_of,
            sql.SQL(" and ").join(conditions),
            sql.SQL(", ").join(part + backwards for part in order),
            sql.Literal(question.limit),
            backwards,
        )
    for page in read_rows(connection, _BAR, query):
        frame = {name: native(page, name) for name in _BAR.columns if name not in ("time", "complete")}
        yield pl.DataFrame(frame).with_columns(
            pl.Series("listing", [by_id[i] for i in page["listing_id"].tolist()], pl.String),
            pl.Series("timeframe", [Timeframe(t).name for t in page["timeframe"].tolist()], pl.String),
            pl.Series("time", [Moment(t).ms for t in page["time"].tolist()], pl.Int64),
            pl.Series("complete", page["complete"].astype(bool)),
        )


def _spans(connection: Connection, listings: list[int], timeframe: Timeframe | None) -> list[sql.Composable]:
    """Conditions of which each bar of the activations in force fulfils one."""
    rows = connection.execute(
        "select listing_id, operator_id from tickledger.out_marks join tickledger.operators on id = operator_id "
        "where topic = 'bars' and instance = %s and listing_id = any(%s) order by listing_id, ref_no",
        (BARS_INSTANCE, listings),
    ).fetchall()
    operators: dict[int, list[int]] = {}
    for listing, operator in rows:
        operators.setdefault(listing, []).append(operator)
    spans: list[sql.Composable] = []
    for listing, those in operators.items():
        if len(those) == 1:
            spans.append(_span("listing_id = {} and operator_id = {}", listing, those[0]))
            continue
        for frame in Timeframe if timeframe is None else (timeframe,):
            spans += _activation_spans(connection, listing, those, frame)
    return spans


def _activation_spans(
    connection: Connection, listing: int, operators: list[int], timeframe: Timeframe
) -> list[sql.Composable]:
    spans: list[sql.Composable] = []
    end: Moment | None = None
    for operator in reversed(operators):
        with connection.cursor(binary=True) as cursor:
            row = cursor.execute(
                "select time from tickledger.bars where listing_id = %s and operator_id = %s and timeframe = %s "
                "order by time limit 1",
                (listing, operator, int(timeframe)),
            ).fetchone()
        if row is None:
            continue
        text = "listing_id = {} and operator_id = {} and timeframe = {}"
        span = _span(text, listing, operator, int(timeframe))
        spans.append(span if end is None else span + sql.SQL(" and time < {}").format(end.literal()))
        end = row[0] if end is None else min(end, row[0])
    return spans


def _span(text: str, *values: int) -> sql.Composed:
    return sql.SQL(text).format(*map(sql.Literal, values))
