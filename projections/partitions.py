"""Partitions of the tables that grow: which months and years the rows of a batch need, and making them.

Only times from 1970 to 2099 get partitions of their own: what lies beyond is a broken clock's, or nobody's yet, and
waits in the default partition, so that no input can make more than 1,560 of them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from projections.database import Connection

Longs = npt.NDArray[np.int64]
Step = Literal["month", "year"]

_FIRST_MS: Final = 0
_END_MS: Final = int(np.datetime64("2100-01-01", "ms").astype(np.int64))


class Partitions:
    """The partitions that are there, so that the database is asked for each of them once."""

    def __init__(self) -> None:
        self._there: set[tuple[str, int]] = set()

    def make(self, connection: Connection, table: str, step: Step, time_ms: Longs) -> None:
        """Makes what `table` lacks for rows at `time_ms`, each in a transaction of its own: readers wait only briefly,
        and a partition without rows does no harm."""
        for number in periods(step, time_ms):
            if (table, number) not in self._there:
                start, end = _bounds(step, number)
                name = f"{table}_{start:%Y_%m}" if step == "month" else f"{table}_{start:%Y}"
                connection.execute("select tickledger.make_partition(%s, %s, %s, %s)", (table, name, start, end))
                self._there.add((table, number))


def periods(step: Step, time_ms: Longs) -> list[int]:
    """Months or years since 1970 that hold one of `time_ms` (UTC epoch), ascending, within 1970 to 2099."""
    if not len(time_ms):
        return []
    unit = "datetime64[M]" if step == "month" else "datetime64[Y]"
    span = np.array([time_ms.min(), time_ms.max()]).clip(_FIRST_MS, _END_MS - 1)
    first, last = span.astype("datetime64[ms]").astype(unit).astype(np.int64).tolist()
    inside = time_ms[(time_ms >= _FIRST_MS) & (time_ms < _END_MS)]
    if first == last:
        return [first] if len(inside) else []
    found: list[int] = np.unique(inside.astype("datetime64[ms]").astype(unit).astype(np.int64)).tolist()
    return found


def _bounds(step: Step, number: int) -> tuple[datetime, datetime]:
    if step == "year":
        return datetime(1970 + number, 1, 1, tzinfo=UTC), datetime(1971 + number, 1, 1, tzinfo=UTC)
    start = datetime(1970 + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    number += 1
    return start, datetime(1970 + number // 12, number % 12 + 1, 1, tzinfo=UTC)
