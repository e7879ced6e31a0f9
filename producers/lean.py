"""LEAN's tick quote files: a day of one symbol, as a CSV, mostly in a zip.

The file's name starts with the day, `YYYYMMDD`. A row is `ms,bid,ask` (forex, CFD) or `ms,bid,bidsize,ask,asksize`
(crypto; the sizes have no place on the log and are left out): ms since midnight on the file's clock, perhaps with a
fraction, which is cut. No header. Source: Data/forex/readme.md, Data/crypto/readme.md and Common/Data/Market/Tick.cs of
<https://github.com/QuantConnect/Lean>.

A price may be anything that is a number, NaN and infinity too: the judge marks what is broken. What can't be read as a
row is *damage*: the rows before it are whole and given, with the line and the reason.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from infra.errors import BadFile
from producers.clocks import FileClock, clock_of, to_utc_ms
from producers.unzip import read_text

DAY_MS: Final = 86_400_000

_LAYOUTS: Final = {3: ("ms", "bid", "ask"), 5: ("ms", "bid", "bidsize", "ask", "asksize")}
_NUMBER: Final = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?)", re.IGNORECASE)
_DAY: Final = re.compile(r"(\d{4})(\d{2})(\d{2})(?!\d)")


_UTC_CLOCK: Final = clock_of(UTC)


@dataclass(frozen=True, slots=True)
class QuoteFile:
    """A file of ticks as read: a LEAN day, or one of the other formats (`producers.formats`)."""

    path: Path
    day: date
    """Of its first row, on the file's clock."""
    starts_ms: int
    """UTC: of the first row, or of the day itself if no row is whole."""
    sha256: str
    """In hex; of a LEAN file that of the CSV, the same for a zip of it."""
    time_ms: NDArray[np.int64]
    """int64[n], UTC; in the file's order."""
    bid: NDArray[np.float64]
    """float64[n]."""
    ask: NDArray[np.float64]
    """float64[n]."""
    damage: BadFile | None
    """What ended the reading before the end of the file, if anything: file, line and reason."""
    clock: FileClock = _UTC_CLOCK
    """That of the file's times."""
    last: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """float64[n], or [0] where the symbol has no deals."""
    volume: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """As `last`."""
    flags: NDArray[np.int32] | None = None
    """int32[n]; None: each row tells bid and ask."""
    synthetic: bool = False
    """Whether its ticks were made from bars, four of each."""

    @property
    def ticks(self) -> int:
        """Rows that are whole."""
        return len(self.time_ms)


def read_quotes(path: Path, zone: tzinfo, now_us: int) -> QuoteFile:
    """The rows of a quote file whose clock is in `zone`. `now_us`: UTC; a day still to come is refused.

    Raises BadFile for a file that can't be opened or placed in time; damage inside it is in the result.
    """
    text = read_text(path)
    day = day_of(path, zone, now_us)
    check_member(path, text.name)
    rows, damage = _rows(text.data)
    midnight_ms = (day - date(1970, 1, 1)).days * DAY_MS
    time_ms = to_utc_ms(rows[0].astype(np.int64) + midnight_ms, zone)
    starts = time_ms if len(time_ms) else to_utc_ms(np.array([midnight_ms]), zone)
    return QuoteFile(
        path=path,
        day=day,
        starts_ms=int(starts[0]),
        sha256=hashlib.sha256(text.data).hexdigest(),
        time_ms=time_ms,
        bid=rows[1],
        ask=rows[2],
        damage=None if damage is None else BadFile(f"{path}{damage}"),
        clock=clock_of(zone),
    )


def day_of(path: Path, zone: tzinfo, now_us: int) -> date:
    """The day that a file's name starts with. Raises BadFile where it has none, or one still to come."""
    match = _DAY.match(path.name)
    try:
        day = date(*map(int, match.groups())) if match else None
    except ValueError:
        day = None
    if day is None:
        raise BadFile(
            f"{path}: its name doesn't start with a day: LEAN names a file by its day, such as 20140506_quote.zip"
        )
    if day.year < 1970:
        raise BadFile(f"{path}: {day} is before 1970, where the log's time starts: name the file by its real day")
    today = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now_us)).astimezone(zone).date()
    if day > today:
        raise BadFile(
            f"{path}: {day} is still to come (it is {today}): name the file by its real day, or set the clock"
        )
    return day


