"""Runs proposed sets and keeps each as it is finished; those that were finished before are not run again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from api.lab.sweep.axes import Number
from api.lab.sweep.outcome import Row
from api.lab.sweep.pool import Pool
from api.lab.sweep.prepared import Task
from api.lab.sweep.proposals import Proposals
from api.lab.sweep.store import Store
from infra.errors import Refused

WHOLE: Final = -1


class Stage(NamedTuple):
    """A stretch of time on which sets are run: number -1 the whole range, else a window's training."""

    number: int
    from_ms: int | None = None
    to_ms: int | None = None


def search(
    stage: Stage, proposals: Proposals, pool: Pool, store: Store, done: Callable[[int, bool], None]
) -> list[Row]:
    """The rows of all sets that are proposed, in their order; `done` gets how many more there
    are, and whether they were run now.

    Raises Refused where the folder has other sets under their numbers, and what running raises.
    """
    rows: list[Row] = []
    sets = next(proposals)
    while True:
        rows += _run(stage, len(rows), sets, pool, store, done)
        try:
            sets = proposals.send(rows[-len(sets) :])
        except StopIteration:
            return rows


def _run(
    stage: Stage,
    first: int,
    sets: Sequence[dict[str, Number]],
    pool: Pool,
    store: Store,
    done: Callable[[int, bool], None],
) -> list[Row]:
    tasks = [Task(stage.number, first + place, values, stage.from_ms, stage.to_ms) for place, values in enumerate(sets)]
    missing = []
    for task in tasks:
        kept = store.rows.get((task.stage, task.number))
        if kept is None:
            missing.append(task)
        elif kept.parameters != task.values:
            raise Refused(
                f"set {task.number} of {store.folder} is {kept.parameters}, not {task.values}: start a new sweep"
            )
    done(len(tasks) - len(missing), False)

    def take(rows: Sequence[Row]) -> None:
        store.append(rows)
        done(len(rows), True)

    if missing:
        pool.run(missing, take)
    return [store.rows[task.stage, task.number] for task in tasks]
