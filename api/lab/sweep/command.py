"""What `tickledger sweep` does: check, read, run on all cores, judge, write, show."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from api.lab.choice import choose
from api.lab.command import Asked, Done, check_limits_reach
from api.lab.options import LabOptions
from api.lab.sweep.axes import Axis, Number, fitted, parse_axes, total
from api.lab.sweep.findings import Findings, judged
from api.lab.sweep.outcome import Row, check_by
from api.lab.sweep.pool import Inputs, Pool, check_jobs
from api.lab.sweep.prepared import Prepared, prepare
from api.lab.sweep.proposals import Proposals, all_of, known, sampled
from api.lab.sweep.search import WHOLE, Stage, search
from api.lab.sweep.store import Store, asked_of, create, reopen
from api.lab.sweep.walk import Walked, walk
from api.lab.sweep.windows import Window, parse_walk_forward, windows
from api.lab.sweep.writer import Writer
from api.progress_line import ProgressLine
from infra.errors import SettingsError
from schemas.times import iso_ms

LEAST_TRADES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """How sets are found and chosen: what the command was told."""

    axes: tuple[str, ...]
    random: int | None = None
    optuna: int | None = None
    sampler: str = "tpe"
    seed: int = 1
    by: str = "sharpe"
    min_trades: int = LEAST_TRADES
    walk_forward: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For the folder."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"axes": list(self.axes)}

    def check(self) -> None:
        """Raises SettingsError."""
        check_by(self.by)
        if self.random is not None and self.optuna is not None:
            raise SettingsError("--random and --optuna both say which sets are run: use one of them")
        if self.min_trades < 1:
            raise SettingsError(f"--min-trades {self.min_trades}: a set without trades can't be chosen")
        if self.walk_forward is not None:
            parse_walk_forward(self.walk_forward)


def sweep_command(
    strategy: str | None,
    data: Sequence[Path],
    options: LabOptions,
    plan: SweepPlan,
    out: Path | None,
    resume: Path | None,
    jobs: int | None,
    home: Path | None,
    config: Path | None,
    started: float,
) -> Done:
    """Runs a sweep and writes its results. Raises TickledgerError."""
    found: dict[str, Any] | None = None
    if resume is not None:
        if strategy is not None or options.p:
            raise SettingsError("--resume goes on with what the folder was asked: name it alone")
        asked, told, found = asked_of(resume)
        plan = SweepPlan(**{**told, "axes": tuple(told["axes"])})
    else:
        if strategy is None:
            raise SettingsError(
                "no strategy is named: tickledger sweep my.py EURUSD_M1.csv -p fast=10:60:5, or one that ships "
                "(tickledger strategies lists them)"
            )
        plan = replace(plan, axes=tuple(options.p or ()))
        asked = Asked(strategy, tuple(data), replace(options, p=None))
    plan.check()
    count = check_jobs(jobs)
    chosen = choose(asked.strategy, {})
    axes = fitted(parse_axes(plan.axes), chosen)
    if not any(axis.varied for axis in axes):
        raise SettingsError(f"no parameter of {chosen.name} has several values: {_example(chosen.strategy)}")
    sets = None if plan.optuna is not None else known(axes, plan.random, plan.seed)
    proposals = _proposals(axes, sets, plan)
    first = proposals()
    line = ProgressLine()
    with ExitStack() as kept:
        kept.callback(line.clear)
        writer = kept.enter_context(Writer(apart=count > 1))
        prepared = prepare(asked, line, home, config, kept)
        check_limits_reach(asked.options, prepared.limits, prepared.traded)
        spans = _spans(plan, prepared, asked.options)
        if found is not None:
            assert resume is not None
            store = kept.enter_context(reopen(resume, found, chosen, prepared.traded))
        else:
            store = kept.enter_context(
                create(out or _folder(chosen.name), asked, plan.as_json(), chosen, prepared.traded)
            )
        each = len(sets) if sets is not None else plan.optuna or 0
        progress = _Progress(line, each * (1 + len(spans)))
        rows: list[Row] = []
        walked: Walked | None = None
        complete = True
        try:
            with Pool(prepared, Inputs(asked, home, config), min(count, each)) as pool:
                rows = search(Stage(WHOLE), first, pool, store, progress.done)
                trained = [
                    (one, search(Stage(one.number, one.train_ms, one.test_ms), proposals(), pool, store, progress.done))
                    for one in spans
                ]
            walked = walk(prepared, trained, plan.by, plan.min_trades) if trained else None
        except KeyboardInterrupt:
            complete = False
            rows = [row for (stage, _), row in sorted(store.rows.items()) if stage == WHOLE]
        line.clear()
        result = Findings(
            name=chosen.name,
            axes=axes,
            rows=rows,
            asked=each,
            by=plan.by,
            least_trades=plan.min_trades,
            currency=str(prepared.traded[0].spec.account["currency"]),
            money_digits=int(prepared.traded[0].spec.account["currency_digits"]),
            facts=_facts(asked, prepared, plan, axes),
            data_warnings=[word for one in prepared.traded for word in one.warnings],
            complete=complete,
            walked=walked,
            walk_words=str(parse_walk_forward(plan.walk_forward)) if plan.walk_forward else "",
        )
        result = replace(result, **judged(result))
        return _written(result, store, writer, started)


def _written(result: Findings, store: Store, writer: Writer, started: float) -> Done:
    from api.lab.sweep.screen import answer_of, screen

    writer.write(result, store.folder)
    took = time.perf_counter() - started
    answer = answer_of(result, store.folder, took)
    return Done(screen(result, store.folder, took), answer, 0 if result.complete else 130)


class _Progress:
    """Sets done, rate, and the time that is left."""

    def __init__(self, line: ProgressLine, total: int) -> None:
        self._line, self._total = line, total
        self._done, self._ran, self._since = 0, 0, time.perf_counter()

    def done(self, sets: int, ran: bool) -> None:
        """So many more are there; `ran`: they were run now."""
        self._done += sets
        self._ran += sets if ran else 0
        rate = self._ran / max(time.perf_counter() - self._since, 1e-9)
        left = (self._total - self._done) / rate if rate else 0.0
        self._line.show(
            f"sweep: {self._done:,} of {self._total:,} sets, {rate:,.1f} a second, {_duration(left)} left",
            last=self._done >= self._total,
        )


def _proposals(axes: Sequence[Axis], sets: list[dict[str, Number]] | None, plan: SweepPlan) -> Callable[[], Proposals]:
    if sets is not None:
        return lambda: all_of(sets)
    asked = plan.optuna or 0
    return lambda: sampled(axes, asked, plan.sampler, plan.seed, plan.by, plan.min_trades)


def _spans(plan: SweepPlan, prepared: Prepared, options: LabOptions) -> list[Window]:
    if plan.walk_forward is None:
        return []
    if options.from_ is not None or options.to is not None:
        from api.start import time_option

        starts_ms = prepared.starts_ms if options.from_ is None else time_option(options.from_, "--from")
        ends_ms = prepared.ends_ms if options.to is None else time_option(options.to, "--to") - 1
        return windows(
            parse_walk_forward(plan.walk_forward), max(starts_ms, prepared.starts_ms), min(ends_ms, prepared.ends_ms)
        )
    return windows(parse_walk_forward(plan.walk_forward), prepared.starts_ms, prepared.ends_ms)


def _facts(asked: Asked, prepared: Prepared, plan: SweepPlan, axes: Sequence[Axis]) -> list[str]:
    count = total(axes)
    there = "without end" if count is None else f"{count:,}"
    how = "all of the grid"
    if plan.random is not None:
        how = f"{plan.random:,} drawn by chance (seed {plan.seed}) of {there}"
    if plan.optuna is not None:
        how = f"{plan.optuna:,} proposed by Optuna's {plan.sampler} sampler (seed {plan.seed}) of {there}"
    names = ", ".join(one.source.name for one in prepared.traded)
    from_ = asked.options.from_ or iso_ms(prepared.starts_ms)[:16]
    to = asked.options.to or iso_ms(prepared.ends_ms)[:16]
    words = [word for one in prepared.traded for word in (*one.spec.assumptions, *one.words)]
    return [f"{names}, {from_} to {to}", f"sets: {how}", *dict.fromkeys(words)]


def _example(strategy: Any) -> str:
    for name, p in getattr(strategy, "parameters", {}).items():
        step = max(1, int((p.high - p.low) // 5)) if p.whole else round((p.high - p.low) / 5, 6)
        return f"name some, such as -p {name}={p.low}:{p.high}:{step}"
    return "it has no parameters, so there is nothing to sweep; write fast=Param(20, 5, 100) in its signature"


def _duration(seconds: float) -> str:
    from api.lab.metrics import duration

    return duration(seconds)


def _folder(name: str) -> Path:
    return Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-sweep"
