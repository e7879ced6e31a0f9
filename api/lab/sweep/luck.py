"""How much of the best of many trials is luck: the deflated Sharpe ratio.

Bailey, D. H. and López de Prado, M. (2014), "The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest
Overfitting and Non-Normality", Journal of Portfolio Management 40 (5), 94-107.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

EULER: Final = 0.5772156649015329
"""Euler-Mascheroni constant."""
CONVINCING: Final = 0.95
_NORMAL: Final = NormalDist()


class Luck(NamedTuple):
    """What luck explains of the best of `trials`. Sharpe ratios are annualised.

    sharpe: the best set's; by_luck: the Sharpe expected of the best of so many trials without any skill; deflated: the
    probability that the true Sharpe of the best is above that.
    """

    trials: int
    days: int
    sharpe: float
    by_luck: float
    deflated: float

    @property
    def words(self) -> str:
        """It in one sentence or two."""
        expected = (
            f"with {self.trials:,} trials a best Sharpe of {self.by_luck:.2f} would be expected by luck alone, and the "
            f"best has {self.sharpe:.2f} over {self.days:,} days"
        )
        share = f"{100 * self.deflated:.0f} %" if 0.005 <= self.deflated < 0.995 else _extreme(self.deflated)
        return f"{expected}; the probability that it is better than luck is {share} (deflated Sharpe ratio)"

    @property
    def warning(self) -> str | None:
        """What to be warned of; None where luck hardly explains it."""
        if self.deflated >= CONVINCING:
            return None
        judged = "is likely luck" if self.deflated < 0.5 else "can't be told from luck"
        return f"the best set {judged}: {self.words}"


def luck(best: float, sharpes: Sequence[float], days: int, a_year: int, skew: float, kurtosis: float) -> Luck | None:
    """The luck in the best of trials. None where nothing can be said: fewer than 2 trials, or hardly any days.

    `best`: the chosen set's Sharpe, and `sharpes` those of all trials, annualised by √a_year; `days`: of daily returns;
    `skew` and `kurtosis` (excess) of the chosen set's daily returns.
    """
    if len(sharpes) < 2 or days < 3:
        return None
    daily = [sharpe / math.sqrt(a_year) for sharpe in sharpes]
    mean = math.fsum(daily) / len(daily)
    variance = math.fsum((sharpe - mean) ** 2 for sharpe in daily) / (len(daily) - 1)
    by_luck = expected_best(len(daily), variance)
    deflated = probabilistic_sharpe(best / math.sqrt(a_year), by_luck, days, skew, kurtosis + 3.0)
    if deflated is None:
        return None
    return Luck(len(daily), days, best, by_luck * math.sqrt(a_year), deflated)


def expected_best(trials: int, variance: float) -> float:
    """The Sharpe expected of the best of `trials` independent ones whose true Sharpe is zero.

    √V · ((1 - γ) Z⁻¹(1 - 1/N) + γ Z⁻¹(1 - 1/(N·e))), V the variance of the trials' Sharpe ratios, γ Euler's constant,
    Z⁻¹ the quantile of the normal distribution. Trials that are alike count as fewer, so it is rather too high.
    """
    if trials < 2:
        return 0.0
    first, second = _NORMAL.inv_cdf(1.0 - 1.0 / trials), _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - EULER) * first + EULER * second)


def probabilistic_sharpe(sharpe: float, benchmark: float, returns: int, skew: float, kurtosis: float) -> float | None:
    """The probability that the true Sharpe is above `benchmark`, by an observed one of `returns` returns.

    Z((SR - SR₀) √(T - 1) / √(1 - γ₃ SR + (γ₄ - 1)/4 SR²)); Sharpe ratios not annualised, γ₃ skewness, γ₄ kurtosis (3 of
    a normal distribution). None where the root has nothing to stand on.
    """
    spread = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    if spread <= 0.0 or returns < 2:
        return None
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(returns - 1) / math.sqrt(spread))


def _extreme(share: float) -> str:
    return "below 1 %" if share < 0.5 else "above 99 %"
