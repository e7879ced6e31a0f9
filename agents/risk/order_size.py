"""The size of an order: what the listing takes, and the account's largest order."""

from __future__ import annotations

import math

from agents.money import exact
from agents.risk.checks import Check, Verdict, ceiling, floor, shrinking
from agents.risk.views import Candidate
from agents.volumes import least_of, step_of, stepped
from schemas.configuration import RiskLimits
from schemas.events import ListingSpec


def size_checks(candidate: Candidate, limits: RiskLimits, spec: ListingSpec) -> tuple[Check, ...]:
    """volume_min, volume_max, volume_step, order_lots."""
    lots = candidate.lots
    most = spec.volume_max if spec.volume_max > 0 else None
    return (
        floor("volume_min", float(least_of(spec)), lots, "lots", lots),
        shrinking("volume_max", most, lots, "lots", lots, spec.volume_max),
        _step(lots, spec),
        shrinking("order_lots", limits.max_lots, lots, "lots", lots, limits.max_lots or 0.0),
    )


def _step(lots: float, spec: ListingSpec) -> Check:
    step = float(step_of(spec))
    if not math.isfinite(lots):
        return ceiling("volume_step", step, math.nan, "lots", lots)
    down = float(stepped(exact(lots), spec))
    if down == lots:
        return Check("volume_step", step, lots, "lots", Verdict.PASS, lots)
    return shrinking("volume_step", step, lots, "lots", lots, down)
