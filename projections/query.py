"""Questions to the database and their answers, in frames that are read as they are wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from projections.bar_answers import bars
from projections.columns import COLUMNS, Column
from projections.database import Connection
from projections.event_answers import events
from projections.formats import TYPES
from projections.question import Question
from projections.tick_answers import ticks


@dataclass(frozen=True)
class Answer:
    """Rows in ascending order, a frame at a time, which may have `_place` behind the columns; they can be read once."""

    columns: Sequence[Column]
    frames: Iterator[pl.DataFrame]


def answer(connection: Connection, question: Question) -> Answer:
    """The answer, read from `connection` while it is consumed."""
    find = {"ticks": ticks, "bars": bars}.get(question.what, events)
    columns = COLUMNS[question.what]
    shown = [pl.col(column.name).cast(TYPES[column.kind]) for column in columns]
    if question.rows is not None:
        shown.append(pl.col("_place"))
    frames = (frame.select(shown) for frame in find(connection, question))
    return Answer(columns, frames)
