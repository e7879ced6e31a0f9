"""Signals as columns: what a strategy's kernel writes, before the log's records are made of them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.events import EntryType, OnOpposite, Side, SignalKind

Signals = npt.NDArray[np.void]
"""Rows of SIGNAL_DTYPE, in output order."""

MESSAGE_BYTES: Final = 160

SIGNAL_DTYPE: Final = np.dtype(
    [
        ("proof_n", "<i8"),
        ("proof_ms", "<i8"),
        ("kind", "<i8"),
        ("side", "<i8"),
        ("time_ms", "<i8"),
        ("n", "<i8"),
        ("from_n", "<i8"),
        ("bid", "<f8"),
        ("ask", "<f8"),
        ("valid_for_ms", "<i8"),
        ("stop_distance", "<f8"),
        ("target_distance", "<f8"),
        ("trail_long", "<f8"),
        ("trail_short", "<f8"),
        ("breakeven_at", "<f8"),
        ("max_hold_ms", "<i8"),
        ("on_opposite", "<i8"),
        ("cooldown_ms", "<i8"),
        ("strength", "<f8"),
        ("entry_type", "<i8"),
        ("price", "<f8"),
        ("expires_ms", "<i8"),
        ("partial_at", "<f8"),
        ("partial_share", "<f8"),
        ("message", f"S{MESSAGE_BYTES}"),
    ]
)
"""`proof_n`, `proof_ms`: the tick that proved it, or the next tick and the watermark. kind, side, on_opposite and
entry_type are codes as below, NaN is none, the rest has the units of `Signal.avsc`. Every field before `message` has
eight bytes: kernels write rows through an int64 and a float64 view of one buffer."""

SIGNAL_WORDS: Final = SIGNAL_DTYPE.itemsize // 8

KINDS: Final = tuple(SignalKind)
SIDES: Final = tuple(Side)
ON_OPPOSITE: Final = tuple(OnOpposite)
ENTRY_TYPES: Final = tuple(EntryType)

ENTER: Final = KINDS.index(SignalKind.ENTER)
EXIT: Final = KINDS.index(SignalKind.EXIT)
LEVELS: Final = KINDS.index(SignalKind.LEVELS)
FAILED: Final = KINDS.index(SignalKind.FAILED)
NONE: Final = SIDES.index(Side.NONE)
LONG: Final = SIDES.index(Side.LONG)
SHORT: Final = SIDES.index(Side.SHORT)
CLOSE: Final = ON_OPPOSITE.index(OnOpposite.CLOSE)
IGNORE: Final = ON_OPPOSITE.index(OnOpposite.IGNORE)
NO_ENTRY: Final = ENTRY_TYPES.index(EntryType.NONE)
MARKET: Final = ENTRY_TYPES.index(EntryType.MARKET)
LIMIT: Final = ENTRY_TYPES.index(EntryType.LIMIT)
STOP: Final = ENTRY_TYPES.index(EntryType.STOP)

_OPTIONAL: Final = (
    "stop_distance", "target_distance", "trail_long", "trail_short", "breakeven_at", "price", "partial_at",
    "partial_share",
)  # fmt: skip


def blank_rows(n: int, kind: int, side: int) -> Signals:
    """`n` rows of this kind and side that have no plan: all numbers 0, what may be missing NaN."""
    rows = np.zeros(n, SIGNAL_DTYPE)
    rows["kind"], rows["side"], rows["on_opposite"], rows["entry_type"] = kind, side, IGNORE, NO_ENTRY
    for name in _OPTIONAL:
        rows[name] = np.nan
    return rows
