"""One entry at work: the time that it was taken, and what is decided because of it, numbered as it is said.

Where nobody reads what tells of the way (`terse`), such records are numbered all the same, and not made.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any

from schemas.integrity import ZERO_MAC
from schemas.trading import Decided
from streams.operators.desk.state import Cause, DeskState
from streams.operators.marks import Marks

MONEY_DIGITS = 8
"""Money in columns is in units of 10^-8."""


class Turn:
    """The desk's only now, and its outputs in order."""

    __slots__ = ("acted", "out", "state", "terse", "us")

    def __init__(self, state: DeskState, us: int, terse: bool = False) -> None:
        self.state = state
        self.us = us
        self.terse = terse
        self.out: list[Decided | Marks] = []
        self.acted = False
        """Something other than marks was said."""

    def say(self, topic: str, kind: type[Any], **fields: Any) -> None:
        """A record on `topic`, with the next number there."""
        state = self.state
        seq = state.out_seqs.get(topic, 0)
        state.out_seqs[topic] = seq + 1
        self.acted = True
        self.out.append(
            kind(
                operator=state.operator, account=state.account, out_seq=seq, ref_no=state.ref_no, taken_us=self.us,
                **fields,
            )
        )  # fmt: skip

    def pass_over(self, topic: str) -> None:
        """Numbers a record on `topic` that nobody reads, and doesn't make it."""
        seqs = self.state.out_seqs
        seqs[topic] = seqs.get(topic, 0) + 1
        self.acted = True

    def order(self, kind: type[Any], **fields: Any) -> None:
        """A record on `orders`; who sends it seals it."""
        self.say("orders", kind, key_id="", mac=ZERO_MAC, **fields)

    def marks(self, rows: Marks) -> None:
        """Rows of MARK_DTYPE, numbered on from the newest record on `portfolio`."""
        seqs = self.state.out_seqs
        seqs["portfolio"] = seqs.get("portfolio", 0) + len(rows)
        self.out.append(rows)


def caused(cause: Cause) -> dict[str, Any]:
    """The three fields by which a record names its signal."""
    return {"signal_operator": cause.operator, "signal_listing": cause.listing, "signal_seq": cause.seq}


@lru_cache(maxsize=1024)
def units(money: Decimal) -> int:
    """Money in units of 10^-8."""
    return int(money.scaleb(MONEY_DIGITS).to_integral_value())
