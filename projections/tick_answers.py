"""Ticks: listing by listing, by n, a page a query, so that no long transaction makes the projector wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from psycopg import sql

from projections.copy import Layout, native, read_rows
from projections.database import Connection
from projections.formats import ROW_GROUP
from projections.moments import EPOCH_MS, INFINITY, MINUS_INFINITY, Moment
from projections.question import Question
from schemas.quality import names

Structured = npt.NDArray[Any]

_TICK: Final = Layout(
    "ticks",
    {
        "n": "int8",
        "time": "timestamptz",
        "bid": "float8",
        "ask": "float8",
        "last": "float8",
        "volume": "float8",
        "flags": "int4",
        "quality": "int4",
        "time_ms": "int8",
        "deals": "bool",
    },
)
_TICK_SELECT: Final = (
    "select n, time, bid, ask, coalesce(last, 'nan') as last, coalesce(volume, 'nan') as volume, flags, quality, "
    "coalesce(time_ms, 0) as time_ms, last is not null as deals from tickledger.ticks"
)


def ticks(connection: Connection, question: Question) -> Iterator[pl.DataFrame]:
    left = question.limit
    for listing in question.listings if not question.tail else reversed(question.listings):
        if listing.id is None or left == 0:
            continue
        bounds = _bounds(connection, listing.id, question)
        if bounds is None:
            continue
        some = replace(question, limit=left)
        pages = _last_ticks if question.tail else _tick_pages
        for page in pages(connection, listing.id, bounds, some):
            left = None if left is None else left - len(page)
            yield _tick_frame(page, listing.name)


def _tick_pages(
    connection: Connection, listing: int, bounds: tuple[int, int], question: Question
) -> Iterator[Structured]:
    low, high = bounds
    left = question.limit
    while low < high and left != 0:
        end = min(high, low + ROW_GROUP)
        query = sql.SQL("{} where {} and n >= {} and n < {} order by n limit {}").format(
            sql.SQL(_TICK_SELECT), _tick_filter(listing, question), sql.Literal(low), sql.Literal(end),
            sql.Literal(left),
        )  # fmt: skip
        page = np.concatenate([np.empty(0, _TICK.dtype), *read_rows(connection, _TICK, query)])
        low, left = end, None if left is None else left - len(page)
        if len(page):
            yield page


def _last_ticks(
    connection: Connection, listing: int, bounds: tuple[int, int], question: Question
) -> Iterator[Structured]:
    query = sql.SQL("select * from ({} where {} and n < {} order by n desc limit {}) as page order by n").format(
        sql.SQL(_TICK_SELECT), _tick_filter(listing, question), sql.Literal(bounds[1]), sql.Literal(question.limit)
    )
    yield from read_rows(connection, _TICK, query)


def _tick_filter(listing: int, question: Question) -> sql.Composable:
    conditions: list[sql.Composable] = [sql.SQL("listing_id = {}").format(sql.Literal(listing)), *question.between()]
    if question.good:
        conditions.append(sql.SQL("quality = 0"))
    return sql.SQL(" and ").join(conditions)


def _bounds(connection: Connection, listing: int, question: Question) -> tuple[int, int] | None:
    """[low, high) of n in which all ticks of the time range lie.

    Good ticks come in order of time, so the blocks at the ends of the range bound them; broken ones that claim a time
    inside it, wherever they lie in the log, are looked up by themselves.
    """
    row = connection.execute(
        "select next from (select n as next from tickledger.heads join tickledger.listings on name = chain "
        "where topic = 'ticks' and id = %s) as head",
        (listing,),
    ).fetchone()
    if row is None or not row[0]:
        return None
    end = int(row[0])
    low, high = question.from_n, end if question.to_n is None else min(end, question.to_n)
    if question.from_ms is None and question.to_ms is None:
        return (low, high) if low < high else None
    if question.from_ms is not None:
        low = max(low, _edge(connection, listing, question.from_ms, "first_n", high))
    if question.to_ms is not None:
        high = min(high, _edge(connection, listing, question.to_ms, "first_n + count", high))
    numbers = sql.SQL("n >= {} and n < {}").format(
        sql.Literal(question.from_n), sql.Literal(end if question.to_n is None else min(end, question.to_n))
    )
    stray = connection.execute(
        sql.SQL(
            "select min(n), max(n) + 1 from tickledger.ticks where listing_id = {} and (quality & 255) <> 0 and {}"
        ).format(sql.Literal(listing), sql.SQL(" and ").join([numbers, *question.between()]))
    ).fetchone()
    if stray is not None and stray[0] is not None:
        low, high = min(low, int(stray[0])), max(high, int(stray[1]))
    return (low, high) if low < high else None


def _edge(connection: Connection, listing: int, time_ms: int, what: str, otherwise: int) -> int:
    """`what` of the first block whose newest good tick is at or after `time_ms`."""
    row = connection.execute(
        sql.SQL(
            "select {} from tickledger.tick_blocks where listing_id = {} and time >= {} order by time, first_n limit 1"
        ).format(sql.SQL(what), sql.Literal(listing), Moment.of_ms(time_ms).literal())
    ).fetchone()
    return otherwise if row is None else int(row[0])


def _tick_frame(page: Structured, listing: str) -> pl.DataFrame:
    columns = {name: native(page, name) for name in ("n", "bid", "ask", "last", "volume", "flags", "quality")}
    deals = pl.Series(page["deals"].astype(bool))
    qualities, which = np.unique(columns["quality"], return_inverse=True)
    reasons = pl.Series(["|".join(names(int(quality))) for quality in qualities], dtype=pl.String)
    return pl.DataFrame(columns | {"time": _milliseconds(page)}).with_columns(
        pl.lit(listing).alias("listing"),
        *(pl.when(deals).then(pl.col(name)).otherwise(None).alias(name) for name in ("last", "volume")),
        reasons.gather(which).alias("quality"),
    )


def _milliseconds(page: Structured) -> npt.NDArray[np.int64]:
    """Times as UTC epoch in milliseconds; of an infinite one what its row has kept."""
    times = native(page, "time")
    exact: npt.NDArray[np.int64] = times // 1000 + EPOCH_MS
    infinite = (times == INFINITY) | (times == MINUS_INFINITY)
    return np.where(infinite, native(page, "time_ms"), exact) if infinite.any() else exact
