"""Bars: one stream by time.

Of several activations of the instance the one that was in force counts: each from its first bar on, timeframe by
timeframe, until the first bar of the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import polars as pl
from psycopg import sql

from projections.copy import BARS, Layout, native, read_rows
from projections.database import Connection
from projections.moments import Moment
from projections.question import Question
from projections.tick_answers import Structured
from schemas.timeframes import Timeframe

BARS_INSTANCE: Final = "bars"
"""The instance whose bars are shown."""

_BAR: Final = Layout(
    "bars",
    {
        "listing_id": "int4",
        "timeframe": "int2",
        "time": "timestamptz",
        "out_seq": "int8",
        **{name: BARS.columns[name] for name in ("open", "high", "low", "close", "ask_close", "ticks")},
        **{name: BARS.columns[name] for name in ("spread_min", "spread_mean", "spread_max", "volume", "complete")},
    },
)


def bars(connection: Connection, question: Question) -> Iterator[pl.DataFrame]:
    """The rows; with `question.rows`, also `_place`: where each stands in the order. Raises ValueError if
    `question.after` is no such place."""
    by_id = {listing.id: listing.name for listing in question.listings if listing.id is not None}
    spans = _spans(connection, list(by_id), question.timeframe)
    if not spans:
        return
    conditions = [sql.SQL("({})").format(sql.SQL(" or ").join(spans)), *question.between()]
    if question.timeframe is not None:
        conditions.append(sql.SQL("timeframe = {}").format(sql.Literal(int(question.timeframe))))
    if question.rows is not None:
        conditions.append(question.rows)
    names_of = sql.SQL(", ").join(sql.Identifier(name) for name in _BAR.columns)
    # Names order as they are read, ids as they came.
    place = sql.SQL("array_position({}::int[], listing_id)").format(sql.Literal(list(by_id)))
    order: list[sql.Composable] = [sql.SQL("time"), place, sql.SQL("timeframe"), sql.SQL("out_seq")]
    if question.after:
        conditions.append(_behind(order, question.after, list(by_id.values())))
    query = sql.SQL("select {} from tickledger.bars where {} order by {}").format(
        names_of, sql.SQL(" and ").join(conditions), sql.SQL(", ").join(order)
    )
    if question.limit is not None:
        backwards = sql.SQL(" desc" if question.tail else "")
        query = sql.SQL(
            "select {} from (select *, row_number() over () as place from (select {} from tickledger.bars "
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
        listings = [by_id[i] for i in page["listing_id"].tolist()]
        places = [] if question.rows is None else [pl.Series("_place", _places(page, listings), pl.String)]
        yield pl.DataFrame(frame).with_columns(
            *places,
            pl.Series("listing", listings, pl.String),
            pl.Series("timeframe", [Timeframe(t).name for t in page["timeframe"].tolist()], pl.String),
            pl.Series("time", [Moment(t).ms for t in page["time"].tolist()], pl.Int64),
            pl.Series("complete", page["complete"].astype(bool)),
        )


def _places(page: Structured, listings: list[str]) -> list[str]:
    """The rows' places in the order, as JSON; their times as PostgreSQL has them."""
    columns = (page["time"].tolist(), listings, page["timeframe"].tolist(), page["out_seq"].tolist())
    return [json.dumps(place) for place in zip(*columns, strict=True)]


def _behind(order: list[sql.Composable], place: tuple[Any, ...], listings: list[str]) -> sql.Composable:
    """That a row comes after `place`; its time also by itself, which chooses partitions."""
    time, listing, timeframe, out_seq = place
    values = [Moment(time).literal(), *map(sql.Literal, (listings.index(listing) + 1, int(timeframe), int(out_seq)))]
    ordered, behind = (sql.SQL(", ").join(parts) for parts in (order, values))
    return sql.SQL("time >= {} and ({}) > ({})").format(values[0], ordered, behind)


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
