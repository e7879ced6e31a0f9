"""`tickledger rebuild`: makes the database anew from the log."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from api.start import ConfigOption, HomeOption, JsonOption, running_stack, settings_of, tell
from infra.clock import Stopwatch, SystemClock
from infra.keys import load_or_create
from infra.stack.services import KAFKA, POSTGRES
from projections.projector import Progress
from projections.rebuild import rebuild as make_anew


def rebuild(*, home: HomeOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Drop everything that the database has of the log, and fold the log into it again from its first record.

    The projector may not run meanwhile: end the stack first (tickledger down). With --json: {"records", "ticks",
    "seconds"}.
    """
    settings = settings_of(home, config, "rebuild")
    watch = Stopwatch()
    with running_stack(settings, frozenset({KAFKA, POSTGRES})) as running:
        done = make_anew(running.postgres_dsn, running.kafka, load_or_create(settings), SystemClock(), _shown(watch))
    seconds = watch.seconds()
    if as_json:
        print(json.dumps({"records": done.records, "ticks": done.ticks, "seconds": round(seconds, 3)}))
    else:
        print(f"{done.records:,} records, {done.ticks:,} ticks of them in {seconds:.1f} s")
    return 0


def _shown(total: Stopwatch) -> Callable[[Progress], None]:
    """A line of progress a second, where somebody looks."""
    line = Stopwatch()

    def show(progress: Progress) -> None:
        if line.seconds() >= 1 and sys.stderr.isatty():
            line.restart()
            rate = progress.ticks / max(total.seconds(), 1e-9)
            tell(f"{progress.ticks:,} ticks ({rate:,.0f}/s), {progress.left:,} records left")

    return show
