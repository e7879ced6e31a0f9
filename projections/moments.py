"""timestamptz as PostgreSQL holds it: microseconds since 2000 and two infinities, beyond what datetime can say.

The log's times are any int64 of milliseconds, since a broken clock's are kept too.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Final

from psycopg import pq, sql
from psycopg.abc import AdaptContext
from psycopg.adapt import Buffer, Dumper, Loader

EPOCH_MS: Final = 946_684_800_000
"""2000-01-01 UTC, where timestamptz counts from, in milliseconds since 1970."""

FIRST_MS: Final = EPOCH_MS - 211_813_488_000_000
"""The first millisecond that timestamptz holds: 4714-11-24 BC."""

END_MS: Final = EPOCH_MS + 9_223_371_331_200_000
"""One past the last: the year 294277."""

INFINITY: Final = 2**63 - 1
MINUS_INFINITY: Final = -(2**63)

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_TIMESTAMPTZ_OID: Final = 1184


class Moment(int):
    """A binary timestamptz."""

    @classmethod
    def of_ms(cls, time_ms: int) -> Moment:
        """UTC epoch in milliseconds; infinite beyond what the type holds."""
        return cls.of_us(time_ms * 1000)

    @classmethod
    def of_us(cls, time_us: int) -> Moment:
        """UTC epoch in microseconds; infinite beyond what the type holds."""
        if time_us < FIRST_MS * 1000:
            return cls(MINUS_INFINITY)
        return cls(INFINITY if time_us >= END_MS * 1000 else time_us - EPOCH_MS * 1000)

    @property
    def ms(self) -> int:
        """UTC epoch in milliseconds, a fraction cut; of an infinite moment the first or last that the type holds."""
        if self == MINUS_INFINITY:
            return FIRST_MS
        return END_MS - 1 if self == INFINITY else self // 1000 + EPOCH_MS

    def literal(self) -> sql.Composable:
        """The moment in SQL, exactly."""
        if self in (INFINITY, MINUS_INFINITY):
            return sql.SQL("timestamptz 'infinity'" if self > 0 else "timestamptz '-infinity'")
        try:
            return sql.SQL("timestamptz {}").format(sql.Literal(f"{_EPOCH + timedelta(microseconds=self)}"))
        except OverflowError:
            microseconds = sql.Literal(f"{int(self)} microseconds")
            return sql.SQL("(timestamptz '2000-01-01 00:00:00+00' + interval {})").format(microseconds)


def use_moments(context: AdaptContext) -> None:
    """Makes a connection or cursor send Moments and read each timestamptz of a binary answer as one."""
    if context.adapters is not None:
        context.adapters.register_dumper(Moment, _MomentDumper)
        context.adapters.register_loader("timestamptz", _MomentLoader)


class _MomentDumper(Dumper):
    format = pq.Format.BINARY
    oid = _TIMESTAMPTZ_OID

    def dump(self, obj: Moment) -> bytes:
        return struct.pack(">q", obj)


class _MomentLoader(Loader):
    format = pq.Format.BINARY

    def load(self, data: Buffer) -> Moment:
        return Moment(struct.unpack(">q", data)[0])
