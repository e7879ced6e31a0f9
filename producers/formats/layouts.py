"""What stands where in a text of rows: found from its first lines, or told by `--columns`.

A layout is known by its header where it has one, in whatever case and with MT5's brackets; without one, by the form of
its cells. What can't be told apart safely is an error that says which option tells it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from infra.errors import BadFile
from producers.formats import rows
from producers.formats.names import Hint

TICK_VALUES: Final = ("bid", "ask", "last", "volume", "flags")
BAR_PRICES: Final = ("open", "high", "low", "close")
BAR_VALUES: Final = (*BAR_PRICES, "spread")
ASK_VALUES: Final = tuple(f"ask_{price}" for price in BAR_PRICES)
"""Of bars that tell bid and ask."""
CLOCKS: Final = ("server", "utc", "est", "rows", "unknown")

_HEADER_WORDS: Final = {
    "date": "date datum fecha data дата дата 日期 日付 tarih dátum päivä",
    "time": "time zeit uhrzeit hora heure ora время час 时间 時刻 saat čas czas",
    "datetime": "datetime date_time date-time timestamp time_utc time_msc gmt_time local_time est_time utc_time "
    "timestamp_utc open_time zeitstempel datum/zeit etc/gmt utc date/time ts",
    "symbol": "symbol ticker instrument pair symbole símbolo simbolo инструмент",
    "bid": "bid bidprice bid_price best_bid geld gebot bid_px",
    "ask": "ask askprice ask_price best_ask offer brief ask_px",
    "last": "last last_price",
    "flags": "flags flag",
    "open": "open o eröffnung eroeffnung apertura ouverture abertura открытие otwarcie 始値 开盘",
    "high": "high h hoch höchst hoechst alto massimo max máximo maximo haut plus_haut максимум najwyzszy 高値 最高",
    "low": "low l tief tiefst bajo minimo min mínimo bas plus_bas минимум najnizszy 安値 最低",
    "close": "close c schluss schlusskurs cierre chiusura clôture cloture fechamento закрытие zamkniecie 終値 收盘",
    "spread": "spread",
    "volume": "volume vol volumen объем объём 出来高 成交量 real_volume realvolume",
    "-": "tickvol tick_volume tickvolume ticks askvolume bidvolume ask_volume bid_volume bidsize asksize millis",
}
_ROLE_OF: Final = {word: role for role, words in _HEADER_WORDS.items() for word in words.split()}

_DATE: Final = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})")
_COMPACT_DATE: Final = re.compile(r"\d{8}")
_TIME: Final = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s*[AaPp][Mm])?")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?|nan|inf", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of one text are to be read. `names`: what each cell is; `values`: those that become numbers."""

    format: str
    """As `--format` and a report say it."""
    names: tuple[str, ...]
    separator: str = ","
    decimal: str = "."
    header_lines: int = 0
    order: int = rows.YEAR_FIRST
    per_ms: float = 1.0
    clock: str = "unknown"
    """One of CLOCKS: what the format itself says of its times."""
    symbol: str | None = None
    """As the rows have it, of a format whose rows do."""
    warnings: tuple[str, ...] = field(default=())

    @property
    def bars(self) -> bool:
        """Whether rows are bars rather than ticks."""
        return "open" in self.names

    @property
    def values(self) -> tuple[str, ...]:
        """The values that a row is read into, in this order."""
        if ASK_VALUES[0] in self.names:
            return (*BAR_PRICES, *ASK_VALUES)
        return BAR_VALUES if self.bars else TICK_VALUES

    @property
    def prices(self) -> int:
        """How many of the values, from the first, are prices."""
        return sum(name in (*BAR_PRICES, *ASK_VALUES, "bid", "ask", "last") for name in self.values)

    def roles(self) -> list[int]:
        """The role of each cell, for the kernel."""
        fixed = {
            "-": rows.IGNORED, "date": rows.DATE, "time": rows.TIME, "datetime": rows.DATE_TIME,
            "count": rows.COUNT, "symbol": rows.SYMBOL,
        }  # fmt: skip
        return [
            fixed[name] if name in fixed else rows.VALUE + self.values.index(name) if name in self.values else 0
            for name in self.names
        ]

    def empty(self) -> list[int]:
        """What an empty cell of each column means."""
        carried = {"bid", "ask"} if self.format == "mt5-ticks" else set()
        zero = {"last", "volume", "flags"} | ({"spread"} if self.format == "mt5-bars" else set())
        return [rows.CARRIED if n in carried else rows.ZERO if n in zero else rows.MUST for n in self.names]

    @property
    def has_spread(self) -> bool:
        """Whether bars tell their spread."""
        return "spread" in self.names


