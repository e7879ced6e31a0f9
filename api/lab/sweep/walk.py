"""The walk forward: in each window the best set of the training is traded on what follows, by one account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from api.lab.figures import figures
from api.lab.metrics import METRICS, Value
from api.lab.run import Run
from api.lab.sweep.axes import Number
from api.lab.sweep.outcome import KEPT, Row, ranked
from api.lab.sweep.prepared import Prepared, Task
from api.lab.sweep.windows import Window


class Step(NamedTuple):
    """A window and what was chosen in it; None where no set had the trades to be chosen, and nothing was traded.

    trained and judged: the metrics on the training and on what followed; start: the balance at its beginning.
    """

    window: Window
    chosen: Row | None
    start: float
    judged: Mapping[str, Value]


class Walked(NamedTuple):
    """All windows. run: the out-of-sample account from the first test to the last; metrics: of KEPT over it."""

    steps: Sequence[Step]
    run: Run
    metrics: Mapping[str, Value]

    @property
    def kept(self) -> float | None:
        """Net profit a day out of sample over that of the trainings; None where those earned nothing."""
        traded = [(step.window, step.chosen, step.judged) for step in self.steps if step.chosen is not None]
        trained = sum((best.metric("net_profit") or 0.0) for _, best, _ in traded)
        judged = sum((found.get("net_profit") or 0.0) for _, _, found in traded)
        before_ms = sum(window.test_ms - window.train_ms for window, _, _ in traded)
        after_ms = sum(window.end_ms - window.test_ms for window, _, _ in traded)
        return (judged / after_ms) / (trained / before_ms) if trained > 0 else None


def walk(
    prepared: Prepared, chosen: Sequence[tuple[Window, Sequence[Row]]], by: str, least_trades: int
) -> Walked | None:
    """Trades each window's best set on its test, each from the balance that the one before ended with.

    None where no window had a set to choose. Raises TickledgerError, and KeyboardInterrupt when it is stopped.
    """
    steps: list[Step] = []
    runs: list[Run] = []
    balance: Decimal | None = None
    for window, rows in chosen:
        best = next(iter(ranked(rows, by, least_trades)), None)
        if best is None or (balance is not None and balance <= 0):
            steps.append(Step(window, None, float(balance or 0), {}))
            continue
        task = Task(window.number, -1, best.parameters, window.test_ms, window.end_ms)
        run = prepared.run(task, balance)
        if not run.complete:
            raise KeyboardInterrupt
        start = run.start_balance
        steps.append(Step(window, best, float(start), _metrics(run)))
        net = sum((Decimal(repr(pnl)) for pnl in run.trades["pnl"].tolist()), Decimal(0))
        balance = round(start + net, int(run.account["digits"]))
        runs.append(run)
    if not runs:
        return None
    whole = _joined(runs, chosen[0][0].test_ms)
    return Walked(steps, whole, _metrics(whole))


def _metrics(run: Run) -> dict[str, Value]:
    found = figures(run)
    return {key: METRICS[key].value(found) for key in KEPT}


def _joined(runs: Sequence[Run], from_ms: int) -> Run:
    """The runs, one after the other, as one."""
    refused: dict[str, int] = {}
    for run in runs:
        for reason, count in run.refused.items():
            refused[reason] = refused.get(reason, 0) + count
    first, last = runs[0], runs[-1]
    return replace(
        first,
        from_ms=from_ms,
        to_ms=last.to_ms,
        trades=np.concatenate([run.trades for run in runs]),
        equity_ms=np.concatenate([run.equity_ms for run in runs]),
        balance=np.concatenate([run.balance for run in runs]),
        equity=np.concatenate([run.equity for run in runs]),
        margin=np.concatenate([run.margin for run in runs]),
        charts=last.charts,
        refused=refused,
        open_positions=sum(run.open_positions for run in runs),
    )


def parameters_text(parameters: Mapping[str, Number]) -> str:
    """`fast 20, slow 50`."""
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in parameters.items()
    )
