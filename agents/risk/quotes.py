"""The quote that an entry meets: usable, fresh, near the signal's price, with a bearable spread, at an open market."""

from __future__ import annotations

import math

from agents.risk.checks import Check, ceiling, floor
from agents.risk.views import Candidate
from schemas.configuration import RiskLimits, SessionTable
from schemas.events import ListingSpec, Side

_WEEK_MINUTES = 7 * 1440
_SUNDAY_MINUTES = 4 * 1440
"""1970-01-01 was a Thursday: minutes since the Sunday before."""


def quote_checks(
    candidate: Candidate, limits: RiskLimits, spec: ListingSpec, session: SessionTable | None
) -> tuple[Check, ...]:
    """quote, suspect_data, quote_age, spread, price_move, session, stops_level."""
    lots, bid, ask = candidate.lots, candidate.bid, candidate.ask
    scale = 10.0**spec.digits
    usable = 0 < bid <= ask < math.inf and 0 < candidate.price < math.inf and candidate.quote_ms > 0
    age_ms = candidate.taken_us / 1000 - candidate.quote_ms if candidate.quote_ms > 0 else math.nan
    spread = points(ask - bid, scale) if usable else math.nan
    moved = points(abs(candidate.price - candidate.signal_price), scale)
    return (
        floor("quote", 1.0, float(usable), "usable", lots),
        ceiling("suspect_data", 0.0, float(candidate.suspect), "suspect", lots),
        ceiling("quote_age", limits.max_quote_age_ms, age_ms, "ms", lots),
        ceiling("spread", limits.max_spread_points, spread, "points", lots),
        ceiling("price_move", limits.max_price_move_points, moved, "points", lots),
        _session(candidate, session),
        _stops_level(candidate, spec, scale),
    )


def points(distance: float, scale: float) -> float:
    """A distance of prices in points; what doubles add far behind the point is cut, so that 5.000000001 is 5."""
    return round(distance * scale, 6)


def minute_of_week(taken_us: int, server_offset_s: int) -> int:
    """Minutes since Sunday 00:00 on the server's clock."""
    return (taken_us // 60_000_000 + server_offset_s // 60 + _SUNDAY_MINUTES) % _WEEK_MINUTES


def in_session(table: SessionTable, minute: int) -> bool:
    """Whether the listing trades in that minute of the week."""
    return any(start <= minute < end for start, end in zip(table.from_minutes, table.to_minutes, strict=True))


def _session(candidate: Candidate, session: SessionTable | None) -> Check:
    if session is None:
        return floor("session", None, math.nan, "open", candidate.lots)
    minute = minute_of_week(candidate.taken_us, candidate.server_offset_s)
    return floor("session", 1.0, float(in_session(session, minute)), "open", candidate.lots)


def _stops_level(candidate: Candidate, spec: ListingSpec, scale: float) -> Check:
    """The broker's least distance, at least a point: of stop and target from the price at which they would act, of a
    pending order from the quote that would fill it (MQL5 book, Limits on order price levels)."""
    distances = []
    spread = 0.0 if candidate.pending else candidate.ask - candidate.bid
    if candidate.stop_distance > 0:
        distances.append(candidate.stop_distance - spread)
    if candidate.target_distance > 0:
        distances.append(candidate.target_distance + spread)
    if candidate.pending:
        quote = candidate.ask if candidate.side is Side.LONG else candidate.bid
        distances.append(abs(candidate.price - quote))
    if not distances:
        return floor("stops_level", None, math.nan, "points", candidate.lots)
    least = float(max(spec.stops_level, 1))
    return floor("stops_level", least, points(min(distances), scale), "points", candidate.lots)
