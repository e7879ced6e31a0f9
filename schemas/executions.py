"""What a venue reported of orders and deals, and what people asked of an account: facts, taken into the journal."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from schemas.events import Side
from schemas.records import quickly_made


class OrderState(StrEnum):
    """Where an order stands."""

    UNKNOWN = "UNKNOWN"
    INITIALIZED = "INITIALIZED"
    DENIED = "DENIED"
    SUBMITTED = "SUBMITTED"
    SENDING = "SENDING"
    ACCEPTED = "ACCEPTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    REJECTED = "REJECTED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


class OrderRequest(StrEnum):
    """What was asked of the venue."""

    UNKNOWN = "UNKNOWN"
    PLACE = "PLACE"
    MODIFY = "MODIFY"
    CANCEL = "CANCEL"


class DealEntry(StrEnum):
    """What a deal did to its position."""

    UNKNOWN = "UNKNOWN"
    IN = "IN"
    OUT = "OUT"
    INOUT = "INOUT"
    OUT_BY = "OUT_BY"


class DealReason(StrEnum):
    """Why a deal was made."""

    UNKNOWN = "UNKNOWN"
    EXPERT = "EXPERT"
    CLIENT = "CLIENT"
    SL = "SL"
    TP = "TP"
    SO = "SO"


class CommandKind(StrEnum):
    """What a person asks of an account."""

    UNKNOWN = "UNKNOWN"
    HALT = "HALT"
    RESUME = "RESUME"
    FLATTEN = "FLATTEN"
    SET_LIMITS = "SET_LIMITS"
    PROMOTE = "PROMOTE"
    ROLLBACK = "ROLLBACK"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpen:
    """Opens an epoch of an account's chain of executions or commands."""

    epoch: int
    nonce: bytes
    seq: int
    account: str
    written_us: int
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A request that is about to go to the venue."""

    epoch: int
    nonce: bytes
    seq: int
    account: str
    written_us: int
    order_no: int
    request: OrderRequest
    key_id: str
    prev: bytes
    mac: bytes


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The venue took a request."""

    epoch: int
    nonce: bytes
    seq: int
    account: str
    written_us: int
    order_no: int
    request: OrderRequest
    ticket: int
    position: int
    time_ms: int
    sl: float | None = None
    tp: float | None = None
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The venue refused a request."""

    epoch: int
    nonce: bytes
    seq: int
    account: str
    written_us: int
    order_no: int
    request: OrderRequest
    retcode: int
    reason: str
    time_ms: int
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PartiallyFilled:
    """A deal that leaves a part of its order open."""

    epoch: int
    nonce: bytes
    seq: int
    account: str
    written_us: int
    order_no: int
    ticket: int
    deal: int
    position: int
    listing: str
    side: Side
    entry: DealEntry
    reason: DealReason
    volume: float
    remaining: float
    price: float
    time_ms: int
    n: int
    bid: float
    ask: float
    commission: Decimal
    swap: Decimal
    profit: Decimal
    key_id: str
    prev: bytes
    mac: bytes


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A deal that completes its order, or closes a position at the venue."""

    epoch: int
    nonce: bytes
    seq: int
    account: str
    written_us: int
    order_no: int
    ticket: int
    deal: int
    position: int
    listing: str
    side: Side
    entry: DealEntry
    reason: DealReason
    volume: float
    remaining: float
    price: float
    time_ms: int
    n: int
    bid: float
    ask: float
    commission: Decimal
    swap: Decimal
    profit: Decimal
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """An order is gone without being filled to its end."""

    epoch: int
    nonce: bytes
    seq: int
    account: str
    written_us: int
    order_no: int
    ticket: int
    remaining: float
    reason: str
    time_ms: int
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """An order's time ran out before it was filled."""

    epoch: int
    nonce: bytes
    seq: int
    account: str
    written_us: int
    order_no: int
    ticket: int
    remaining: float
    time_ms: int
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What the venue knows of an order whose answer was lost."""

    epoch: int
    nonce: bytes
    seq: int
    account: str
    written_us: int
    order_no: int
    state: OrderState
    ticket: int
    position: int
    filled: float
    time_ms: int
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """A position at the venue that isn't ours: counted, never touched."""

    epoch: int
    nonce: bytes
    seq: int
    account: str
    written_us: int
    order_no: int
    position: int
    listing: str
    side: Side
    volume: float
    price: float
    sl: float | None = None
    tp: float | None = None
    time_ms: int
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a person asks of an account."""

    epoch: int
    nonce: bytes
    seq: int
    account: str
    written_us: int
    kind: CommandKind
    who: str
    why: str
    argument: str
    valid_until_us: int
    key_id: str
    prev: bytes
    mac: bytes


Execution = Sending | Accepted | Rejected | PartiallyFilled | Filled | Canceled | Expired | Reconciled | Adopted
"""What an account's gateway writes on `executions`."""
