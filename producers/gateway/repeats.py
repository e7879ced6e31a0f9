"""What the desk asks for again and again because the terminal refuses it: people are told once, and when it is over.

The desk's own answer to a refused exit is another order, later each time, until the position is gone; a modification is
asked for again as soon as it is due. A market that is closed over a weekend is met so by hundreds of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from producers.gateway.alarms import Alarms
from producers.gateway.book import Known
from producers.gateway.chain import Chain
from producers.gateway.outage import Outage
from producers.mt5 import TradePosition
from schemas.events import Severity
from schemas.executions import OrderState
from schemas.trading import OrderPurpose, Submitted

IN_A_ROW: Final = 3
"""So many modifications of a position that are refused one after the other are told."""


class _Exit(NamedTuple):
    """The orders by which the desk has tried to leave a position."""

    first: Submitted
    last: Submitted


class Repeats:
    """Exits and modifications of an account that don't get through."""

    def __init__(self, chain: Chain, alarms: Alarms) -> None:
        self._book, self._alarms = chain.book, alarms
        self._exits: dict[int, _Exit] = {}
        self._undone: dict[int, Outage] = {}
        self._unmoved: dict[int, Outage] = {}

    def asked(self, order: Submitted) -> None:
        """The next new order of the desk, done or not; only exits matter."""
        if order.purpose is OrderPurpose.EXIT:
            before = self._exits.get(order.position)
            first = before.first if before is not None and order.retry else order
            self._exits[order.position] = _Exit(first, order)

    def look(self, positions: Sequence[TradePosition]) -> None:
        """What of it holds, by the positions that are at the terminal now."""
        there = {position.identifier: position for position in positions}
        for number, tried in list(self._exits.items()):
            self._see_exit(number, tried, number in there)
        for number in [number for number in self._unmoved if number not in there]:
            self._unmoved.pop(number).end(f"position {number} is closed", "its levels were refused")
        for number, position in there.items():
            held = self._book.positions.get(number)
            known = self._book.orders.get(held.order_no) if held is not None else None
            if held is not None and known is not None:
                self._see_levels(known, held.listing, position)

    def _see_exit(self, number: int, tried: _Exit, there: bool) -> None:
        order, known = tried.last, self._book.order(tried.last.order_no)
        if not there or known.state is OrderState.FILLED:
            del self._exits[number]
            if (outage := self._undone.pop(number, None)) is not None:
                which = f"position {number} in {order.listing}"
                if there:
                    outage.end(f"the exit of {which} is done", "it wasn't")
                else:
                    outage.end(f"{which} is closed", "its exit wasn't done")
        elif known.over and (known.state is OrderState.REJECTED or order.retry):
            outage = self._undone.get(number)
            if outage is None:
                outage = self._undone[number] = Outage(self._alarms, "exit_refused", "exit_done", about=str(number))
            outage.begin(tried.first.taken_us)
            outage.tell(
                f"{_ended(known)}: the exit of position {number} in {order.listing} isn't done",
                "the desk asks for it again, at least every 5 minutes; if that can't be waited for, close the position "
                "in the terminal",
            )

    def _see_levels(self, known: Known, listing: str, position: TradePosition) -> None:
        number = position.identifier
        if not known.unmoved:
            if (outage := self._unmoved.pop(number, None)) is not None:
                outage.end(f"a modification of position {number} in {listing} was taken", "they were refused")
        elif known.unmoved >= IN_A_ROW and known.refusal is not None:
            outage = self._unmoved.get(number)
            if outage is None:
                outage = self._unmoved[number] = Outage(
                    self._alarms, "levels_refused", "levels_taken", about=str(number), severity=Severity.WARNING
                )
            outage.begin(known.unmoved_ms * 1000)
            outage.tell(
                f"{known.unmoved} modifications of position {number} in {listing} in a row were refused, the last one "
                f"with {known.refusal.retcode} ({known.refusal.reason})",
                f"it keeps its stop at {position.sl:g} and its target at {position.tp:g} (0 = none); the desk asks "
                "again, at least every 5 minutes; if they must not stay, close the position in the terminal",
            )


def _ended(known: Known) -> str:
    """How an order that closed nothing, or not all, came to its end."""
    if known.state is not OrderState.REJECTED:
        return f"order {known.order_no} ended {known.state.lower()} with {known.remaining} lots of it left"
    if known.refusal is None:
        return f"order {known.order_no} was not executed"
    return f"order {known.order_no} was refused with {known.refusal.retcode} ({known.refusal.reason})"
