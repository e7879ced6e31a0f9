"""Money of the account: conversion, what is open, what a fill cost beyond its price, what a closed part earned.

Equity is computed in doubles, each position rounded to the account's digits, by the same steps as in `kernel.py`: so it
is the same whoever computes it. Booked money is exact.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from agents.money import ZERO, MissingRate, Rates, contract, exact, margin, rates_by, rounded
from schemas.events import ListingSpec, Side
from schemas.trading import Decided
from streams.operators.desk.state import NEVER_US, Deal, DeskState, Position
from streams.operators.desk.turn import MONEY_DIGITS, units
from streams.operators.marks import Marks, marks_to_records


def rates_of(state: DeskState) -> Rates:
    """Conversion into the account's currency, by the quotes as they are then."""
    rates: Rates | None = state.cache.get("rates")
    if rates is None:
        if state.config is None:
            rates = Rates("", {}, {}, state.quotes)
        else:
            rates = rates_by(state.config, state.specs, state.quotes)
        state.cache["rates"] = rates
    return rates


def money_digits(state: DeskState) -> int:
    """Digits of the account's money."""
    return state.config.currency_digits if state.config else 2


class Conversion(NamedTuple):
    """How a position's profit is converted: by a fixed rate, or (`listing`) by a quote, directly or inversely."""

    fixed: float
    listing: str
    direct: bool


def conversion_of(state: DeskState, listing: str) -> Conversion:
    """Of a listing's profit currency. What can't be converted counts as nothing."""
    known: dict[str, Conversion] = state.cache.setdefault("conversions", {})
    found = known.get(listing)
    if found is None:
        found = known[listing] = _conversion(state, listing)
    return found


def _conversion(state: DeskState, listing: str) -> Conversion:
    spec, rates = state.specs.get(listing), rates_of(state)
    if spec is None:
        return Conversion(0.0, "", True)
    by = rates.listing_of(spec.currency_profit)
    if by is not None:
        return Conversion(math.nan, by, state.specs[by].currency_base == spec.currency_profit)
    try:
        return Conversion(float(rates.rate(spec.currency_profit, gain=True)), "", True)
    except MissingRate:
        return Conversion(0.0, "", True)


def size_in_units(state: DeskState, position: Position) -> float:
    """Lots times contract size."""
    spec = state.specs.get(position.listing)
    return float(position.volume * contract(spec)) if spec is not None else 0.0


def floating(state: DeskState, position: Position) -> int:
    """What the position would earn now, before costs, in units of the last digit of the account's money."""
    quote = state.quotes.get(position.listing)
    if quote is None:
        return 0
    sign = position.sign
    own = (sign * ((quote.bid if sign > 0 else quote.ask) - position.price)) * size_in_units(state, position)
    fixed, by, direct = conversion_of(state, position.listing)
    if not by:
        rate = fixed
    elif (other := state.quotes.get(by)) is None:
        rate = 0.0
    elif direct:
        rate = other.bid if own >= 0.0 else other.ask
    else:
        rate = 1.0 / (other.ask if own >= 0.0 else other.bid)
    value: float = own * rate * float(10 ** money_digits(state))
    return math.floor(value + 0.5) if value >= 0.0 else -math.floor(-value + 0.5)


def equity_units(state: DeskState) -> int:
    """Balance and what is open, in units of 10^-8."""
    unit: int = 10 ** (MONEY_DIGITS - money_digits(state))
    total = units(state.balance)
    for position in state.positions.values():
        total += unit * floating(state, position)
    return total


def margin_of(state: DeskState) -> Decimal:
    """Margin used."""
    return sum([p.margin for p in state.positions.values()], ZERO)


def margin_before_entry(state: DeskState, position: Position) -> Decimal:
    """Margin of a position; where it couldn't be told at the opening, by what is known now.

    For entries only: marks may not depend on quotes that needn't be in the journal at their time.
    """
    return position.margin or bound_margin(state, position.listing, position.volume, position.price)


def bound_margin(state: DeskState, listing: str, volume: Decimal, price: float) -> Decimal:
    """What a position of this volume, opened at this price, binds; 0 if it can't be told."""
    spec, config = state.specs.get(listing), state.config
    if spec is None or config is None:
        return ZERO
    try:
        bound = margin(spec, float(volume), price, config.leverage, rates_of(state))
    except MissingRate:
        return ZERO
    return rounded(bound, money_digits(state))


class Costs(NamedTuple):
    """What a deal cost beyond the middle price, positive = paid; both are parts of its profit already."""

    slippage_points: float
    spread_points: float
    spread: Decimal
    slippage: Decimal


def costs_of(state: DeskState, deal: Deal, volume: Decimal, decision_price: float) -> Costs:
    """Half of the spread, and the way from the decision's price to the deal's, of `volume` lots of a deal."""
    spec = state.specs.get(deal.listing)
    if spec is None:
        return Costs(0.0, 0.0, ZERO, ZERO)
    worse = exact(deal.price) - exact(decision_price)
    worse = worse if deal.side is Side.LONG else -worse
    spread = exact(deal.ask) - exact(deal.bid) if 0 < deal.bid <= deal.ask else ZERO
    digits = money_digits(state)
    try:
        rate = rates_of(state).rate(spec.currency_profit, gain=False)
    except MissingRate:
        rate = ZERO
    size = volume * contract(spec) * rate
    return Costs(
        float(worse.scaleb(spec.digits)),
        float(spread.scaleb(spec.digits)),
        rounded(spread / 2 * size, digits),
        rounded(worse * size, digits),
    )


def share_of(amount: Decimal, part: Decimal, whole: Decimal, digits: int) -> Decimal:
    """`part` / `whole` of an amount as booked; the last part takes what is left, so that all parts sum to it."""
    return amount if part == whole else rounded(amount * part / whole, digits)


def point_of(spec: ListingSpec | None, digits: int) -> float:
    """The smallest step of a price."""
    return 10.0 ** -(spec.digits if spec is not None else digits)


def taken_before(deals: list[int], number: int) -> bool:
    """Whether a deal was taken already; remembers it. `deals` holds runs of numbers: first, last, first, last …"""
    at = bisect_right(deals, number)
    if at % 2 or (at and deals[at - 1] == number):
        return True
    joins_left, joins_right = bool(at) and deals[at - 1] == number - 1, at < len(deals) and deals[at] == number + 1
    if joins_left and joins_right:
        del deals[at - 1 : at + 1]
    elif joins_left:
        deals[at - 1] = number
    elif joins_right:
        deals[at] = number
    else:
        deals[at:at] = [number, number]
    return False


def watched(state: DeskState) -> tuple[str, ...]:
    """Listings whose quotes matter now: what is held, and what converts it."""
    if not state.positions:
        return ()
    names = dict.fromkeys([p.listing for p in state.positions.values()])
    for listing in tuple(names):
        if by := conversion_of(state, listing).listing:
            names[by] = None
    return tuple(sorted(names))


def first_minute_after(us: int) -> int:
    """The next whole minute, UTC microseconds; equity is marked at those."""
    return (us // 60_000_000 + 1) * 60_000_000 if us < NEVER_US else NEVER_US


def as_records(state: DeskState, out: Iterable[Decided | Marks]) -> list[Decided]:
    """Outputs of the state's operator with every mark as a record."""
    found: list[Decided] = []
    for one in out:
        if isinstance(one, np.ndarray):
            found += marks_to_records(one, operator=state.operator, account=state.account, digits=money_digits(state))
        else:
            found.append(one)
    return found
