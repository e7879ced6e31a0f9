"""The database anew from the log: everything of ours is dropped, made again, and folded from offset 0."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from infra.clock import Clock
from projections.database import explain
from projections.projector import Progress, Projector
from projections.store import Store
from schemas.integrity import KeyRing


def rebuild(
    dsn: str, bootstrap: str, keys: KeyRing, clock: Clock, progress: Callable[[Progress], None] = lambda _: None
) -> Progress:
    """Drops what the database at `dsn` has of ours and fills it with what the log has now; what that was.

    No projector may run meanwhile: raises Fenced if one does, and keeps others out until it is done. Ended half-way,
    it leaves a database that any projector completes. No alert is raised: those of the log are there already.
    """
    try:
        with Store(dsn, fresh=True) as store:
            return Projector(dsn, bootstrap, keys, clock, quiet=True).fold_to_end(store, progress)
    except psycopg.Error as error:
        raise explain(error, dsn) from error
