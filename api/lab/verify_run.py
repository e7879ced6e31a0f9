"""`tickledger verify --run DIR`: decides a backtest again from its journal and compares it with what the run says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from api.lab.ledger import Sum
from api.lab.setup import ACCOUNT
from infra.errors import BadFile
from schemas.integrity import MAC_BYTES, ZERO_MAC
from schemas.journal import EntryKind, JournalEntry
from schemas.registry import UnreadableRecord, decision_bytes, decode, schemas
from streams.backtest.journal import KEY_ID, KEYS, TOPIC
from streams.operators.desk import Desk, rows_of

TOPICS = ("orders", "fills", "risk", "portfolio", "equity")


class RunVerified(NamedTuple):
    """What was found: entries of the journal, and what differs, in words."""

    entries: int
    differences: list[str]
    digests: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return {"entries": self.entries, "differences": self.differences, "digests": self.digests}

    def text(self) -> str:
        """For a person."""
        if not self.differences:
            return f"{self.entries:,} entries of the journal: its chain holds, and the same is decided again"
        return "\n".join(["DIFFERS", *self.differences])


def verify_run(folder: Path) -> RunVerified:
    """Checks the journal's chain, folds it by the desk and compares digests with the manifest's. Raises BadFile."""
    manifest, values = _read(folder)
    differences: list[str] = []
    desk = Desk()
    state = desk.initial(ACCOUNT)
    sums = {name: Sum() for name in TOPICS if name != "equity"}
    marks = hashlib.sha256()
    seen: set[str] = set()
    prev, seq = ZERO_MAC, 0

    def take(decided: Any) -> None:
        for one in decided:
            if isinstance(one, np.ndarray):
                marks.update(one.tobytes())
                continue
            topic = schemas()[type(one).__name__].topic
            data = decision_bytes(one)
            seen.add(topic)
            sums[topic].add(data)

    for number, value in enumerate(values):
        place = f"journal, entry {number}"
        if not KEYS.holds(TOPIC, KEY_ID, value):
            differences.append(f"{place}: its MAC is wrong: a byte was changed")
            break
        try:
            entry = decode(value)
        except UnreadableRecord as error:
            differences.append(f"{place}: {error}")
            break
        if not isinstance(entry, JournalEntry):
            differences.append(f"{place}: a {type(entry).__name__} doesn't belong there")
            break
        if entry.kind is EntryKind.OPEN:
            continue
        if entry.seq != seq + 1 or entry.prev != prev:
            differences.append(f"{place}: link {entry.seq} doesn't follow link {seq}: something is missing or moved")
            break
        seq, prev = entry.seq, value[-MAC_BYTES:]
        if entry.kind is EntryKind.CLOCK:
            rows, start = rows_of(entry), 0
            while start < len(rows.us):
                taken, decided = desk.clock(state, rows.part(start, len(rows.us)))
                start += taken
                take(decided)
        else:
            take(desk.take(state, entry.taken_us, decode(entry.input)))  # type: ignore[arg-type]
    digests = {name: sums[name].hex() for name in TOPICS if name in seen} | {"equity": marks.hexdigest()}
    said = {name: digest for name, digest in manifest["digests"].items() if name in TOPICS}
    if not differences:
        for name in sorted(set(said) | set(digests)):
            if said.get(name) != digests.get(name):
                differences.append(
                    f"{name}: decided again it has digest {str(digests.get(name))[:12]}…, the run says "
                    f"{str(said.get(name))[:12]}…"
                )
    return RunVerified(seq, differences, digests)


def _read(folder: Path) -> tuple[dict[str, Any], list[bytes]]:
    import polars as pl

    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        values = pl.read_parquet(folder / "events" / "journal.parquet", columns=["value"])["value"].to_list()
        manifest["digests"].items()
    except OSError as error:
        raise BadFile(f"{folder}: no results of a backtest are there: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
        raise BadFile(f"{folder}: its results can't be read: {error}") from error
    return manifest, values
