"""What is asked of the database."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from projections.listings import Known
from projections.moments import Moment
from schemas.timeframes import Timeframe


@dataclass(frozen=True)
class Question:
    """`what` names an answer of projections/columns.py. Times are UTC epoch in milliseconds, [from_ms, to_ms).

    `listings`: whose rows; empty = all, also those of none (of ticks and bars: name all that are wanted).
    `account`: whose, of the answers about accounts; None = all.
    `from_n`, `to_n`: of ticks, [from_n, to_n); None = to the end. `from_n` is also the first number of `reference`.
    `limit`: so many rows, the first, or with `tail` the last; None = all. `tail` needs a limit.
    `rows`: a condition on all rows; answers then have a column `_place` too, a JSON array. Not of ticks or reference.
    `after`: only rows behind this place; empty = all.
    """

    what: str
    listings: tuple[Known, ...] = ()
    timeframe: Timeframe | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    from_n: int = 0
    to_n: int | None = None
    good: bool = False
    limit: int | None = None
    tail: bool = False
    account: str | None = None
    rows: sql.Composable | None = None
    after: tuple[int | str, ...] = ()

    def between(self, column: str = "time") -> list[sql.Composable]:
        """Conditions that `column` lies in the range."""
        bounds = ((">=", self.from_ms), ("<", self.to_ms))
        return [
            sql.SQL("{} {} {}").format(sql.Identifier(column), sql.SQL(sign), Moment.of_ms(time_ms).literal())
            for sign, time_ms in bounds
            if time_ms is not None
        ]
