"""A finished backtest in memory: what the report, the files and the comparison are made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.trading import Decided
from streams.backtest.journal import JournalRow

TRADE_DTYPE: Final = np.dtype(
    [
        ("entry_ms", "<i8"),
        ("entry_price", "<f8"),
        ("exit_ms", "<i8"),
        ("exit_price", "<f8"),
        ("side", "<i8"),
        ("lots", "<f8"),
        ("pnl", "<f8"),
        ("gross", "<f8"),
        ("commission", "<f8"),
        ("swap", "<f8"),
        ("spread_cost", "<f8"),
        ("slippage_cost", "<f8"),
        ("mae", "<f8"),
        ("mfe", "<f8"),
        ("risk", "<f8"),
        ("order_no", "<i8"),
        ("position", "<i8"),
        ("entry_n", "<i8"),
        ("exit_n", "<i8"),
        ("signal_seq", "<i8"),
        ("exit_reason", "U12"),
        ("strategy", "U64"),
        ("listing", "U80"),
    ]
)
"""A closed part of a position. side: 1 long, -1 short; times UTC milliseconds; pnl (net of everything), gross (by the
fills' prices, before commission and swap), costs (positive = paid; spread and slippage are parts of gross already), mae
and mfe (worst and best floating result while it was open, ≤ 0 and ≥ 0), risk (what the first stop would have lost; NaN
= no stop) in the account's currency; n: the ticks of entry and exit."""

Doubles = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]


@dataclass(slots=True, kw_only=True)
class Chart:
    """Bars of one listing with what was drawn on them: rows of BAR_DTYPE, lines float64[n] by name (NaN = none)."""

    listing: str
    timeframe: str
    digits: int
    bars: npt.NDArray[np.void]
    lines: Mapping[str, Doubles]


@dataclass(slots=True, kw_only=True)
class Run:
    """All of a backtest."""

    name: str
    """strategy, or several joined by +."""
    started: str
    """Local time, for the folder's name and the page."""
    strategy: Mapping[str, Any]
    """name, version, file, parameters, program_sha256, timeframe, doc, source (the file's text)."""
    account: Mapping[str, Any]
    """currency, digits (of money), balance, leverage, position_mode, sizing, size."""
    assumptions: Sequence[str]
    """One sentence each: spec, costs, latency, conversion, stamp, zone, fill rule."""
    warnings: Sequence[str]
    data: Sequence[Mapping[str, Any]]
    """Of each listing what was found: listing, format, files, rows, ticks, from_ms, to_ms, zone, stamp, digits, gaps,
    real_share (of ticks), spread source, broken (count by reason)."""
    from_ms: int
    to_ms: int
    trades: npt.NDArray[np.void]
    """TRADE_DTYPE, in the order of their exits."""
    equity_ms: Longs
    """Whole minutes while something is open, and the time of every fill; ascending."""
    balance: Doubles
    equity: Doubles
    margin: Doubles
    charts: Sequence[Chart]
    signals: Mapping[str, int]
    """Counts by kind."""
    refused: Mapping[str, int]
    """Entries that were not traded, by reason: denied by a check, expired, rejected by the venue …"""
    open_positions: int
    """Still open at the end; closed at the last quote with reason END and counted as trades."""
    signal_rows: Mapping[str, Sequence[npt.NDArray[np.void]]] = field(default_factory=dict)
    """By listing, rows of SIGNAL_DTYPE in pieces, in order."""
    decided: Sequence[Decided] = field(default_factory=list)
    """Orders, fills, risk decisions, portfolio, in order."""
    journal: Iterable[JournalRow] = ()
    """Entries in order; it can be gone through again."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """signals, orders, fills, risk, portfolio: SHA-256 of their decision bytes."""
    python_us_per_tick: float = 0.0
    """Cost of a hatch strategy's own code, microseconds a tick; 0 for expressions."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Where the time went, by stage."""
    complete: bool = True
    """False: it was stopped, and what is here is what had been reached."""
    checkpoint: bytes = b""
    """Of a run that was stopped: what `--resume` goes on from."""
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def start_balance(self) -> Decimal:
        return Decimal(str(self.account["balance"]))
