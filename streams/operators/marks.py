"""What reaches a desk and leaves it in columns: quotes at whole seconds, and an account's equity at whole minutes."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.ticks import Doubles, Ints, Longs
from schemas.trading import EquityMarked


class ClockRows(NamedTuple):
    """Quotes as a journal's CLOCK carries them, in the order in which they were taken.

    us int64[n] (strictly increasing from one second to the next; rows of one second, of several listings, have the
    same), listing int32[n] (index into `names`), n and time_ms int64[n], bid and ask float64[n], quality int32[n],
    watermark_ms int64[n].
    """

    names: tuple[str, ...]
    us: Longs
    listing: Ints
    n: Longs
    time_ms: Longs
    bid: Doubles
    ask: Doubles
    quality: Ints
    watermark_ms: Longs

    def part(self, start: int, end: int) -> ClockRows:
        """Rows [start, end)."""
        s = slice(start, end)
        return ClockRows(
            self.names, self.us[s], self.listing[s], self.n[s], self.time_ms[s], self.bid[s], self.ask[s],
            self.quality[s], self.watermark_ms[s],
        )  # fmt: skip


MARK_DTYPE: Final = np.dtype(
    [
        ("taken_us", "<i8"),
        ("minute_ms", "<i8"),
        ("balance", "<i8"),
        ("equity", "<i8"),
        ("margin", "<i8"),
        ("peak", "<i8"),
        ("positions", "<i8"),
        ("out_seq", "<i8"),
        ("ref_no", "<i8"),
    ]
)
"""Equity at whole minutes, as the fields of `EquityMarked`; money in units of 10^-8 of the account's currency, already
rounded to its digits. taken_us is the minute itself, whichever entry of the journal it came with."""

Marks = npt.NDArray[np.void]
"""Rows of MARK_DTYPE: `EquityMarked` in columns."""


def marks_to_records(marks: Marks, *, operator: str, account: str, digits: int) -> list[EquityMarked]:
    """The rows as records; `digits` are those of the account's money."""
    return [
        EquityMarked(
            operator=operator,
            account=account,
            out_seq=out_seq,
            ref_no=ref_no,
            taken_us=taken_us,
            minute_ms=minute_ms,
            balance=_money(balance, digits),
            equity=_money(equity, digits),
            margin=_money(margin, digits),
            peak=_money(peak, digits),
            positions=positions,
        )
        for taken_us, minute_ms, balance, equity, margin, peak, positions, out_seq, ref_no in marks.tolist()
    ]


def _money(units: int, digits: int) -> Decimal:
    return Decimal(units).scaleb(-8).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
