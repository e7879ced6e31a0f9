"""`tickledger chart`: bars with a strategy's own lines and signals, as one page."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from api.lab.options import LabOptions
from api.start import ConfigOption, HomeOption, JsonOption


def chart(
    strategy: Annotated[str, Parameter(help="FILE.py, FILE.py:NAME, or one that ships (`strategies`).")],
    /,
    *data: Annotated[Path, Parameter(help="Files, folders or globs; none: the log of the home, by --symbol.")],
    out: Annotated[Path | None, Parameter(help="The page; default charts/TIME-STRATEGY.html.")] = None,
    options: LabOptions | None = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Draw a strategy's bars, its own lines as computed, and its signals; nothing is traded.

    What is drawn comes from the operators that a backtest and live trading run.
    """
    from api.lab.chart import write_chart
    from api.lab.choice import choose, parsed_values
    from api.lab.command import Asked, in_range, traded_of
    from api.lab.lines import charts
    from api.lab.operators import operated
    from api.progress_line import ProgressLine

    options = options or LabOptions()
    chosen = choose(strategy, parsed_values(options.p or []))
    line = ProgressLine()
    with ExitStack() as kept:
        kept.callback(line.clear)
        traded = traded_of(Asked(strategy, tuple(data), options), line, home, config, kept)
        ranged, _ = in_range(chosen, traded, options)
        ledger, trade = operated(chosen, ranged, lambda ticks: line.show(f"running: {ticks:,} ticks"))
        drawn = charts(chosen, ledger, trade, {t.source.name: t.source.digits for t in traded})
    path = out if out is not None else Path("charts") / f"{time.strftime('%Y%m%d-%H%M%S')}-{chosen.name}.html"
    write_chart(drawn, ledger.signal_rows, path)
    answer = {
        "chart": str(path),
        "bars": {one.listing: len(one.bars) for one in drawn},
        "lines": sorted({name for one in drawn for name in one.lines}),
        "signals": dict(ledger.signals),
        "warnings": ledger.failures(),
    }
    if as_json:
        print(json.dumps(answer))
        return 0
    counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(ledger.signals.items())) or "no signals"
    bars = ", ".join(f"{len(one.bars):,} {one.timeframe} bars of {one.listing}" for one in drawn)
    print("\n".join([*(f"warning: {told}" for told in ledger.failures()), f"{bars}; {counts}", f"chart: {path}"]))
    return 0
