"""Files as the programs of traders write them, made of known ticks and bars."""

from __future__ import annotations

import lzma
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

EPOCH = datetime(1970, 1, 1)
Tick = tuple[int, float, float]
"""(wall-clock or UTC milliseconds, bid, ask)."""
Bar = tuple[int, float, float, float, float, int]
"""(milliseconds of its start, open, high, low, close, spread in points)."""


def wall(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


def at(*parts: int) -> int:
    """Milliseconds of a wall-clock time."""
    return (datetime(*parts) - EPOCH) // timedelta(milliseconds=1)  # type: ignore[arg-type]


def write(path: Path, lines: Sequence[str], end: str = "\n", encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


def mt5_ticks(ticks: Sequence[Tick], digits: int = 5) -> list[str]:
    """A tick export: a cell is empty where its price is that of the row before, and FLAGS says which have changed."""
    lines = ["<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>"]
    before: tuple[float, float] | None = None
    for ms, bid, ask in ticks:
        new_bid, new_ask = before is None or bid != before[0], before is None or ask != before[1]
        before = (bid, ask)
        b, a = f"{bid:.{digits}f}" if new_bid else "", f"{ask:.{digits}f}" if new_ask else ""
        lines.append(f"{wall(ms):%Y.%m.%d\t%H:%M:%S}.{ms % 1000:03d}\t{b}\t{a}\t\t\t{2 * new_bid + 4 * new_ask}")
    return lines


def mt5_bars(bars: Sequence[Bar], digits: int = 5) -> list[str]:
    lines = ["<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"]
    for ms, o, h, low, c, spread in bars:
        prices = "\t".join(f"{p:.{digits}f}" for p in (o, h, low, c))
        lines.append(f"{wall(ms):%Y.%m.%d\t%H:%M:%S}\t{prices}\t37\t0\t{spread}")
    return lines


def bi5(folder: Path, symbol: str, ticks: Sequence[Tick], factor: float) -> list[Path]:
    """Dukascopy's hours; months count from 0."""
    hours: dict[int, list[bytes]] = {}
    for ms, bid, ask in ticks:
        record = struct.pack(">iiiff", ms % 3_600_000, round(ask * factor), round(bid * factor), 1.5, 0.75)
        hours.setdefault(ms // 3_600_000, []).append(record)
    paths = []
    for hour, records in hours.items():
        start = datetime.fromtimestamp(hour * 3600, UTC)
        path = folder / symbol / f"{start.year}/{start.month - 1:02d}/{start.day:02d}/{start.hour:02d}h_ticks.bi5"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lzma.compress(b"".join(records), lzma.FORMAT_ALONE))
        paths.append(path)
    return paths


def dukascopy_ticks(ticks: Sequence[Tick], offset_h: int | None = None) -> list[str]:
    name, zone = ("Gmt time", "") if offset_h is None else ("Local time", f" GMT{offset_h:+03d}00")
    lines = [f"{name},Ask,Bid,AskVolume,BidVolume"]
    for ms, bid, ask in ticks:
        ms += (offset_h or 0) * 3_600_000
        lines.append(f"{wall(ms):%d.%m.%Y %H:%M:%S}.{ms % 1000:03d}{zone},{ask},{bid},1.5,0.75")
    return lines


def histdata_ticks(ticks: Sequence[Tick]) -> list[str]:
    """EST without summer time."""
    return [f"{wall(ms - 18_000_000):%Y%m%d %H%M%S}{ms % 1000:03d},{bid:.6f},{ask:.6f},0" for ms, bid, ask in ticks]


def truefx(ticks: Sequence[Tick], pair: str = "EUR/USD") -> list[str]:
    return [f"{pair},{wall(ms):%Y%m%d %H:%M:%S}.{ms % 1000:03d},{bid},{ask}" for ms, bid, ask in ticks]


def lean(ticks: Sequence[Tick]) -> list[str]:
    return [f"{ms % 86_400_000},{bid},{ask}" for ms, bid, ask in ticks]


def walk(count: int, start_ms: int, step_ms: int = 700, seed: int = 1) -> list[Tick]:
    """A day's prices as they go: EURUSD, in points."""
    rng = np.random.default_rng(seed)
    times = start_ms + np.cumsum(rng.integers(0, 2 * step_ms, count))
    points = 138_000 + np.cumsum(rng.integers(-2, 3, count))
    spreads = rng.integers(0, 20, count)
    rows = zip(times.tolist(), points.tolist(), spreads.tolist(), strict=True)
    return [(ms, p / 1e5, (p + s) / 1e5) for ms, p, s in rows]


def minutes(count: int, start_ms: int, seed: int = 1, length_ms: int = 60_000) -> list[Bar]:
    """Bars that follow each other."""
    rng = np.random.default_rng(seed)
    point, bars = 138_000, []
    for i in range(count):
        o, c = point, point + int(rng.integers(-5, 6))
        h, low, point = max(o, c) + int(rng.integers(0, 4)), min(o, c) - int(rng.integers(0, 4)), c
        bars.append((start_ms + i * length_ms, o / 1e5, h / 1e5, low / 1e5, c / 1e5, int(rng.integers(1, 9))))
    return bars
