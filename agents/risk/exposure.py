"""How much is held: of a symbol, in a currency, altogether, and how many positions."""

from __future__ import annotations

import math

from agents.risk.checks import Check, Verdict, ceiling, shrinking
from agents.risk.views import AccountView, Candidate
from schemas.configuration import RiskLimits
from schemas.events import ListingSpec, Side


def exposure_checks(
    candidate: Candidate, view: AccountView, limits: RiskLimits, spec: ListingSpec
) -> tuple[Check, ...]:
    """symbol_lots, currency_exposure, gross_notional, positions."""
    lots, per_lot = candidate.lots, candidate.notional_per_lot
    symbol, gross = limits.max_symbol_lots, limits.max_gross_notional
    measured = view.symbol_lots + lots
    after = _over(view.gross_notional + lots * per_lot, view.equity)
    room = (gross or 0.0) * view.equity - view.gross_notional
    return (
        shrinking("symbol_lots", symbol, measured, "lots", lots, (symbol or 0.0) - view.symbol_lots),
        _currency(candidate, view, limits.max_currency_exposure, spec),
        shrinking("gross_notional", gross, after, "x equity", lots, _lots(room, per_lot)),
        ceiling("positions", limits.max_positions, view.positions + 1.0, "positions", lots),
    )


def legs(spec: ListingSpec, side: Side, base_per_lot: float, notional_per_lot: float) -> tuple[tuple[str, float], ...]:
    """Signed exposure of one lot by currency, in the account's currency: of a pair +base and -profit.

    What is priced in its own base currency (an index, say) is exposed to no currency, only to its price. An unknown
    currency has no leg.
    """
    if spec.currency_base == spec.currency_profit:
        return ()
    sign = 1.0 if side is Side.LONG else -1.0
    both = ((spec.currency_base, sign * base_per_lot), (spec.currency_profit, -sign * notional_per_lot))
    return tuple(leg for leg in both if leg[0])


def _currency(candidate: Candidate, view: AccountView, limit: float | None, spec: ListingSpec) -> Check:
    """The worst of the entry's currencies; what brings an exposure down passes, up to the limit on its other side."""
    lots, measured, allowed = candidate.lots, 0.0, math.inf
    for currency, per_lot in legs(spec, candidate.side, candidate.base_per_lot, candidate.notional_per_lot):
        now = view.exposures.get(currency, 0.0)
        after = now + lots * per_lot
        measured = max(measured, _over(abs(after), view.equity))
        if limit is not None:
            room = limit * view.equity - (now if per_lot > 0 else -now)
            allowed = min(allowed, _lots(room, abs(per_lot)))
    if limit is not None and math.isnan(measured):
        return Check("currency_exposure", limit, measured, "x equity", Verdict.DENY, 0.0)
    return shrinking("currency_exposure", limit, measured, "x equity", lots, allowed)


def _lots(room: float, per_lot: float) -> float:
    if not per_lot > 0:
        return math.inf if per_lot == 0 and room >= 0 else 0.0
    return room / per_lot if room > 0 else 0.0


def _over(value: float, equity: float) -> float:
    """`value` as a multiple of equity; without equity there is no such multiple, and every limit is passed."""
    return value / equity if equity > 0 else math.inf
