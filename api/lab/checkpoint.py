"""A run that was stopped, as a file beside its partial results: what `--resume` goes on from.

It is Python's own form of the run's values and is removed with the results that it goes on from. Resuming runs the
strategy's file too: go on with runs of your own only.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from api.lab.data import cut
from api.lab.ledger import Ledger
from api.lab.setup import Folds
from infra.errors import BadFile
from schemas.ticks import TickBlock
from streams.backtest.driver import Backtest
from streams.backtest.journal import Journal
from streams.operators.desk import Desk, DeskState
from streams.venue.lab import Venue

NAME: Final = "checkpoint.bin"
_FORM: Final = 1


def dump(
    program: str,
    driver: Backtest,
    desk: Desk,
    state: DeskState,
    venue: Venue,
    ledger: Ledger,
    journal: Journal,
    folds: Folds,
) -> bytes:
    """All that a run stands on. `program`: the hash of what runs."""
    kept = {
        "form": _FORM,
        "program": program,
        "driver": driver.dump(),
        "desk": desk.dump(state),
        "venue": venue.dump(),
        "ledger": ledger.dump(),
        "journal": journal.dump(),
        "own": {
            name: {operator: fold.dump(operator) for operator in fold.positions()} for name, fold in folds.own.items()
        },
        "merged": [fold.dump() for fold in folds.merged],
    }
    return pickle.dumps(kept, pickle.HIGHEST_PROTOCOL)


def read(folder: Path, program: str) -> dict[str, Any]:
    """The checkpoint in a run's folder. Raises BadFile."""
    path = folder / NAME
    try:
        kept: dict[str, Any] = pickle.loads(path.read_bytes())
        form, its = kept["form"], kept["program"]
    except OSError as error:
        raise BadFile(f"{path}: there is nothing to go on from: {error.strerror or error}") from error
    except Exception as error:
        raise BadFile(f"{path}: is damaged ({error}): run it anew by --manifest {folder / 'manifest.json'}") from error
    if form != _FORM or its != program:
        raise BadFile(
            f"{path}: is of another strategy, parameters or release than are here now: run it anew by --manifest "
            f"{folder / 'manifest.json'}"
        )
    return kept


def load(
    kept: Mapping[str, Any], driver: Backtest, venue: Venue, ledger: Ledger, journal: Journal, folds: Folds
) -> None:
    """Puts a run back to where it stopped. Its desk's state is `desk.load(kept["desk"])`, its feeds those of `feed`."""
    driver.load(kept["driver"])
    venue.load(kept["venue"])
    ledger.load(kept["ledger"])
    journal.load(kept["journal"])
    for name, operators in kept["own"].items():
        for operator, saved in operators.items():
            folds.own[name].load(operator, saved)
    for fold, saved in zip(folds.merged, kept["merged"], strict=True):
        fold.load(saved)


def feed(kept: Mapping[str, Any], listing: str, blocks: Iterator[TickBlock]) -> Iterator[TickBlock]:
    """The blocks of a listing from where it stopped."""
    quotes = kept["driver"]["quotes"][listing]
    seq = max((state.seq for state in kept["own"][listing].values()), default=0)
    for places in (saved.places for saved in kept["merged"]):
        if listing in places:
            seq = places[listing].seq
    return rest_of(blocks, quotes.loaded_n, seq)


def rest_of(blocks: Iterator[TickBlock], loaded_n: int, seq: int) -> Iterator[TickBlock]:
    """The blocks from tick `loaded_n` on, numbered on from `seq`, whatever their cut."""
    for block in blocks:
        end = block.first_n + len(block.quality)
        if end <= loaded_n:
            continue
        rest = cut(block, max(loaded_n - block.first_n, 0), len(block.quality))
        seq += 1
        yield rest._replace(seq=seq)
