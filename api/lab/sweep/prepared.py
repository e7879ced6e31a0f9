"""What every set of a sweep shares: ticks, bars and costs, held once in a process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.risk import no_limits
from api.lab.backtest import Request, run_backtest
from api.lab.choice import Chosen, choose, with_values
from api.lab.command import Asked, in_range, limits_of, traded_of
from api.lab.data import Source, Traded
from api.lab.options import LabOptions
from api.lab.run import Chart, Run
from api.lab.setup import ACCOUNT, BARS, configured
from api.lab.sweep.axes import Number
from api.lab.sweep.outcome import Row, failed_row, row_of
from api.lab.sweep.shared_bars import SharedBars
from api.progress_line import ProgressLine
from infra.errors import TickledgerError
from producers.specs import account_config
from schemas.events import OperatorActivation
from schemas.ticks import TickBlock
from schemas.times import iso_ms
from streams.fold import ListingFold
from streams.operators.bar_kernel import BAR_DTYPE
from streams.operators.base import Operator
from streams.programs import NotRunnable


class Task(NamedTuple):
    """A set to run. from_ms, to_ms: the range if it isn't that of the options."""

    stage: int
    number: int
    values: Mapping[str, Number]
    from_ms: int | None = None
    to_ms: int | None = None


class Held:
    """A source whose blocks have been read, once for all runs of this process."""

    def __init__(self, source: Source) -> None:
        self._inputs, self._blocks = source.inputs, list(source.blocks(1))
        self._name, self._digits, self._facts = source.name, source.digits, dict(source.facts)

    @property
    def name(self) -> str:
        return self._name

    @property
    def digits(self) -> int:
        return self._digits

    @property
    def facts(self) -> Mapping[str, Any]:
        return self._facts

    def inputs(self) -> list[dict[str, Any]]:
        return self._inputs()

    def blocks(self, ref_no: int) -> Iterator[TickBlock]:
        return (block._replace(ref_no=ref_no) for block in self._blocks)


class Prepared:
    """A strategy, its data and its costs, ready to run with any parameters."""

    def __init__(self, chosen: Chosen, traded: Sequence[Traded], options: LabOptions) -> None:
        self.chosen, self.options = chosen, options
        self.traded = [replace(one, source=Held(one.source)) for one in traded]
        self.sized, self.limits = options.sized(), limits_of(options)
        in_range(chosen, self.traded, options)
        self._shared = SharedBars(chosen.timeframe)
        self._bars = self._read_bars()
        self._bar_ms = self._bars["time_ms"].copy()

    @property
    def starts_ms(self) -> int:
        """The first tick's time, of those that are traded."""
        return min(int(one.source.facts["starts_ms"]) for one in self.traded if not one.converts)

    @property
    def ends_ms(self) -> int:
        """The last tick's time, of those that are traded."""
        return max(int(one.source.facts["ends_ms"]) for one in self.traded if not one.converts)

    def row(self, task: Task) -> Row:
        """Runs a set: its row, with the reason in it if it failed. Raises KeyboardInterrupt."""
        try:
            run = self.run(task)
        except TickledgerError as error:
            return failed_row(task.stage, task.number, task.values, str(error))
        if not run.complete:
            raise KeyboardInterrupt
        failed = _why_failed(run) if run.signals.get("FAILED") else ""
        return row_of(task.stage, task.number, task.values, run, failed)

    def run(self, task: Task, balance: Decimal | None = None) -> Run:
        """The backtest of a set, from another balance if one is given. Raises TickledgerError."""
        chosen, ranged, from_ms = self._ranged(task)
        if balance is not None:
            ranged = [
                replace(one, spec=replace(one.spec, account={**one.spec.account, "balance": balance})) for one in ranged
            ]
        request = Request(
            chosen=chosen,
            data=ranged,
            sized=self.sized,
            limits=self.limits,
            from_ms=from_ms,
            keep=False,
            bars=self._shared,
        )
        request.check()
        run = run_backtest(request)
        run.charts = [self._chart(run)]
        return run

    def _ranged(self, task: Task) -> tuple[Chosen, list[Traded], int]:
        options = self.options
        if task.from_ms is not None and task.to_ms is not None:
            options = replace(options, from_=iso_ms(task.from_ms), to=iso_ms(task.to_ms))
        chosen = self.with_values(task.values)
        return chosen, *in_range(chosen, self.traded, options)

    def with_values(self, values: Mapping[str, Number]) -> Chosen:
        """The strategy with these parameters. Raises TickledgerError."""
        chosen = self.chosen
        if chosen.strategy is None:
            return choose(chosen.name, values)
        return with_values(chosen.strategy, chosen.path, values)

    def _chart(self, run: Run) -> Chart:
        """The days of the market are those of the first listing's bars, as in a report."""
        first = self.traded[0].source
        bars = self._bars[: int(self._bar_ms.searchsorted(run.to_ms, "right"))]
        return Chart(listing=first.name, timeframe=self.chosen.timeframe.name, digits=first.digits, bars=bars, lines={})

    def _read_bars(self) -> Any:
        """The first listing's bars, by what all runs share: those of copies of this process find them there."""
        first = self.traded[0]
        setup = configured(
            [first.listing],
            account_config(first.spec, ACCOUNT, [first.source.name]),
            self.limits or no_limits(ACCOUNT),
            self.chosen,
            self.sized,
            [first.source.name],
        )
        fold = ListingFold(first.source.name, setup.view, self._bars_only)
        made = [output.columns for block in first.source.blocks(setup.last) for output in fold.fold([block])]
        return np.concatenate(made) if made else np.empty(0, BAR_DTYPE)

    def _bars_only(self, one: OperatorActivation) -> Operator:
        if one.instance != BARS:
            raise NotRunnable("bars are all that is asked for")
        return self._shared


def prepare(asked: Asked, line: ProgressLine, home: Path | None, config: Path | None, kept: ExitStack) -> Prepared:
    """Reads all that a sweep needs; `asked` without its parameters. Raises TickledgerError."""
    chosen = choose(asked.strategy, {})
    return Prepared(chosen, traded_of(asked, line, home, config, kept), asked.options)


def _why_failed(run: Run) -> str:
    """What the strategy raised."""
    return next((warning for warning in run.warnings if " failed on " in warning), "the strategy failed")
