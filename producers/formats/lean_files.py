"""LEAN's files among the others: found by their names, which start with a day.

Ticks are read by `producers.lean`. Quote bars (minute and second resolution) have rows of eleven: ms since midnight of
the bar's start, bid open, high, low, close, last bid size, the same of asks. Source: QuoteBar.cs of
<https://github.com/QuantConnect/Lean>.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date
from pathlib import Path
from typing import Final

from producers.clocks import FileClock, clock_of, to_utc_ms
from producers.formats.layouts import ASK_VALUES, BAR_PRICES, Layout
from producers.formats.names import Hint
from producers.formats.source import Batch, Damage, ReadOptions, Source
from producers.formats.text import chunks, opened
from producers.formats.text_rows import text_batches
from producers.lean import DAY_MS, check_member, day_of, read_quotes
from producers.listing_spec import digits_of

_ROW: Final = re.compile(rb"\s*\d{1,8}(\.\d+)?,[^,]+,[^,]+(,[^,]+,[^,]+)?\s*")
_BAR: Final = re.compile(rb"\s*\d{1,8}(,[^,]*){10}\s*")
_BARS: Final = Layout("lean", ("count", *BAR_PRICES, "-", *ASK_VALUES, "-"))


def looks_like(first: bytes, hint: Hint) -> bool:
    """Whether a text that begins with `first` is LEAN's, so named or not."""
    lines = [line for line in first[:8192].splitlines()[:5] if line.strip()]
    if hint.lean_day:
        return not lines or any(_ROW.fullmatch(line) or _BAR.fullmatch(line) for line in lines)
    return bool(lines) and all(_ROW.fullmatch(line) for line in lines)


def source(path: Path, first: bytes, hint: Hint, options: ReadOptions) -> Source:
    """The rows of a day. Raises BadFile for one that can't be placed in time."""
    clock = options.clock or clock_of(UTC)
    head = first[:512].decode("utf-8", errors="replace").splitlines()[:3]
    if any(_BAR.fullmatch(line) for line in first[:8192].splitlines()[:5]):
        return _bars(path, clock, head, options)
    quotes = read_quotes(path, clock.zone, options.now_us)

    def batches() -> Iterator[Batch]:
        if quotes.ticks:
            digits = digits_of(quotes.bid, quotes.ask)
            yield Batch(quotes.time_ms, {"bid": quotes.bid, "ask": quotes.ask}, True, digits, 1)
        if quotes.damage is not None:
            raise Damage(str(quotes.damage).removeprefix(str(path)))

    return Source("lean", batches(), False, "utc", None, "", head, starts_ms=quotes.starts_ms, sha256=quotes.sha256)


def _bars(path: Path, clock: FileClock, head: list[str], options: ReadOptions) -> Source:
    with opened(path) as (name, _):
        check_member(path, name)
    midnight_ms = (day_of(path, clock.zone, options.now_us) - date(1970, 1, 1)).days * DAY_MS

    def batches() -> Iterator[Batch]:
        texts = chunks(path)
        for batch in text_batches(path, _BARS, next(texts), texts):
            if int(batch.wall_ms.max()) >= DAY_MS:
                raise Damage(f": ms {int(batch.wall_ms.max())} is outside the day (0 to {DAY_MS - 1})")
            yield batch._replace(wall_ms=to_utc_ms(batch.wall_ms + midnight_ms, clock.zone), is_utc=True)

    return Source("lean", batches(), True, "utc", None, "open", head, starts_ms=midnight_ms)
