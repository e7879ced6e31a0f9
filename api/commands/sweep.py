"""`tickledger sweep`: a strategy with many parameter sets over the same ticks, and how much of the best is luck."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from api.lab.options import LabOptions
from api.start import ConfigOption, HomeOption, JsonOption


def sweep(
    strategy: Annotated[str | None, Parameter(help="FILE.py, FILE.py:NAME, or one that ships (`strategies`).")] = None,
    *data: Annotated[Path, Parameter(help="Files, folders or globs; none: the log of the home, by --symbol.")],
    random: Annotated[int | None, Parameter(help="Draw so many sets; a parameter may then be from:to.")] = None,
    optuna: Annotated[int | None, Parameter(help="Let Optuna propose so many sets; needs tickledger[optuna].")] = None,
    sampler: Annotated[str, Parameter(help="Optuna's sampler: tpe, random or nsgaii.")] = "tpe",
    seed: Annotated[int, Parameter(help="Of --random and --optuna: the same gives the same sets.")] = 1,
    by: Annotated[str, Parameter(help="The metric that sets are chosen by.")] = "sharpe",
    min_trades: Annotated[int, Parameter(help="Sets with fewer trades are not chosen.")] = 10,
    walk_forward: Annotated[
        str | None, Parameter(help="Choose on a stretch, judge on the next, and so on: 6m/1m; d, w, m, y.")
    ] = None,
    jobs: Annotated[int | None, Parameter(help="Processes; default one a core.")] = None,
    out: Annotated[Path | None, Parameter(help="Folder of the results; default runs/TIME-STRATEGY-sweep.")] = None,
    resume: Annotated[Path | None, Parameter(help="Go on with the sweep in this folder that was stopped.")] = None,
    options: LabOptions | None = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Run a strategy with many parameter sets over the same ticks, on all cores, and say how much of the best is luck.

    -p name=from:to:step (both ends included), name=a,b,c or name=value. Every set is kept as soon as it is finished;
    Ctrl-C stops, --resume goes on. Exit 0 done, 1 the answer is no (refused data), 2 could not run, 130 stopped.
    """
    from api.lab.sweep.command import SweepPlan, sweep_command

    started = time.perf_counter()
    plan = SweepPlan(
        axes=(), random=random, optuna=optuna, sampler=sampler, seed=seed, by=by, min_trades=min_trades,
        walk_forward=walk_forward,
    )  # fmt: skip
    done = sweep_command(strategy, data, options or LabOptions(), plan, out, resume, jobs, home, config, started)
    print(json.dumps(done.answer) if as_json else done.text)
    return done.code
