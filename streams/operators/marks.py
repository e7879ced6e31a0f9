"""What leaves a desk in columns: an account's equity at whole minutes."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.trading import EquityMarked

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