def find_layout(path: Path, head: bytes, hint: Hint, format_: str | None, columns: str | None) -> Layout:
    """The layout of a text that begins with `head`. Raises BadFile, with what would tell it."""
    lines = _lines(path, head)
    separator = _separator(lines)
    cells = [_split(line, separator) for line in lines]
    headers = _header_lines(cells)
    body = cells[headers:]
    if not body:
        raise BadFile(f"{path}: has a header and no row")
    if columns is not None:
        found = _told(path, columns, separator, body)
    elif headers:
        found = _by_header(path, cells[headers - 1], body, hint)
    else:
        found = _by_form(path, body, hint)
    found = replace(found, separator=separator, header_lines=headers)
    if separator == "," and headers and len(body[0]) > len(cells[headers - 1]) + 1:
        raise BadFile(
            f"{path}, line {headers + 1}: {len(body[0])} cells under a header of {len(cells[headers - 1])}: decimal "
            "commas between commas can't be told apart; export it with a decimal point or another separator"
        )
    found = _with_numbers(path, found, body)
    if format_ not in (None, "csv") and not found.format.startswith(str(format_)):
        raise BadFile(f"{path}: looks like {found.format}, not {format_}: leave --format out, or tell it by --columns")
    return found


def _lines(path: Path, head: bytes) -> list[str]:
    if b"\x00" in head[:4096]:
        raise BadFile(f"{path}: is no text (zero bytes at its start): csv, txt, bi5 and parquet can be read")
    text = head.decode("utf-8", errors="replace")
    lines = [line.rstrip("\r") for line in text.split("\n")[:400]]
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise BadFile(f"{path}: is empty: no row in it")
    return lines


def _separator(lines: Sequence[str]) -> str:
    """The sign that all rows have equally often, tabs and semicolons first: commas may be decimal ones."""
    rest = lines[1:] if len(lines) > 1 else lines
    for sign in "\t;|":
        counts = Counter(line.count(sign) for line in rest)
        (count, often) = counts.most_common(1)[0]
        if count and often * 2 > len(rest):
            return sign
    if any("," in line for line in rest):
        return ","
    return " " if any(" " in line for line in rest) else ","


def _split(line: str, separator: str) -> list[str]:
    if '"' not in line:
        return [cell.strip() for cell in line.split(separator)]
    return [
        cell.strip().strip('"').strip()
        for cell in re.split(rf'{re.escape(separator)}(?=(?:[^"]*"[^"]*")*[^"]*$)', line)
    ]


def _header_lines(cells: Sequence[list[str]]) -> int:
    """How many lines from the start aren't rows: those without a cell that is a number or a time."""
    for i, line in enumerate(cells[:20]):
        if sum(_is_data(cell) for cell in line) >= 2:
            return i
    return min(len(cells), 20)


def _is_data(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _DATE.match(cell) or _TIME.match(cell) or re.match(r"\d{8} \d{6}", cell))


def _normal(cell: str) -> str:
    return re.sub(r"[\s]+", "_", cell.strip().strip("<>").strip('"').strip().lower().lstrip("#"))


