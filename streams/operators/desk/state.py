"""What a desk knows: configuration, quotes, orders, positions, money. Plain values, which `plain.py` writes as bytes.

Volumes and money are Decimal, prices doubles. Times are UTC microseconds of the journal, 0 = none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple

from agents.money import ZERO, Quote
from agents.risk import DayStart, Streak
from schemas.configuration import AccountConfig, RiskLimits, SessionTable, StrategyConfig
from schemas.events import ListingSpec, OnOpposite, OperatorActivation, Side
from schemas.executions import Filled, OrderState, PartiallyFilled
from schemas.trading import ExitReason, OrderPurpose, OrderType, TradingState

NEVER_US: Final = 2**63 - 1
"""Later than any entry."""
KEPT_ORDERS: Final = 256
"""Finished orders that are remembered, for reports that come late."""
KEPT_EARLY: Final = 64
"""Deals whose position isn't known yet that wait for it."""
KEPT_STRANGERS: Final = 64
"""Adopted positions that are gone and are remembered, for deals that come late."""

Dated = AccountConfig | StrategyConfig | RiskLimits | SessionTable | ListingSpec
"""What comes into force at a time of its own."""
Configured = Dated | OperatorActivation
Deal = Filled | PartiallyFilled


class Plan(NamedTuple):
    """How a position is left, as its signal said."""

    stop_distance: float | None
    target_distance: float | None
    breakeven_at: float | None
    partial_at: float | None
    partial_share: float | None
    max_hold_ms: int
    on_opposite: OnOpposite
    cooldown_ms: int


class Cause(NamedTuple):
    """The signal that something rests on; ("", "", -1) = none."""

    operator: str = ""
    listing: str = ""
    seq: int = -1


@dataclass(slots=True, kw_only=True)
class Order:
    """An order of ours, from Submitted on."""

    order_no: int
    instance: str
    listing: str
    cause: Cause
    purpose: OrderPurpose
    type: OrderType
    side: Side
    volume: Decimal
    price: float | None
    sl: float | None
    tp: float | None
    position: int
    reason: ExitReason
    decision_bid: float
    decision_ask: float
    plan: Plan | None = None
    trail: float | None = None
    """Newest trailing level, while the entry isn't filled."""
    state: OrderState = OrderState.SUBMITTED
    held: bool = False
    """Reports contradict each other: only a Reconciled moves it on."""
    filled: Decimal = ZERO
    leave: ExitReason = ExitReason.NONE
    """What it fills is closed again at once, for this reason."""


@dataclass(slots=True, kw_only=True)
class Position:
    """An open position: what is held, and where its plan stands."""

    position: int
    order_no: int
    instance: str
    listing: str
    side: Side
    digits: int
    cause: Cause
    plan: Plan | None
    opened_us: int
    adopted: bool = False
    """Not ours: Adopted records tell its volume, between them its deals."""
    volume: Decimal = ZERO
    entered: Decimal = ZERO
    """All that was opened; of an adopted one what its deals, as far as they came, have left of it."""
    unopened: Decimal = ZERO
    """Of an adopted one: what Adopted records told, or deals closed, whose opening deals haven't come; negative: on the
    side that it was turned round from."""
    ahead: Decimal = ZERO
    """Of an adopted one: closed volume that Adopted records told before its deals; negative: opened or turned."""
    price: float = 0.0
    floor: float | None = None
    """The tightest of trailing levels and break-even so far, a price."""
    floor_kind: ExitReason = ExitReason.TRAIL
    sl: float | None = None
    tp: float | None = None
    sl_kind: ExitReason = ExitReason.STOP
    asked_sl: float | None = None
    asked_tp: float | None = None
    asked_kind: ExitReason = ExitReason.STOP
    asked_us: int = 0
    """A modification is on its way since then."""
    modify_at_us: int = 0
    modify_retries: int = 0
    breakeven_done: bool = False
    partial_done: bool = False
    time_exit_us: int = 0
    exit_reason: ExitReason = ExitReason.NONE
    """It is being left, for this reason."""
    exit_volume: Decimal = ZERO
    """How much of it; 0 = all."""
    exit_order: int = 0
    exit_at_us: int = 0
    exit_retries: int = 0
    above: float = math.inf
    """The plan acts once the closing quote, times -1 for a short, is at or above it."""
    below: float = -math.inf
    """… or at or below it."""
    realized: Decimal = ZERO
    commission: Decimal = ZERO
    spread: Decimal = ZERO
    slippage: Decimal = ZERO
    margin: Decimal = ZERO

    @property
    def sign(self) -> float:
        return 1.0 if self.side is Side.LONG else -1.0

    @property
    def leaving(self) -> bool:
        """All of it is to be closed."""
        return self.exit_reason is not ExitReason.NONE and not self.exit_volume


class Opinion(NamedTuple):
    """The side that an instance of a consensus last spoke for, until then."""

    side: Side
    until_us: int


class Closed(NamedTuple):
    """An instance's closed positions."""

    trades: int = 0
    wins: int = 0
    won: Decimal = ZERO
    lost: Decimal = ZERO


class Moves(NamedTuple):
    """How much a listing moves, from the quotes of its signals: decaying sums of squared returns and of time."""

    time_ms: int
    bid: float
    squares: float
    years: float


@dataclass(slots=True, kw_only=True)
class DeskState:
    """All of one account. `cache` is made anew from the rest and isn't part of it."""

    account: str
    operator: str = "desk@0"
    ref_no: int = 0
    now_us: int = 0
    config: AccountConfig | None = None
    limits: RiskLimits | None = None
    strategies: dict[str, StrategyConfig] = field(default_factory=dict)
    specs: dict[str, ListingSpec] = field(default_factory=dict)
    sessions: dict[str, SessionTable] = field(default_factory=dict)
    future: list[Dated] = field(default_factory=list)
    quotes: dict[str, Quote] = field(default_factory=dict)
    qualities: dict[str, int] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    finished: dict[int, Order] = field(default_factory=dict)
    positions: dict[int, Position] = field(default_factory=dict)
    strangers: dict[int, Position] = field(default_factory=dict)
    """Adopted positions that are gone, oldest first."""
    early: list[Deal] = field(default_factory=list)
    deals: list[int] = field(default_factory=list)
    """Numbers of the deals taken, as runs: first, last, first, last …"""
    balance: Decimal = ZERO
    peak: int = 0
    """Highest equity so far, units of 10^-8."""
    day: DayStart | None = None
    next_day_us: int = NEVER_US
    next_minute_us: int = NEVER_US
    trading: TradingState = TradingState.ACTIVE
    halted_by: str = ""
    """Why it isn't ACTIVE: command, or the limit."""
    breached: list[str] = field(default_factory=list)
    next_order: int = 1
    out_seqs: dict[str, int] = field(default_factory=dict)
    order_times: list[int] = field(default_factory=list)
    requests_today: int = 0
    streaks: dict[str, Streak] = field(default_factory=dict)
    closed: dict[str, Closed] = field(default_factory=dict)
    cooldowns: dict[str, int] = field(default_factory=dict)
    opinions: dict[str, Opinion] = field(default_factory=dict)
    moves: dict[str, Moves] = field(default_factory=dict)
    cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


def place(instance: str, listing: str) -> str:
    """An instance on a listing, as a key."""
    return f"{instance} {listing}"
