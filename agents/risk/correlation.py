"""How alike an entry moves with what is held: listed among the checks, and not measured (docs/risk.md says why)."""

from __future__ import annotations

import math

from agents.risk.checks import Check, ceiling
from schemas.configuration import RiskLimits


def correlation_check(lots: float, limits: RiskLimits) -> Check:
    """correlation: never measured, so an account whose record limits it makes no entry. A file can't set the limit."""
    return ceiling("correlation", limits.max_correlation, math.nan, "r", lots)
