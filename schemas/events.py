"""The records of the log as frozen, typed values; each field is held equal to its `.avsc` by a test.

The schemas in `schemas/avro` carry the documentation and unit of every field. `TickBlock` has a form of its own, in
columns: `schemas/ticks.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.configuration import (
    AccountConfig,
    MarginMode,
    RiskLimits,
    SessionTable,
    StrategyConfig,
    SwapMode,
)
from schemas.records import quickly_made
from schemas.timeframes import Timeframe


class SignalKind(StrEnum):
    """What a signal says."""

    UNKNOWN = "UNKNOWN"
    ENTER = "ENTER"
    EXIT = "EXIT"
    LEVELS = "LEVELS"
    FAILED = "FAILED"


class Side(StrEnum):
    """The direction of a position. NONE where a signal has none."""

    UNKNOWN = "UNKNOWN"
    NONE = "NONE"
    LONG = "LONG"
    SHORT = "SHORT"


class EntryType(StrEnum):
    """How an entry is made. NONE where a signal is no entry."""

    UNKNOWN = "UNKNOWN"
    NONE = "NONE"
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"


class OnOpposite(StrEnum):
    """What the desk does when the strategy enters the other side."""

    UNKNOWN = "UNKNOWN"
    REVERSE = "REVERSE"
    CLOSE = "CLOSE"
    IGNORE = "IGNORE"


class ProgramKind(StrEnum):
    """What the program of an activation is."""

    UNKNOWN = "UNKNOWN"
    BUILTIN = "BUILTIN"
    CLASS = "CLASS"
    GRAPH = "GRAPH"


class SourceKind(StrEnum):
    """What happened to a feed."""

    UNKNOWN = "UNKNOWN"
    CONNECTED = "CONNECTED"
    LOST = "LOST"
    SWITCHED = "SWITCHED"
    GAP = "GAP"
    OFFSET_CHANGED = "OFFSET_CHANGED"
    AVAILABILITY = "AVAILABILITY"


class Severity(StrEnum):
    """How urgent an alert is."""

    UNKNOWN = "UNKNOWN"
    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceOpen:
    """Opens an epoch of the reference chain."""

    epoch: int
    nonce: bytes
    seq: int
    written_us: int
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingSpec:
    """What a listing is: only what doesn't move with price."""

    epoch: int
    nonce: bytes
    seq: int
    ref_no: int
    effective_from_us: int
    written_us: int
    listing: str
    digits: int
    digits_inferred: bool
    contract_size: float
    volume_min: float
    volume_max: float
    volume_step: float
    stops_level: int
    freeze_level: int
    commission_per_lot_side: float
    currency_base: str
    currency_profit: str
    server_clock: str
    description: str
    margin_mode: MarginMode = MarginMode.UNKNOWN
    margin_rate: float = 1.0
    swap_mode: SwapMode = SwapMode.UNKNOWN
    swap_long: float = 0.0
    swap_short: float = 0.0
    swap_triple_day: int = 3
    commission_currency: str = ""
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorActivation:
    """Which program runs as which instance, from here on."""

    epoch: int
    nonce: bytes
    seq: int
    ref_no: int
    effective_from_us: int
    written_us: int
    instance: str
    operator: str
    version: int
    parameters: str
    program_kind: ProgramKind
    program: str
    program_sha256: str
    listings: tuple[str, ...]
    warm_from_us: int
    emit_all: bool
    active: bool
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """The only way past a damaged fact: after the record at this position the chain goes on from the new head."""

    epoch: int
    nonce: bytes
    seq: int
    ref_no: int
    effective_from_us: int
    written_us: int
    topic: str
    partition: int
    offset: int
    value_sha256: bytes
    chain: str
    head_epoch: int
    head_nonce: bytes
    head_seq: int
    head_n: int
    head_ref_no: int
    head_mac: bytes
    reason: str
    who: str
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A closed bar of bid prices on the server's clock."""

    operator: str
    listing: str
    out_seq: int
    ref_no: int
    timeframe: Timeframe
    time_ms: int
    server_offset_s: int
    open: float
    high: float
    low: float
    close: float
    ask_close: float
    ticks: int
    spread_min: int
    spread_mean: float
    spread_max: int
    volume: float
    first_n: int
    last_n: int
    complete: bool


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What a strategy decided, with the exit plan that the desk will follow."""

    operator: str
    listing: str
    out_seq: int
    ref_no: int
    kind: SignalKind
    side: Side
    time_ms: int
    n: int
    from_n: int
    bid: float
    ask: float
    valid_for_ms: int
    entry_type: EntryType = EntryType.NONE
    price: float | None = None
    expires_ms: int = 0
    stop_distance: float | None = None
    target_distance: float | None = None
    trail_long: float | None = None
    trail_short: float | None = None
    breakeven_at: float | None = None
    partial_at: float | None = None
    partial_share: float | None = None
    max_hold_ms: int
    on_opposite: OnOpposite
    cooldown_ms: int
    strength: float
    model: str
    message: str
    key_id: str
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEvent:
    """Something that happened to a feed."""

    event_id: str
    feed: str
    kind: SourceKind
    time_us: int
    listing: str
    from_n: int
    to_n: int
    from_ms: int
    to_ms: int
    server_offset_s: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that somebody should look at."""

    alert_id: str
    code: str
    severity: Severity
    source: str
    subject: str
    time_us: int
    topic: str
    partition: int
    offset: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """The head of a chain, as a witness: a cut tail shows against it, and a reader starts from it."""

    chain: str
    topic: str
    partition: int
    epoch: int
    nonce: bytes
    seq: int
    n: int
    ref_no: int
    head_mac: bytes
    offset: int
    scanned_to: int
    time_us: int
    key_id: str
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """State of one operator for one listing, to start from; a cache."""

    operator: str
    listing: str
    incarnation: int
    part: int
    parts: int
    partition: int
    offset: int
    epoch: int
    nonce: bytes
    seq: int
    n: int
    head_ref_no: int
    head_mac: bytes
    out_seq: int
    digest: str
    state: bytes
    key_id: str
    mac: bytes


Configuration = AccountConfig | StrategyConfig | RiskLimits | SessionTable
"""What the desk reads of `reference`."""

ReferenceRecord = ReferenceOpen | ListingSpec | OperatorActivation | Repair | Configuration
"""What lies on `reference`."""

Derived = Bar | Signal
"""What operators make, numbered by out_seq."""

Event = ReferenceRecord | Derived | SourceEvent | Alert | Anchor | Snapshot
"""Any record of market data and its services but a TickBlock; an account's are in `schemas/trading.py`."""
