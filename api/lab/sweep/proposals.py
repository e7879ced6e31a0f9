"""Which sets are run: all at once of a grid, or in rounds, each by what the ones before it gave."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from typing import Any, Final

from api.lab.sweep.axes import Axis, Number, check_sets, drawn, grid
from api.lab.sweep.outcome import BY, Row
from infra.errors import MissingPart, SettingsError

ROUND: Final = 8
"""Sets that a sampler proposes before it hears of their results: the same on every machine, so that results are."""
SAMPLERS: Final = ("tpe", "random", "nsgaii")

Proposals = Generator[list[dict[str, Number]], list[Row], None]
"""Sets to be run next; their rows are sent to it."""


def all_of(sets: list[dict[str, Number]]) -> Proposals:
    """Sets that are known beforehand."""
    yield sets


def known(axes: Sequence[Axis], random: int | None, seed: int) -> list[dict[str, Number]]:
    """The sets of the grid, or some drawn from it. Raises SettingsError."""
    return grid(axes) if random is None else drawn(axes, random, seed)


def sampled(axes: Sequence[Axis], sets: int, sampler: str, seed: int, by: str, least_trades: int) -> Proposals:
    """Sets that Optuna's sampler proposes. Raises MissingPart where Optuna isn't installed, SettingsError."""
    check_sets(sets, "--optuna")
    if sampler not in SAMPLERS:
        raise SettingsError(f"--sampler {sampler}: there are {', '.join(SAMPLERS)}")
    return _rounds(_study(sampler, seed, by), axes, sets, by, least_trades)


def _rounds(study: Any, axes: Sequence[Axis], sets: int, by: str, least_trades: int) -> Proposals:
    from optuna.trial import TrialState

    space = {axis.name: _distribution(axis) for axis in axes}
    left = sets
    while left:
        trials = [study.ask(space) for _ in range(min(ROUND, left))]
        left -= len(trials)
        rows = yield [_values(axes, trial.params) for trial in trials]
        for trial, row in zip(trials, rows, strict=True):
            value = None if row.failed or row.trades < least_trades else row.metric(by)
            if value is None:
                study.tell(trial, state=TrialState.FAIL)
            else:
                study.tell(trial, value)


def _study(sampler: str, seed: int, by: str) -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingPart(
            "--optuna needs Optuna, which is not installed: pip install 'tickledger[optuna]' (or uv tool install "
            "'tickledger[optuna]'); --random N draws sets without it"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers = optuna.samplers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if sampler == "tpe":
            made: Any = samplers.TPESampler(seed=seed, constant_liar=True)
        else:
            made = {"random": samplers.RandomSampler, "nsgaii": samplers.NSGAIISampler}[sampler](seed=seed)
    return optuna.create_study(sampler=made, direction="maximize" if BY[by] > 0 else "minimize")


def _distribution(axis: Axis) -> Any:
    from optuna import distributions as of

    if axis.values:
        # By place: steps need not be even, and values of a list have no order of their own but this.
        return of.IntDistribution(0, len(axis.values) - 1)
    if axis.whole:
        return of.IntDistribution(int(axis.low), int(axis.high))
    return of.FloatDistribution(float(axis.low), float(axis.high))


def _values(axes: Sequence[Axis], params: dict[str, Any]) -> dict[str, Number]:
    return {axis.name: axis.values[params[axis.name]] if axis.values else params[axis.name] for axis in axes}
