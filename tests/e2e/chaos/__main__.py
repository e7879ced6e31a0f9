"""`make chaos-day`: the sample day's busiest hour again and again, each time with other kills; a line a run.

Ends with 1 if a run differs; `--seed N --runs 1` repeats it. Ctrl-C ends it with what was measured until then.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from infra import log
from infra.errors import TickledgerError
from infra.stack.services import KAFKA, POSTGRES
from tests.e2e.chaos.agreement import differences
from tests.e2e.chaos.day import BUSIEST, trading_day
from tests.e2e.chaos.kills import KILLED, Recovery, kill_each

GOAL_S = dict.fromkeys(KILLED, 10.0) | {KAFKA: 15.0, POSTGRES: 15.0}


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="make chaos-day ARGS=…", description=__doc__)
    parser.add_argument("--runs", type=int, default=50, help="how many; default 50")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; default 1")
    parser.add_argument("--minutes", type=int, nargs=2, default=BUSIEST, help="of the day, UTC; default 420 480")
    parser.add_argument("--speed", type=float, default=60.0, help="times real time; default 60")
    parser.add_argument("--times", type=int, default=2, help="that each process is killed in a run; default 2")
    parser.add_argument("--keep", action="store_true", help="leave the home of a run that differs where it is")
    asked = parser.parse_args()
    log.configure("chaos", "error")
    recovered: list[Recovery] = []
    wrong = []
    end = asked.seed + asked.runs
    for seed in range(asked.seed, end):
        start = time.monotonic()
        folder = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"))
        try:
            found, measured = _run(folder, seed, tuple(asked.minutes), asked.speed, asked.times)
        except KeyboardInterrupt:
            shutil.rmtree(folder, ignore_errors=True)
            _table(recovered)
            print(f"stopped in the run of seed {seed}; go on by --seed {seed} --runs {end - seed}")
            return 130
        recovered += measured
        slowest = max(measured, key=lambda one: one.at_work_s, default=None)
        told = f"slowest {slowest.service} {slowest.at_work_s:.1f} s" if slowest else "no kill was measured"
        print(
            f"seed {seed:3}  {time.monotonic() - start:5.0f} s  {len(measured):2} kills measured, {told}  "
            + ("DIFFERS: " + "; ".join(found) if found else "nothing differs"),
            flush=True,
        )
        if found:
            wrong.append(seed)
        if found and asked.keep:
            print(f"          its home is {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    _table(recovered)
    if wrong:
        print(f"{len(wrong)} of {asked.runs} runs differ; repeat the first by --seed {wrong[0]} --runs 1 --keep")
        return 1
    print(f"{asked.runs} runs, nothing differs")
    return 0


def _run(
    folder: Path, seed: int, minutes: tuple[int, int], speed: float, times: int
) -> tuple[list[str], list[Recovery]]:
    """What differs at the end, and what was measured."""
    measured: list[Recovery] = []
    try:
        with trading_day(folder, minutes, speed=speed) as day:
            measured = kill_each(day, random.Random(seed), times=times, pause_s=1.0, pairs=0.25)
            day.market.play_to_end()
            day.until(day.is_played, "the market has been played", 600)
            day.all_ready()
            return differences(day), measured
    except (TickledgerError, AssertionError) as error:
        return [f"{type(error).__name__}: {error}"], measured


def _table(recovered: list[Recovery]) -> None:
    by_service: dict[str, list[float]] = defaultdict(list)
    for one in recovered:
        by_service[one.service].append(one.at_work_s)
    print(f"{'killed':10} {'times':>5} {'median s':>9} {'longest s':>9} {'goal s':>7}")
    for service, seconds in sorted(by_service.items()):
        late = "  late" if max(seconds) > GOAL_S[service] else ""
        goal = GOAL_S[service]
        print(f"{service:10} {len(seconds):5} {median(seconds):9.1f} {max(seconds):9.1f} {goal:7.0f}{late}")


if __name__ == "__main__":
    sys.exit(main())
