"""`tickledger backtest`: a strategy over recorded ticks, to a written report."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from api.lab.options import LabOptions
from api.start import ConfigOption, HomeOption, JsonOption


def backtest(
    strategy: Annotated[str | None, Parameter(help="FILE.py, FILE.py:NAME, or one that ships (`strategies`).")] = None,
    /,
    *data: Annotated[Path, Parameter(help="Files, folders or globs; none: the log of the home, by --symbol.")],
    out: Annotated[Path | None, Parameter(help="Folder of the results; default runs/TIME-STRATEGY.")] = None,
    manifest: Annotated[Path | None, Parameter(help="Repeat the run of this manifest.json.")] = None,
    resume: Annotated[Path | None, Parameter(help="Go on with the run in this folder that was stopped.")] = None,
    check_lookahead: Annotated[
        bool, Parameter(negative="", help="Cut the future off at random moments and compare what was said before.")
    ] = False,
    options: LabOptions | None = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Run a strategy over recorded ticks: the very operators, desk and matching engine that trade it live.

    Needs no services with files; without them it replays a range of the home's log. Exit 0 done, 1 the answer is no (a
    strategy that failed, a look-ahead, other digests than the manifest's, refused data), 2 could not run.
    """
    from api.lab.command import run_command

    started = time.perf_counter()
    done = run_command(
        strategy, data, options or LabOptions(), out, manifest, resume, check_lookahead, home, config, started
    )
    print(json.dumps(done.answer) if as_json else done.text)
    return done.code
