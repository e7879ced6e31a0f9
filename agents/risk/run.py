"""All checks of an entry, in their fixed order, and the size that they leave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from agents.money import exact
from agents.risk.activity import activity_checks
from agents.risk.checks import Check, Verdict
from agents.risk.correlation import correlation_check
from agents.risk.exposure import exposure_checks
from agents.risk.losses import loss_checks
from agents.risk.margins import margin_checks
from agents.risk.order_size import size_checks
from agents.risk.quotes import quote_checks
from agents.risk.views import AccountView, Candidate
from agents.volumes import fitted
from schemas.configuration import RiskLimits, SessionTable
from schemas.events import ListingSpec

CHECK_NAMES: Final = (
    "volume_min", "volume_max", "volume_step", "order_lots",
    "quote", "suspect_data", "quote_age", "spread", "price_move", "session", "stops_level",
    "symbol_lots", "currency_exposure", "gross_notional", "positions",
    "free_margin", "margin_level",
    "order_rate", "daily_requests",
    "daily_loss", "drawdown", "loss_streak",
    "correlation",
)  # fmt: skip
"""The checks in the order in which they are listed."""


def run_checks(
    candidate: Candidate,
    view: AccountView,
    limits: RiskLimits,
    spec: ListingSpec,
    session: SessionTable | None = None,
) -> tuple[Check, ...]:
    """Every check of an entry, by CHECK_NAMES: also those without a limit, and those after one that denies.

    The broker's own hold without any limits: volume_min, volume_max, volume_step, stops_level, free_margin, and an
    entry needs a usable quote that isn't suspect. `session`: None = hours aren't told, and aren't checked.
    """
    lots = candidate.lots
    checks = (
        *size_checks(candidate, limits, spec),
        *quote_checks(candidate, limits, spec, session),
        *exposure_checks(candidate, view, limits, spec),
        *margin_checks(candidate, view, limits),
        *activity_checks(lots, view, limits),
        *loss_checks(lots, candidate.taken_us, view, limits),
        correlation_check(lots, limits),
    )
    return tuple([_fitted(check, spec) if check.verdict is Verdict.REDUCE else check for check in checks])


def decided_lots(asked: float, checks: Sequence[Check], spec: ListingSpec) -> float:
    """The size that all checks leave, a multiple of the listing's step; 0 = the entry is denied."""
    allowed = min([check.allowed_lots for check in checks], default=asked)
    allowed = min(asked, allowed)
    if not (math.isfinite(allowed) and allowed > 0):
        return 0.0
    return float(fitted(exact(allowed), spec))


def _fitted(check: Check, spec: ListingSpec) -> Check:
    """What a check leaves is a size that the listing takes; if there is none, the check denies."""
    left = float(fitted(exact(check.allowed_lots), spec))
    return check._replace(allowed_lots=left, verdict=Verdict.REDUCE if left > 0 else Verdict.DENY)


def decided_verdict(asked: float, allowed: float) -> Verdict:
    """Of the whole: PASS, REDUCE or DENY."""
    if allowed <= 0:
        return Verdict.DENY
    return Verdict.PASS if allowed >= asked else Verdict.REDUCE
