"""Trades as every program of the comparison tells them, and where they differ from the judge's."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

CENT: Final = 0.005
PRICE: Final = 1e-9


class Trade(NamedTuple):
    """A closed position of one lot. Times: UTC milliseconds; side 1 long, -1 short; pnl after commission, USD."""

    entry_ms: int
    entry_price: float
    exit_ms: int
    exit_price: float
    side: int
    pnl: float


class Difference(NamedTuple):
    """What a program's trades are beside the judge's."""

    trades: int
    """How many more, or fewer."""
    entries: int
    """Entries of the judge that it has too: same side, within a bar."""
    pnl: float
    """Share by which the sum is higher."""


def of_run(folder: Path) -> list[Trade]:
    """The trades.csv of a run's folder."""
    with (folder / "trades.csv").open(encoding="utf-8", newline="") as file:
        return [
            Trade(
                _ms(row["entry_time"]),
                float(row["entry_price"]),
                _ms(row["exit_time"]),
                float(row["exit_price"]),
                1 if row["side"] == "long" else -1,
                float(row["pnl"]),
            )
            for row in csv.DictReader(file)
        ]


def of_json(told: Sequence[Sequence[Any]]) -> list[Trade]:
    """Trades as the peers' scripts print them."""
    return [Trade(int(a), float(b), int(c), float(d), int(e), float(f)) for a, b, c, d, e, f in told]


def equal(ours: Sequence[Trade], reference: Sequence[Trade]) -> str:
    """Empty if all trades are the same, prices and times exactly and PnL to the cent; else the first difference."""
    for number, (own, theirs) in enumerate(zip(ours, reference, strict=False), start=1):
        same = (
            own[:1] == theirs[:1]
            and own[2:3] == theirs[2:3]
            and own.side == theirs.side
            and abs(own.entry_price - theirs.entry_price) < PRICE
            and abs(own.exit_price - theirs.exit_price) < PRICE
            and abs(own.pnl - theirs.pnl) < CENT
        )
        if not same:
            return f"trade {number} is {json.dumps(own)}, the reference's {json.dumps(theirs)}"
    if len(ours) != len(reference):
        return f"there are {len(ours)} trades, the reference has {len(reference)}"
    return ""


def difference(theirs: Sequence[Trade], reference: Sequence[Trade], bar_ms: int) -> Difference:
    """How far a program is from the judge."""
    entries = sum(
        any(own.side == one.side and abs(own.entry_ms - one.entry_ms) < bar_ms for own in theirs) for one in reference
    )
    whole = sum(trade.pnl for trade in reference)
    share = (sum(trade.pnl for trade in theirs) - whole) / abs(whole) if whole else 0.0
    return Difference(len(theirs) - len(reference), entries, share)


def _ms(text: str) -> int:
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
