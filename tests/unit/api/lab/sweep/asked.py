"""A small sweep for tests: a strategy's file, a file of M1 bars, and the command run in this process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from api.lab.command import Done
from api.lab.options import LabOptions
from api.lab.sweep.command import SweepPlan, sweep_command

STRATEGY = """
from tickledger import Enter, Exit, Param, strategy
from tickledger.ta import atr, cross_above, cross_below, ema

@strategy(version=1, bars="M5")
def crossing(b, fast=Param(3, 2, 30), slow=Param(12, 5, 60), k=Param(2.0, 0.5, 6.0)):
    if fast >= slow:
        raise ValueError("fast is not below slow")
    plan = Exit(stop=k * atr(b, 5))
    yield Enter.long(cross_above(ema(b.close, fast), ema(b.close, slow)), plan)
    yield Enter.short(cross_below(ema(b.close, fast), ema(b.close, slow)), plan)
"""


class Bench:
    """A folder with `crossing.py` and EURUSD_M1.csv, of so many days from Monday 2024-01-08."""

    def __init__(self, folder: Path, days: int = 3) -> None:
        self.folder = folder
        self.strategy, self.data = folder / "crossing.py", folder / "EURUSD_M1.csv"
        self.strategy.write_text(STRATEGY)
        self.data.write_text(bars(days))

    def options(self, *p: str, **other: Any) -> LabOptions:
        """The options of a run on them."""
        return LabOptions(spec="generic", cache=self.folder / "cache", p=list(p) or None, **other)

    def sweep(
        self, out: str, *p: str, jobs: int = 1, resume: bool = False, options: dict[str, Any] | None = None, **plan: Any
    ) -> Done:
        """A sweep into the folder `out`."""
        folder, strategy = self.folder / out, None if resume else str(self.strategy)
        return sweep_command(
            strategy,
            () if resume else (self.data,),
            self.options(*p, **(options or {})),
            SweepPlan(axes=(), **{"min_trades": 1, **plan}),
            None if resume else folder,
            folder if resume else None,
            jobs,
            self.folder,
            None,
            time.perf_counter(),
        )


def bars(days: int) -> str:
    """M1 bars as MT5 exports them: a seeded walk over weekdays."""
    random = np.random.default_rng(5)
    rows = ["<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"]
    price = 110_000
    first = np.datetime64("2024-01-08T00:00")
    weekdays = [first + np.timedelta64(day, "D") for day in range(days * 7 // 5 + 1) if day % 7 < 5][:days]
    for day in weekdays:
        steps = random.integers(-6, 7, (1440, 3))
        for minute in range(1440):
            at = str(day + np.timedelta64(minute, "m"))
            path = price + np.cumsum([0, *steps[minute]])
            o, h, low, c = (f"{one / 1e5:.5f}" for one in (path[0], path.max(), path.min(), path[-1]))
            rows.append(f"{at[:10].replace('-', '.')}\t{at[11:]}:00\t{o}\t{h}\t{low}\t{c}\t4\t0\t3")
            price = int(path[-1])
    return "\n".join(rows) + "\n"
