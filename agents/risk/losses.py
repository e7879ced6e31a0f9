"""What has been lost: in a day, from the peak, in a row.

A trading day begins at midnight of the account's day clock; the caller gives that clock's offset from UTC, since no
operator knows time zones. What the day's loss is counted from is fixed then: the balance, the equity, or the higher of
both, as prop firms define it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from agents.risk.checks import Check, Verdict, below
from agents.risk.views import AccountView
from schemas.configuration import BreachAction, LossBasis, RiskLimits

_DAY_S = 86_400


class DayStart(NamedTuple):
    """The account when its trading day began."""

    day: int
    """Counted from 1970-01-01 on the day clock."""
    balance: float
    equity: float

    def basis(self, kind: LossBasis) -> float:
        """What the day's loss is counted from, account currency; UNKNOWN counts as the balance."""
        if kind is LossBasis.EQUITY:
            return self.equity
        return max(self.balance, self.equity) if kind is LossBasis.HIGHER else self.balance


class Breach(NamedTuple):
    """A limit of the whole account that was reached."""

    limit: str
    """daily_loss or drawdown."""
    threshold: float
    measured: float
    unit: str
    action: BreachAction


class Streak(NamedTuple):
    """An instance's losses in a row, and until when it pauses (UTC microseconds, 0 = it doesn't)."""

    losses: int = 0
    paused_until_us: int = 0


def trading_day(taken_us: int, clock_offset_s: int) -> int:
    """The day of a time, counted from 1970-01-01, on a clock that is so many seconds ahead of UTC."""
    return (taken_us // 1_000_000 + clock_offset_s) // _DAY_S


def daily_loss(equity: float, basis: float) -> float:
    """Share of the basis that is lost: (basis - equity) / basis; negative = a gain. NaN if the basis isn't known."""
    return (basis - equity) / basis if basis > 0 else math.nan if math.isnan(basis) else math.inf


def drawdown(equity: float, peak: float) -> float:
    """Share of the peak that equity has fallen by, at least 0. NaN if the peak isn't known."""
    return max(0.0, (peak - equity) / peak) if peak > 0 else math.nan if math.isnan(peak) else math.inf


def breaches(limits: RiskLimits, equity: float, day_basis: float, peak_equity: float) -> tuple[Breach, ...]:
    """Which of the account's own limits are reached at this equity: daily loss first."""
    found = []
    lost, fallen = daily_loss(equity, day_basis), drawdown(equity, peak_equity)
    if limits.max_daily_loss is not None and lost >= limits.max_daily_loss:
        found.append(Breach("daily_loss", limits.max_daily_loss, lost, "share", _known(limits.daily_loss_action)))
    if limits.max_drawdown is not None and fallen >= limits.max_drawdown:
        found.append(Breach("drawdown", limits.max_drawdown, fallen, "share", _known(limits.drawdown_action)))
    return tuple(found)


def after_trade(streak: Streak, pnl: float, taken_us: int, limits: RiskLimits) -> Streak:
    """The streak when a position of the instance has been closed with `pnl`, after costs; 0 ends no streak.

    A pause starts the count anew: the instance pauses again only after as many losses again.
    """
    if pnl > 0:
        return Streak(0, streak.paused_until_us)
    losses = streak.losses + (pnl < 0)
    if limits.loss_streak is not None and losses >= limits.loss_streak:
        return Streak(0, taken_us + limits.loss_streak_pause_ms * 1000)
    return Streak(losses, streak.paused_until_us)


def loss_checks(lots: float, taken_us: int, view: AccountView, limits: RiskLimits) -> tuple[Check, ...]:
    """daily_loss, drawdown, loss_streak."""
    return (
        below("daily_loss", limits.max_daily_loss, daily_loss(view.equity, view.day_basis), "share", lots),
        below("drawdown", limits.max_drawdown, drawdown(view.equity, view.peak_equity), "share", lots),
        _streak(lots, taken_us, view, limits),
    )


def _streak(lots: float, taken_us: int, view: AccountView, limits: RiskLimits) -> Check:
    """Within the pause it denies, and measures the streak that brought it."""
    if limits.loss_streak is None:
        return Check("loss_streak", math.nan, float(view.losses_in_row), "losses", Verdict.NONE, lots)
    limit = float(limits.loss_streak)
    if taken_us < view.paused_until_us:
        return Check("loss_streak", limit, limit, "losses", Verdict.DENY, 0.0)
    return Check("loss_streak", limit, float(view.losses_in_row), "losses", Verdict.PASS, lots)


def _known(action: BreachAction) -> BreachAction:
    return BreachAction.BLOCK if action is BreachAction.UNKNOWN else action
