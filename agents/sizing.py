"""How many lots an entry gets: fixed, by the loss at its stop, by volatility, or by Kelly.

Sizes are computed in decimal arithmetic and rounded down to the listing's step, so that what was aimed at is never
exceeded and 0.3 lots don't become 0.29. Below the smallest order the size is 0, and the reason says why.

Formulas, per lot and in the account's currency:

- RISK: equity x share / loss at the stop. The loss is the move from the price to the stop plus the commission of both
  sides.
- VOLATILITY: equity x yearly volatility aimed at / (notional x the listing's yearly volatility); the yearly one is that
  of a period times the root of periods in a year.
- KELLY (Kelly 1956, for a bet that wins `payoff` times what it loses): f = p - (1 - p) / payoff with the win rate p of
  the instance's closed trades; the share of equity at risk is `size` x f, at most `kelly_cap`.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final, NamedTuple

from agents.money import ZERO, MissingRate, Rates, commission, exact, notional, profit
from agents.volumes import fitted, least_of, most_of, step_of
from schemas.configuration import Sizing
from schemas.events import ListingSpec, Side

KELLY_TRADES: Final = 30
"""Closed trades before a win rate is believed; until then KELLY risks KELLY_START."""
KELLY_START: Final = 0.0025
"""Share of equity that KELLY puts at risk before KELLY_TRADES."""
KELLY_CAP: Final = 0.02
"""The most of equity that KELLY puts at risk."""

_NO_STOP: Final = "there is no stop: write Exit(stop=...) in the strategy, or size by fixed lots (--lots)"


class ClosedTrades(NamedTuple):
    """What an instance's closed trades say of its edge; money in the account's currency, both means positive."""

    trades: int = 0
    wins: int = 0
    mean_win: float = 0.0
    mean_loss: float = 0.0


class SizeRequest(NamedTuple):
    """An entry to be sized."""

    spec: ListingSpec
    rates: Rates
    sizing: Sizing
    size: float
    """Lots; or the share of equity at risk; or the yearly volatility aimed at; or the share of Kelly."""
    equity: Decimal
    """Account currency."""
    side: Side
    price: float
    """At which the entry is expected to fill: the ask of a long, the bid of a short, a pending order's own price."""
    stop_distance: float = math.nan
    """From the fill to the stop, in price; NaN or 0 = no stop."""
    max_lots: float = 0.0
    """Largest size, lots; 0 = no limit. One that is negative or not finite sizes nothing."""
    volatility: float = math.nan
    """Standard deviation of the listing's returns of a period, as a share of the price; NaN = not known (yet)."""
    periods_per_year: float = 252.0
    """How many of those periods a year has."""
    closed: ClosedTrades = ClosedTrades()
    kelly_cap: float = KELLY_CAP


class SizeResult(NamedTuple):
    """Lots, a multiple of the step; `reason` says why they are 0 or fewer than asked, else it is empty."""

    lots: float
    reason: str = ""


def size_of(request: SizeRequest) -> SizeResult:
    """The size of an entry by the formulas above; what can't be computed gives 0 lots and the reason, no exception."""
    size = request.size
    if not (math.isfinite(size) and size > 0):
        return SizeResult(0.0, f"the size of a {request.sizing.lower()} sizing is {size}: it must be above zero")
    if not 0 <= request.max_lots < math.inf:
        return SizeResult(
            0.0, f"max_lots is {request.max_lots}: it must be a finite number above zero, or zero for no limit"
        )
    if request.sizing is Sizing.LOTS:
        return _fitted(exact(size), request)
    if not (math.isfinite(request.price) and request.price > 0):
        return SizeResult(0.0, f"the price {request.price} can't be sized by")
    if request.equity <= ZERO:
        return SizeResult(0.0, f"the equity is {request.equity}")
    try:
        if request.sizing is Sizing.RISK:
            return _by_risk(exact(size), request)
        if request.sizing is Sizing.VOLATILITY:
            return _by_volatility(request)
        if request.sizing is Sizing.KELLY:
            return _by_kelly(request)
    except MissingRate as missing:
        return SizeResult(0.0, str(missing))
    return SizeResult(0.0, f"there is no sizing {request.sizing}")


def loss_at_stop(request: SizeRequest) -> Decimal:
    """What one lot loses at the stop, commission of both sides included: positive, account currency, not rounded.

    Raises MissingRate.
    """
    spec, rates, price = request.spec, request.rates, request.price
    distance = exact(request.stop_distance)
    stop = float(exact(price) - distance if request.side is Side.LONG else exact(price) + distance)
    return -profit(spec, request.side, 1.0, price, stop, rates) - 2 * commission(spec, 1.0, rates)


def kelly_fraction(closed: ClosedTrades) -> float:
    """Kelly's share of equity for a bet like the closed trades; below zero = no edge."""
    if not closed.trades:
        return 0.0
    share = closed.wins / closed.trades
    if closed.wins == 0 or closed.mean_win <= 0:
        return -1.0
    return share if closed.mean_loss <= 0 else share - (1 - share) * closed.mean_loss / closed.mean_win


def _by_risk(share: Decimal, request: SizeRequest) -> SizeResult:
    if not (math.isfinite(request.stop_distance) and request.stop_distance > 0):
        return SizeResult(0.0, _NO_STOP)
    loss = loss_at_stop(request)
    if loss <= ZERO:
        return SizeResult(0.0, f"a lot would lose {loss} at the stop: the listing's contract size or rate is wrong")
    return _fitted(request.equity * share / loss, request)


def _by_volatility(request: SizeRequest) -> SizeResult:
    yearly = request.volatility * math.sqrt(max(request.periods_per_year, 0.0))
    if not (math.isfinite(yearly) and yearly > 0):
        return SizeResult(0.0, "the listing's volatility isn't known (yet)")
    value = notional(request.spec, 1.0, request.price, request.rates)
    return _fitted(request.equity * exact(request.size) / (value * exact(yearly)), request)


def _by_kelly(request: SizeRequest) -> SizeResult:
    closed = request.closed
    if closed.trades < KELLY_TRADES:
        return _by_risk(exact(min(KELLY_START, request.kelly_cap)), request)
    fraction = kelly_fraction(closed)
    if fraction <= 0:
        wins = f"{closed.wins} of {closed.trades} trades won"
        return SizeResult(0.0, f"Kelly sees no edge: {wins}, {closed.mean_win:.2f} against {closed.mean_loss:.2f} lost")
    return _by_risk(exact(min(request.size * fraction, request.kelly_cap)), request)


def _fitted(lots: Decimal, request: SizeRequest) -> SizeResult:
    """`lots` within the request's and the listing's bounds, rounded down."""
    spec, reason = request.spec, ""
    if request.max_lots > 0 and lots > exact(request.max_lots):
        lots = exact(request.max_lots)
        reason = f"capped at max_lots {request.max_lots}"
    if lots > most_of(spec):
        lots, reason = most_of(spec), f"capped at the largest order, {spec.volume_max} lots"
    size = fitted(lots, spec)
    if size == ZERO:
        least = max(least_of(spec), step_of(spec))
        return SizeResult(0.0, f"{lots:.6g} lots are below the smallest order, {least} lots")
    if not reason and request.sizing is Sizing.LOTS and size != lots:
        reason = f"{lots} lots rounded down to the step of {step_of(spec)}"
    return SizeResult(float(size), reason)