def _by_header(path: Path, header: list[str], body: Sequence[list[str]], hint: Hint) -> Layout:
    words = [_normal(cell) for cell in header]
    if words and not words[-1] and len(words) > 1:
        words = words[:-1]
    names = [role_of(word) for word in words]
    unknown = [cell for cell, name in zip(header, names, strict=False) if name is None]
    known: list[str] = [name or "-" for name in names]
    if "date" in known and "time" not in known:
        known[known.index("date")] = "datetime"
    elif "time" in known and "date" not in known:
        known[known.index("time")] = "datetime"
    known = _once(known)
    is_ticks, is_bars = {"bid", "ask"} <= set(known), {"open", "high", "low", "close"} <= set(known)
    some = [word for word in ("open", "high", "low", "close") if word in known]
    if len(some) > 1 and not is_bars and not is_ticks:
        lacking = [word for word in ("open", "high", "low", "close") if word not in known]
        raise BadFile(
            f"{path}: its header {', '.join(header)[:120]!r} has {' and '.join(some)}, "
            f"and no {' and no '.join(lacking)}: "
            "export the bars whole, or say by --columns what stands where"
        )
    if not ({"date", "datetime"} & set(known)) or not (is_ticks or is_bars):
        try:
            by_form = _by_form(path, body, hint)
        except BadFile:
            raise BadFile(
                f"{path}: its header {', '.join(header)[:120]!r} doesn't say where time and prices stand"
                + (f" ({', '.join(map(repr, unknown[:3]))} unknown)" if unknown else "")
                + ": tell it by --columns, such as --columns time,bid,ask or date,time,open,high,low,close,volume; "
                "'-' is a column that isn't needed"
            ) from None
        said = f"{path}: the header {', '.join(header)[:80]!r} isn't known; its columns are taken as "
        return replace(by_form, warnings=(*by_form.warnings, said + ", ".join(by_form.names)))
    if is_bars:
        known = ["-" if name in ("bid", "ask", "last", "volume", "flags") else name for name in known]
    else:
        known = ["-" if name in BAR_VALUES else name for name in known]
    brackets = any(cell.startswith("<") for cell in header)
    if brackets:
        return Layout("mt5-bars" if is_bars else "mt5-ticks", tuple(known), clock="server")
    first = words[0]
    if first in ("gmt_time", "local_time", "est_time", "etc/gmt", "utc_time"):
        kind = "dukascopy-bars" if is_bars else "dukascopy-ticks"
        clock = "rows" if first == "local_time" else "est" if first == "est_time" else "utc"
        return Layout(kind, tuple(known), clock=clock, order=rows.DAY_FIRST)
    return Layout("csv", tuple(known))


def role_of(word: str) -> str | None:
    if word in _ROLE_OF:
        return _ROLE_OF[word]
    bare = re.sub(r"[(\[].*[)\]]", "", word).strip("_")
    return _ROLE_OF.get(bare)


def _once(names: list[str]) -> list[str]:
    seen: set[str] = set()
    out = []
    for name in names:
        out.append("-" if name in seen and name != "-" else name)
        seen.add(name)
    return out


def _by_form(path: Path, body: Sequence[list[str]], hint: Hint) -> Layout:
    """A layout by the form of its cells alone."""
    first = next((row for row in body if all(row)), body[0])
    width = len(first)
    if re.fullmatch(r"[A-Z]{3}/[A-Z]{3}", first[0]) and width >= 4:
        names = ("symbol", "datetime", "bid", "ask", *["-"] * (width - 4))
        return Layout("truefx", names, clock="utc", symbol=first[0])
    if re.fullmatch(r"\d{8} \d{9}", first[0]) and width >= 3:
        return Layout("histdata-ticks", ("datetime", "bid", "ask", *["-"] * (width - 3)), clock="est")
    if re.fullmatch(r"\d{8} \d{6}", first[0]) and width >= 5:
        return Layout("histdata-bars", ("datetime", "open", "high", "low", "close", *["-"] * (width - 5)), clock="est")
    dated = bool(_DATE.fullmatch(first[0]) or _COMPACT_DATE.fullmatch(first[0]))
    if width >= 4 and dated and (_TIME.fullmatch(first[1]) or re.fullmatch(r"\d{4}|\d{6}", first[1])):
        fine = "." in first[1]
        if fine or width < 6:
            told = TICK_VALUES[: width - 2]
            names = ("date", "time", *told, *["-"] * (width - 2 - len(told)))
            return Layout("mt5-ticks", names, clock="server")
        rest = ["-"] * (width - 6)
        if width == 9:
            rest = ["-", "-", "spread"]
        kind, clock = ("histdata-bars", "est") if hint.histdata else ("mt5-bars", "server")
        return Layout(kind, ("date", "time", "open", "high", "low", "close", *rest), clock=clock)
    timed = bool(_DATE.match(first[0]) or re.fullmatch(r"\d{9,19}(\.\d+)?", first[0]))
    numbers = sum(bool(_NUMBER.fullmatch(cell)) for cell in first[1:])
    if timed and numbers >= 4:
        said = f"{path}: has no header; its columns are taken as time, open, high, low, close"
        return Layout("csv", ("datetime", "open", "high", "low", "close", *["-"] * (width - 5)), warnings=(said,))
    if timed and numbers >= 2:
        said = f"{path}: has no header; its columns are taken as time, bid, ask"
        return Layout("csv", ("datetime", "bid", "ask", *["-"] * (width - 3)), warnings=(said,))
    raise BadFile(
        f"{path}, line 1: {' '.join(first)[:80]!r} is in no form that is known: tell its columns by --columns, such as "
        "--columns time,bid,ask or date,time,open,high,low,close,volume ('-': not needed)"
    )


