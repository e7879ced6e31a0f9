"""What an account and its listings are configured to: the records of `reference` that the desk reads.

The schemas in `schemas/avro` carry the documentation and unit of every field.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

ORDERS_EACH: Final = 1 << 24
"""Order numbers of one account; below the first base lie the small ones that people give their own programs."""


class MarginMode(StrEnum):
    """How margin is computed."""

    UNKNOWN = "UNKNOWN"
    FOREX = "FOREX"
    CFD = "CFD"
    CFD_LEVERAGE = "CFD_LEVERAGE"


class SwapMode(StrEnum):
    """What the swaps of a listing are in."""

    UNKNOWN = "UNKNOWN"
    NONE = "NONE"
    POINTS = "POINTS"
    PERCENT = "PERCENT"
    MONEY = "MONEY"


class PositionMode(StrEnum):
    """Whether positions of one symbol are kept apart."""

    UNKNOWN = "UNKNOWN"
    HEDGING = "HEDGING"
    NETTING = "NETTING"


class Sizing(StrEnum):
    """How an entry's size is found."""

    UNKNOWN = "UNKNOWN"
    LOTS = "LOTS"
    RISK = "RISK"
    VOLATILITY = "VOLATILITY"
    KELLY = "KELLY"


class LossBasis(StrEnum):
    """What a day's loss is counted from."""

    UNKNOWN = "UNKNOWN"
    BALANCE = "BALANCE"
    EQUITY = "EQUITY"
    HIGHER = "HIGHER"


class BreachAction(StrEnum):
    """What happens when a limit is reached."""

    UNKNOWN = "UNKNOWN"
    BLOCK = "BLOCK"
    REDUCE = "REDUCE"
    FLATTEN = "FLATTEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """An account: whose quotes it trades on, its currency, margin and stop-out."""

    epoch: int
    nonce: bytes
    seq: int
    ref_no: int
    effective_from_us: int
    written_us: int
    account: str
    feed: str
    currency: str
    currency_digits: int
    balance: Decimal
    leverage: float
    position_mode: PositionMode
    margin_call_level: float
    stop_out_level: float
    rate_currencies: tuple[str, ...]
    rates: tuple[float, ...]
    conversion_listings: tuple[str, ...]
    order_base: int
    partition: int
    day_clock: str
    active: bool
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyConfig:
    """How an account trades a strategy's instance."""

    epoch: int
    nonce: bytes
    seq: int
    ref_no: int
    effective_from_us: int
    written_us: int
    account: str
    instance: str
    sizing: Sizing
    size: float
    max_lots: float
    role: str
    weight: float
    active: bool
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """What an account may risk; what is null is not limited."""

    epoch: int
    nonce: bytes
    seq: int
    ref_no: int
    effective_from_us: int
    written_us: int
    account: str
    max_lots: float | None = None
    max_spread_points: float | None = None
    max_price_move_points: float | None = None
    max_quote_age_ms: int | None = None
    max_symbol_lots: float | None = None
    max_currency_exposure: float | None = None
    max_gross_notional: float | None = None
    min_margin_level: float | None = None
    max_positions: int | None = None
    max_orders_per_minute: int | None = None
    max_requests_per_day: int | None = None
    max_daily_loss: float | None = None
    daily_loss_basis: LossBasis
    daily_loss_action: BreachAction
    max_drawdown: float | None = None
    drawdown_action: BreachAction
    loss_streak: int | None = None
    loss_streak_pause_ms: int
    max_correlation: float | None = None
    key_id: str
    prev: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTable:
    """When a listing trades, by the server's clock."""

    epoch: int
    nonce: bytes
    seq: int
    ref_no: int
    effective_from_us: int
    written_us: int
    listing: str
    from_minutes: tuple[int, ...]
    to_minutes: tuple[int, ...]
    key_id: str
    prev: bytes
    mac: bytes
