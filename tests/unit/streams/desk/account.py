"""An account for tests of the desk: it says what happens in a line each and keeps what the desk answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np

from agents.risk import no_limits
from schemas.configuration import AccountConfig, MarginMode, PositionMode, Sizing, StrategyConfig
from schemas.events import EntryType, ListingSpec, OnOpposite, Side, Signal, SignalKind
from schemas.executions import (
    Accepted,
    Canceled,
    Command,
    CommandKind,
    DealEntry,
    DealReason,
    Execution,
    Expired,
    Filled,
    OrderRequest,
    PartiallyFilled,
    Rejected,
    Sending,
)
from schemas.integrity import ZERO_MAC, ZERO_NONCE
from schemas.journal_columns import ClockRows
from schemas.trading import Decided, Denied, ModifyRequested, OrderPurpose, Submitted
from streams.operators.desk import Desk, DeskState, Input

LISTING = "test/EURUSD"
T0 = 1_700_000_000_000_000
"""A whole second, not a whole minute: 2023-11-14T22:13:20Z."""
LONG, SHORT = Side.LONG, Side.SHORT

R = TypeVar("R")

CHAIN: dict[str, Any] = {
    "epoch": 1, "nonce": ZERO_NONCE, "seq": 1, "key_id": "", "prev": ZERO_MAC, "mac": ZERO_MAC,
}  # fmt: skip
REFERENCE: dict[str, Any] = {**CHAIN, "ref_no": 1, "effective_from_us": 0, "written_us": 0}
FACT: dict[str, Any] = {**CHAIN, "account": "test", "written_us": 0}

SPEC = ListingSpec(
    **REFERENCE, listing=LISTING, digits=5, digits_inferred=False, contract_size=100_000.0, volume_min=0.01,
    volume_max=50.0, volume_step=0.01, stops_level=0, freeze_level=0, commission_per_lot_side=0.0,
    currency_base="EUR", currency_profit="USD", server_clock="ny7", description="", margin_mode=MarginMode.FOREX,
)  # fmt: skip
CONFIG = AccountConfig(
    **REFERENCE, account="test", feed="test", currency="USD", currency_digits=2, balance=Decimal("10000.00"),
    leverage=100.0, position_mode=PositionMode.HEDGING, margin_call_level=100.0, stop_out_level=50.0,
    rate_currencies=(), rates=(), conversion_listings=(), order_base=100, partition=0, day_clock="ny7", active=True,
)  # fmt: skip


def strategy(instance: str = "one", **fields: Any) -> StrategyConfig:
    """An instance that trades 0.1 lots."""
    base: dict[str, Any] = {
        **REFERENCE, "account": "test", "instance": instance, "sizing": Sizing.LOTS, "size": 0.1, "max_lots": 0.0,
        "role": "trade", "weight": 1.0, "active": True,
    }  # fmt: skip
    return StrategyConfig(**{**base, **fields})


def signal(kind: SignalKind, side: Side, us: int, n: int, instance: str = "one", **fields: Any) -> Signal:
    """A signal of a tick at `us` with the quote 1.10000 / 1.10002."""
    base: dict[str, Any] = {
        "operator": f"{instance}@1", "listing": LISTING, "out_seq": n, "ref_no": 1, "kind": kind, "side": side,
        "time_ms": us // 1000, "n": n, "from_n": n, "bid": 1.10000, "ask": 1.10002, "valid_for_ms": 60_000,
        "entry_type": EntryType.MARKET if kind is SignalKind.ENTER else EntryType.NONE, "max_hold_ms": 0,
        "on_opposite": OnOpposite.REVERSE, "cooldown_ms": 0, "strength": 0.0, "model": "", "message": "",
        "key_id": "", "mac": ZERO_MAC,
    }  # fmt: skip
    return Signal(**{**base, **fields})


def rows(*told: tuple[Any, ...], names: tuple[str, ...] = (LISTING,)) -> ClockRows:
    """Rows of a clock: (us, n, bid, ask) or (us, n, bid, ask, place of the listing)."""
    us = np.array([row[0] for row in told], np.int64)
    return ClockRows(
        names,
        us,
        np.array([row[4] if len(row) > 4 else 0 for row in told], np.int32),
        np.array([row[1] for row in told], np.int64),
        us // 1000,
        np.array([row[2] for row in told], np.float64),
        np.array([row[3] for row in told], np.float64),
        np.zeros(len(told), np.int32),
        us // 1000,
    )


class Account:
    """A desk with one account. Time goes on by a second with everything that happens."""

    def __init__(
        self, config: AccountConfig = CONFIG, spec: ListingSpec = SPEC, *others: StrategyConfig, **limits: Any
    ):
        self.desk = Desk()
        self.state: DeskState = self.desk.initial("test")
        self.us = T0
        self.n = 0
        self.deal = 0
        self.said: list[Decided] = []
        records: list[Input] = [config, spec, *(others or (strategy(),))]
        if limits:
            records.append(replace(no_limits("test"), **limits))
        for record in records:
            self.take(record)
        self.quote(1.10000, 1.10002)
        self.said = []

    def take(self, record: Input, us: int | None = None) -> list[Decided]:
        """Takes an input, a second later or at `us`."""
        self.us = us if us is not None else self.us + 1_000_000
        found = self.desk.records(self.state, self.desk.take(self.state, self.us, record))
        self.said += found
        return found

    def quote(self, bid: float, ask: float, us: int | None = None) -> list[Decided]:
        """A clock with a new quote, a second later or at `us`."""
        self.us = us if us is not None else self.us + 1_000_000
        self.n += 10
        return self.clock(rows((self.us, self.n, bid, ask)))

    def clock(self, told: ClockRows) -> list[Decided]:
        """Takes all rows."""
        start, found = 0, list[Decided]()
        while start < len(told.us):
            count, out = self.desk.clock(self.state, told.part(start, len(told.us)))
            start += count
            found += self.desk.records(self.state, out)
        self.us = max(self.us, int(told.us[-1]))
        self.said += found
        return found

    def enter(self, side: Side = LONG, instance: str = "one", **fields: Any) -> list[Decided]:
        """An ENTER that is taken at once."""
        self.n += 1
        return self.take(signal(SignalKind.ENTER, side, self.us + 1_000_000, self.n, instance, **fields))

    def exit(self, side: Side = Side.NONE, instance: str = "one") -> list[Decided]:
        self.n += 1
        return self.take(signal(SignalKind.EXIT, side, self.us + 1_000_000, self.n, instance))

    def levels(self, long: float | None = None, short: float | None = None, instance: str = "one") -> list[Decided]:
        self.n += 1
        fields = {"trail_long": long, "trail_short": short}
        return self.take(signal(SignalKind.LEVELS, Side.NONE, self.us + 1_000_000, self.n, instance, **fields))

    def command(self, kind: CommandKind, **fields: Any) -> list[Decided]:
        base: dict[str, Any] = {"who": "ann", "why": "", "argument": "", "valid_until_us": 0}
        return self.take(Command(**FACT, kind=kind, **{**base, **fields}))

    def fill(self, order: Submitted, price: float, volume: float | None = None, **fields: Any) -> list[Decided]:
        """A deal of an order: all of it, or a part that leaves the rest open."""
        part = volume is not None and volume < order.volume
        return self.take(self.deal_of(order, price, volume, part=part, **fields))

    def deal_of(
        self, order: Submitted, price: float, volume: float | None = None, *, part: bool = False, **fields: Any
    ) -> Filled | PartiallyFilled:
        self.deal += 1
        entry = DealEntry.IN if order.purpose is OrderPurpose.ENTRY else DealEntry.OUT
        base: dict[str, Any] = {
            "order_no": order.order_no, "ticket": order.order_no, "deal": self.deal,
            "position": order.position or order.order_no, "listing": order.listing, "side": order.side,
            "entry": entry, "reason": DealReason.EXPERT, "volume": order.volume if volume is None else volume,
            "remaining": 0.0, "price": price, "time_ms": self.us // 1000, "n": self.n, "bid": price - 0.00002,
            "ask": price, "commission": Decimal("-0.35"), "swap": Decimal(0), "profit": Decimal(0),
        }  # fmt: skip
        return (PartiallyFilled if part else Filled)(**FACT, **{**base, **fields})

    def close_by_venue(self, opened: Submitted, price: float, reason: DealReason, **fields: Any) -> list[Decided]:
        """A stop, target or stop-out at the venue closes an order's position."""
        side = SHORT if opened.side is LONG else LONG
        return self.take(self.deal_of(opened, price, side=side, entry=DealEntry.OUT, reason=reason, **fields))

    def accept(self, order_no: int, request: OrderRequest = OrderRequest.PLACE, **fields: Any) -> list[Decided]:
        base: dict[str, Any] = {"ticket": order_no, "position": 0, "time_ms": self.us // 1000}
        return self.take(Accepted(**FACT, order_no=order_no, request=request, **{**base, **fields}))

    def reject(self, order_no: int, request: OrderRequest = OrderRequest.PLACE, retcode: int = 10006) -> list[Decided]:
        return self.take(
            Rejected(
                **FACT, order_no=order_no, request=request, retcode=retcode, reason="no", time_ms=self.us // 1000
            )
        )  # fmt: skip

    def sending(self, order_no: int) -> list[Decided]:
        return self.take(Sending(**FACT, order_no=order_no, request=OrderRequest.PLACE))

    def end(self, kind: type[Canceled] | type[Expired], order_no: int) -> list[Decided]:
        fields: dict[str, Any] = {"order_no": order_no, "ticket": order_no, "remaining": 0.1, "time_ms": 0}
        if kind is Canceled:
            fields["reason"] = "asked"
        report: Execution = kind(**FACT, **fields)
        return self.take(report)

    def opened(self, side: Side = LONG, price: float | None = None, **fields: Any) -> Submitted:
        """A position: entered and filled at the decision's quote; what was modified after it is accepted."""
        order = one(self.enter(side, **fields), Submitted)
        found = self.fill(order, price or (1.10002 if side is LONG else 1.10000))
        for _ in all_of(found, ModifyRequested):
            self.accept(order.order_no, OrderRequest.MODIFY)
        return order


def all_of(found: Sequence[Decided], kind: type[R]) -> list[R]:
    return [record for record in found if isinstance(record, kind)]


def one(found: Sequence[Decided], kind: type[R]) -> R:
    """The only record of a kind."""
    chosen = all_of(found, kind)
    assert len(chosen) == 1, [type(record).__name__ for record in found] + [
        f"{d.code}: {d.reason}" for d in all_of(found, Denied)
    ]
    return chosen[0]


def kinds(found: Sequence[Decided]) -> list[str]:
    return [type(record).__name__ for record in found]
