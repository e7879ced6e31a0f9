"""What a file's name tells: symbol, a bar's length, a day or an hour."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schemas.identity import InvalidName, check_symbol

MINUTE_MS: Final = 60_000

_FRAMES: Final = {f"M{n}": n for n in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)} | {"H1": 60}
_TOO_LONG: Final = ("H2", "H3", "H4", "H6", "H8", "H12", "D1", "DAILY", "W1", "WEEKLY", "MN", "MN1", "MONTHLY")
_HOUR: Final = re.compile(r"([^/\\]+)[/\\](\d{4})[/\\](\d{2})[/\\](\d{2})[/\\](\d{2})h_ticks\.bi5$", re.IGNORECASE)
_HISTDATA: Final = re.compile(
    r"(?:DAT|HISTDATA_COM)_(ASCII|MT|NT|XLSX|MS)_([A-Z0-9]+)_(T|M1|TICK)_?(\d{4,8})", re.IGNORECASE
)
_DAY: Final = re.compile(r"(\d{4})(\d{2})(\d{2})(?!\d)")
_SYMBOL: Final = re.compile(r"[#.!]?[A-Za-z][A-Za-z0-9&]*(?:[.#+!-][A-Za-z0-9]{1,8})?[+#!]?")
_NOT_SYMBOLS: Final = frozenset({
    "ticks", "tick", "bars", "bar", "quotes", "quote", "data", "export", "history", "trades", "bid", "ask", "rates",
    "prices", "candles", "candlestick", "m1",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hint:
    """What is known from the name alone."""

    symbol: str | None = None
    bar_ms: int = 0
    """Length of a bar; 0 where the name doesn't tell."""
    hour_ms: int | None = None
    """UTC start of the hour of a Dukascopy file."""
    lean_day: str = ""
    """The day that the name starts with, as LEAN's do."""
    histdata: str = ""
    """ASCII or MT: HistData's own names."""
    too_long: str = ""
    """A timeframe above H1, whose bars no M1 can be told from."""
    side: str = ""
    """bid or ask: Dukascopy's bars have one side a file."""


def hint_of(path: Path) -> Hint:
    """What the name of `path` (for Dukascopy's hours, the folders above it too) tells."""
    stem = path.name
    for end in (".gz", ".zip", ".csv", ".txt", ".tsv", ".prn", ".bi5", ".parquet"):
        if stem.lower().endswith(end):
            stem = stem[: -len(end)]
    if (hour := _HOUR.search(path.as_posix())) is not None:
        symbol, year, month, day, of_day = hour.groups()
        start = _utc_ms(int(year), int(month) + 1, int(day), int(of_day))
        return Hint(symbol=_checked(symbol.upper()), hour_ms=start)
    if (known := _HISTDATA.search(stem)) is not None:
        kind, symbol, frame, _ = known.groups()
        return Hint(_checked(symbol.upper()), MINUTE_MS if frame.upper() == "M1" else 0, histdata=kind.upper())
    if (day := _DAY.match(stem)) is not None:
        return Hint(lean_day=day[0])
    words = re.split(r"[_,]+", re.sub(r" (?=[MH]\d+\b)", "_", stem))
    frames = [_FRAMES[w.upper()] for w in words[1:] if w.upper() in _FRAMES]
    too_long = [w.upper() for w in words[1:] if w.upper() in _TOO_LONG]
    sides = [w.lower() for w in words[1:] if w.lower() in ("bid", "ask")]
    return Hint(
        symbol=_symbol(words[0]),
        bar_ms=frames[0] * MINUTE_MS if frames else 0,
        too_long=too_long[0] if too_long and not frames else "",
        side=sides[0] if sides else "",
    )


def _symbol(word: str) -> str | None:
    word = re.sub(r"-(\d{4})(-\d{2}){0,2}$", "", word)
    match = _SYMBOL.fullmatch(word)
    if match is None or word.lower() in _NOT_SYMBOLS or len(word) < 2:
        return None
    return _checked(word)


def _checked(symbol: str) -> str | None:
    try:
        return check_symbol(symbol)
    except InvalidName:
        return None


def _utc_ms(year: int, month: int, day: int, hour: int) -> int | None:
    from datetime import UTC, datetime

    try:
        return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        return None
