"""What has to hold at the end of a day, whatever went wrong in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import Console

from schemas.executions import Expired, OrderRequest, OrderState, Reconciled, Rejected, Sending
from schemas.trading import OrderType
from tests.e2e.chaos.day import TradingDay

_EXPERT = 3
"""Reason of an order that a program placed; the server's own are stops, targets and stop-outs."""


def differences(day: TradingDay) -> list[str]:
    """Waits until all of a played day has arrived; a sentence for each thing that isn't as it has to be.

    Each stage against the one before it: ticks on the log and the terminal's history row by row, signals and those of
    the laboratory, money, database, what is derived again, deals and positions of log and terminal. And each order
    that the desk intended is at the terminal once, or it is told why it isn't there at all.
    """
    day.day.wait(until_asked_for=False)
    found = [
        f"{finding.stage}: {problem}"
        for finding in day.day.findings(Console(quiet=True))
        for problem in finding.problems
    ]
    return [*found, *_orders(day)]


def _orders(day: TradingDay) -> Iterator[str]:
    orders = day.orders()
    intended = {order.order_no for order in orders}
    executions = day.executions()
    # Number 0: what was closed at the terminal itself, without the desk.
    placed = [r.order_no for r in executions if isinstance(r, Sending) and r.request is OrderRequest.PLACE]
    sent = Counter(number for number in placed if number)
    refused = {r.order_no for r in executions if isinstance(r, Rejected) and r.request is OrderRequest.PLACE}
    refused |= {r.order_no for r in executions if isinstance(r, Reconciled) and r.state is OrderState.REJECTED}
    # Also of an order whose Sending was written: it may come too late behind others that theirs were written with.
    expired = {r.order_no for r in executions if isinstance(r, Expired)}
    ours = [order for order in day.mt5.history_orders_get(0, 2**31 - 1) or () if order.reason == _EXPERT]
    there = Counter(order.magic for order in (*ours, *(day.mt5.orders_get() or ())) if order.magic)
    for number in sorted({*sent, *there}):
        if sent[number] > 1 or there[number] > 1:
            yield f"order {number} was sent {sent[number]} times and is at the terminal {there[number]} times"
    for number in sorted(intended - set(sent) - expired - refused):
        yield f"order {number} was intended and never sent, refused or expired"
    for number in sorted(set(sent) - intended):
        yield f"order {number} was sent and never intended"
    for number in sorted(set(sent) - refused - expired - set(there)):
        yield f"order {number} was sent and not refused, and is not at the terminal"
    at_market = {order.order_no for order in orders if order.type is OrderType.MARKET}
    for number in sorted(expired & at_market & set(there)):
        yield f"order {number} was told to be over before it was sent, and is at the terminal"
    for number in sorted(set(there) - (set(sent) - refused)):
        yield f"order {number} is at the terminal, and the log doesn't say that it was sent and taken"