def _told(path: Path, columns: str, separator: str, body: Sequence[list[str]]) -> Layout:
    names = [name.strip().lower() for name in columns.split(",")]
    known = {*TICK_VALUES, *BAR_VALUES, "date", "time", "datetime", "symbol", "-", "tickvol"}
    for name in names:
        if name not in known:
            raise BadFile(f"--columns: {name!r} is no column; it can have {', '.join(sorted(known))}")
    names = ["-" if name == "tickvol" else name for name in names]
    if "date" not in names and "datetime" not in names and "time" in names:
        names[names.index("time")] = "datetime"
    elif "date" in names and "time" not in names:
        names[names.index("date")] = "datetime"
    if {"open", "high", "low", "close"} <= set(names):
        names = ["-" if name in TICK_VALUES else name for name in names]
    elif not {"bid", "ask"} <= set(names):
        raise BadFile(f"--columns {columns}: needs bid and ask, or open, high, low and close")
    if "datetime" not in names and not {"date", "time"} <= set(names):
        raise BadFile(f"--columns {columns}: needs a time: time, or date and time")
    if len(names) > len(body[0]):
        raise BadFile(
            f"{path}: a row has {len(body[0])} cells, parted by {separator!r}, and --columns {columns} names "
            f"{len(names)}"
        )
    names += ["-"] * (len(body[0]) - len(names))
    return Layout("csv", tuple(names), symbol=_symbol_in(names, body))


def _with_numbers(path: Path, found: Layout, body: Sequence[list[str]]) -> Layout:
    """The layout with what only the cells tell: decimal sign, order of dates, unit of counts."""
    width = len(found.names)
    full = [row for row in body if len(row) >= min(width, 3)]
    changes: dict[str, object] = {}
    priced = [row[i] for row in full for i, n in enumerate(found.names[: len(row)]) if n in (*TICK_VALUES, *BAR_VALUES)]
    if found.separator != "," and any("," in cell for cell in priced) and not any("." in cell for cell in priced):
        changes["decimal"] = ","
    names = list(found.names)
    if len(full[0]) > width and full[0][width:] != [""]:
        names += ["-"] * (len(full[0]) - width)
    if "symbol" in names and found.symbol is None:
        changes["symbol"] = _symbol_in(names, full)
    for i, name in enumerate(found.names):
        cells = [row[i] for row in full if len(row) > i and row[i]]
        if name == "datetime" and cells and re.fullmatch(r"\d{9,19}(\.\d+)?", cells[0]):
            names[i] = "count"
            digits = len(cells[0].partition(".")[0])
            changes["per_ms"] = 0.001 if digits <= 10 else 1.0 if digits <= 13 else 1e3 if digits <= 16 else 1e6
            if found.clock == "unknown":
                changes["clock"] = "utc"
        elif name in ("date", "datetime"):
            order, unsure = _order(cells, found.order)
            changes["order"] = order
            if unsure:
                said = (
                    f"{path}: the date {cells[0][:10]!r} may have its day or its month first; read as "
                    f"{'day' if order == rows.DAY_FIRST else 'month'} first: check the range below"
                )
                changes["warnings"] = (*found.warnings, said)
            if name == "datetime" and cells and re.search(r"\d(Z| ?(GMT|UTC)|[+-]\d{2}:?\d{2})\S*$", cells[0]):
                changes["clock"] = "rows"
    return replace(found, names=tuple(names), **changes)  # type: ignore[arg-type]


def _order(cells: Sequence[str], told: int) -> tuple[int, bool]:
    """(order of a date's parts, whether it is a guess)."""
    parts = [match.groups() for cell in cells if (match := _DATE.match(cell))]
    if not parts or len(parts[0][0]) == 4:
        return rows.YEAR_FIRST, False
    if any(int(a) > 12 for a, *_ in parts):
        return rows.DAY_FIRST, False
    if any(int(b) > 12 for _, _, b, _ in parts):
        return rows.MONTH_FIRST, False
    if told == rows.DAY_FIRST or parts[0][1] == ".":
        return rows.DAY_FIRST, False
    return (rows.MONTH_FIRST if parts[0][1] == "/" else rows.DAY_FIRST), True


def _symbol_in(names: Sequence[str], body: Sequence[list[str]]) -> str | None:
    return body[0][names.index("symbol")] if "symbol" in names else None
