"""Margin: what the broker asks for, and the margin level that has to be left."""

from __future__ import annotations

import math

from agents.risk.checks import Check, ceiling, shrinking
from agents.risk.views import AccountView, Candidate
from schemas.configuration import RiskLimits


def margin_checks(candidate: Candidate, view: AccountView, limits: RiskLimits) -> tuple[Check, ...]:
    """free_margin, margin_level.

    The broker refuses an order that the free margin doesn't cover, whole: so does this check, rather than trade a size
    that nobody asked for.
    """
    lots, per_lot, level = candidate.lots, candidate.margin_per_lot, limits.min_margin_level
    needed = lots * per_lot
    used = view.margin + needed
    free = ceiling("free_margin", round(view.equity - view.margin, 8), round(needed, 8), "money", lots)
    after = view.equity / used * 100 if used > 0 else math.inf if used == 0 else math.nan
    return free, shrinking("margin_level", level, after, "%", lots, _allowed(level, view, per_lot))


def _allowed(level: float | None, view: AccountView, per_lot: float) -> float:
    """Lots after which equity / margin is still `level` percent."""
    if level is None or math.isnan(per_lot):
        return 0.0
    if level <= 0 or per_lot <= 0:
        return math.inf
    return (view.equity * 100 / level - view.margin) / per_lot
