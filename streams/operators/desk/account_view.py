"""The account as the risk checks look at it, before an entry."""

from __future__ import annotations

import math
from typing import Final

from agents.money import ZERO, MissingRate, Rates, contract, margin, notional
from agents.risk import AccountView, Candidate, Streak
from agents.risk.exposure import legs
from schemas.events import ListingSpec
from schemas.quality import SUSPECT
from schemas.trading import OrderPurpose
from streams.operators.desk.accounting import margin_before_entry, rates_of
from streams.operators.desk.day_clock import clock_offset_s
from streams.operators.desk.state import DeskState, Order
from streams.operators.desk.turn import MONEY_DIGITS

MINUTE_US: Final = 60_000_000


class UnknownExposure(ValueError):
    """What is open can't be valued, so nobody can tell what an entry adds to; the message names it and the ways out."""


def account_view(state: DeskState, instance: str, listing: str, us: int, equity: float) -> AccountView:
    """Positions, and entries that aren't filled yet, counted alike; what is being closed isn't: its order goes first.

    `equity`: of now, account currency. Raises UnknownExposure.
    """
    rates = rates_of(state)
    lots, gross, count, exposures = ZERO, 0.0, 0, dict[str, float]()
    positions = [p for p in state.positions.values() if not p.leaving]
    held = [("position", p.position, p.listing, p.side, p.volume, p.price) for p in positions]
    held += [
        ("entry order", o.order_no, o.listing, o.side, o.volume - o.filled, o.price or o.decision_ask)
        for o in state.orders.values()
        if o.purpose is OrderPurpose.ENTRY and o.volume > o.filled
    ]
    for kind, number, other, side, volume, price in held:
        count += 1
        if other == listing:
            lots += volume
        spec = state.specs.get(other)
        if spec is None:
            raise UnknownExposure(_unknown(kind, number, other, no_spec(other)))
        try:
            value = float(notional(spec, 1.0, price, rates))
        except MissingRate as missing:
            raise UnknownExposure(_unknown(kind, number, other, str(missing))) from missing
        gross += float(volume) * value
        for currency, per_lot in legs(spec, side, base_value(spec, value, rates), value):
            exposures[currency] = exposures.get(currency, 0.0) + float(volume) * per_lot
    streak = state.streaks.get(instance, Streak())
    limits = state.limits
    return AccountView(
        balance=float(state.balance),
        equity=equity,
        margin=float(sum((margin_before_entry(state, p) for p in positions), ZERO)),
        symbol_lots=float(lots),
        gross_notional=gross,
        exposures=exposures,
        positions=count,
        orders_last_minute=sum(1 for at in state.order_times if at > us - MINUTE_US),
        requests_today=state.requests_today,
        day_basis=state.day.basis(limits.daily_loss_basis) if state.day is not None and limits else math.nan,
        peak_equity=state.peak / 10**MONEY_DIGITS,
        losses_in_row=streak.losses,
        paused_until_us=streak.paused_until_us,
    )


def candidate_of(state: DeskState, order: Order, signal_price: float, us: int, price: float) -> Candidate:
    """The sized entry, with what one lot of it binds and is worth, in a currency that can be converted."""
    spec, rates, config = state.specs[order.listing], rates_of(state), state.config
    assert config is not None
    assert order.plan is not None
    quote = state.quotes.get(order.listing)
    value = float(notional(spec, 1.0, price, rates))
    stop, target = order.plan.stop_distance, order.plan.target_distance
    newest = max(quote.time_ms if quote else 0, 0)
    return Candidate(
        side=order.side,
        lots=float(order.volume),
        price=price,
        taken_us=us,
        bid=order.decision_bid,
        ask=order.decision_ask,
        quote_ms=newest,
        suspect=bool(state.qualities.get(order.listing, 0) & SUSPECT),
        signal_price=signal_price,
        margin_per_lot=float(margin(spec, 1.0, price, config.leverage, rates)),
        notional_per_lot=value,
        base_per_lot=base_value(spec, value, rates),
        stop_distance=math.nan if stop is None else stop,
        target_distance=math.nan if target is None else target,
        pending=order.price is not None,
        server_offset_s=clock_offset_s(spec.server_clock, us),
    )


def no_spec(listing: str) -> str:
    """That the listing's symbol isn't recorded, with the way out."""
    return (
        f"there is no ListingSpec of {listing}: its recorder writes one with {listing.rpartition('/')[2]} in "
        "recorder.symbols"
    )


def _unknown(kind: str, number: int, listing: str, why: str) -> str:
    return f"no entry is made while {kind} {number} in {listing} can't be valued: close it, or see to this: {why}"


def base_value(spec: ListingSpec, value: float, rates: Rates) -> float:
    """Value of one lot's base currency, in the account's; what nothing converts is worth its notional."""
    try:
        return float(contract(spec) * rates.rate(spec.currency_base, gain=False))
    except MissingRate:
        return value
