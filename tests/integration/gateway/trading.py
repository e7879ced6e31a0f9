"""An account of its own on the shared broker, traded by gateways as processes at a simulated terminal as a process.

The desk is this test: it writes orders with their MACs, and reads what comes back.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from infra.account_log import read_account
from infra.clock import SystemClock
from infra.kafka import new_producer, read_range, send_and_wait
from infra.keys import load_or_create, ring_file
from infra.market_clock import MarketClock
from infra.reference_log import append_reference
from infra.settings import PREFIX
from infra.stack.home import Home, read_json
from producers.terminal import connect, control
from schemas.events import Alert, ReferenceRecord, Side
from schemas.executions import Filled, OrderState, PartiallyFilled, Reconciled, Rejected, Sending
from schemas.registry import decode, seal
from schemas.trading import CancelRequested, ExitReason, ModifyRequested, OrderPurpose, OrderType, Submitted
from streams.operators.desk import Desk
from tests.conftest import TestStack
from tests.unit.streams.venue.venues import account, order, spec

BUSY_US: Final = 1_399_384_800_000_000
"""14:00 UTC of the sample day."""
ROOT = Path(__file__).resolve().parents[3]
_PARTITIONS = itertools.count(7)


class Trading:
    """A home with a terminal that plays, gateways to start in it, and the account's desk."""

    def __init__(self, stack: TestStack, folder: Path, **settings: str) -> None:
        self.kafka, self.keys = stack.kafka, load_or_create(stack.settings)
        self.name = f"g{uuid4().hex[:8]}"
        self.feed, self.partition = f"f{self.name}", next(_PARTITIONS) % 64
        self.listing = f"{self.feed}/EURUSD"
        self.home = Home(folder / "home")
        self.home.create()
        told = {
            "HOME": str(self.home.root),
            "CACHE": str(folder / "cache"),
            "KAFKA__BOOTSTRAP_SERVERS": stack.kafka,
            "KEYS__RING": str(ring_file(stack.settings)),
            "TERMINAL__KIND": "simulated",
            "TERMINAL__LATENCY_MS": "1",
            "TERMINAL__TIMEOUT_MS": "30000",
            "TRADE__ACCOUNT": self.name,
            "TRADE__SETTLE_S": "1",
            "TRADE__RECONCILE_S": "1",
            "TRADE__POLL_MS": "50",
            **settings,
        }
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), **{PREFIX + k: v for k, v in told.items()}}
        self.numbers = itertools.count(1)
        self.next_out_seq = 0
        self._running: list[subprocess.Popen[str]] = []
        self._producer = new_producer(stack.kafka, **{"linger.ms": 0})
        self._mt5: Any = None

    # -- processes -----------------------------------------------------------------------------------------------------

    def start(self, module: str = "producers.gateway") -> subprocess.Popen[str]:
        """A service of the home; its log goes to a file that a failing test shows."""
        with (self.home.root / f"{module}.log").open("a") as log:
            command = [sys.executable, "-P", "-m", module]
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, text=True)
        self._running.append(process)
        return process

    def ready(self, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        """Waits until a gateway is at work."""

        def announced() -> bool:
            assert process.poll() is None, self.said()
            record = read_json(self.home.ready_file("gateway"))
            return record is not None and record["pid"] == process.pid

        until(announced)
        return process

    def said(self) -> str:
        """What the gateways have logged."""
        path = self.home.root / "producers.gateway.log"
        return path.read_text() if path.exists() else ""

    def end_gateways(self) -> None:
        for process in self._running[1:]:
            process.kill()
            process.wait()
        del self._running[1:]

    def end(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()

    # -- the desk ------------------------------------------------------------------------------------------------------

    def configure(self) -> None:
        """Puts the account onto `reference`."""
        wanted: list[ReferenceRecord] = [
            account(account=self.name, feed=self.feed, partition=self.partition, conversion_listings=())
        ]
        asked: list[bool] = []

        def missing(_: list[ReferenceRecord]) -> list[ReferenceRecord]:
            asked.append(True)
            return wanted if len(asked) <= 2 else []

        append_reference(self.kafka, self.keys, SystemClock(), missing)

    def ask(self, request: Any, *, out_seq: int | None = None) -> Any:
        """Puts a request onto `orders` with its MAC, as the next one or with a number ahead."""
        number = self.next_out_seq if out_seq is None else out_seq
        self.next_out_seq += out_seq is None
        numbered = dataclasses.replace(request, account=self.name, out_seq=number, key_id=self.keys.current)
        self.put(seal(numbered, "orders", self.keys))
        return numbered

    def put(self, value: bytes) -> None:
        """Puts a value onto `orders` as it is."""
        send_and_wait(self._producer, "orders", self.partition, self.name, value)

    def entry(self, side: Side = Side.LONG, volume: float = 0.1, **changed: Any) -> Submitted:
        return order(next(self.numbers), side, volume, listing=self.listing, **changed)

    def limit(self, price: float, side: Side = Side.LONG) -> Submitted:
        return order(next(self.numbers), side, 0.1, OrderType.LIMIT, price, listing=self.listing)

    def leave(self, position: int, side: Side = Side.SHORT, volume: float = 0.1) -> Submitted:
        return order(
            next(self.numbers), side, volume, listing=self.listing, position=position, purpose=OrderPurpose.EXIT,
            reason=ExitReason.TIME,
        )  # fmt: skip

    def modify(self, order_no: int, position: int, sl: float) -> ModifyRequested:
        return ModifyRequested(
            operator="desk@1", account=self.name, out_seq=0, ref_no=1, taken_us=0, order_no=order_no, instance="i",
            listing=self.listing, position=position, sl=sl, tp=None, reason=ExitReason.NONE, key_id="", mac=bytes(16),
        )  # fmt: skip

    def cancel(self, order_no: int) -> CancelRequested:
        return CancelRequested(
            operator="desk@1", account=self.name, out_seq=0, ref_no=1, taken_us=0, order_no=order_no, instance="i",
            listing=self.listing, reason=ExitReason.FLAT, key_id="", mac=bytes(16),
        )  # fmt: skip

    # -- what came of it -----------------------------------------------------------------------------------------------

    def executions(self, kind: Any = object) -> list[Any]:
        """Taken records of the account's chain."""
        records, _ = read_account(self.kafka, self.keys, "executions", self.name, self.partition)
        return [record for record in records if isinstance(record, kind)]

    def filled(self, order_no: int) -> Filled:
        """The deal that filled an order, once it is on the log."""
        until(lambda: any(r.order_no == order_no for r in self.executions(Filled)), show=self.said)
        found: Filled = next(r for r in self.executions(Filled) if r.order_no == order_no)
        return found

    def done(self, order_nos: Sequence[int]) -> None:
        """Waits until these orders have been filled or refused for good, and the log has all deals."""

        def missing() -> list[int]:
            ends = {r.order_no for r in self.executions(Filled | Rejected)}
            ends |= {r.order_no for r in self.executions(Reconciled) if r.state is OrderState.REJECTED}
            return sorted(set(order_nos) - ends)

        def over() -> bool:
            return not missing() and len(self.executions(Filled)) == len(self.deals())

        def seen() -> str:
            deals = f"{len(self.executions(Filled))} of {len(self.deals())} deals are on the log"
            return f"{self.said()}\nof {len(order_nos)} orders {missing()} have no end, {deals}"

        until(over, seconds=150, show=seen)

    def alerts(self) -> Counter[str]:
        """Codes of the alerts about the account, each once."""
        found: dict[str, str] = {}
        for partition in range(4):
            for batch in read_range(self.kafka, "alerts", partition):
                for message in batch:
                    alert = decode(message.value() or b"")
                    mine = (self.name, f"orders/{self.partition}", f"desk@1/{self.name}")
                    if isinstance(alert, Alert) and alert.subject in mine:
                        found[alert.alert_id] = alert.code
        return Counter(found.values())

    @property
    def mt5(self) -> Any:
        """A client of the terminal, connected."""
        if self._mt5 is None:
            self._mt5 = connect(self.home.root)
        until(self._mt5.initialize)
        return self._mt5

    @property
    def control(self) -> Any:
        return control(self.home.root)

    @property
    def clock(self) -> MarketClock:
        return MarketClock(self.home.run / "market.clock")

    def deals(self) -> list[Any]:
        """All trading deals at the terminal."""
        return [deal for deal in self.mt5.history_deals_get(0, 2**31 - 1) if deal.type in (0, 1)]

    def agree(self) -> None:
        """Log and terminal have the same deals, orders once each, and a desk that folds the log the same positions."""
        records = self.executions()
        recorded = [r for r in records if isinstance(r, Filled | PartiallyFilled)]
        deals = self.deals()
        assert Counter(r.deal for r in recorded) == Counter(d.ticket for d in deals)
        by_program = [o for o in self.mt5.history_orders_get(0, 2**31 - 1) if o.reason == 3 and o.magic]
        assert max(Counter(o.magic for o in by_program).values(), default=1) == 1
        sent = Counter(
            r.order_no for r in records if isinstance(r, Sending) and r.order_no and r.request.value == "PLACE"
        )
        assert max(sent.values(), default=1) == 1
        desk = Desk()
        state = desk.initial(self.name)
        desk.take(state, 1, account(account=self.name, feed=self.feed, conversion_listings=()))
        desk.take(state, 2, spec(self.listing))
        for index, record in enumerate(records):
            desk.take(state, 3 + index, record)
        there = {p.identifier: Decimal(repr(p.volume)) for p in self.mt5.positions_get()}
        assert {number: position.volume for number, position in state.positions.items()} == there
        balance = Decimal(repr(round(self.mt5.account_info().balance, 2)))
        assert state.balance == balance


@contextmanager
def trading(stack: TestStack, folder: Path, **settings: str) -> Iterator[Trading]:
    """The account is configured and the terminal plays; everything ends with the test."""
    own = Trading(stack, folder, **settings)
    try:
        own.configure()
        own.start("producers.terminal")
        assert own.mt5
        own.control.go_to(BUSY_US)
        own.control.resume()
        yield own
    except BaseException:
        sys.stderr.write(own.said()[-6_000:])
        raise
    finally:
        own.end()


def until(condition: Callable[[], Any], seconds: float = 60, show: Callable[[], str] = str) -> None:
    """Returns once it holds."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"not within {seconds} s: {show()[-3_000:]}"
        time.sleep(0.1)
