"""How alike an entry moves with what is held."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.risk.checks import Check, Verdict, ceiling
from schemas.configuration import RiskLimits
from schemas.events import Side

LEAST_MINUTES: Final = 30
"""Common minutes below which a correlation isn't measured."""

Returns = NDArray[np.float64]


def highest_correlation(returns: Returns, side: Side, held: Sequence[tuple[Returns, Side]]) -> float:
    """Of an entry with what is held, -1 to 1; opposite sides count with the opposite sign. NaN = not measured.

    `returns`, and those of each held listing: float64[n] of the same n minutes, NaN where a minute has none. Pearson's
    coefficient over the minutes that both have, at least LEAST_MINUTES of them; a listing that doesn't move has none.
    """
    found = [_pearson(returns, other) * (1.0 if side is its else -1.0) for other, its in held]
    return max((value for value in found if not math.isnan(value)), default=math.nan)


def correlation_check(lots: float, correlation: float, limits: RiskLimits) -> Check:
    """correlation: what isn't measured (nothing is held, or too few minutes are known) is let through."""
    if limits.max_correlation is not None and math.isnan(correlation):
        return Check("correlation", limits.max_correlation, correlation, "r", Verdict.NONE, lots)
    return ceiling("correlation", limits.max_correlation, correlation, "r", lots)


def _pearson(a: Returns, b: Returns) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    if int(both.sum()) < LEAST_MINUTES:
        return math.nan
    x, y = a[both].tolist(), b[both].tolist()
    if min(x) == max(x) or min(y) == max(y):
        return math.nan
    # fsum: the same bits whatever the length of the vector registers that NumPy's sums use.
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    x, y = [value - mean_x for value in x], [value - mean_y for value in y]
    spread = math.sqrt(math.fsum(v * v for v in x) * math.fsum(v * v for v in y))
    if spread == 0:
        return math.nan
    return min(1.0, max(-1.0, math.fsum(p * q for p, q in zip(x, y, strict=True)) / spread))