def check_member(path: Path, name: str) -> None:
    """Raises BadFile where `name`, of what is inside, says that it's no quotes, or of another day."""
    for other in ("trade", "openinterest"):
        if f"_{other}" in name.lower() or f"_{other}" in path.name.lower():
            raise BadFile(f"{path}: holds LEAN's {other} data; only quotes can be imported")
    inner, outer = _DAY.match(Path(name).name), _DAY.match(path.name)
    if inner and outer and inner[0] != outer[0]:
        raise BadFile(
            f"{path}: is named {outer[0]}, but {name} in it is of {inner[0]}: name it by the day that it holds"
        )


Columns = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _rows(data: bytes) -> tuple[Columns, str | None]:
    """(ms, bid, ask) of the whole rows, and the damage behind them."""
    body = data.removeprefix(b"\xef\xbb\xbf").rstrip()
    if not body:
        return (np.empty(0), np.empty(0), np.empty(0)), ": is empty: no row in it"
    width = body.partition(b"\n")[0].count(b",") + 1
    if width in _LAYOUTS:
        whole = _parse(body, width)
        if whole is not None:
            return whole, None
    return _rows_before_damage(body, width)


def _parse(body: bytes, width: int) -> Columns | None:
    """(ms, bid, ask) of a text that is whole; None if it may not be."""
    # Polars takes a third of a second to import, which commands without such a file would pay for too.
    import polars as pl

    names = _LAYOUTS[width]
    try:
        frame = pl.read_csv(
            io.BytesIO(body), has_header=False, schema=dict.fromkeys(names, pl.Float64), quote_char=None
        )
    except pl.exceptions.PolarsError:
        return None
    rows = body.count(b"\n") + 1
    if len(frame) != rows or any(frame[name].null_count() for name in names):
        return None
    ms, bid, ask = (np.array(frame[name].to_numpy(), np.float64) for name in ("ms", "bid", "ask"))
    return (ms, bid, ask) if bool(np.all((ms >= 0) & (ms < DAY_MS))) else None


def _rows_before_damage(body: bytes, width: int) -> tuple[Columns, str | None]:
    """The slow way, which says exactly where and why; it also takes what the fast parser is too strict for."""
    rows: list[list[float]] = []
    damage = None
    for number, line in enumerate(body.split(b"\n"), start=1):
        reason, values = _read_row(line.rstrip(b"\r"), width)
        if reason is not None:
            before = f"the {number - 1} rows before it are whole" if number > 1 else "no row before it is whole"
            damage = f", line {number}: {reason}; {before}"
            break
        rows.append(values)
    table = np.array(rows, np.float64).reshape(-1, max(width, 3))
    ask = 3 if width == 5 else 2
    return (table[:, 0].copy(), table[:, 1].copy(), table[:, ask].copy()), damage


def _read_row(line: bytes, width: int) -> tuple[str | None, list[float]]:
    """(what is wrong with a row, its values)."""
    fields = [cell.strip() for cell in line.split(b",")]
    if fields == [b""]:
        return "a blank line", []
    if width not in _LAYOUTS or len(fields) != width:
        expected = [width] if width in _LAYOUTS else list(_LAYOUTS)
        forms = " or ".join(f"{count} ({','.join(_LAYOUTS[count])})" for count in expected)
        return f"{len(fields)} columns instead of {forms}", []
    for name, cell in zip(_LAYOUTS[width], fields, strict=True):
        if not _NUMBER.fullmatch(cell):
            return f"{name} {repr(cell[:40])[1:]} is not a number" if cell else f"{name} is empty", []
    values = [float(cell) for cell in fields]
    if math.isnan(values[0]) or not 0 <= values[0] < DAY_MS:
        return f"ms {fields[0].decode()} is outside the day (0 to {DAY_MS - 1})", []
    return None, values
