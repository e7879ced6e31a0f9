"""An EURUSD listing, an account of 10,000 USD and an entry that passes every check, to be changed by each test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agents.risk import AccountView, Candidate, Check, limits_from_toml, run_checks
from schemas.configuration import MarginMode, RiskLimits, SessionTable
from schemas.events import ListingSpec, Side
from schemas.integrity import ZERO_MAC, ZERO_NONCE

CHAIN: dict[str, Any] = {
    "epoch": 0, "nonce": ZERO_NONCE, "seq": 0, "ref_no": 0, "effective_from_us": 0, "written_us": 0,
    "key_id": "", "prev": ZERO_MAC, "mac": ZERO_MAC,
}  # fmt: skip
EURUSD = ListingSpec(
    listing="sim/EURUSD",
    digits=5,
    digits_inferred=False,
    contract_size=100_000.0,
    volume_min=0.01,
    volume_max=50.0,
    volume_step=0.01,
    stops_level=0,
    freeze_level=0,
    commission_per_lot_side=3.5,
    currency_base="EUR",
    currency_profit="USD",
    server_clock="utc",
    description="",
    margin_mode=MarginMode.FOREX,
    commission_currency="USD",
    **CHAIN,
)
MONDAY_NOON_US = 1_767_614_400_000_000
"""2026-01-05 12:00 UTC."""
ENTRY = Candidate(
    side=Side.LONG,
    lots=0.3,
    price=1.1001,
    taken_us=MONDAY_NOON_US,
    bid=1.1,
    ask=1.1001,
    quote_ms=MONDAY_NOON_US // 1000 - 200,
    suspect=False,
    signal_price=1.1,
    margin_per_lot=1_100.1,
    notional_per_lot=110_010.0,
    base_per_lot=110_010.0,
)
ACCOUNT = AccountView(balance=10_000.0, equity=10_000.0, margin=0.0, day_basis=10_000.0, peak_equity=10_000.0)


def limits(**told: Any) -> RiskLimits:
    return limits_from_toml(told, "lab")


def spec(**changes: Any) -> ListingSpec:
    return replace(EURUSD, **changes)


def checked(
    entry: dict[str, Any] | None = None,
    account: dict[str, Any] | None = None,
    told: dict[str, Any] | None = None,
    listing: ListingSpec = EURUSD,
    session: SessionTable | None = None,
) -> dict[str, Check]:
    """The checks by name, of ENTRY on ACCOUNT with these changes."""
    candidate, view = ENTRY._replace(**(entry or {})), ACCOUNT._replace(**(account or {}))
    return {check.name: check for check in run_checks(candidate, view, limits(**(told or {})), listing, session)}
