"""A gateway that is killed at any moment, any number of times, sends each order once and loses nothing.

The terminal is the simulated one; the gateway runs in this process and is killed at the n-th call of the terminal, or
the n-th record of its chain, before or after it. What it meant to write and hadn't is gone, as with a process.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.executions import Filled, OrderRequest, OrderState, PartiallyFilled, Sending
from schemas.trading import OrderType, Submitted
from tests.unit.producers.gateway.room import BUY, SELL, Room, cancel, entry, falling, leave, modify, pending


class Killed(BaseException):
    """The process is gone."""


class Killer:
    """Counts moments down; at zero the process is gone."""

    def __init__(self) -> None:
        self.left = -1

    def moment(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


class Watched:
    """The terminal's module, with a moment before and after each call."""

    def __init__(self, mt5: Any, killer: Killer) -> None:
        self._mt5, self._killer = mt5, killer

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._mt5, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self._killer.moment()
            answer = call(*args, **kwargs)
            self._killer.moment()
            return answer

        return watched


class KilledRoom(Room):
    """A room whose gateway is made anew whenever it was killed."""

    def __init__(self, home: Path) -> None:
        self.killer = Killer()
        self.kills: list[int] = []
        super().__init__(home, falling(step=0.00002), begin=False)

    def restart(self) -> None:
        super().restart()
        self.venue._mt5 = Watched(self.venue._mt5, self.killer)
        write = self.chain.write

        def watched(record: Any) -> None:
            self.killer.moment()
            write(record)
            self.killer.moment()

        self.chain.write = watched  # type: ignore[method-assign]

    def survive(self, *requests: Any) -> None:
        """The desk asks; however often the gateway is killed, in the end nothing waits."""
        self.orders += requests
        new = True
        while True:
            self.killer.left = self.kills.pop(0) if self.kills else -1
            try:
                if new:
                    self.restart()
                self.turns(least=2)
                return
            except Killed:
                new = True


STEPS = st.lists(
    st.sampled_from(["entry", "short", "limit", "stop", "exit", "modify", "cancel", "lost", "fail", "tick"]),
    min_size=1,
    max_size=10,
)


@settings(deadline=None, max_examples=30)
@given(steps=STEPS, kills=st.lists(st.integers(1, 40), max_size=6))
def test_each_order_is_at_the_terminal_once_however_often_the_gateway_is_killed(
    steps: list[str], kills: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        room = KilledRoom(Path(folder))
        room.kills = list(kills)
        try:
            _play(room, steps)
            _agree(room)
        finally:
            room.close()


def _play(room: KilledRoom, steps: list[str]) -> None:
    leaving: set[int] = set()
    for number, step in enumerate(steps, 1):
        held = [p for p in room.chain.book.positions.values() if p.order_no and p.position not in leaving]
        waiting = [k.order_no for k in room.chain.book.working() if k.order_no not in leaving]
        if step == "entry":
            room.survive(entry(number, BUY, 0.2, sl=1.05))
        elif step == "short":
            room.survive(entry(number, SELL, 0.1, sl=1.15, tp=1.0))
        elif step == "limit":
            room.survive(pending(number, OrderType.LIMIT, 1.0990, sl=1.05))
        elif step == "stop":
            room.survive(pending(number, OrderType.STOP, 1.0995, SELL))
        elif step == "exit" and held:
            side = SELL if held[0].side is BUY else BUY
            leaving.add(held[0].position)
            room.survive(leave(number, held[0].position, side, float(held[0].volume)))
        elif step == "modify" and held:
            level = 1.06 if held[-1].side is BUY else 1.14
            room.survive(modify(held[-1].order_no, held[-1].position, round(level + 0.0001 * number, 5)))
        elif step == "cancel" and waiting:
            leaving.add(waiting[0])
            room.survive(cancel(waiting[0]))
        elif step in ("lost", "fail"):
            room.control.fault(step, call="order_send", times=1)
        else:
            room.control.step(20_000_000)
            room.survive()
    room.control.clear_faults()
    room.survive()


def _agree(room: KilledRoom) -> None:
    deals = room.terminal_deals()
    recorded = [r for r in room.chain.records if isinstance(r, Filled | PartiallyFilled)]
    assert Counter(r.deal for r in recorded) == Counter(d.ticket for d in deals)
    assert {d.ticket: d.price for d in deals} == {r.deal: r.price for r in recorded}
    placed = [s.order_no for s in room.of(Sending) if s.request is OrderRequest.PLACE]
    assert len(placed) == len(set(placed)), "an order was sent twice"
    at_terminal = [o.magic for o in room.mt5.history_orders_get(0, 2**31 - 1) if o.reason == 3]
    at_terminal += [o.magic for o in room.mt5.orders_get()]
    assert max(Counter(at_terminal).values(), default=0) <= 1
    never = {number for number, known in room.chain.book.orders.items() if known.state is OrderState.REJECTED}
    assert set(at_terminal) == {o.order_no for o in room.orders if isinstance(o, Submitted)} - never
    positions = {p.identifier: Decimal(repr(p.volume)) for p in room.mt5.positions_get()}
    assert positions == {p.position: p.volume for p in room.chain.book.positions.values()}
    levels = {p.identifier: (p.sl or None, p.tp or None) for p in room.mt5.positions_get()}
    assert levels == {p.position: room.chain.book.levels(p) for p in room.chain.book.positions.values()}
    book = room.chain.book
    assert not book.unanswered()
    assert {o.magic for o in room.mt5.orders_get()} == {k.order_no for k in book.working()}
    strange = {"unknown_deal", "adopted", "overfilled", "late_execution", "position_differs", "order_vanished"}
    assert not strange & set(room.alarms.codes), room.alarms.told
