"""What the desk decided, derived from a journal: orders, fills, risk decisions, positions, equity."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from schemas.configuration import BreachAction
from schemas.events import Side
from schemas.executions import DealEntry, OrderState
from schemas.records import quickly_made


class OrderType(StrEnum):
    """How an order fills."""

    UNKNOWN = "UNKNOWN"
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"


class OrderPurpose(StrEnum):
    """What an order is for."""

    UNKNOWN = "UNKNOWN"
    ENTRY = "ENTRY"
    EXIT = "EXIT"


class ExitReason(StrEnum):
    """Why a position was left or an order was made."""

    UNKNOWN = "UNKNOWN"
    NONE = "NONE"
    SIGNAL = "SIGNAL"
    STOP = "STOP"
    TARGET = "TARGET"
    TRAIL = "TRAIL"
    BREAKEVEN = "BREAKEVEN"
    TIME = "TIME"
    PARTIAL = "PARTIAL"
    OPPOSITE = "OPPOSITE"
    FLAT = "FLAT"
    STOP_OUT = "STOP_OUT"
    LIMIT = "LIMIT"
    COMMAND = "COMMAND"
    END = "END"


class TradingState(StrEnum):
    """What an account may do."""

    UNKNOWN = "UNKNOWN"
    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """An entry that is not sent."""

    operator: str
    account: str
    out_seq: int
    ref_no: int
    taken_us: int
    instance: str
    listing: str
    signal_operator: str
    signal_listing: str
    signal_seq: int
    side: Side
    reason: str
    code: str
    key_id: str
    mac: bytes


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """An order that is to go to the venue."""

    operator: str
    account: str
    out_seq: int
    ref_no: int
    taken_us: int
    order_no: int
    instance: str
    listing: str
    signal_operator: str
    signal_listing: str
    signal_seq: int
    purpose: OrderPurpose
    type: OrderType
    side: Side
    volume: float
    price: float | None = None
    sl: float | None = None
    tp: float | None = None
    position: int
    valid_until_us: int
    expires_ms: int
    reason: ExitReason
    retry: int
    decision_n: int
    decision_bid: float
    decision_ask: float
    key_id: str
    mac: bytes


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyRequested:
    """Stop and target of a position are to be moved at the venue."""

    operator: str
    account: str
    out_seq: int
    ref_no: int
    taken_us: int
    order_no: int
    instance: str
    listing: str
    position: int
    sl: float | None = None
    tp: float | None = None
    reason: ExitReason
    key_id: str
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """An order is to be taken back."""

    operator: str
    account: str
    out_seq: int
    ref_no: int
    taken_us: int
    order_no: int
    instance: str
    listing: str
    reason: ExitReason
    key_id: str
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChanged:
    """An order's state as the desk knows it."""

    operator: str
    account: str
    out_seq: int
    ref_no: int
    taken_us: int
    order_no: int
    state: OrderState
    before: OrderState
    filled: float
    cause: str
    key_id: str
    mac: bytes


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A deal matched to its order, signal and decision price."""

    operator: str
    account: str
    out_seq: int
    ref_no: int
    taken_us: int
    order_no: int
    instance: str
    listing: str
    signal_operator: str
    signal_listing: str
    signal_seq: int
    deal: int
    position: int
    side: Side
    entry: DealEntry
    reason: ExitReason
    volume: float
    price: float
    time_ms: int
    n: int
    bid: float
    ask: float
    decision_price: float
    slippage_points: float
    spread_points: float
    commission: Decimal
    swap: Decimal
    profit: Decimal
    spread_cost: Decimal
    slippage_cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskDecision:
    """What was checked before an entry, and what size was left."""

    operator: str
    account: str
    out_seq: int
    ref_no: int
    taken_us: int
    instance: str
    listing: str
    signal_operator: str
    signal_listing: str
    signal_seq: int
    side: Side
    asked: float
    allowed: float
    verdict: str
    checks: tuple[str, ...]
    limits: tuple[float, ...]
    measured: tuple[float, ...]
    units: tuple[str, ...]
    verdicts: tuple[str, ...]
    equity: Decimal
    margin: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitBreached:
    """An account's limit was reached."""

    operator: str
    account: str
    out_seq: int
    ref_no: int
    taken_us: int
    limit: str
    threshold: float
    measured: float
    unit: str
    action: BreachAction


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingStateChanged:
    """What an account may do from now on."""

    operator: str
    account: str
    out_seq: int
    ref_no: int
    taken_us: int
    state: TradingState
    before: TradingState
    cause: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionChanged:
    """A position as the desk knows it."""

    operator: str
    account: str
    out_seq: int
    ref_no: int
    taken_us: int
    position: int
    order_no: int
    instance: str
    listing: str
    side: Side
    volume: float
    price: float
    sl: float | None = None
    tp: float | None = None
    realized: Decimal
    opened_us: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityMarked:
    """An account at a whole minute."""

    operator: str
    account: str
    out_seq: int
    ref_no: int
    taken_us: int
    minute_ms: int
    balance: Decimal
    equity: Decimal
    margin: Decimal
    peak: Decimal
    positions: int


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class PnlAttributed:
    """What a closed part of a position earned, and where it went."""

    operator: str
    account: str
    out_seq: int
    ref_no: int
    taken_us: int
    order_no: int
    instance: str
    listing: str
    position: int
    side: Side
    volume: float
    opened_us: int
    closed_us: int
    entry_price: float
    exit_price: float
    reason: ExitReason
    gross: Decimal
    spread: Decimal
    slippage: Decimal
    commission: Decimal
    swap: Decimal
    net: Decimal


Order = Denied | Submitted | ModifyRequested | CancelRequested | OrderChanged
"""What lies on `orders`."""

Decided = (
    Order | Fill | RiskDecision | LimitBreached | TradingStateChanged | PositionChanged | EquityMarked | PnlAttributed
)
"""What the desk makes, numbered by out_seq on each topic."""
