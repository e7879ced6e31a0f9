"""Figures of a series of returns: formulas over float64[n], None where they say nothing.

Where empyrical and quantstats define one, it is that one: deviations are of a sample (n - 1), no risk-free rate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from api.lab.run import Doubles


def finite(value: float) -> float | None:
    """`value`, or None when it isn't a number."""
    return float(value) if np.isfinite(value) else None


def ratio(above: float | None, below: float | None) -> float | None:
    """above / below; None where either is unknown or below is zero."""
    return None if above is None or not below else finite(above / below)


def deviation(x: Doubles) -> float | None:
    """Of a sample; None below two values, or where all are the same but for rounding."""
    if len(x) < 2:
        return None
    found = float(x.std(ddof=1))
    return found if found > 1e-12 * max(1e-9, float(np.abs(x).max())) else None


def volatility(r: Doubles, a_year: int) -> float | None:
    spread = deviation(r)
    return None if spread is None else spread * a_year**0.5


def sharpe(r: Doubles, a_year: int) -> float | None:
    """Mean over deviation, a year."""
    spread = deviation(r)
    return None if spread is None else finite(float(r.mean()) / spread * a_year**0.5)


def downside(r: Doubles, a_year: int) -> float | None:
    """Deviation of the returns below zero, a year: root of the mean of min(r, 0)²."""
    return float(np.sqrt(np.mean(np.minimum(r, 0.0) ** 2)) * a_year**0.5) if len(r) else None


def sortino(r: Doubles, a_year: int) -> float | None:
    return ratio(float(r.mean()) * a_year, downside(r, a_year)) if len(r) > 1 else None


def growth(r: Doubles, a_year: int) -> float | None:
    """Compound growth a year."""
    if not len(r):
        return None
    grown = float(np.prod(1.0 + r))
    return finite(grown ** (a_year / len(r)) - 1.0) if grown > 0 else -1.0


def deepest(r: Doubles) -> float | None:
    """The deepest fall of the compounded returns from their peak, a share ≤ 0; the start is a peak."""
    if not len(r):
        return None
    worth = np.concatenate(([1.0], np.cumprod(1.0 + r)))
    return float((worth / np.maximum.accumulate(worth) - 1.0).min())


def ulcer(r: Doubles) -> float | None:
    """Root of the mean square of the falls from the peak, a share."""
    if not len(r):
        return None
    worth = np.concatenate(([1.0], np.cumprod(1.0 + r)))
    fall = (worth / np.maximum.accumulate(worth) - 1.0)[1:]
    return float(np.sqrt(np.mean(fall**2)))


def omega(r: Doubles) -> float | None:
    return ratio(float(r[r > 0].sum()), float(-r[r < 0].sum())) if len(r) > 1 else None


def tail(r: Doubles) -> float | None:
    """95th percentile over the 5th, without signs."""
    return ratio(abs(float(np.percentile(r, 95))), abs(float(np.percentile(r, 5)))) if len(r) else None


def value_at_risk(r: Doubles) -> float | None:
    """The 5th percentile."""
    return float(np.percentile(r, 5)) if len(r) > 1 else None


def conditional_value_at_risk(r: Doubles) -> float | None:
    """Mean of the worst 5 % (at least one)."""
    if len(r) < 2:
        return None
    count = int((len(r) - 1) * 0.05) + 1
    return float(np.partition(r, count - 1)[:count].mean())


def stability(r: Doubles) -> float | None:
    """R² of a straight line through the logarithm of the compounded returns."""
    if len(r) < 3 or (r <= -1).any():
        return None
    return squared(correlation(np.arange(len(r), dtype=np.float64), np.cumsum(np.log1p(r))))


def skew(x: Doubles) -> float | None:
    return _moment(x, 3)


def kurtosis(x: Doubles) -> float | None:
    """Excess over a normal distribution's."""
    found = _moment(x, 4)
    return None if found is None else found - 3.0


def correlation(x: Doubles, y: Doubles) -> float | None:
    """Pearson's; None where either doesn't vary."""
    if deviation(x) is None or deviation(y) is None:
        return None
    return finite(float(np.corrcoef(x, y)[0, 1]))


def squared(x: float | None) -> float | None:
    return None if x is None else x * x


def of_some(f: Callable[[Doubles], float], x: Doubles) -> float | None:
    """f(x); None of none."""
    return finite(float(f(x))) if len(x) else None


def _moment(x: Doubles, power: int) -> float | None:
    if len(x) < 3 or deviation(x) is None:
        return None
    away = x - x.mean()
    return finite(float(np.mean(away**power) / np.mean(away**2) ** (power / 2)))
