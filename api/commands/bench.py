"""`tickledger bench`: measures, after checking that results are equal."""

from __future__ import annotations

import difflib
import importlib
import json
from collections.abc import Callable
from typing import Annotated, Final, Protocol, cast

from cyclopts import Parameter
from rich.console import Console

from api.bench.result import Report
from api.start import JsonOption, tell
from infra import log
from infra.errors import SettingsError, TickledgerError

BENCHMARKS: Final = {
    "codec": "api.bench.codec",
    "bars": "api.bench.bars",
    "graph": "api.bench.graph",
    "replay": "api.bench.replay",
    "import": "api.bench.import_",
    "storage": "api.bench.storage",
    "recovery": "api.bench.recovery",
    "memory": "api.bench.memory",
    "live": "api.bench.live",
    "desk": "api.bench.desk",
    "ema": "api.bench.strategy_replay",
    "lab": "api.bench.lab",
    "peers": "api.bench.peers.comparison",
}
"""Each module has `run() -> Report`; of those that play a market, `run(seconds=…)` too."""

ALL: Final = "all"
LIVE: Final = "live"


class Benchmark(Protocol):
    """A module that measures; `more`: seconds, where it plays a market."""

    def run(self, **more: int) -> Report: ...


class Unequal(TickledgerError):
    """Results that must be equal are not, so nothing was measured."""

    exit_code = 1


def bench(
    name: Annotated[str, Parameter(help=f"{', '.join(BENCHMARKS)}, or all of them.")],
    /,
    *,
    seconds: Annotated[int | None, Parameter(help="How long live plays its market, each rate; default 60.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Check that results are equal, then measure; those that need services start them in a folder of their own.

    With --json: {"name", "equal", "results": [{"id", "value", "unit", "goal"}]}, for `all` a list of these. Exit 0
    measured, whatever the goals; 1 results differ, so there are no rates.
    """
    chosen = list(BENCHMARKS) if name == ALL else [_known(name)]
    more = _of_market(name, seconds)
    log.configure("bench", "warning")
    console = Console()
    reports = []
    for each in chosen:
        if len(chosen) > 1:
            tell(f"bench {each}")
        report = _run(BENCHMARKS[each])(**(more if each == LIVE else {}))
        reports.append(report)
        if not as_json:
            report.print(console)
    if as_json:
        said = [report.to_json() for report in reports]
        print(json.dumps(said if name == ALL else said[0]))
    unequal = [report.name for report in reports if not report.equal]
    if unequal:
        raise Unequal(f"the results of {', '.join(unequal)} are not equal, so there are no rates")
    return 0


def _known(name: str) -> str:
    if name in BENCHMARKS:
        return name
    near = difflib.get_close_matches(name, BENCHMARKS, n=1)
    raise SettingsError(
        f"there is no benchmark {name!r}{f' (near: {near[0]})' if near else ''}: "
        f"there are {', '.join(BENCHMARKS)}, and all"
    )


def _of_market(name: str, seconds: int | None) -> dict[str, int]:
    if seconds is None:
        return {}
    if name not in (LIVE, ALL):
        raise SettingsError(f"--seconds {seconds}: bench {name} plays no market; leave it out")
    if seconds < 1:
        raise SettingsError(f"--seconds {seconds}: a market is played for a second at least")
    return {"seconds": seconds}


def _run(module: str) -> Callable[..., Report]:
    return cast(Benchmark, importlib.import_module(module)).run
