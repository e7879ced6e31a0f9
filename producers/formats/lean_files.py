"""LEAN's files among the others: found by their names, which start with a day, and read by `producers.lean`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Final

from producers.clocks import clock_of
from producers.formats.names import Hint
from producers.formats.source import Batch, Damage, ReadOptions, Source
from producers.lean import read_quotes
from producers.listing_spec import digits_of

_ROW: Final = re.compile(rb"\s*\d{1,8}(\.\d+)?,[^,]+,[^,]+(,[^,]+,[^,]+)?\s*")


def looks_like(first: bytes, hint: Hint) -> bool:
    """Whether a text that begins with `first` is LEAN's, so named or not."""
    lines = [line for line in first[:8192].splitlines()[:5] if line.strip()]
    if hint.lean_day:
        return not lines or any(_ROW.fullmatch(line) for line in lines)
    return bool(lines) and all(_ROW.fullmatch(line) for line in lines)


def source(path: Path, first: bytes, hint: Hint, options: ReadOptions) -> Source:
    """The rows of a day. Raises BadFile for one that can't be placed in time."""
    clock = options.clock or clock_of(UTC)
    quotes = read_quotes(path, clock.zone, options.now_us)

    def batches() -> Iterator[Batch]:
        if quotes.ticks:
            digits = digits_of(quotes.bid, quotes.ask)
            yield Batch(quotes.time_ms, {"bid": quotes.bid, "ask": quotes.ask}, True, digits, 1)
        if quotes.damage is not None:
            raise Damage(str(quotes.damage).removeprefix(str(path)))

    head = first[:512].decode("utf-8", errors="replace").splitlines()[:3]
    return Source("lean", batches(), False, "utc", None, "", head, starts_ms=quotes.starts_ms, sha256=quotes.sha256)
