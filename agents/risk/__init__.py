"""Risk checks before an entry: every check is listed with limit, measured value, unit and verdict, in a fixed order.

The desk builds a `Candidate` and an `AccountView`, `run_checks` measures them against the account's RiskLimits and
against what the broker asks of every order, and `decided_lots` is the size that is left. Exits are never checked.
"""

from agents.risk.checks import Check, Verdict
from agents.risk.limits import BadLimit, limits_from_toml, no_limits
from agents.risk.losses import Breach, DayStart, Streak, after_trade, breaches, trading_day
from agents.risk.run import CHECK_NAMES, decided_lots, decided_verdict, run_checks
from agents.risk.views import AccountView, Candidate

__all__ = [
    "CHECK_NAMES",
    "AccountView",
    "BadLimit",
    "Breach",
    "Candidate",
    "Check",
    "DayStart",
    "Streak",
    "Verdict",
    "after_trade",
    "breaches",
    "decided_lots",
    "decided_verdict",
    "limits_from_toml",
    "no_limits",
    "run_checks",
    "trading_day",
]
