"""The deflated Sharpe ratio, against the numbers of its paper and by hand."""

from __future__ import annotations

import math

import pytest

from api.lab.sweep.luck import Luck, expected_best, luck, probabilistic_sharpe


def test_the_papers_example() -> None:
    """Bailey and López de Prado (2014): 100 trials whose annual Sharpe ratios have variance 1/2, the best 2.5 a year
    over five years of 250 days, skewness -3, kurtosis 10."""
    by_luck = expected_best(100, 1 / (2 * 250))
    assert by_luck == pytest.approx(0.1132, abs=5e-5)
    deflated = probabilistic_sharpe(2.5 / math.sqrt(250), by_luck, 1_250, -3.0, 10.0)
    assert deflated == pytest.approx(0.9004, abs=5e-5)


def test_by_hand_of_two_trials() -> None:
    # Z⁻¹(1/2) = 0 and Z⁻¹(1 - 1/(2e)) = 0.9004; √V = 1.
    assert expected_best(2, 1.0) == pytest.approx(0.5772156649 * 0.9004, abs=1e-4)


def test_a_sharpe_at_the_benchmark_is_as_likely_above_as_below() -> None:
    assert probabilistic_sharpe(0.1, 0.1, 500, 0.3, 5.0) == 0.5


def test_annualised_ratios_are_deflated_by_day() -> None:
    sharpes = [0.5, 1.0, 1.5, 2.0]
    found = luck(2.0, sharpes, 252, 252, 0.0, 0.0)
    assert found is not None
    variance = sum((s - 1.25) ** 2 for s in sharpes) / 3 / 252
    assert found.by_luck == pytest.approx(expected_best(4, variance) * math.sqrt(252))
    assert found.deflated == probabilistic_sharpe(2.0 / math.sqrt(252), expected_best(4, variance), 252, 0.0, 3.0)
    assert found.trials == 4


def test_one_trial_or_no_days_say_nothing() -> None:
    assert luck(1.0, [1.0], 252, 252, 0.0, 0.0) is None
    assert luck(1.0, [1.0, 2.0], 2, 252, 0.0, 0.0) is None


def test_moments_that_contradict_say_nothing() -> None:
    assert probabilistic_sharpe(1.0, 0.0, 100, 5.0, 1.0) is None


def test_what_luck_explains_is_warned_of_in_words() -> None:
    likely = Luck(100, 250, 1.1, 1.35, 0.31)
    assert likely.warning == (
        "the best set is likely luck: with 100 trials a best Sharpe of 1.35 would be expected by luck alone, and the "
        "best has 1.10 over 250 days; the probability that it is better than luck is 31 % (deflated Sharpe ratio)"
    )
    assert "can't be told from luck" in str(Luck(100, 250, 1.5, 1.35, 0.6).warning)
    assert Luck(100, 250, 3.0, 1.35, 0.999).warning is None
    assert "above 99 %" in Luck(100, 250, 3.0, 1.35, 0.999).words
