"""Choices by conditions, and what happens from bar to bar."""

from __future__ import annotations

from agents.expressions import Condition, Number, Operand, as_number, number
from agents.indicators.definition import indicator
from agents.kernels import elementwise, recursive, windows


@indicator("a where the condition holds, else b")
def where(when: Condition, a: Operand, b: Operand) -> Number:
    """A choice by a condition, bar by bar."""
    return number(elementwise.WHERE, (), when, a, b)


@indicator("x where the condition holds, else NaN")
def only(when: Condition, x: Number) -> Number:
    """A number at the bars of a condition alone."""
    return number(elementwise.ONLY, (), when, x)


@indicator("the last x that was there", differs="waits for the first one, however long ago")
def hold(x: Number) -> Number:
    """A number that stands until the next one comes."""
    return number(recursive.HOLD, (), x)


@indicator("a > b and a[1] ≤ b[1]")
def cross_above(a: Number, b: Operand) -> Condition:
    """At the bar where `a` comes to lie above `b`."""
    return (a > b) & (a.lag(1) <= as_number(b).lag(1))


@indicator("a < b and a[1] ≥ b[1]")
def cross_below(a: Number, b: Operand) -> Condition:
    """At the bar where `a` comes to lie below `b`."""
    return (a < b) & (a.lag(1) >= as_number(b).lag(1))


@indicator("x > x[1], n bars running")
def rising(x: Number, bars: int = 1) -> Condition:
    """Whether x has risen at each of the last bars."""
    return _running(x > x.lag(1), bars)


@indicator("x < x[1], n bars running")
def falling(x: Number, bars: int = 1) -> Condition:
    """Whether x has fallen at each of the last bars."""
    return _running(x < x.lag(1), bars)


@indicator("bars since the condition held, 0 at its own", differs="NaN before it first held")
def bars_since(when: Condition) -> Number:
    """How long ago a condition held."""
    return number(recursive.SINCE, (), when)


@indicator("the condition held at k of the last n bars")
def count(when: Condition, period: int = 14) -> Number:
    """How often a condition held."""
    return number(windows.SUM, (period,), where(when, 1.0, 0.0))


@indicator("|x|")
def absolute(x: Number) -> Number:
    """The absolute value."""
    return abs(x)


@indicator("the lesser of both, NaN if one is")
def minimum(a: Number, b: Operand) -> Number:
    """The lesser of two numbers."""
    return number(elementwise.LESSER, (), a, b)


@indicator("the greater of both, NaN if one is")
def maximum(a: Number, b: Operand) -> Number:
    """The greater of two numbers."""
    return number(elementwise.GREATER, (), a, b)


@indicator("√x, NaN below 0")
def sqrt(x: Number) -> Number:
    """The square root."""
    return number(elementwise.ROOT, (), x)


@indicator("the greatest whole number ≤ x")
def floor(x: Number) -> Number:
    """Rounded down."""
    return number(elementwise.FLOOR, (), x)


@indicator("x is there (not NaN)")
def known(x: Number) -> Condition:
    """Whether a number has a value."""
    return x == x  # NaN alone is not equal to itself


def _running(when: Condition, bars: int) -> Condition:
    return when if bars == 1 else count(when, bars) == float(bars)
