"""Statistics of a window."""

from __future__ import annotations

from typing import NamedTuple

from agents.expressions import Number, number
from agents.indicators.averages import sma
from agents.indicators.channels import stddev
from agents.indicators.definition import indicator
from agents.kernels import windows


class Line(NamedTuple):
    """A least squares line: its value at this bar, its slope a bar, and the share of variance that it explains."""

    value: Number
    slope: Number
    r2: Number


@indicator("(x - sma) / stddev", differs="NaN if x stands still")
def zscore(x: Number, period: int = 20) -> Number:
    """Distance from the mean in standard deviations."""
    return (x - sma(x, period)) / stddev(x, period)


@indicator("least squares over the last n", differs="r² is NaN if x stands still")
def linreg(x: Number, period: int = 14) -> Line:
    """Linear regression on time."""
    return Line(
        number(windows.VALUE, (period,), x),
        number(windows.SLOPE, (period,), x),
        number(windows.FIT, (period,), x),
    )


@indicator("100 · (values below + half of those equal) / (n - 1) of the n - 1 before")
def percentile_rank(x: Number, period: int = 100) -> Number:
    """Where x stands among the values before it, 0 to 100."""
    return number(windows.RANK, (period,), x)


@indicator("Pearson's r of the last n pairs", differs="NaN if one side stands still, where TA-Lib gives 0")
def correlation(x: Number, y: Number, period: int = 20) -> Number:
    """Correlation of two numbers, -1 to 1."""
    return number(windows.CORRELATION, (period,), x, y)
