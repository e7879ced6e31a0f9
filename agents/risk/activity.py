"""How often it trades: orders in a minute, requests in a day."""

from __future__ import annotations

from agents.risk.checks import Check, ceiling
from agents.risk.views import AccountView
from schemas.configuration import RiskLimits


def activity_checks(lots: float, view: AccountView, limits: RiskLimits) -> tuple[Check, ...]:
    """order_rate, daily_requests: with this entry counted."""
    return (
        ceiling("order_rate", limits.max_orders_per_minute, view.orders_last_minute + 1.0, "orders/min", lots),
        ceiling("daily_requests", limits.max_requests_per_day, view.requests_today + 1.0, "requests/day", lots),
    )
